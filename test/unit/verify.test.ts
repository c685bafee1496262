import { expect, test } from 'vitest'
import type { Control } from '../../core/control.ts'
import type { TenantId } from '../../core/ids.ts'
import { comparisonsMax, verificationMsMax } from '../../core/limits.ts'
import type { Comparison } from '../../core/verification.ts'
import type { ComparedView } from '../../db/neon/comparing.ts'
import { type VerifyPorts, verify } from '../../workers/queue-consumer/verify.ts'
import { ScriptedShard } from '../scripted-shard.ts'

const tenantOf = (n: number) => `global_01k9${String(n).padStart(22, '0')}` as TenantId
const tenant = tenantOf(1)
const named = { tenant, shard: 0 }
const different: Comparison = { ...named, revision: 3, equal: false }

/** A region of which each test says what its view answers; everything that is done is noted. */
class World {
	readonly done: string[] = []
	now = 1_000
	readonly view: ComparedView = {
		listUnsummed: async () => [],
		noteChecksum: async (of, { digest }) => void this.done.push(`checksum ${of.appliedSeq} ${digest}`),
		compareShards: async () => [],
		compareLarge: async () => null,
		noteComparisons: async (all) => all.filter(({ equal }) => !equal),
		withdrawRepair: async () => void this.done.push('withdrawn'),
		listStrays: async () => [],
		deleteStray: async (stray) => void this.done.push(`deleted ${stray}`),
	}
	readonly controls = new Map<TenantId, Control['state']>()
	shard: ReturnType<VerifyPorts['shardOf']> = {
		pull: async () => ({ kind: 'refused', reason: 'unknown_shard' }),
		rebuild: async ({ id }) => {
			this.done.push(`rebuild ${id}`)
			return { kind: 'accepted', seq: 9 }
		},
	}

	readonly ports: VerifyPorts = {
		view: this.view,
		control: {
			read: async (asked) => {
				const state = this.controls.get(asked)
				return state ? { control: { state, epoch: 4, createdAt: 0 }, etag: '' } : null
			},
		},
		shardOf: () => this.shard,
		announce: async (wakeUp) => void this.done.push(`met ${wakeUp.tenant} ${wakeUp.epoch}`),
		clock: () => this.now,
		mint: (now) => `id-${now}`,
		sleep: (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
		log: () => {},
	}
}

test('a shard that differs is read anew once, and a repair that could not begin is taken back', async () => {
	const world = new World()
	let asked = 0
	world.view.compareShards = async () => (asked++ === 0 ? [different, { ...different, equal: true }] : [])
	await verify(world.ports)
	expect(world.done).toEqual(['rebuild id-1000'])

	for (const rebuild of [
		() => Promise.reject(new Error('unreachable')),
		async () => ({ kind: 'refused', reason: 'unknown_shard' }) as const,
	]) {
		world.done.length = asked = 0
		world.shard = { ...world.shard, rebuild }
		await verify(world.ports)
		expect(world.done).toEqual(['withdrawn'])
	}
})

test('a sweep ends after so many statements, or after its time', async () => {
	const world = new World()
	let asked = 0
	const sinceMs: number[] = []
	world.view.compareShards = async (within) => {
		asked++
		sinceMs.push(within.sinceMs)
		world.now += 100
		return [{ ...different, equal: true }]
	}
	await verify(world.ports)
	expect(asked).toBe(comparisonsMax)
	// What this sweep has compared is left out of its next statement.
	expect(sinceMs).toEqual([0, 100, 200, 300])
	asked = 0
	world.view.compareLarge = async () => {
		world.now += verificationMsMax
		return null
	}
	await verify(world.ports)
	expect(asked).toBe(0)
})

test('a checksum is noted only as of the position that the view has', async () => {
	const world = new World()
	const scripted = new ScriptedShard(tenant)
	scripted.other()
	const told = { count: 0, digest: '5' }
	world.view.listUnsummed = async () => [{ ...named, epoch: 1, appliedSeq: 1 }]
	world.shard = {
		...world.shard,
		pull: async (request) => {
			const reply = await scripted.pull(request)
			return reply.kind === 'page' ? { ...reply, page: { ...reply.page, checksum: told } } : reply
		},
	}
	await verify(world.ports)
	expect(world.done).toEqual(['checksum 1 5'])
	scripted.other()
	await verify(world.ports)
	expect(world.done).toHaveLength(1)
})

test('rows without a watermark go only when the registry knows no such tenant, or calls it erased', async () => {
	const world = new World()
	const states = ['erased', 'active', 'erasing', 'provisioning', 'abandoned'] as const
	for (const [n, state] of states.entries()) world.controls.set(tenantOf(n), state)
	world.view.listStrays = async () => ['no id', tenantOf(9), ...states.map((_, n) => tenantOf(n))]
	await verify(world.ports)
	const gone = ['no id', tenantOf(9), tenantOf(0)].map((one) => `deleted ${one}`)
	expect(world.done).toEqual([...gone, ...[1, 2, 3, 4].map((n) => `met ${tenantOf(n)} 4`)])

	world.done.length = 0
	world.ports.control.read = async (asked) => {
		if (asked === tenantOf(0)) throw new Error('the bucket is away')
		return null
	}
	world.view.listStrays = async () => [tenantOf(0), tenantOf(1)]
	await verify(world.ports)
	expect(world.done).toEqual([`deleted ${tenantOf(1)}`])
})
