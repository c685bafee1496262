import { expect, test } from 'vitest'
import { divergeControl } from '../../core/control.ts'
import { accept } from '../../core/refusal.ts'
import { beginRestored } from '../../workers/shard-do/restore.ts'
import { World } from '../divergence-world.ts'
import { Jobs } from '../jobs.ts'

class Crash extends Error {}

/** A tenant that an archive was made of, which was changed since and whose view has followed; the archive is uploaded. */
async function uploaded() {
	const world = new World()
	const { fixture } = world
	await fixture.collection('c', {})
	for (const id of ['a', 'b']) await world.put(id, { n: 1 })
	const jobs = new Jobs(fixture)
	const { export: made } = await fixture.ask({ name: 'export.create', csv: false })
	await jobs.run(made.id)
	const backup = await jobs.archive(made.id)
	await world.put('a', { n: 2 })
	await world.put('later', { n: 2 })
	const { import: asked } = await fixture.ask({ name: 'import.create', parts: 1, replaces: true })
	await jobs.upload(asked.id, backup)
	await settled(world)
	return { world, jobs, id: asked.id, backup }
}

async function settled(world: World): Promise<void> {
	await world.fixture.shard.alarm()
	world.queue.push(...world.fixture.announced.splice(0))
	await world.settle()
	await world.expectEqual()
}

/** Does before a report what the object does; dies before a step of it (`n`) or after it (`n + 0.5`). */
function prepareAs(world: World, jobs: Jobs, dieAt: number | null): { steps: number } {
	const counted = { steps: 0 }
	const step = async <T>(effect: () => T | Promise<T>): Promise<T> => {
		const now = ++counted.steps
		if (dieAt === now) throw new Crash()
		const answer = await effect()
		if (dieAt === now + 0.5) throw new Crash()
		return answer
	}
	const { fixture } = world
	jobs.prepare = async (request) => {
		if (!fixture.shard.isReplacing(request)) return request
		return beginRestored(request, {
			begin: (epoch) => step(() => divergeControl(world.store(), fixture.tenant, epoch)),
			announce: (wakeUp) => step(() => void world.queue.push(wakeUp)),
			reconsider: () => step(() => accept(fixture.shard.admit(world.control))),
		})
	}
	return counted
}

test('[V3] a restore begins another epoch, which the view follows; what the old one still announces brings nothing', async () => {
	const { world, jobs, id } = await uploaded()
	const late = world.wakeUp()
	const counted = prepareAs(world, jobs, null)
	await jobs.run(id)
	expect([counted.steps, world.control.epoch, world.control.diverged]).toEqual([3, 2, 2])
	expect((await world.rows()).map(({ id: record, data }) => [record, data])).toEqual([
		['a', { n: 1 }],
		['b', { n: 1 }],
	])
	await settled(world)
	world.queue.push(late)
	await settled(world)
	await world.put('after', { n: 3 })
	world.queue.push({ ...world.wakeUp(), epoch: 2 })
	await settled(world)
	expect(world.control.epoch).toBe(2)
})

test('[V1] an object that dies at any step of a restore works, with an equal view, and the restore goes on', async () => {
	for (let dieAt = 1; dieAt <= 3.5; dieAt += 0.5) {
		const { world, jobs, id } = await uploaded()
		const before = await world.rows()
		prepareAs(world, jobs, dieAt)
		await expect(jobs.run(id), `step ${dieAt}`).rejects.toThrow(Crash)
		world.fixture.control = world.control
		world.fixture.restart()
		expect(await world.rows()).toEqual(before)
		await settled(world)
		prepareAs(world, jobs, null)
		jobs.epoch = world.control.epoch
		await jobs.run(id)
		expect((await world.rows()).map(({ id: record }) => record)).toEqual(['a', 'b'])
		await settled(world)
	}
})

test('a report that comes again, or from another epoch, begins none, and neither does an import that replaces nothing', async () => {
	const { world, jobs, id, backup } = await uploaded()
	prepareAs(world, jobs, null)
	await jobs.run(id)
	const again = prepareAs(world, jobs, null)
	for (const epoch of [1, 2]) {
		jobs.epoch = epoch
		await jobs.run(id)
	}
	expect([again.steps, world.control.epoch]).toEqual([0, 2])
	const empty = new World()
	const importing = new Jobs(empty.fixture)
	const { import: asked } = await empty.fixture.ask({ name: 'import.create', parts: 1 })
	await importing.upload(asked.id, backup)
	const counted = prepareAs(empty, importing, null)
	await importing.run(asked.id)
	expect([counted.steps, (await empty.rows()).length]).toEqual([0, 2])
})
