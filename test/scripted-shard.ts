import type {
	BasePage,
	BaseRange,
	BaseStart,
	Page,
	PullReply,
	PullRequest,
	SchemaPage,
	Shard,
	ViewField,
	WakeUp,
} from '../core/contract.ts'
import type { TenantId } from '../core/ids.ts'

export interface ScriptedRecord {
	version: number
	data: Record<string, unknown>
}

/** What the view should hold: `<collection>/<id>` to the record without its personal properties. */
export type ViewState = Map<string, ScriptedRecord>

type Entry =
	| { kind: 'put'; collection: string; id: string; record: ScriptedRecord }
	| { kind: 'delete'; collection: string; id: string }
	| { kind: 'schema'; page: SchemaPage }
	| { kind: 'rebuild'; collection: string | null }
	| { kind: 'other' }

/** A shard's journal in memory, behind the same port as the real one, that remembers its state at every position. */
export class ScriptedShard implements Pick<Shard, 'pull'> {
	readonly tenant: TenantId
	epoch: number
	/** The highest position that a pull has acknowledged. */
	acknowledged = 0
	pulls = 0
	/** Awaited before each pull is answered; a test makes a shard slow, frozen or broken with it. */
	beforePull: (request: PullRequest) => Promise<void> = async () => {}
	#entries: Entry[] = []
	#states: ViewState[] = [new Map()]
	#personal = new Map<string, string[]>()
	/** The collections that were defined and not dropped. */
	#defined = new Map<string, SchemaPage>()
	/** Where in the journal each record was put last. */
	#putAt = new Map<string, number>()
	/** The last position that the journal has lost. */
	#prunedTo = 0

	constructor(tenant: string, epoch = 1) {
		this.tenant = tenant as TenantId
		this.epoch = epoch
	}

	get head(): number {
		return this.#entries.length
	}

	wakeUp(): WakeUp {
		return { tenant: this.tenant, shard: 0, epoch: this.epoch, head: this.head }
	}

	put(collection: string, id: string, data: Record<string, unknown>): void {
		const version = (this.#present().get(`${collection}/${id}`)?.version ?? 0) + 1
		const visible = omit(data, this.#personal.get(collection) ?? [])
		const record = { version, data: visible }
		this.#append({ kind: 'put', collection, id, record }, (state) => state.set(`${collection}/${id}`, record))
		this.#putAt.set(`${collection}/${id}`, this.head)
	}

	delete(collection: string, id: string): void {
		this.#append({ kind: 'delete', collection, id }, (state) => state.delete(`${collection}/${id}`))
	}

	/** An entry that is not about a record, as a new key is. */
	other(): void {
		this.#append({ kind: 'other' }, () => {})
	}

	define(collection: string, fields: ViewField[], personal: string[] = []): void {
		this.#personal.set(collection, personal)
		const page: SchemaPage = { kind: 'put', collection, fields, personal, createdAt: 1_700_000_000_000 }
		this.#defined.set(collection, page)
		this.#append({ kind: 'schema', page }, (state) => {
			for (const [key, record] of state) {
				if (key.startsWith(`${collection}/`)) state.set(key, { ...record, data: omit(record.data, personal) })
			}
		})
	}

	/** Asks the view to read a collection anew, or all of them. */
	rebuild(collection: string | null = null): void {
		this.#append({ kind: 'rebuild', collection }, () => {})
	}

	/** Forgets the journal, but not what came of it. */
	prune(): void {
		this.#prunedTo = this.head - 1
	}

