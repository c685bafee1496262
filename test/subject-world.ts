import type { Answer, Idempotency, Reply } from '../core/contract.ts'
import type { LedgerEntry } from '../core/control.ts'
import { accept } from '../core/refusal.ts'
import type { Sql } from '../db/shard/sql.ts'
import { SubjectErasing } from '../workers/shard-do/subject-erasing.ts'
import { ShardFixture } from './shard.ts'

export class Crash extends Error {}

export const patients = {
	type: 'object',
	properties: {
		email: { type: 'string', 'x-personal': 'encrypted', 'x-unique': 'ci' },
		note: { type: 'string', 'x-personal': 'encrypted' },
		person: { type: ['string', 'null'], 'x-subject': true },
		ward: { type: 'string' },
	},
}

/** A tenant with records about persons, its control object and its pages of keys, which can die at any effect. */
export class SubjectWorld {
	readonly fixture: ShardFixture
	ledger: LedgerEntry[] = []
	/** Dies before the n-th effect (`n`), or after it (`n + 0.5`). */
	failAt: number | null = null
	calls = 0
	erasing: SubjectErasing

	constructor(options: { sql?: Sql; region?: string } = {}) {
		this.fixture = new ShardFixture(options)
		this.fixture.giveKey()
		this.erasing = this.#start()
	}

	/** The instance ends and a new one starts, over this storage or another copy of it. */
	restart(): void {
		const { control } = this.fixture
		if (control) this.fixture.control = { ...control, ledger: this.ledger }
		this.fixture.restart()
		this.erasing = this.#start()
	}

	async erase(subject: string, idempotency?: Idempotency): Promise<Reply<Answer<'subject.erase'>>> {
		const command = this.fixture.command({ name: 'subject.erase', subject }, idempotency ? { idempotency } : {})
		const erased = await this.fixture.keys.run(() => this.erasing.erase(command, false))
		return erased.ok ? erased.value : { ...erased, replayed: false, rate: null }
	}

	/** The alarm rings, as the object rings it. */
	async ring(): Promise<void> {
		await this.fixture.ring()
		await this.erasing.goOn()
		await this.fixture.shard.makeKeysAhead()
	}

	#start(): SubjectErasing {
		const { fixture } = this
		const keyPages = fixture.shard.keyPages
		const destroy = keyPages.destroy.bind(keyPages)
		keyPages.destroy = (slots) => this.#port(() => destroy(slots))
		return new SubjectErasing({
			shard: fixture.shard,
			submit: (run) => this.#port(() => fixture.turn().submit(run)),
			enterLedger: (entry) =>
				this.#port(async () => {
					if (!this.ledger.some(({ request }) => request === entry.request)) this.ledger.push(entry)
					return accept(true as const)
				}),
			keys: fixture.keys,
			arm: () => {
				fixture.alarmAt = fixture.now
			},
		})
	}

	async #port<T>(effect: () => Promise<T>): Promise<T> {
		const call = ++this.calls
		if (this.failAt === call) throw new Crash()
		const result = await effect()
		if (this.failAt === call + 0.5) throw new Crash()
		return result
	}
}
