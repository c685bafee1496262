import { createHash } from 'node:crypto'
import type {
	Answer,
	Caller,
	Command,
	Idempotency,
	OperationName,
	Operations,
	Reply,
	WakeUp,
	WebhookWakeUp,
} from '../core/contract.ts'
import { addKey, type Control, type ControlStore, retireKeys } from '../core/control.ts'
import type { ErasureCall } from '../core/erasure.ts'
import { mintTenantId, parseRegion, type RandomBytes, type TenantId } from '../core/ids.ts'
import type { JobWakeUp } from '../core/job.ts'
import { shardBytesMax } from '../core/limits.ts'
import { type Refusal, refuse } from '../core/refusal.ts'
import { mintTenantKey, unwrapTenantKey } from '../core/tenant-key.ts'
import type { Sql } from '../db/shard/sql.ts'
import { KeyFetch } from '../workers/shard-do/key-fetch.ts'
import type { KeyOrder } from '../workers/shard-do/key-rotation.ts'
import { Shard } from '../workers/shard-do/shard.ts'
import { KeyDestroyed, PagesAbsent } from '../workers/shard-do/subject-keys.ts'
import { Turn } from '../workers/shard-do/turn.ts'
import { MemoryPages } from './memory-pages.ts'
import { nodeSql } from './node-sql.ts'

/** Random bytes that are the same in every run of a seed. */
export function seeded(seed: number): RandomBytes & (() => number) {
	let state = seed >>> 0 || 1
	const next = () => {
		state ^= state << 13
		state >>>= 0
		state ^= state >>> 17
		state ^= state << 5
		state >>>= 0
		return state / 2 ** 32
	}
	return ((bytes?: Uint8Array) => {
		if (!bytes) return next()
		for (let index = 0; index < bytes.length; index++) bytes[index] = Math.floor(next() * 256)
		return bytes
	}) as RandomBytes & (() => number)
}

const masterSecret = 'test-master-secret-0123456789abcdef'

export const ownerKey: Caller = { kind: 'key', id: 'key-1', secretHash: hashOf('secret') }

export function hashOf(secret: string): string {
	return createHash('sha256').update(secret).digest('base64url')
}

/** A provisioned shard over `node:sqlite`, with a clock that only moves when told to. */
export class ShardFixture {
	readonly tenant: TenantId
	readonly sql: Sql
	readonly announced: WakeUp[] = []
	readonly webhooksAnnounced: WebhookWakeUp[] = []
	readonly announcedJobs: JobWakeUp[] = []
	readonly erasureCalls: ErasureCall[] = []
	deletedAll = false
	now = Date.UTC(2026, 0, 1)
	alarmAt: number | null = null
	timerAt: number | null = null
	shard: Shard
	/** What a new instance reads first; null where the test has no use for it. */
	control: Control | null = null
	/** Whether the next change of keys is lost before or after it has reached the control object. */
	keysFail: 'before' | 'after' | null = null
	readonly pages = new MemoryPages()
	readonly keys = new KeyFetch({
		ensureKey: async () => {},
		reconsider: async () => refuse('unavailable', 'this tenant has no key'),
		fetchPages: (pages) => this.shard.keyPages.fetch(pages),
		hold: () => this.shard.holdKeys(),
		log: () => {},
	})
	/** What any shard may hold. */
	shardBytesMax = shardBytesMax
	readonly #random = seeded(7)

