import { expect, test } from 'vitest'
import type { BasePage, BaseRange, Page, PullReply, PullRequest } from '../../core/contract.ts'
import { replayedEntriesMax } from '../../core/limits.ts'
import { people, ShardFixture } from '../shard.ts'

interface Row {
	c: string
	i: string
	v: number
	d: Record<string, unknown>
}

function ask(fixture: ShardFixture, after: number, more: Partial<PullRequest>): PullReply {
	const { tenant } = fixture
	const about = { tenant, shard: 0, epoch: 1, base: null, entriesMax: 5_000, bytesMax: 4_000_000 }
	return fixture.shard.pull({ ...about, after, ...more })
}

function pull(fixture: ShardFixture, after: number, more: Partial<PullRequest> = {}): Page {
	const reply = ask(fixture, after, more)
	if (reply.kind !== 'page') throw new Error(reply.kind)
	return reply.page
}

function pullRange(fixture: ShardFixture, range: Partial<BaseRange>, more: Partial<PullRequest> = {}): BasePage {
	const base = { collection: 'people', after: null, only: null, ...range }
	const reply = ask(fixture, 0, { base, ...more })
	if (reply.kind !== 'base') throw new Error(reply.kind)
	return reply.page
}

const put = (id: string, data: object) =>
	({
		name: 'record.put',
		collection: 'people',
		id,
		data: JSON.stringify(data),
		ifMatch: null,
		ifNoneMatch: null,
	}) as const

test('a page holds the last state of each record that changed, and no personal field', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await fixture.ask(put('a', { email: 'a@example.com', phone: 'canary', age: 1 }))
	await fixture.ask(put('b', { email: 'b@example.com', 'a "b"': ['\u{1f600}', 1e308, -0.5, { x: null }] }))
	await fixture.ask(put('a', { email: 'a@example.com', phone: 'canary', age: 2 }))
	await fixture.ask({ name: 'record.delete', collection: 'people', id: 'b', ifMatch: null })
	await fixture.ask(put('c', { email: 'c@example.com', 'a "b"': ['\u{1f600}', 1e308, -0.5, { x: null }] }))
	const page = pull(fixture, 3)
	expect(page).toMatchObject({ from: 3, to: 8, head: 8, upsertCount: 2, deleteCount: 1, schema: null })
	const rows = (JSON.parse(page.upserts) as Row[]).sort((a, b) => (a.i < b.i ? -1 : 1))
	expect(rows.map(({ i, v, d }) => ({ i, v, d }))).toEqual([
		{ i: 'a', v: 2, d: { email: 'a@example.com', age: 2 } },
		{ i: 'c', v: 1, d: { email: 'c@example.com', 'a "b"': ['\u{1f600}', 1e308, -0.5, { x: null }] } },
	])
	expect(JSON.parse(page.deletes)).toEqual([{ c: 'people', i: 'b' }])
	expect(JSON.stringify(page)).not.toContain('canary')
})

test('a schema entry is a page of its own, and a dropped collection says so', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await fixture.ask(put('a', { email: 'a@example.com' }))
	await fixture.ask({ name: 'collection.delete', collection: 'people' })
	await fixture.collection('people', { type: 'object' })
	expect(pull(fixture, 0)).toMatchObject({ to: 2, schema: null })
	const made = pull(fixture, 2)
	expect(made).toMatchObject({ to: 3, schema: { kind: 'put', collection: 'people' } })
	expect(pull(fixture, 3)).toMatchObject({ to: 4, deleteCount: 1 })
	expect(pull(fixture, 4)).toMatchObject({ to: 5, schema: { kind: 'dropped', collection: 'people' } })
	expect(pull(fixture, 5)).toMatchObject({ to: 6, schema: { kind: 'put', fields: [], personal: [] } })
	expect(pull(fixture, 6)).toMatchObject({ from: 6, to: 6, upsertCount: 0 })
})

test('the fields that a schema page lists are those that the view may filter by', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	expect(pull(fixture, 2).schema).toMatchObject({
		kind: 'put',
		fields: [
			{ name: 'email', type: 'string' },
			{ name: 'age', type: 'integer' },
		],
		personal: ['phone'],
	})
})

test('a page is bounded by entries and by bytes, and always goes on', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	for (let record = 0; record < 20; record++)
		await fixture.ask(put(`r${record}`, { email: `${record}@example.com`, note: 'x'.repeat(1_000) }))
	expect(pull(fixture, 3, { entriesMax: 5 })).toMatchObject({ to: 8, upsertCount: 5 })
	const seen: string[] = []
	for (let after = 3; after < 23; ) {
		const page = pull(fixture, after, { bytesMax: 3_000 })
		expect(page.upserts.length).toBeLessThan(4_000)
		seen.push(...(JSON.parse(page.upserts) as Row[]).map(({ i }) => i))
		expect(page.to).toBeGreaterThan(after)
		after = page.to
	}
	expect(seen).toHaveLength(20)
	expect(pull(fixture, 3, { bytesMax: 1 })).toMatchObject({ to: 4, upsertCount: 1 })
})

