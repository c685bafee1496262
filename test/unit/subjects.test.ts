import { expect, test } from 'vitest'
import { type Control, type ControlStore, enterLedger } from '../../core/control.ts'
import { ledgerEntriesMax } from '../../core/limits.ts'
import { hashOf, ShardFixture } from '../shard.ts'

const orders = {
	type: 'object',
	properties: { buyer: { type: 'string', 'x-subject': true }, note: { type: 'string', 'x-personal': true } },
}
const profiles = { type: 'object', properties: { person: { type: 'string', 'x-subject': true } } }

async function filled(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('orders', orders)
	await fixture.collection('profiles', profiles)
	await fixture.collection('things', { type: 'object' })
	for (const buyer of ['ada', 'bob', 'ada', 'ada']) await fixture.create('orders', { buyer, note: 'fragile' })
	for (const person of ['ada', 'bob']) await fixture.create('profiles', { person })
	await fixture.create('things', { person: 'ada' })
	return fixture
}

async function recordsOf(fixture: ShardFixture, subject: string, limit = 2): Promise<string[]> {
	const found: string[] = []
	let page = await fixture.ask({ name: 'subject.read', subject, limit, after: null })
	for (;;) {
		found.push(...page.records.map(({ collection }) => collection))
		if (page.next === null) return found
		page = await fixture.ask({ name: 'subject.read', subject, limit, after: page.next })
	}
}

const requests = async (fixture: ShardFixture) =>
	(await fixture.ask({ name: 'subject.requests', limit: 100, after: null })).requests

test("one person's records are read over all collections that say whose they are, page by page, and that is registered", async () => {
	const fixture = await filled()
	expect(await recordsOf(fixture, 'ada')).toEqual(['orders', 'orders', 'orders', 'profiles'])
	fixture.now += 1
	expect(await recordsOf(fixture, 'nobody')).toEqual([])
	expect(await requests(fixture)).toMatchObject([
		{ kind: 'access', records: 4, subject: hashOf('subject ada') },
		{ kind: 'access', records: 0 },
	])
	const [first] = await requests(fixture)
	expect((first?.dueAt ?? 0) - (first?.createdAt ?? 0)).toBe(30 * 86_400_000)
	expect(first?.finishedAt).not.toBeNull()
	const access = await fixture.ask({ name: 'audit.list', filter: { op: 'access' }, limit: 100, after: 0 })
	expect(access.entries).toHaveLength(3)
})

test('one person is erased in all collections, by entries that the view follows, and nobody else', async () => {
	const fixture = await filled()
	const { receipt } = await fixture.ask({ name: 'subject.erase', subject: 'ada' })
	expect(receipt).toMatchObject({ kind: 'erasure', records: 4, subject: hashOf('subject ada') })
	expect(await recordsOf(fixture, 'ada')).toEqual([])
	expect(await recordsOf(fixture, 'bob')).toEqual(['orders', 'profiles'])
	const deleted = await fixture.ask({ name: 'audit.list', filter: { op: 'delete' }, limit: 100, after: 0 })
	expect(deleted.entries.map(({ collection }) => collection)).toEqual(['orders', 'orders', 'orders', 'profiles'])
	expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: null })
	expect((await requests(fixture)).find(({ id }) => id === receipt.id)).toMatchObject({ records: 4 })
})

test('the kept answer of a patch does not keep what was erased', async () => {
	const fixture = await filled()
	const { record } = await fixture.create('orders', { buyer: 'ada', note: 'x' })
	const idempotency = { key: 'k', fingerprint: 'f', seal: null }
	await fixture.ask(
		{ name: 'record.patch', collection: 'orders', id: record.id, patch: '{"note":"555-0199"}', ifMatch: null },
		{ idempotency },
	)
	const kept = () =>
		fixture.sql
			.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'idempotency_*'")
			.flatMap(({ name }) => fixture.sql.all(`SELECT * FROM ${name}`))
	expect(JSON.stringify(kept())).toContain('555-0199')
	await fixture.ask({ name: 'subject.erase', subject: 'ada' })
	expect(kept()).toEqual([])
})

test('[E1] a copy of the database from before the erasure of a person erases that person again, once', async () => {
	const fixture = await filled()
	const control: Control = { state: 'active', epoch: 1, createdAt: 0 }
	const entry = { request: 'r1', subject: hashOf('subject ada'), at: fixture.now }
	expect(fixture.shard.admit({ ...control, ledger: [entry] })).toBe(true)
	expect(await recordsOf(fixture, 'ada')).toEqual([])
	expect(await recordsOf(fixture, 'bob')).toHaveLength(2)
	// Who comes back afterwards is somebody new: the entry is known now.
	await fixture.create('profiles', { person: 'ada' })
	fixture.restart()
	expect(fixture.shard.admit({ ...control, ledger: [entry] })).toBe(true)
	expect(await recordsOf(fixture, 'ada')).toEqual(['profiles'])
	expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: null })
	const erased = await fixture.ask({ name: 'audit.list', filter: { actor: 'system:ledger' }, limit: 100, after: 0 })
	expect(erased.entries.map(({ op }) => op)).toEqual(['delete', 'delete', 'delete', 'delete', 'erasure'])
})

test('the ledger takes an erasure once, forgets those that no copy is older than, and says when it is full', async () => {
	const fixture = new ShardFixture()
	let control: Control = { state: 'active', epoch: 1, createdAt: 0 }
	const store: ControlStore = {
		read: async () => ({ control, etag: 'e' }),
		create: async () => false,
		replace: async (_tenant, changed) => {
			control = changed
			return true
		},
	}
	const enter = (request: string, at: number, keptSince = 0) =>
		enterLedger(store, fixture.tenant, { request, subject: 's', at }, keptSince)
	for (const [request, at] of [
		['a', 1],
		['a', 1],
		['b', 5],
	] as const)
		expect((await enter(request, at)).ok).toBe(true)
	expect(control.ledger?.map(({ request }) => request)).toEqual(['a', 'b'])
	await enter('c', 9, 5)
	expect(control.ledger?.map(({ request }) => request)).toEqual(['b', 'c'])
	control = {
		...control,
		ledger: Array.from({ length: ledgerEntriesMax }, (_, n) => ({ request: `${n}`, subject: 's', at: 9 })),
	}
	expect(await enter('d', 9)).toMatchObject({ ok: false, refusal: { code: 'limit_exceeded' } })
})
