import { expect, test } from 'vitest'
import { announceAgainMs, announceAgainMsMax, announceIntervalMs } from '../../core/limits.ts'
import { people, ShardFixture } from '../shard.ts'

async function settled(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	acknowledge(fixture)
	await ring(fixture)
	while (fixture.timerAt !== null) await ring(fixture)
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

/** Moves the clock to the timer or the alarm, whichever comes first, and rings it as the platform would. */
async function ring(fixture: ShardFixture): Promise<void> {
	const { timerAt, alarmAt } = fixture
	if (timerAt === null && alarmAt === null) throw new Error('nothing is set')
	const isTimer = timerAt !== null && timerAt <= (alarmAt ?? timerAt)
	fixture.now = Math.max(fixture.now, (isTimer ? timerAt : alarmAt) ?? 0)
	if (isTimer) {
		fixture.timerAt = null
		return fixture.shard.look()
	}
	fixture.alarmAt = null
	return fixture.shard.alarm()
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

test('[V1] a write whose instance is lost before its timer rings is announced by the alarm within seconds', async () => {
	const fixture = await settled()
	await fixture.create('people', { email: 'a@example.com' })
	const written = fixture.now
	const alarmAt = fixture.alarmAt
	fixture.restart()
	fixture.timerAt = null
	fixture.alarmAt = alarmAt
	await ring(fixture)
	expect(fixture.announced).toHaveLength(1)
	expect(fixture.now - written).toBeLessThanOrEqual(announceAgainMs)
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
	expect([fixture.alarmAt, fixture.timerAt]).toEqual([null, null])
})

test('a wake-up carries no data', async () => {
	const fixture = await settled()
	await fixture.create('people', { email: 'canary@example.com', phone: '1' })
	await ring(fixture)
	expect(fixture.announced).toEqual([{ tenant: fixture.tenant, shard: 0, epoch: 1, head: 4 }])
})

test('1,000 writes of one busy tenant send at most 20 messages and set the alarm a few times', async () => {
	const fixture = await settled()
	let armed = 0
	for (let write = 0; write < 1_000; write++) {
		const before = fixture.alarmAt
		await fixture.create('people', { email: `${write}@example.com` })
		if (fixture.alarmAt !== before) armed++
		fixture.now += 4
		const due = Math.min(fixture.timerAt ?? Number.POSITIVE_INFINITY, fixture.alarmAt ?? Number.POSITIVE_INFINITY)
		if (due <= fixture.now) await ring(fixture)
	}
	expect(fixture.announced.length).toBeGreaterThan(0)
	expect(fixture.announced.length).toBeLessThanOrEqual(20)
	expect(armed).toBeLessThanOrEqual(5)
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
	expect((await fixture.ask({ name: 'changes.list', after: 3, limit: 1 })).changes).toHaveLength(1)
})

test('[V1] a pull says that the shard announces by itself only where writes wait for their timer, and then it does', async () => {
	const fixture = await settled()
	const pull = (applied: number) => {
		const after = fixture.shard.position()
		const rest = { tenant: fixture.tenant, shard: 0, epoch: 1, applied, entriesMax: 1, bytesMax: 1 }
		const reply = fixture.shard.pull({ ...rest, after })
		return reply.kind === 'page' && reply.page.willAnnounce
	}
	expect(pull(3)).toBe(false)
	await fixture.create('people', { email: 'a@example.com' })
	expect(pull(3)).toBe(true)
	await ring(fixture)
	expect(fixture.announced.map(({ head }) => head)).toEqual([4])
	// Everything was announced, though the view has confirmed none of it.
	expect(pull(3)).toBe(false)
	await fixture.create('people', { email: 'b@example.com' })
	expect(pull(4)).toBe(true)
	const promised = fixture.now
	await ring(fixture)
	expect(fixture.announced.map(({ head }) => head)).toEqual([4, 5])
	expect(fixture.now - promised).toBeLessThanOrEqual(announceIntervalMs)
	await fixture.create('people', { email: 'c@example.com' })
	// A new instance finds that the view is behind, and sets a timer of its own.
	fixture.restart()
	expect(pull(5)).toBe(true)
	await ring(fixture)
	expect(fixture.announced.map(({ head }) => head)).toEqual([4, 5, 6])
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