	constructor(options: { sql?: Sql; region?: string; provision?: boolean } = {}) {
		this.sql = options.sql ?? nodeSql()
		const region = parseRegion(options.region ?? 'eu')
		if (!region) throw new Error('not a region')
		this.tenant = mintTenantId(region, this.now, this.#random)
		this.shard = this.#start()
		if (options.provision !== false) this.provision()
	}

	provision(): void {
		const key = { id: 'key-1', secretHash: hashOf('secret') }
		const { tenant, now: createdAt } = this
		const outcome = this.shard.provision({
			tenant,
			shard: 0,
			epoch: 1,
			slug: 'acme',
			name: 'Acme',
			createdAt,
			key,
			actor: 'operator:test',
		})
		if (!outcome.ok) throw new Error(outcome.refusal.detail)
	}

	/** A new instance over the same storage, as after an eviction. */
	restart(): void {
		this.timerAt = null
		this.shard = this.#start()
		if (this.control) this.shard.admit(this.control)
	}

	/** Puts a key into the tenant's control object and lets the shard read it, as the object does when it misses one. */
	giveKey(): void {
		const keys = [mintTenantKey(masterSecret, this.tenant, 1, this.#random)]
		this.control = { state: 'active', epoch: 1, createdAt: this.now, keys }
		this.shard.admit(this.control)
	}

	async #changeKeys({ do: change, version }: KeyOrder, epoch: number): Promise<void> {
		const fails = this.keysFail
		this.keysFail = null
		if (fails === 'before') throw new Error('the bucket is away')
		const store: ControlStore = {
			read: async () => this.control && { control: this.control, etag: JSON.stringify(this.control) },
			create: () => Promise.reject(new Error('the tenant exists')),
			replace: async (_tenant, control, etag) => {
				if (etag !== JSON.stringify(this.control)) return false
				this.control = control
				return true
			},
		}
		const mint = () => mintTenantKey(masterSecret, this.tenant, version, this.#random)
		if (change === 'add') await addKey(store, this.tenant, version, mint)
		else await retireKeys(store, this.tenant, epoch, version, this.now)
		if (fails === 'after') throw new Error('the object ended')
		this.shard.admit(this.control)
	}

	/** Runs one command in a turn of its own, as the object does. */
	async run<N extends OperationName>(
		operation: { name: N } & Operations[N]['takes'],
		options: { caller?: Caller; idempotency?: Idempotency; tenant?: TenantId } = {},
	): Promise<Reply<Answer<N>>> {
		const command = this.command(operation, options)
		const work = () => this.turn().submit(() => this.shard.execute(command))
		try {
			return await work()
		} catch (error) {
			if (!(error instanceof PagesAbsent || error instanceof KeyDestroyed)) throw error
			const fetched = await this.keys.goOn(error, work)
			return fetched.ok ? fetched.value : { ...fetched, replayed: false, rate: null }
		}
	}

	/** The alarm rings, and what the shard's own work missed is fetched, as the object does it. */
	async ring(): Promise<void> {
		this.now = Math.max(this.now + 1, this.alarmAt ?? 0)
		await this.shard.alarm()
		for (let absent = this.shard.takeAbsent(); absent; absent = this.shard.takeAbsent()) {
			await this.shard.keyPages.fetch(absent.pages)
			await this.shard.alarm()
		}
	}

	/** The answer of an operation that must not be refused. */
	async ask<N extends OperationName>(
		operation: { name: N } & Operations[N]['takes'],
		options: { caller?: Caller; idempotency?: Idempotency } = {},
	): Promise<Answer<N>> {
		const reply = await this.run(operation, options)
		if (!reply.ok)
			throw new Error(`${reply.refusal.code}: ${reply.refusal.detail} ${JSON.stringify(reply.refusal.errors)}`)
		return reply.value
	}

	/** The refusal of an operation that must be refused. */
	async refused<N extends OperationName>(
		operation: { name: N } & Operations[N]['takes'],
		options: { caller?: Caller; idempotency?: Idempotency; tenant?: TenantId } = {},
	): Promise<Refusal> {
		const reply = await this.run(operation, options)
		if (reply.ok) throw new Error('this should have been refused')
		return reply.refusal
	}

	command<N extends OperationName>(
		operation: { name: N } & Operations[N]['takes'],
		options: { caller?: Caller; idempotency?: Idempotency; tenant?: TenantId } = {},
	): Command<N> {
		const { caller = ownerKey, idempotency = null, tenant = this.tenant } = options
		return { tenant, shard: 0, caller, requestId: 'request', idempotency, operation }
	}

	turn(): Turn {
		return new Turn({
			transaction: (work) => this.sql.transaction(work),
			durable: () => new Promise((resolve) => setImmediate(resolve)),
			committed: () => this.shard.committed(),
			failed: () => this.shard.failed(),
		})
	}

	async collection(name: string, schema: object): Promise<Answer<'collection.put'>> {
		return this.ask({ name: 'collection.put', collection: name, schema: JSON.stringify(schema) })
	}

	async create(collection: string, data: object, idempotency?: Idempotency): Promise<Answer<'record.create'>> {
		return this.ask(
			{ name: 'record.create', collection, data: JSON.stringify(data) },
			idempotency ? { idempotency } : {},
		)
	}

	#start(): Shard {
		return new Shard({
			sql: this.sql,
			clock: () => this.now,
			random: this.#random,
			arm: (at) => {
				this.alarmAt = at
			},
			lookAt: (at) => {
				this.timerAt = at
			},
			announce: async (message) => {
				if (!('kind' in message)) this.announced.push(message)
				else if (message.kind === 'webhook') this.webhooksAnnounced.push(message)
				else if (message.kind === 'job') this.announcedJobs.push(message)
				else this.erasureCalls.push(message)
			},
			hashSubject: (subject) => hashOf(`subject ${subject}`),
			shardBytesMax: this.shardBytesMax,
			unwrapKey: (wrapped) => unwrapTenantKey([masterSecret], this.tenant, wrapped),
			changeKeys: (order, epoch) => this.#changeKeys(order, epoch),
			keyPages: this.pages,
			deleteAll: async () => {
				this.deletedAll = true
			},
		})
	}
}

/** People with a unique e-mail, an indexed age and a personal phone. */
export const people = {
	type: 'object',
	required: ['email'],
	properties: {
		email: { type: 'string', 'x-unique': 'ci' },
		age: { type: 'integer', 'x-index': true },
		phone: { type: 'string', 'x-personal': true },
	},
}