	drop(collection: string): void {
		this.#defined.delete(collection)
		this.#append({ kind: 'schema', page: { kind: 'dropped', collection } }, (state) => {
			for (const key of [...state.keys()]) if (key.startsWith(`${collection}/`)) state.delete(key)
		})
	}

	/** What a view that applied exactly the changes up to `position` holds. */
	stateAt(position: number): ViewState {
		const state = this.#states[position]
		if (state === undefined) throw new Error(`the journal has no position ${position}`)
		return state
	}

	async pull(request: PullRequest): Promise<PullReply> {
		this.pulls += 1
		await this.beforePull(request)
		if (request.epoch !== this.epoch) return { kind: 'refused', reason: 'epoch' }
		if (request.after > this.head) return { kind: 'refused', reason: 'diverged' }
		this.acknowledged = Math.max(this.acknowledged, request.applied ?? request.after)
		if (request.base) return { kind: 'base', page: this.#range(request.base, request.entriesMax) }
		return { kind: 'page', page: this.#page(request) }
	}

	#page({ after, entriesMax }: PullRequest): Page {
		const { head } = this
		if (after < this.#prunedTo)
			return { ...this.#describe(after, head, [], null), base: { ...this.#start(null), hollow: true } }
		const entries = this.#entries.slice(after, after + entriesMax)
		const [first] = entries
		if (first?.kind === 'schema') return this.#describe(after, after + 1, [], first.page)
		if (first?.kind === 'rebuild')
			return { ...this.#describe(after, after + 1, [], null), base: this.#start(first.collection) }
		const alone = entries.findIndex(({ kind }) => kind === 'schema' || kind === 'rebuild')
		const taken = alone === -1 ? entries : entries.slice(0, alone)
		return this.#describe(after, after + taken.length, taken, null)
	}

	#start(collection: string | null): BaseStart {
		const used = [...this.#present().keys()].map((key) => key.split('/')[0] ?? '')
		const collections = collection === null ? [...new Set([...this.#defined.keys(), ...used])].sort() : [collection]
		return { collections, all: collection === null, hollow: false, records: this.#present().size }
	}

	#range(range: BaseRange, recordsMax: number): BasePage {
		const { collection, after, only } = range
		const ids = [...this.#present().keys()]
			.filter((key) => key.startsWith(`${collection}/`))
			.map((key) => key.slice(collection.length + 1))
			.filter((id) => (only === null ? after === null || id > after : id === only))
			.sort()
			.slice(0, recordsMax)
		const upserts = ids.map((i) => this.#row({ c: collection, i })).filter((row) => row !== null)
		const starts = after === null && only === null
		return {
			epoch: this.epoch,
			head: this.head,
			range,
			last: ids.length < recordsMax || only !== null ? null : (ids.at(-1) ?? null),
			definition: starts ? (this.#defined.get(collection) ?? { kind: 'dropped', collection }) : null,
			upserts: JSON.stringify(upserts),
			upsertCount: upserts.length,
		}
	}

	#row({ c, i }: { c: string; i: string }) {
		const record = this.#present().get(`${c}/${i}`)
		if (record === undefined) return null
		const u = 1_700_000_000_000 + (this.#putAt.get(`${c}/${i}`) ?? 0)
		return { c, i, v: record.version, t: 1_700_000_000_123, u, d: record.data }
	}

	#describe(from: number, to: number, entries: Entry[], schema: SchemaPage | null): Page {
		const keys = new Map<string, { c: string; i: string }>()
		for (const entry of entries) {
			if (entry.kind === 'put' || entry.kind === 'delete')
				keys.set(`${entry.collection}/${entry.id}`, { c: entry.collection, i: entry.id })
		}
		const upserts = [...keys.values()].map((place) => this.#row(place)).filter((row) => row !== null)
		const deletes = [...keys].flatMap(([key, place]) => (this.#present().has(key) ? [] : [place]))
		return {
			epoch: this.epoch,
			from,
			to,
			head: this.head,
			toAt: to === from ? null : 1_700_000_000_000 + to,
			tenant: {
				slug: `slug-${this.tenant.slice(-4)}`,
				name: 'A tenant',
				status: 'active',
				createdAt: 1_700_000_000_000,
			},
			upserts: JSON.stringify(upserts),
			upsertCount: upserts.length,
			deletes: JSON.stringify(deletes),
			deleteCount: deletes.length,
			schema,
			base: null,
		}
	}

	#present(): ViewState {
		return this.stateAt(this.head)
	}

	#append(entry: Entry, change: (state: ViewState) => void): void {
		const state = new Map(this.#present())
		change(state)
		this.#entries.push(entry)
		this.#states.push(state)
	}
}

function omit(data: Record<string, unknown>, names: string[]): Record<string, unknown> {
	return Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)))
}
