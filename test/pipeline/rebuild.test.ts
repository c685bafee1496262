import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { RebuildRequest } from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import type { Region, TenantId } from '../../core/ids.ts'
import { rebuildAgainMsMax, rebuildForgottenMs, rebuildStepTenantsMax } from '../../core/limits.ts'
import { newRebuild, type RebuildJob, type RebuildStep } from '../../core/rebuild.ts'
import type { Database } from '../../db/neon/client.ts'
import { forgetAsked, noteAsked, rebuildProgress } from '../../db/neon/rebuilds.ts'
import { consumeChanges } from '../../workers/queue-consumer/changes.ts'
import { consume } from '../../workers/queue-consumer/consumer.ts'
import type { RebuildPorts } from '../../workers/queue-consumer/rebuild.ts'
import { sweep } from '../../workers/queue-consumer/sweep.ts'
import { message, noReplay, sampleOf, testPorts } from '../consumer-ports.ts'
import { ScriptedShard } from '../scripted-shard.ts'
import { startViewStack, type ViewStack } from './view-stack.ts'

const region = 'global' as Region
let stack: ViewStack
let view: Database

beforeAll(async () => {
	stack = await startViewStack(['global'])
	view = stack.writer('global')
}, 60_000)
afterAll(() => stack?.stop())
beforeEach(async () => {
	await stack.reset()
	await stack.sql('global', 'TRUNCATE rebuild_shard')
})

/** A region of tenants, and a queue that delivers one message at a time. */
class World {
	now = 1_700_000_000_000
	readonly jobs = new Map<string, RebuildJob>()
	readonly queue: RebuildStep[] = []
	readonly states = new Map<TenantId, Control['state']>()
	readonly entries = new Map<string, number>()
	/** Called before a shard is asked; may throw. */
	beforeAsk: (tenant: TenantId) => void = () => {}

	readonly shards: ScriptedShard[]

	constructor(shards: ScriptedShard[]) {
		this.shards = shards
		for (const { tenant } of shards) this.states.set(tenant, 'active')
	}

