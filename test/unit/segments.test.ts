import { expect, test } from 'vitest'
import { type JournalEntry, verifyChain } from '../../core/chain.ts'
import type { Page } from '../../core/contract.ts'
import { journalKeptMs, journalSegmentEntriesMax, journalSegmentMs } from '../../core/limits.ts'
import { people, ShardFixture } from '../shard.ts'

const day = 86_400_000

/** A shard with entries 1 to 3 of its making, and its view up to date. */
async function settled(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await acknowledge(fixture)
	return fixture
}

async function acknowledge(fixture: ShardFixture): Promise<void> {
	pull(fixture, fixture.shard.position())
	await fixture.shard.alarm()
}

function pull(fixture: ShardFixture, after: number, chain: string | null = null): Page {
	const { tenant } = fixture
	const reply = fixture.shard.pull({
		tenant,
		shard: 0,
		epoch: 1,
		after,
		applied: after,
		chain,
		entriesMax: 100,
		bytesMax: 1e6,
	})
	if (reply.kind !== 'page') throw new Error(reply.kind === 'refused' ? reply.reason : reply.kind)
	return reply.page
}

async function write(fixture: ShardFixture, count: number): Promise<void> {
	for (let n = 0; n < count; n++) await fixture.create('people', { email: `${fixture.shard.position()}@example.com` })
}

/** Rings every alarm until the clock is there. */
async function passTime(fixture: ShardFixture, ms: number): Promise<number> {
	const until = fixture.now + ms
	let rings = 0
	while (fixture.alarmAt !== null && fixture.alarmAt <= until) {
		fixture.now = Math.max(fixture.now, fixture.alarmAt)
		fixture.alarmAt = null
		await fixture.shard.alarm()
		rings++
	}
	fixture.now = until
	return rings
}

function journalTables(fixture: ShardFixture): string[] {
	return fixture.sql
		.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'journal*' ORDER BY name")
		.map(({ name }) => name)
}

async function positions(fixture: ShardFixture, after: number, limit: number): Promise<number[]> {
	const { changes } = await fixture.ask({ name: 'changes.list', after, limit })
	return changes.map(({ seq }) => seq)
}

test('[J1] positions go on over segments, and changes are read across them', async () => {
	const fixture = await settled()
	for (let segment = 0; segment < 4; segment++) {
		await write(fixture, 5)
		// Once the view has all of it when the segment is closed, once nothing.
		if (segment % 2 === 0) await acknowledge(fixture)
		await passTime(fixture, journalSegmentMs)
	}
	expect(journalTables(fixture)).toEqual(['journal', 'journal_1', 'journal_2', 'journal_3', 'journal_4'])
	fixture.restart()
	await write(fixture, 2)
	expect(await positions(fixture, 0, 100)).toEqual(Array.from({ length: 25 }, (_, index) => index + 1))
	expect(await positions(fixture, 6, 7)).toEqual([7, 8, 9, 10, 11, 12, 13])
	expect(await positions(fixture, 8, 1)).toEqual([9])
	expect(await positions(fixture, 25, 1)).toEqual([])
	const { collection } = await fixture.ask({ name: 'collection.get', collection: 'people' })
	expect(collection.records).toBe(22)
})

test('[J1] [V1] pages end where a segment does, and bring everything with its time and link', async () => {
	const fixture = await settled()
	for (let segment = 0; segment < 3; segment++) {
		await write(fixture, 5)
		await acknowledge(fixture)
		await passTime(fixture, journalSegmentMs)
	}
	const ends: number[] = []
	let upserts = 0
	let chain: string | null = null
	for (let after = 3; after < fixture.shard.position(); after = ends.at(-1) ?? after) {
		const page: Page = pull(fixture, after, chain)
		ends.push(page.to)
		upserts += page.upsertCount
		chain = page.chain ?? null
		expect([page.toAt, chain]).toEqual([expect.any(Number), expect.any(String)])
	}
	expect([ends, upserts]).toEqual([[8, 13, 18], 15])
	expect(() => pull(fixture, 13, 'of another history')).toThrow('diverged')
	expect(pull(fixture, 18, chain).checksum).toMatchObject({ count: 15 })
})

