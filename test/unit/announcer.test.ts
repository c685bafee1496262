import { expect, test } from 'vitest'
import { announceAgainMsMax } from '../../core/limits.ts'
import { people, ShardFixture } from '../shard.ts'

async function settled(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	acknowledge(fixture)
	await ring(fixture)
	fixture.announced.length = 0
	return fixture
}

function acknowledge(fixture: ShardFixture): void {
	fixture.shard.pull({
		tenant: fixture.tenant,
		shard: 0,
		epoch: 1,
		after: fixture.shard.position(),
		entriesMax: 1,
		bytesMax: 1,
	})
}

/** Moves the clock to the alarm and rings it, as the platform would. */
async function ring(fixture: ShardFixture): Promise<void> {
	if (fixture.alarmAt === null) throw new Error('no alarm is set')
	fixture.now = Math.max(fixture.now, fixture.alarmAt)
	fixture.alarmAt = null
	await fixture.shard.alarm()
}

test('[V1] with every message lost, the alarm announces again with growing waits until the view has pulled', async () => {
	const fixture = await settled()
	await fixture.create('people', { email: 'a@example.com' })
	const start = fixture.now
	while (fixture.announced.length < 12) await ring(fixture)
	expect(fixture.announced.every(({ head }) => head === 4)).toBe(true)
	expect(fixture.now - start).toBeGreaterThan(announceAgainMsMax)
	acknowledge(fixture)
	await ring(fixture)
	expect(fixture.announced).toHaveLength(12)
	expect(fixture.alarmAt).not.toBeNull()
})

test('[V1] an instance that starts while the view is behind announces without waiting for a write', async () => {
	const fixture = await settled()
	await fixture.create('people', { email: 'a@example.com' })
	fixture.alarmAt = null
	fixture.restart()
	await ring(fixture)
	expect(fixture.announced).toHaveLength(1)
})

test('an instance that starts while the view is up to date leaves the alarm alone', async () => {
	const fixture = await settled()
	fixture.alarmAt = null
	fixture.restart()
	expect(fixture.alarmAt).toBeNull()
})

test('a wake-up carries no data', async () => {
	const fixture = await settled()
	await fixture.create('people', { email: 'canary@example.com', phone: '1' })
	await ring(fixture)
	expect(fixture.announced).toEqual([{ tenant: fixture.tenant, shard: 0, epoch: 1, head: 4 }])
})

test('1,000 writes of one busy tenant share alarms and send at most 20 messages', async () => {
	const fixture = await settled()
	let armed = 0
	for (let write = 0; write < 1_000; write++) {
		const before = fixture.alarmAt
		await fixture.create('people', { email: `${write}@example.com` })
		if (fixture.alarmAt !== before) armed++
		fixture.now += 4
		if (fixture.alarmAt !== null && fixture.alarmAt <= fixture.now) await ring(fixture)
	}
	expect(fixture.announced.length).toBeGreaterThan(0)
	expect(fixture.announced.length).toBeLessThanOrEqual(20)
	expect(armed).toBeLessThanOrEqual(20)
})

test('[J1] [J2] nothing is pruned that the view has not applied, and positions go on afterwards', async () => {
	const fixture = await settled()
	for (let record = 0; record < 10; record++) await fixture.create('people', { email: `${record}@example.com` })
	fixture.now += 500 * 86_400_000
	await fixture.shard.alarm()
	expect(fixture.sql.all('SELECT seq FROM journal WHERE seq > 3')).toHaveLength(10)
	acknowledge(fixture)
	await fixture.shard.alarm()
	// The last entry always stays, so that the next position is not one that was used before (J1).
	expect(fixture.sql.all('SELECT seq FROM journal')).toEqual([{ seq: 13 }])
	fixture.restart()
	expect((await fixture.create('people', { email: 'later@example.com' })).position).toBe(14)
	expect((await fixture.refused({ name: 'changes.list', after: 3, limit: 10 })).code).toBe('position_pruned')
	expect((await fixture.ask({ name: 'changes.list', after: 12, limit: 10 })).changes).toHaveLength(2)
	expect((await fixture.ask({ name: 'collection.get', collection: 'people' })).collection.records).toBe(11)
})

test('[J2] [V1] a pull that reads ahead acknowledges only what it says is applied', async () => {
	const fixture = await settled()
	await fixture.create('people', { email: 'a@example.com' })
	const ahead = { tenant: fixture.tenant, shard: 0, epoch: 1, after: 4, applied: 3, entriesMax: 1, bytesMax: 1 }
	expect(fixture.shard.pull(ahead)).toMatchObject({ kind: 'page' })
	await ring(fixture)
	expect(fixture.announced).toHaveLength(1)
	fixture.now += 500 * 86_400_000
	await fixture.shard.alarm()
	expect(fixture.sql.all('SELECT seq FROM journal WHERE seq = 4')).toHaveLength(1)
})

test('an alarm whose announcement fails has set the next one before', async () => {
	const fixture = await settled()
	await fixture.create('people', { email: 'a@example.com' })
	fixture.announced.push = () => {
		throw new Error('the queue is away')
	}
	await expect(ring(fixture)).rejects.toThrow('the queue is away')
	expect(fixture.alarmAt).not.toBeNull()
})
