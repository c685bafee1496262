import { isDeepStrictEqual } from 'node:util'
import type { Count, Violation, ViolationKind } from './checker.ts'
import type { Attempt, ClientOperation, Journal, JournalEntry, RecordOperation, SeenRecord } from './history.ts'
import { Horizon } from './horizon.ts'
import { holds, JournalModel } from './journal-model.ts'

/** The entries that one request left, first and last. */
interface Effect {
	first: number
	last: number
}

/** Plays a journal and holds against it what the shard's clients were told. */
export function checkHistory(
	journal: Journal,
	attempts: Attempt[],
	count: Count,
): { model: JournalModel; violations: Violation[] } {
	const history = new HistoryCheck(journal, attempts, count)
	history.play()
	history.checkAnswers()
	return { model: history.model, violations: history.violations }
}

class HistoryCheck {
	readonly model = new JournalModel()
	readonly violations: Violation[] = []
	readonly #journal: Journal
	readonly #attempts: Attempt[]
	readonly #byRequest: Map<string, Attempt>
	readonly #byKey = new Map<string, Attempt[]>()
	readonly #effects = new Map<Attempt, Effect>()
	readonly #count: Count

	constructor(journal: Journal, attempts: Attempt[], count: Count) {
		this.#journal = journal
		this.#attempts = attempts
		this.#count = count
		this.#byRequest = new Map(attempts.map((attempt) => [attempt.request, attempt]))
		if (this.#byRequest.size < attempts.length) throw new Error('two attempts have the same request id')
		for (const attempt of attempts) {
			if (attempt.idempotencyKey === null) continue
			const others = this.#byKey.get(attempt.idempotencyKey)
			if (others) others.push(attempt)
			else this.#byKey.set(attempt.idempotencyKey, [attempt])
		}
	}

	/** Every entry is what the request that it names had to leave there, and no request left more than that. */
	play(): void {
		const { entries } = this.#journal
		this.#count('entries', entries.length)
		const gap = entries.findIndex(({ seq }, index) => seq !== index + 1)
		if (gap >= 0) this.#report('gap', gap + 1, `position ${entries[gap]?.seq} follows ${entries[gap - 1]?.seq ?? 0}`)
		for (let index = 0; index < entries.length; ) {
			const first = entries[index]
			if (!first) break
			if (!isAboutData(first)) {
				index++
				continue
			}
			const attempt = first.request === null ? undefined : this.#byRequest.get(first.request)
			if (!attempt) {
				this.#report('nobody_asked', first.seq, `${first.op} of ${first.collection}/${first.id}`)
				index++
				continue
			}
			const steps = stepsOf(attempt.operation)
			const run = entries.slice(index, index + Math.max(1, steps.length))
			this.#playRequest(attempt, run)
			index += run.length
		}
	}

	#playRequest(attempt: Attempt, entries: JournalEntry[]): void {
		const first = entries[0]?.seq ?? 0
		const last = entries.at(-1)?.seq ?? 0
		const rivals = attempt.idempotencyKey === null ? [attempt] : (this.#byKey.get(attempt.idempotencyKey) ?? [])
		if (rivals.some((rival) => this.#effects.has(rival)))
			this.#report('doubled', first, `${attempt.operation.op} ${attempt.request}`)
		else this.#effects.set(attempt, { first, last })
		if (attempt.outcome === 'fail')
			this.#report('refused_but_done', first, `${attempt.operation.op} was refused with ${attempt.status}`)
		if (attempt.outcome === 'info') this.#count('info_done')
		const steps = stepsOf(attempt.operation)
		if (entries.length < steps.length || entries.some(({ request }) => request !== attempt.request))
			this.#report('wrong_entry', first, `${attempt.operation.op} left a part of its ${steps.length} entries`)
		for (const [index, entry] of entries.entries()) {
			const step = steps[index]
			if (!step) {
				this.#report('nobody_asked', entry.seq, `a ${attempt.operation.op} left an entry`)
				continue
			}
			const fault =
				step.op === 'define'
					? this.model.define(entry, step.collection, step.schema)
					: step.op === 'drop'
						? this.model.define(entry, step.collection, null)
						: this.model.play(entry, step)
			if (fault) this.#report(fault.kind, entry.seq, fault.detail)
		}
	}

	checkAnswers(): void {
		const seen = new Horizon(this.#attempts, (attempt) => this.#effects.get(attempt)?.last ?? null)
		for (const attempt of this.#attempts) {
			const { op } = attempt.operation
			this.#count(attempt.outcome === 'fail' ? `fail.${attempt.code}` : `${attempt.outcome}.${op}`)
			const first = seen.knownBefore(attempt)
			const last = Math.min(seen.unbornAfter(attempt) - 1, this.#journal.entries.length)
			const effect = this.#effects.get(attempt)
			if (effect && effect.first <= first)
				this.#report('order', effect.first, `${op} began when position ${first} was already known`)
			if (attempt.outcome === 'fail') this.#checkRefusal(attempt, first, last)
			if (attempt.outcome !== 'ok') continue
			if (op === 'get' || op === 'list') this.#checkRead(attempt, first, last)
			else this.#checkWrite(attempt)
		}
	}

	/** The effect may be that of an earlier attempt with the same idempotency key, and the answer is then the same. */
	#checkWrite(attempt: Attempt): void {
		const { answer, operation } = attempt
		const position = answer?.position ?? 0
		const rivals = attempt.idempotencyKey === null ? [attempt] : (this.#byKey.get(attempt.idempotencyKey) ?? [])
		const doer = rivals.find((rival) => this.#effects.has(rival))
		const effect = doer && this.#effects.get(doer)
		if (!doer || !effect) {
			if (operation.op === 'define' && this.#isInForce(operation.collection, operation.schema, position)) return
			const there = this.#journal.entries[position - 1]
			const taken = there !== undefined && isAboutData(there)
			this.#report(taken ? 'position_reused' : 'lost', position, `${operation.op} ${attempt.request}`)
			return
		}
		if (doer !== attempt) this.#count('replayed')
		if (!isDeepStrictEqual(doer.operation, operation))
			this.#report('key_reused', effect.first, `${operation.op} was taken for ${doer.operation.op}`)
		else if (effect.last !== position)
			this.#report('wrong_answer', effect.last, `${operation.op} was told position ${position}`)
		else this.#checkWritten(operation, answer?.records ?? [], effect)
	}

	#checkWritten(operation: ClientOperation, told: SeenRecord[], effect: Effect): void {
		const steps = stepsOf(operation).filter((step) => step.op !== 'define' && step.op !== 'drop')
		if (operation.op === 'delete' || steps.length === 0) return
		if (told.length !== steps.length) {
			this.#report('wrong_answer', effect.last, `${told.length} results for ${steps.length} operations`)
			return
		}
		for (const [index, step] of steps.entries()) {
			const seq = effect.first + index
			const entry = this.#journal.entries[seq - 1]
			const record = told[index]
			const state = this.model.recordAt(step.collection, entry?.id ?? '', seq)
			const same =
				record?.id === entry?.id &&
				record?.version === entry?.version &&
				(record?.seq === null || record?.seq === seq) &&
				(record?.data === null || isDeepStrictEqual(record?.data, state?.data))
			if (!same) this.#report('wrong_answer', seq, `${step.op} of ${step.collection}/${record?.id}`)
		}
	}

	#checkRead(attempt: Attempt, first: number, last: number): void {
		const { operation, answer } = attempt
		if (operation.op === 'list') this.#checkList(operation.collection, answer?.records ?? [], first, last)
		if (operation.op !== 'get') return
		const [record] = answer?.records ?? []
		const seq = record?.seq ?? 0
		const state = this.model.recordAt(operation.collection, operation.id, seq)
		const place = `${operation.collection}/${operation.id}`
		const real =
			state?.from === seq &&
			state.version === record?.version &&
			record.id === operation.id &&
			isDeepStrictEqual(state.data, record.data)
		if (!state || !real || seq > last) this.#report('wrong_read', seq, `${place} was read`)
		else if (state.until <= first)
			this.#report('stale_read', seq, `${place} was read when position ${first} was already known`)
	}

	/** There must be one position at which exactly these records were there, in these versions. */
	#checkList(collection: string, records: SeenRecord[], first: number, last: number): void {
		let from = 0
		let until = Number.POSITIVE_INFINITY
		for (const { id, seq, version, data } of records) {
			const state = this.model.recordAt(collection, id, seq ?? 0)
			const real = state?.from === seq && state?.version === version && isDeepStrictEqual(state?.data, data)
			if (!state || !real) {
				this.#report('wrong_read', seq, `${collection}/${id} was listed`)
				return
			}
			from = Math.max(from, state.from)
			until = Math.min(until, state.until)
		}
		if (until <= first) {
			this.#report('stale_read', from, `${collection} was listed when position ${first} was already known`)
			return
		}
		const [low, high] = [Math.max(from, first), Math.min(until - 1, last)]
		const counts = low > high ? [] : this.model.collectionStates(collection, low, high)
		if (!counts.some(({ count }) => count === records.length))
			this.#report('wrong_read', low, `${records.length} records of ${collection} were listed`)
	}

	/** A refusal is a read, too: some state of its time must give the reason. */
	#checkRefusal({ operation, code }: Attempt, first: number, last: number): void {
		if (operation.op === 'batch' || !('collection' in operation)) return
		const { collection } = operation
		const id = 'id' in operation ? operation.id : null
		const isAbsent = () => this.model.collectionStates(collection, first, last).some(({ version }) => version === null)
		const states = id === null ? [] : this.model.recordStates(collection, id, first, last)
		let explained = true
		if (code === 'not_found') explained = isAbsent() || states.some((state) => (state?.data ?? null) === null)
		if (code === 'precondition_failed')
			explained = states.some((state) => !holds(operation as RecordOperation, state?.data ? state : null))
		if (code === 'unique_violation' && (operation.op === 'create' || operation.op === 'put'))
			explained = this.model.clashes(collection, id, operation.data, first, last)
		if (!explained) this.#report('unexplained_refusal', first, `${operation.op} of ${collection}/${id}: ${code}`)
	}

	#isInForce(collection: string, schema: object, position: number): boolean {
		return isDeepStrictEqual(this.model.collectionAt(collection, position).schema, schema)
	}

	#report(kind: ViolationKind, seq: number | null, detail: string): void {
		this.violations.push({ tenant: this.#journal.tenant, kind, seq, detail })
	}
}

type Step = RecordOperation | Extract<ClientOperation, { op: 'define' | 'drop' }>

/** What an operation must leave in the journal, entry by entry. */
function stepsOf(operation: ClientOperation): Step[] {
	switch (operation.op) {
		case 'batch':
			return operation.operations
		case 'get':
		case 'list':
			return []
		default:
			return [operation]
	}
}

/** Keys, the tenant itself and what the shard does by itself change no record. */
function isAboutData({ op }: JournalEntry): boolean {
	return op === 'create' || op === 'update' || op === 'delete' || op === 'schema'
}
