import { signerOf } from '../core/certificate.ts'
import type { Control } from '../core/control.ts'
import type { ErasureCall, ErasureRecord, StoreCount } from '../core/erasure.ts'
import { mintTenantId, parseRegion, type TenantId } from '../core/ids.ts'
import { accept, refuse } from '../core/refusal.ts'
import { type ErasurePorts, goOnErasing } from '../workers/queue-consumer/erasure.ts'
import { readTombstone } from '../workers/shard-do/erasure.ts'
import { nodeSql } from './node-sql.ts'
import { people, ShardFixture, seeded } from './shard.ts'

class Crash extends Error {}

/** Every store of one tenant in memory, with the real shard over `node:sqlite` among them, and a clock. */
export class ErasureWorld {
	readonly sql = nodeSql()
	readonly fixture = new ShardFixture({ sql: this.sql })
	readonly tenant: TenantId = this.fixture.tenant
	readonly erasure: string
	control: Control
	record: ErasureRecord
	/** The view's rows and its tombstone. */
	rows = 3
	tombstone: number | null = null
	objects = 2
	holder: TenantId | null = this.tenant
	retention = {
		object_history: 30,
		queue: 4,
		dead_letter_queue: 4,
		database_history: 7,
		bucket: 0,
		logs: 7,
	}
	/** Dies at the n-th effect or question: before it (`n`) or after it (`n + 0.5`). */
	failAt: number | null = null
	calls = 0
	/** Of the control object, and of the record. */
	readonly #etags = [0, 0]

	constructor() {
		const region = parseRegion('eu')
		if (!region) throw new Error('not a region')
		this.erasure = mintTenantId(region, this.fixture.now, seeded(3))
		const { now } = this.fixture
		this.control = { state: 'active', epoch: 1, createdAt: now, erasure: { id: this.erasure, dueAt: now } }
		this.record = {
			...{ id: this.erasure, tenant: this.tenant, requestedBy: 'operator:test', requestedAt: now, claims: ['slug/x'] },
			...{ done: [], found: [], after: [], certificate: null },
		}
	}

	/** Three records, and the request that the edge made of the shard. */
	async fill(): Promise<void> {
		this.fixture.giveKey()
		this.control = { ...this.control, keys: this.fixture.control?.keys }
		await this.fixture.collection('people', people)
		for (const n of [1, 2, 3]) await this.fixture.create('people', { email: `p${n}@example.com`, phone: '555-0199' })
		await this.request()
	}

	async request(): Promise<void> {
		const { shard } = this.fixture
		const command = this.fixture.command(
			{ name: 'tenant.erasure', intent: 'request', slug: 'acme', erasure: this.erasure },
			{},
		)
		const reply = await this.fixture.turn().submit(() => shard.execute(command))
		if (!reply.ok) throw new Error(reply.refusal.detail)
	}

	/** The alarm rings when it is due, as the object rings it, and what it announces is consumed. */
	async ring(): Promise<void> {
		const { fixture } = this
		if (fixture.alarmAt === null) throw new Error('no alarm is set: nobody will go on')
		fixture.now = Math.max(fixture.now, fixture.alarmAt)
		fixture.alarmAt = null
		if (fixture.shard.mayBeErased()) fixture.shard.admit(this.control)
		await fixture.shard.alarm()
		for (const call of fixture.erasureCalls.splice(0)) await this.deliver(call)
	}

	/** One delivery; a crash in it loses the message. */
	async deliver(call: ErasureCall): Promise<void> {
		try {
			await goOnErasing(call, await this.ports())
		} catch (error) {
			if (!(error instanceof Crash)) throw error
		}
	}

	async ringUntilDone(): Promise<void> {
		for (let rings = 0; this.#horizon() === null; rings++) {
			if (rings > 50) throw new Error(`the erasure stands still after ${JSON.stringify(this.record.done)}`)
			await this.ring()
		}
	}

	/** Of the shard, which is the last to hear that all is done. */
	#horizon(): number | null {
		return readTombstone(this.sql)?.horizon ?? null
	}

	async port<T>(effect: () => T | Promise<T>): Promise<T> {
		const call = ++this.calls
		if (this.failAt === call) throw new Crash()
		const result = await effect()
		if (this.failAt === call + 0.5) throw new Crash()
		return result
	}

	async ports(): Promise<ErasurePorts> {
		const rows: StoreCount[] = [{ store: 'view', things: 'record', count: this.rows }]
		const tag = (object: 0 | 1) => String(this.#etags[object])
		const put = (object: 0 | 1, etag: string, change: () => void) => {
			if (etag !== tag(object)) return false
			this.#etags[object] = Number(etag) + 1
			change()
			return true
		}
		const signer = await signerOf(Buffer.alloc(32, 1).toString('base64url'))
		return {
			control: {
				read: () => this.port(() => ({ control: this.control, etag: tag(0) })),
				create: () => Promise.reject(new Error('the control object exists')),
				replace: (_tenant, control, etag) =>
					this.port(() =>
						put(0, etag, () => {
							this.control = control
						}),
					),
			},
			erasures: {
				read: () => this.port(() => ({ record: this.record, etag: tag(1) })),
				create: () => Promise.reject(new Error('the record exists')),
				recent: () => Promise.reject(new Error('an erasure looks at no other')),
				replace: (record, etag) =>
					this.port(() =>
						put(1, etag, () => {
							this.record = record
						}),
					),
			},
			view: {
				erase: (_tenant, epoch) =>
					this.port(() => {
						this.tombstone = epoch
						this.rows = 0
						return true
					}),
				count: () => this.port(() => rows.map((row) => ({ ...row, count: this.rows }))),
			},
			shardOf: () => ({
				erase: (order) =>
					this.port(() => {
						const { shard } = this.fixture
						if (!shard.admit(this.control)) return refuse('unavailable', 'not admitted')
						return accept(shard.obey(order, this.control))
					}),
			}),
			claim: () => ({
				holder: () => this.port(() => this.holder),
				release: () =>
					this.port(() => {
						this.holder = null
					}),
			}),
			objects: {
				count: () => this.port(() => this.objects),
				remove: () =>
					this.port(() => {
						this.objects = 0
					}),
			},
			signer: async () => signer,
			retention: this.retention,
			now: () => this.fixture.now,
			log: () => {},
		}
	}
}