test('[V3] a shard answers nobody of another epoch, and no position that it never had', async () => {
	const fixture = new ShardFixture()
	for (const base of [null, { collection: 'people', after: null, only: null }]) {
		expect(ask(fixture, 0, { base, epoch: 2 })).toEqual({ kind: 'refused', reason: 'epoch' })
		expect(ask(fixture, 0, { base, shard: 1 })).toEqual({ kind: 'refused', reason: 'unknown_shard' })
		expect(ask(fixture, 3, { base })).toEqual({ kind: 'refused', reason: 'diverged' })
	}
})

test('personal fields stay inside while a change of schema is only beginning to make them personal', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', { properties: { email: { type: 'string' }, phone: { type: 'string' } } })
	await fixture.ask(put('a', { email: 'a@example.com', phone: 'canary' }))
	await fixture.collection('people', people)
	expect(JSON.parse(pull(fixture, 3).upserts)).toMatchObject([{ d: { email: 'a@example.com' } }])
	expect(JSON.stringify(pull(fixture, 3))).not.toContain('canary')
	expect(pull(fixture, 4)).toMatchObject({ schema: { kind: 'put', personal: ['phone'] } })
})

test('ranges of a base hold every record once, in order and without personal fields, bounded by number and by bytes', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	for (let record = 10; record < 30; record++)
		await fixture.ask(put(`r${record}`, { email: `${record}@example.com`, phone: 'canary', note: 'x'.repeat(1_000) }))
	for (const more of [{ entriesMax: 7 }, { bytesMax: 3_500 }, { bytesMax: 1 }, {}]) {
		const seen: string[] = []
		for (let after: string | null = null; ; ) {
			const page = pullRange(fixture, { after }, more)
			expect(page).toMatchObject({ epoch: 1, head: 23, range: { collection: 'people', after, only: null } })
			expect(page.definition).toEqual(after === null ? expect.objectContaining({ kind: 'put' }) : null)
			expect(page.upserts).not.toContain('canary')
			seen.push(...(JSON.parse(page.upserts) as Row[]).map(({ i }) => i))
			expect(page.upsertCount).toBeLessThanOrEqual(more.entriesMax ?? 20)
			if (page.last === null) break
			expect(page.last).toBe(seen.at(-1))
			after = page.last
		}
		expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => `r${n + 10}`))
	}
	expect(pullRange(fixture, { only: 'r15' })).toMatchObject({ upsertCount: 1, last: null, definition: null })
	expect(pullRange(fixture, { only: 'r1' })).toMatchObject({ upserts: '[]', last: null })
	expect(pullRange(fixture, { collection: 'gone' })).toMatchObject({
		definition: { kind: 'dropped', collection: 'gone' },
		last: null,
	})
})

test('a rebuild is one entry and one page, however often it is asked for', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await fixture.ask(put('a', { email: 'a@example.com' }))
	const request = { tenant: fixture.tenant, shard: 0, id: 'rebuild-1', askedAt: fixture.now }
	const rebuild = (more = {}) => fixture.turn().submit(() => fixture.shard.rebuild({ ...request, ...more }))
	fixture.now += 10_000
	fixture.alarmAt = null
	expect(await rebuild()).toEqual({ kind: 'accepted', seq: 5 })
	expect(fixture.alarmAt).not.toBeNull()
	fixture.now += 50_000
	expect(await rebuild()).toEqual({ kind: 'accepted', seq: 5 })
	fixture.restart()
	expect(await rebuild()).toEqual({ kind: 'accepted', seq: 5 })
	expect(await rebuild({ id: 'rebuild-2' })).toEqual({ kind: 'accepted', seq: 6 })
	expect(await rebuild({ shard: 1 })).toEqual({ kind: 'refused', reason: 'unknown_shard' })
	expect(pull(fixture, 3)).toMatchObject({ to: 4, upsertCount: 1, base: null })
	const base = { collections: ['people'], all: true, hollow: false, records: 1 }
	expect(pull(fixture, 4)).toMatchObject({ from: 4, to: 5, head: 6, upsertCount: 0, base })
})

test('what the journal has lost, or is too long to be replayed from its start, is passed over by a base of everything', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await fixture.ask(put('a', { email: 'a@example.com' }))
	fixture.sql.all('DELETE FROM journal WHERE seq < 4')
	const base = { collections: ['people'], all: true, hollow: true, records: 1 }
	expect(pull(fixture, 0)).toMatchObject({ from: 0, to: 4, head: 4, upsertCount: 0, schema: null, base })
	expect(pull(fixture, 3)).toMatchObject({ from: 3, to: 4, upsertCount: 1, base: null })
	// A Worker that knows no bases must not take such a page for changes.
	const { base: _, ...old } = { tenant: fixture.tenant, shard: 0, epoch: 1, after: 0, entriesMax: 9, bytesMax: 9, base }
	expect(fixture.shard.pull(old)).toEqual({ kind: 'refused', reason: 'pruned' })
	fixture.sql.all(
		`WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?)
		INSERT OR IGNORE INTO journal (seq, at, op, actor) SELECT seq, 0, 'tenant', 'system' FROM n`,
		replayedEntriesMax,
	)
	fixture.restart()
	expect(pull(fixture, 0)).toMatchObject({ base: null })
	await fixture.ask(put('b', { email: 'b@example.com' }))
	expect(pull(fixture, 0)).toMatchObject({ to: replayedEntriesMax + 1, base: { hollow: true } })
	expect(pull(fixture, 1)).toMatchObject({ base: null })
})