	readonly ports: RebuildPorts = {
		jobs: {
			read: async (id) => {
				const job = this.jobs.get(id)
				return job ? { job, etag: JSON.stringify(job) } : null
			},
			create: async (job) => {
				this.jobs.set(job.id, job)
				return true
			},
			replace: async (job, etag) => {
				if (JSON.stringify(this.jobs.get(job.id)) !== etag) return false
				this.jobs.set(job.id, job)
				return true
			},
			recent: async (limit) => [...this.jobs.values()].slice(0, limit),
		},
		registry: async (after, limit) =>
			[...this.states.keys()]
				.sort()
				.filter((tenant) => after === null || tenant > after)
				.slice(0, limit),
		control: {
			read: async (tenant) => ({
				control: { state: this.states.get(tenant) ?? 'abandoned', epoch: 1, createdAt: 0 },
				etag: '',
			}),
		},
		shardOf: (tenant) => ({ rebuild: async (request) => this.#ask(tenant, request) }),
		ledger: {
			noteAsked: (id, range, asked) => noteAsked(view, id, range, asked),
			progress: (id) => rebuildProgress(view, id),
			forgetAsked: (id) => forgetAsked(view, id),
		},
		again: async (step) => void this.queue.push(step),
		clock: () => this.now,
		log: () => {},
	}

	begin(id: string, tenant: TenantId | null = null): RebuildStep {
		this.jobs.set(id, newRebuild(id, region, tenant, this.now))
		return { kind: 'rebuild', region, id }
	}

	async deliver(step: RebuildStep): Promise<'ack' | number | null> {
		const one = message(step)
		await consumeChanges([one], testPorts(this.shards, view), { rebuild: this.ports, replay: noReplay })
		return one.settled
	}

	/** Brings every shard's wake-up. */
	async wake(): Promise<void> {
		const ports = testPorts(this.shards, view)
		await consume(
			this.shards.map((shard) => message(shard.wakeUp())),
			ports,
		)
	}

	/** Delivers steps and wake-ups until the job is done. */
	async run(step: RebuildStep): Promise<RebuildJob> {
		this.queue.push(step)
		for (let turns = 0; turns < 100; turns++) {
			const next = this.queue.shift()
			if (next) await this.deliver(next)
			const job = this.jobs.get(step.id)
			if (job?.state === 'done') return job
			if (job?.state === 'running') await this.wake()
			this.now += 1_000
		}
		throw new Error('the rebuild did not end')
	}

	#ask(tenant: TenantId, { id }: RebuildRequest) {
		this.beforeAsk(tenant)
		const shard = this.shards.find((one) => one.tenant === tenant)
		if (!shard) return { kind: 'refused', reason: 'unknown_shard' } as const
		const present = this.entries.get(`${tenant}/${id}`)
		if (present === undefined) shard.rebuild()
		const seq = present ?? shard.head
		this.entries.set(`${tenant}/${id}`, seq)
		return { kind: 'accepted', seq } as const
	}
}

const rebuildId = (n: number) => `01k9${String(n).padStart(22, '0')}`

function tenants(count: number): ScriptedShard[] {
	return Array.from({ length: count }, (_, n) => {
		const shard = new ScriptedShard(`global_01k9${String(n).padStart(22, '0')}`)
		shard.define('c', [{ name: 'n', type: 'integer' }])
		for (let i = 0; i < 5; i++) shard.put('c', `r${i}`, { n })
		return shard
	})
}

async function expectEqual(shard: ScriptedShard): Promise<void> {
	expect(await sampleOf(view, shard.tenant)).toEqual({
		rows: shard.stateAt(shard.head),
		appliedSeq: shard.head,
		readSeq: shard.head,
		deadLetters: 0,
		rebuilding: false,
	})
}

test('a region whose view is lost is rebuilt from its registry, page by page', async () => {
	const shards = tenants(3)
	const world = new World(shards)
	for (let n = 0; n < rebuildStepTenantsMax; n++)
		world.states.set(`global_01k8${String(n).padStart(22, '0')}` as TenantId, 'abandoned')
	await world.wake()
	await stack.reset()
	const job = await world.run(world.begin(rebuildId(1)))
	expect(job.outcome).toEqual({ shards: { done: 3, total: 3 }, records: { done: 15, total: 15 } })
	for (const shard of shards) await expectEqual(shard)
	expect(await stack.sql('global', 'SELECT 1 AS one FROM rebuild_shard')).toEqual([])
	expect(await stack.sql('global', 'SELECT name FROM collection')).toHaveLength(3)
})

test('a rebuild of one tenant leaves the others alone', async () => {
	const shards = tenants(2)
	const world = new World(shards)
	await world.wake()
	await stack.sql('global', 'DELETE FROM record')
	const job = await world.run(world.begin(rebuildId(1), shards[0]?.tenant))
	expect(job.outcome?.shards).toEqual({ done: 1, total: 1 })
	for (const [n, shard] of shards.entries())
		expect((await sampleOf(view, shard.tenant)).rows.size).toBe(n === 0 ? 5 : 0)
})

test('[V1] steps that come twice, fail in the middle or get lost change nothing in the end', async () => {
	const shards = tenants(3)
	const world = new World(shards)
	await world.wake()
	const step = world.begin(rebuildId(1))
	const failing = { ...world.ports.ledger, noteAsked: async () => Promise.reject(new Error('the database is away')) }
	const one = message(step)
	await consumeChanges([one], testPorts(shards, view), {
		rebuild: { ...world.ports, ledger: failing },
		replay: noReplay,
	})
	expect(one.settled).toBeGreaterThan(0)
	await Promise.all([world.deliver(step), world.deliver(step), world.deliver(step)])
	// Of steps at the same time, one has moved the job on.
	expect(world.queue).toHaveLength(1)
	expect(shards.map((shard) => shard.head)).toEqual([7, 7, 7])
	world.queue.length = 0
	await sweep(region, world.ports)
	expect(world.queue).toEqual([])
	world.now += rebuildForgottenMs
	await sweep(region, world.ports)
	expect(world.queue).toEqual([step])
	const job = await world.run(step)
	expect(job.outcome?.shards).toEqual({ done: 3, total: 3 })
	expect(await world.deliver(step)).toBe('ack')
	expect(shards.map((shard) => shard.head)).toEqual([7, 7, 7])
})

test('a shard that was away, a tenant that is erased and a view that is lost again do not keep a rebuild from its end', async () => {
	const shards = tenants(4)
	const world = new World(shards)
	const [first, , third] = shards.map(({ tenant }) => tenant)
	let away = true
	world.beforeAsk = (tenant) => {
		if (away && tenant === first) throw new Error('the object is unreachable')
	}
	const step = world.begin(rebuildId(1))
	await world.deliver(step)
	await world.wake()
	await world.deliver(step)
	expect(world.jobs.get(step.id)).toMatchObject({ state: 'running' })
	away = false
	if (third) world.states.set(third, 'abandoned')
	await stack.reset()
	await stack.sql('global', 'TRUNCATE rebuild_shard')
	world.now += rebuildAgainMsMax + 1
	const job = await world.run(step)
	expect(job.outcome?.shards).toEqual({ done: 3, total: 3 })
	expect(shards.map((shard) => shard.head)).toEqual([7, 7, 7, 7])
})
