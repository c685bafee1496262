import type { Answer, Command, Reply } from '../../core/contract.ts'
import type { Outcome } from '../../core/refusal.ts'
import type { KeyFetch } from './key-fetch.ts'
import type { Shard } from './shard.ts'
import type { ErasureEntry } from './subject-destruction.ts'

export interface SubjectErasingPorts {
	shard: Shard
	/** Runs what may write in a turn. */
	submit<T>(run: () => T): Promise<T>
	/** Notes in the control object that a data subject was erased; noting it again changes nothing. May fail. */
	enterLedger(entry: ErasureEntry): Promise<Outcome<true>>
	keys: KeyFetch
	/** Has the alarm ring soon. */
	arm(): void
}

/**
 * The erasure of a person, in the order in which a crash at any step does no harm: the ledger has it, so that no older copy of the
 * database undoes it; the shard knows that it has begun; the person's key is destroyed, and from here on nothing opens,
 * wherever it is; the records go. What a request does not come to, the alarm does.
 */
export class SubjectErasing {
	readonly #ports: SubjectErasingPorts
	#requests = 0
	/** By person, what the ledger may have and storage does not know of yet. */
	readonly #asked = new Map<string, { command: Command<'subject.erase'>; entry: ErasureEntry }>()

	constructor(ports: SubjectErasingPorts) {
		this.#ports = ports
	}

	/**
	 * @param isPaid whether the request's cost was taken before
	 * @throws KeyAbsent, PagesAbsent, and whatever the bucket throws: what was begun is gone on with then
	 */
	async erase(command: Command<'subject.erase'>, isPaid: boolean): Promise<Reply<Answer<'subject.erase'>>> {
		const { shard, submit, enterLedger } = this.#ports
		const { subject: person } = command.operation
		this.#requests += 1
		try {
			const planned = await submit(() => shard.planErasure(command, isPaid))
			if (!planned.ok) return planned
			const { rate } = planned
			const entry = this.#asked.get(person)?.entry ?? planned.value
			if (entry !== null) {
				const begun = await this.#begin(command, entry)
				if (!begun.ok) return { ...begun, replayed: false, rate }
				await this.#destroyKeys()
			}
			const reply = await submit(() => shard.execute(command, true))
			if (!reply.ok) return reply
			// Of records that came while the key was destroyed.
			await this.#destroyKeys()
			const { id: request, subject, createdAt: at } = reply.value.receipt
			const entered = await enterLedger({ request, subject, at })
			return entered.ok ? reply : { ...entered, replayed: false, rate }
		} finally {
			this.#requests -= 1
			if (this.#asked.size > 0) this.#ports.arm()
		}
	}

	/** What a crash, a failure or an older copy of the database has left to do. @throws when it has to be tried again */
	async goOn(): Promise<void> {
		const { shard, submit, keys } = this.#ports
		if (this.#requests > 0) return
		for (const { command, entry } of this.#asked.values()) {
			const begun = await keys.run(() => this.#begin(command, entry))
			if (!begun.ok) throw new ErasureWaits()
		}
		if (!shard.erasesSubjects()) return
		const done = await keys.run(async () => {
			await this.#destroyKeys()
			await submit(() => shard.finishErasures())
		})
		if (!done.ok) throw new ErasureWaits()
	}

	/** The ledger keeps the request under one name, however often this is tried: another one would erase the person a second time. */
	async #begin(command: Command<'subject.erase'>, entry: ErasureEntry): Promise<Outcome<true>> {
		const { shard, submit, enterLedger } = this.#ports
		this.#asked.set(command.operation.subject, { command, entry })
		const entered = await enterLedger(entry)
		if (entered.ok) await submit(() => shard.beginErasure(command, entry))
		this.#asked.delete(command.operation.subject)
		return entered
	}

	async #destroyKeys(): Promise<void> {
		const { shard, submit } = this.#ports
		const slots = shard.doomedKeys()
		if (slots.length === 0) return
		await shard.keyPages.destroy(slots)
		await submit(() => shard.keysDestroyed(slots))
	}
}

/** Tells the log why an alarm has to ring again. */
class ErasureWaits extends Error {
	override readonly name = 'ErasureWaits'
}