test('[J1] [J2] a segment goes when its last entry is old enough and applied, and its end anchors the chain', async () => {
	const fixture = await settled()
	await write(fixture, 10)
	await passTime(fixture, journalKeptMs + 2 * journalSegmentMs)
	expect(journalTables(fixture)).toEqual(['journal', 'journal_1'])
	expect(await positions(fixture, 0, 100)).toHaveLength(13)

	await acknowledge(fixture)
	await passTime(fixture, day)
	expect(journalTables(fixture)).toEqual(['journal'])
	fixture.restart()
	expect(fixture.shard.position()).toBe(13)
	expect((await fixture.refused({ name: 'changes.list', after: 12, limit: 10 })).code).toBe('position_pruned')
	expect(() => pull(fixture, 12)).toThrow('pruned')
	expect(() => pull(fixture, 13, 'of another history')).toThrow('diverged')
	await write(fixture, 2)
	expect(await positions(fixture, 13, 10)).toEqual([14, 15])
	const { collection } = await fixture.ask({ name: 'collection.get', collection: 'people' })
	expect(collection.records).toBe(12)
	const [anchor] = fixture.sql.all<{ chain: string }>('SELECT chain FROM segment')
	const kept = fixture.sql.all<JournalEntry>('SELECT * FROM journal ORDER BY seq')
	expect(verifyChain(kept, anchor?.chain ?? '')).toBeNull()
	expect(verifyChain(kept, '')).toBe(14)
})

test('every entry is kept for its time, and no segment much longer', async () => {
	const fixture = await settled()
	const start = fixture.now
	for (let week = 0; week < 80; week++) {
		await write(fixture, 1)
		await acknowledge(fixture)
		await passTime(fixture, 7 * day)
		const [oldest] = fixture.sql.all<{ first: number }>('SELECT min(first) AS first FROM segment WHERE dropped = 0')
		if (!oldest?.first) continue
		const age = await fixture.ask({ name: 'changes.list', after: oldest.first - 1, limit: 1 })
		const at = age.changes[0]?.at ?? 0
		expect(fixture.now - at).toBeLessThan(journalKeptMs + 2 * journalSegmentMs)
		if (oldest.first > 4) expect(fixture.now - start).toBeGreaterThan(journalKeptMs)
	}
	expect(journalTables(fixture).length).toBeLessThan(17)
	expect(journalTables(fixture)).not.toContain('journal_1')
})

test('a tenant that falls silent is rung twice more, and then never again', async () => {
	const fixture = await settled()
	await write(fixture, 3)
	await acknowledge(fixture)
	expect(await passTime(fixture, 3 * journalKeptMs)).toBeLessThanOrEqual(4)
	expect(fixture.alarmAt).toBeNull()
	expect(journalTables(fixture)).toEqual(['journal'])
})

test('a segment is closed when it is full, whatever its age', async () => {
	const fixture = await settled()
	fixture.sql.all(
		`INSERT INTO journal (seq, at, op, actor)
		WITH RECURSIVE counted (n) AS (SELECT 4 UNION ALL SELECT n + 1 FROM counted WHERE n < ?) SELECT n, 0, 'tenant', 'x' FROM counted`,
		journalSegmentEntriesMax - 1,
	)
	fixture.sql.all('UPDATE journal SET at = ?', fixture.now)
	fixture.restart()
	await fixture.shard.alarm()
	expect(journalTables(fixture)).toEqual(['journal'])
	await write(fixture, 1)
	await fixture.shard.alarm()
	expect(journalTables(fixture)).toEqual(['journal', 'journal_1'])
	await write(fixture, 1)
	expect(await positions(fixture, journalSegmentEntriesMax - 1, 5)).toEqual([
		journalSegmentEntriesMax,
		journalSegmentEntriesMax + 1,
	])
})
