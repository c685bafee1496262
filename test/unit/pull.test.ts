import { expect, test } from 'vitest'
import type { Page, PullRequest } from '../../core/contract.ts'
import { people, ShardFixture } from '../shard.ts'

interface Row {
	c: string
	i: string
	v: number
	d: Record<string, unknown>
}

function pull(fixture: ShardFixture, after: number, more: Partial<PullRequest> = {}): Page {
	const reply = fixture.shard.pull({
		tenant: fixture.tenant,
		shard: 0,
		epoch: 1,
		after,
		entriesMax: 5_000,
		bytesMax: 4_000_000,
		...more,
	})
	if (reply.kind !== 'page') throw new Error(reply.reason)
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
	const ask = (more: Partial<PullRequest>) =>
		fixture.shard.pull({ tenant: fixture.tenant, shard: 0, epoch: 1, after: 0, entriesMax: 1, bytesMax: 1, ...more })
	expect(ask({ epoch: 2 })).toEqual({ kind: 'refused', reason: 'epoch' })
	expect(ask({ shard: 1 })).toEqual({ kind: 'refused', reason: 'unknown_shard' })
	expect(ask({ after: 3 })).toEqual({ kind: 'refused', reason: 'diverged' })
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
