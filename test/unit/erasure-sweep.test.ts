import { expect, test } from 'vitest'
import type { ErasureCall, ErasureRecord } from '../../core/erasure.ts'
import { erasureForgottenMs, erasuresNewest, erasuresSweptMax } from '../../core/limits.ts'
import { type ErasureSweepPorts, sweepErasures } from '../../workers/queue-consumer/erasure-sweep.ts'
import { ErasureWorld } from '../erasure-world.ts'

interface Swept {
	calls: ErasureCall[]
	buried: number[]
	events: string[]
}

/** A minute of the sweep over the erasure of one world. */
async function sweep(world: ErasureWorld, more: Partial<ErasureSweepPorts> = {}): Promise<Swept> {
	const swept: Swept = { calls: [], buried: [], events: [] }
	const { control, erasures, view, objects, now } = await world.ports()
	await sweepErasures({
		control,
		erasures: { read: erasures.read, ids: async () => [world.erasure] },
		view: {
			erase: (tenant, epoch) => {
				swept.buried.push(epoch)
				return view.erase(tenant, epoch)
			},
			unburied: async (tenants) => (world.tombstone === null ? [...tenants] : []),
		},
		objects,
		announce: async (call) => void swept.calls.push(call),
		clock: now,
		log: (_level, event) => void swept.events.push(event),
		...more,
	})
	return swept
}

test('[E2] an erasure whose shard has lost its alarm is finished by the sweep alone, and never before it is forgotten', async () => {
	const world = new ErasureWorld()
	await world.fill()
	expect((await sweep(world)).calls).toEqual([])
	for (let minutes = 0; world.record.certificate === null; minutes++) {
		if (minutes > 50) throw new Error('the erasure stands still')
		world.fixture.now += erasureForgottenMs
		// Each delivery dies somewhere else, so that each sweep finds the erasure at another step.
		world.failAt = world.calls + 8 + minutes
		for (const call of (await sweep(world)).calls) await world.deliver(call)
		world.failAt = null
	}
	expect(world.control.state).toBe('erased')
	expect([world.rows, world.objects, world.holder]).toEqual([0, 0, null])
	world.fixture.now += erasureForgottenMs
	expect(await sweep(world)).toEqual({ calls: [], buried: [], events: [] })
})

test('an erasure that is held, cancelled or not due is left alone', async () => {
	const world = new ErasureWorld()
	await world.fill()
	const { control } = world
	world.fixture.now += 10 * erasureForgottenMs
	world.control = { ...control, hold: { at: 0, by: 'operator:test' } }
	expect((await sweep(world)).calls).toEqual([])
	world.control = { ...control, erasure: { id: world.erasure, dueAt: world.fixture.now + 1 } }
	expect((await sweep(world)).calls).toEqual([])
	world.control = { state: 'active', epoch: 1, createdAt: 0 }
	expect((await sweep(world)).calls).toEqual([])
})

test('[E1] rows that came back with a restored database go again, with a tombstone, and only if the registry says erased', async () => {
	const world = new ErasureWorld()
	await world.fill()
	await world.ringUntilDone()
	Object.assign(world, { rows: 3, tombstone: null })
	const { control } = world
	world.control = { ...control, state: 'active' }
	expect((await sweep(world)).buried).toEqual([])
	world.control = control
	expect(await sweep(world)).toMatchObject({ buried: [2], events: ['erased_rows_returned'] })
	expect([world.rows, world.tombstone]).toEqual([0, 2])
	expect((await sweep(world)).buried).toEqual([])
})

test('[E1] what an upload has left in the bucket after the certificate goes within a day', async () => {
	const world = new ErasureWorld()
	await world.fill()
	await world.ringUntilDone()
	world.objects = 1
	await sweep(world)
	expect(world.objects).toBe(0)
})

test('every record has its turn, and the newest have it every minute', async () => {
	const world = new ErasureWorld()
	const ids = Array.from({ length: 2 * erasuresSweptMax + 1 }, (_, n) => String(1_000 + n))
	const read: string[][] = []
	for (let minute = 0; minute < 3; minute++) {
		const seen: string[] = []
		const one = async (id: string): Promise<{ record: ErasureRecord; etag: string } | null> => {
			seen.push(id)
			return null
		}
		await sweep(world, { erasures: { ids: async () => ids, read: one }, clock: () => minute * 60_000 })
		read.push(seen)
	}
	expect(new Set(read.flat())).toEqual(new Set(ids))
	for (const seen of read) {
		expect(seen.length).toBeLessThanOrEqual(erasuresSweptMax + erasuresNewest)
		expect(seen).toEqual(expect.arrayContaining(ids.slice(-erasuresNewest)))
	}
})
