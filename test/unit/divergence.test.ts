import { expect, test } from 'vitest'
import { World } from '../divergence-world.ts'

/** A view that has come further than the shard, whose file is an older copy now. */
async function diverged(): Promise<World> {
	const world = new World()
	await world.fixture.collection('c', {})
	for (let n = 0; n < 8; n++) await world.put(`r${n}`, { n })
	const older = world.copy()
	for (let n = 5; n < 14; n++) await world.put(`r${n}`, { n: n + 100 })
	await world.fixture.ask({ name: 'record.delete', collection: 'c', id: 'r1', ifMatch: null })
	world.queue.push(world.wakeUp())
	await world.settle()
	await world.expectEqual()
	world.replace(older)
	return world
}

test('[V3] [V2] a shard whose file was replaced by an older copy ends in an equal view, under another epoch', async () => {
	const world = await diverged()
	await world.put('new', { n: 1 })
	world.queue.push(world.wakeUp())
	await world.settle()
	expect(world.control).toMatchObject({ state: 'active', epoch: 2, diverged: 2 })
	await world.expectEqual()
	// It goes on from there, also after another start.
	const again = world.copy()
	await world.put('later', { n: 2 })
	world.queue.push({ ...world.wakeUp(), epoch: 2 })
	await world.settle()
	await world.expectEqual()
	// And a copy from before is found out once more, whichever epoch it comes with.
	world.replace(again)
	world.queue.push(world.wakeUp())
	await world.settle()
	world.queue.push({ ...world.wakeUp(), epoch: 2 })
	await world.settle()
	expect(world.control.epoch).toBe(3)
	await world.expectEqual()
})

test('[V2] an older copy that was written past the position of the view is found out by its chain', async () => {
	const world = await diverged()
	while (world.fixture.shard.position() < 40) await world.put(`r${world.fixture.shard.position() % 4}`, { other: 1 })
	world.queue.push(world.wakeUp())
	await world.settle()
	expect(world.control.epoch).toBe(2)
	await world.expectEqual()
})

test('[V1] [V2] whatever call of the consumer fails, before or after its effect, the view is equal in the end', async () => {
	const clean = await diverged()
	clean.calls = 0
	clean.queue.push(clean.wakeUp())
	await clean.settle()
	expect(clean.calls).toBeGreaterThan(10)
	for (let failAt = 1; failAt <= clean.calls; failAt += 0.5) {
		const world = await diverged()
		world.calls = 0
		world.failAt = failAt
		world.queue.push(world.wakeUp())
		await world.settle()
		await world.expectEqual()
		expect([failAt, world.control.epoch]).toEqual([failAt, 2])
	}
})

test('[V2] until the shard was read anew, its view is neither exact nor called whole, and a lost message loses nothing', async () => {
	const world = await diverged()
	const { tenant } = world.fixture
	world.view.store.startOver({ tenant, shard: 0, epoch: 1 }, 2)
	world.control = { ...world.control, epoch: 2, diverged: 2 }
	expect(world.view.sample(tenant)).toMatchObject({ exact: false, filling: true })
	// The shard has not heard of its epoch and announces under the old one.
	world.queue.push(world.wakeUp())
	await world.settle()
	await world.expectEqual()
})

test('[V3] an epoch that the control object does not know starts nothing', async () => {
	const world = new World()
	await world.fixture.collection('c', {})
	world.queue.push(world.wakeUp())
	await world.settle()
	const before = world.view.stateOf(world.fixture.tenant)
	for (const control of [{ epoch: 1 }, { state: 'erasing', epoch: 2 }, { state: 'erased', epoch: 2 }] as const) {
		world.control = { ...world.control, ...control }
		world.queue.push({ ...world.wakeUp(), epoch: 2 })
		await expect(world.settle()).rejects.toThrow('come to rest')
		world.queue = []
		expect(world.view.stateOf(world.fixture.tenant)).toBe(before)
	}
})

test('[S1] a shard takes over a newer epoch only when its own divergence began it', async () => {
	const { fixture, control } = new World()
	expect(fixture.shard.admit({ ...control, epoch: 2 })).toBe(false)
	expect(fixture.shard.admit({ ...control, epoch: 3, diverged: 2 })).toBe(false)
	expect(fixture.shard.admit({ ...control, epoch: 3, diverged: 3 })).toBe(true)
	fixture.restart()
	expect(fixture.shard.admit({ ...control, epoch: 3, diverged: 3 })).toBe(true)
	await fixture.collection('c', {})
})
