import { expect, test } from 'vitest'
import type { Caller } from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import { Follower } from '../follower.ts'
import { hashOf, ShardFixture } from '../shard.ts'

const orders = {
	type: 'object',
	properties: {
		buyer: { type: 'string', 'x-subject': true },
		seller: { type: 'string' },
		note: { type: 'string', 'x-personal': true },
	},
}
const profiles = { type: 'object', properties: { person: { type: 'string', 'x-subject': true } } }
const operator: { caller: Caller } = { caller: { kind: 'operator', name: 'root' } }

async function put(fixture: ShardFixture, collection: string, id: string, data: object) {
	const operation = { name: 'record.put', collection, id, data: JSON.stringify(data) } as const
	return fixture.run({ ...operation, ifMatch: null, ifNoneMatch: null })
}

async function filled(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('orders', orders)
	await fixture.collection('profiles', profiles)
	await fixture.collection('things', { type: 'object' })
	for (const [index, buyer] of ['ada', 'bob', 'ada', 'eve'].entries())
		await put(fixture, 'orders', `o${index}`, { buyer, seller: 'bob', note: 'fragile' })
	for (const person of ['ada', 'bob']) await put(fixture, 'profiles', person, { person })
	await put(fixture, 'things', 't', { person: 'ada' })
	return fixture
}

const ofAda = ['orders/o0', 'orders/o2', 'profiles/ada']
const ofOthers = ['orders/o1', 'orders/o3', 'profiles/bob', 'things/t']

/** The rows of the view, after it was held against what the shard says of it. */
async function viewed(fixture: ShardFixture, view: Follower): Promise<string[]> {
	const rows = view.follow()
	expect(view.told).toEqual(view.checksum())
	expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: null })
	return rows
}

const restrict = (fixture: ShardFixture, subject = 'ada') => fixture.ask({ name: 'subject.restrict', subject })
const release = (fixture: ShardFixture, subject = 'ada') => fixture.ask({ name: 'subject.release', subject })

test("a restricted person's records leave the view by an entry each, can be read, and come back when that ends", async () => {
	const fixture = await filled()
	const view = new Follower(fixture)
	expect(await viewed(fixture, view)).toEqual([...ofAda, ...ofOthers].sort())
	const restricted = await restrict(fixture)
	expect(restricted.receipt).toMatchObject({ kind: 'restriction', records: 3, subject: hashOf('subject ada') })
	expect(await viewed(fixture, view)).toEqual(ofOthers)
	expect((await fixture.ask({ name: 'record.get', collection: 'orders', id: 'o0' })).record.version).toBe(1)
	expect((await fixture.ask({ name: 'collection.get', collection: 'orders' })).collection.records).toBe(4)
	expect(await fixture.ask({ name: 'subject.restriction', subject: 'ada' })).toEqual({ since: fixture.now })
	expect(await new Follower(fixture).follow()).toEqual(ofOthers)
	fixture.restart()
	expect(await viewed(fixture, view)).toEqual(ofOthers)
	expect((await restrict(fixture)).receipt.records).toBe(0)
	expect((await release(fixture)).receipt).toMatchObject({ kind: 'release', records: 3 })
	expect(await viewed(fixture, view)).toEqual([...ofAda, ...ofOthers].sort())
	expect(await fixture.ask({ name: 'subject.restriction', subject: 'ada' })).toEqual({ since: null })
	expect((await put(fixture, 'orders', 'o0', { buyer: 'ada' })).ok).toBe(true)
	expect(await viewed(fixture, view)).toEqual([...ofAda, ...ofOthers].sort())
})

test('nothing changes, deletes or adds what is known about a restricted person, in any way', async () => {
	const fixture = await filled()
	await restrict(fixture)
	const position = fixture.shard.position()
	const at = { collection: 'orders', id: 'o0' }
	const ada = JSON.stringify({ buyer: 'ada' })
	const creates = [...'12345'].map(() => ({ op: 'create' as const, collection: 'orders', data: ada }))
	const refusals = [
		await fixture.refused({ name: 'record.patch', ...at, patch: '{"note":"x"}', ifMatch: null }),
		await fixture.refused({ name: 'record.patch', ...at, patch: '{"buyer":"bob"}', ifMatch: null }),
		await fixture.refused({ name: 'record.delete', ...at, ifMatch: null }),
		await fixture.refused({ name: 'record.put', ...at, id: 'new', data: ada, ifMatch: null, ifNoneMatch: null }),
		await fixture.refused({ name: 'record.put', ...at, id: 'o1', data: ada, ifMatch: null, ifNoneMatch: null }),
		await fixture.refused({ name: 'record.create', collection: 'orders', data: ada }),
		await fixture.refused({ name: 'collection.delete', collection: 'orders' }),
		await fixture.refused({ name: 'batch', operations: creates }),
	]
	expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['subject_restricted']))
	expect(refusals.at(-1)?.errors).toMatchObject([{ pointer: '/operations/0' }])
	expect(fixture.shard.position()).toBe(position)
	expect((await put(fixture, 'orders', 'o1', { buyer: 'bob' })).ok).toBe(true)
	expect((await put(fixture, 'things', 't', { person: 'ada' })).ok).toBe(true)
})

test('a restricted person can be read and erased, and with the records goes the restriction', async () => {
	const fixture = await filled()
	const view = new Follower(fixture)
	await restrict(fixture)
	const page = await fixture.ask({ name: 'subject.read', subject: 'ada', limit: 10, after: null })
	expect(page.records).toHaveLength(3)
	// The schema does not say any more whose the records are; the restriction still does.
	await fixture.collection('profiles', { type: 'object' })
	expect((await fixture.ask({ name: 'subject.erase', subject: 'ada' })).receipt.records).toBe(3)
	expect(await viewed(fixture, view)).toEqual(ofOthers)
	expect(fixture.sql.all('SELECT * FROM restriction')).toEqual([])
	expect(fixture.sql.all('SELECT * FROM restricted_record')).toEqual([])
	expect((await put(fixture, 'orders', 'o0', { buyer: 'ada' })).ok).toBe(true)
})

test('a schema that says anew whose the records are restricts those of restricted people, and frees nobody', async () => {
	const fixture = await filled()
	const view = new Follower(fixture)
	await restrict(fixture, 'ada')
	await restrict(fixture, 'bob')
	expect(await viewed(fixture, view)).toEqual(['orders/o3', 'things/t'])
	const { buyer, seller, note } = orders.properties
	await fixture.collection('orders', {
		type: 'object',
		properties: { buyer: { type: buyer.type }, seller: { ...seller, 'x-subject': true }, note },
	})
	expect(await viewed(fixture, view)).toEqual(['things/t'])
	await release(fixture, 'bob')
	expect(await viewed(fixture, view)).toEqual(['orders/o1', 'orders/o3', 'profiles/bob', 'things/t'])
	await fixture.collection('things', { ...profiles, 'x-index': ['created_at'] })
	expect(await viewed(fixture, view)).toEqual(['orders/o1', 'orders/o3', 'profiles/bob'])
	await release(fixture, 'ada')
	expect(await viewed(fixture, view)).toEqual([...ofAda, ...ofOthers].sort())
})

test('a digest that is computed anew leaves restricted records out', async () => {
	const fixture = await filled()
	const view = new Follower(fixture)
	await restrict(fixture)
	const { buyer, seller } = orders.properties
	await fixture.collection('orders', { type: 'object', properties: { buyer, seller, note: { type: 'string' } } })
	await fixture.shard.alarm()
	expect(await viewed(fixture, view)).toEqual(ofOthers)
	await release(fixture)
	expect(await viewed(fixture, view)).toEqual([...ofAda, ...ofOthers].sort())
})

test('a restricted tenant can be read and not changed, its view is empty, and it comes back whole', async () => {
	const fixture = await filled()
	const view = new Follower(fixture)
	expect(await viewed(fixture, view)).toHaveLength(7)
	await fixture.run({ name: 'tenant.update', status: 'restricted' }, operator)
	expect(await viewed(fixture, view)).toEqual([])
	expect(await new Follower(fixture).follow()).toEqual([])
	const refused = await Promise.all([
		fixture.refused({ name: 'record.create', collection: 'things', data: '{}' }),
		fixture.refused({ name: 'batch', operations: [] }),
		fixture.refused({ name: 'collection.put', collection: 'more', schema: '{}' }),
		fixture.refused({ name: 'collection.delete', collection: 'things' }),
		fixture.refused({ name: 'import.create', parts: 1 }),
	])
	expect(refused.map(({ code }) => code)).toEqual(refused.map(() => 'tenant_restricted'))
	expect((await fixture.ask({ name: 'record.get', collection: 'things', id: 't' })).record.version).toBe(1)
	await fixture.ask({ name: 'export.create', csv: false })
	expect((await fixture.ask({ name: 'subject.erase', subject: 'bob' })).receipt.records).toBe(2)
	expect(await viewed(fixture, view)).toEqual([])
	fixture.restart()
	await fixture.run({ name: 'tenant.update', status: 'active' }, operator)
	expect(await viewed(fixture, view)).toEqual([...ofAda, 'orders/o3', 'things/t'].sort())
})

const dayMs = 86_400_000
const kept = { type: 'object', 'x-retention-days': 1, properties: { person: { type: 'string', 'x-subject': true } } }

async function ringAll(fixture: ShardFixture): Promise<number> {
	for (let rings = 0; rings < 20; rings++) {
		await fixture.shard.alarm()
		if (fixture.alarmAt === null || fixture.alarmAt > fixture.now + 60_000)
			return (await fixture.ask({ name: 'collection.get', collection: 'notes' })).collection.records
		fixture.now = Math.max(fixture.now, fixture.alarmAt)
		new Follower(fixture).follow()
	}
	throw new Error('the alarm rings without end')
}

async function withOldNotes(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('notes', kept)
	for (const person of ['ada', 'bob']) await put(fixture, 'notes', person, { person })
	await ringAll(fixture)
	return fixture
}

test('retention leaves restricted records until they are released', async () => {
	const fixture = await withOldNotes()
	await restrict(fixture)
	fixture.now += 2 * dayMs
	expect(await ringAll(fixture)).toBe(1)
	await release(fixture)
	expect(await ringAll(fixture)).toBe(0)
})

test('retention leaves a restricted tenant alone until that ends', async () => {
	const fixture = await withOldNotes()
	await fixture.run({ name: 'tenant.update', status: 'restricted' }, operator)
	fixture.now += 2 * dayMs
	expect(await ringAll(fixture)).toBe(2)
	await fixture.run({ name: 'tenant.update', status: 'active' }, operator)
	expect(await ringAll(fixture)).toBe(0)
})

test('a legal hold stops retention, as whoever ordered it says or the control object does, and shows', async () => {
	const fixture = await withOldNotes()
	const order = { name: 'tenant.erasure', slug: null, erasure: '' } as const
	await fixture.run({ ...order, intent: 'hold' }, operator)
	expect((await fixture.ask({ name: 'tenant.get' })).tenant.heldSince).toBe(fixture.now)
	fixture.now += 2 * dayMs
	expect(await ringAll(fixture)).toBe(2)
	const control: Control = { state: 'active', epoch: 1, createdAt: 0, hold: { at: 5, by: 'operator:root' } }
	fixture.restart()
	expect(fixture.shard.admit(control)).toBe(true)
	expect((await fixture.ask({ name: 'tenant.get' })).tenant.heldSince).toBe(5)
	expect(await ringAll(fixture)).toBe(2)
	await fixture.run({ ...order, intent: 'release' }, operator)
	expect(fixture.shard.admit({ state: 'active', epoch: 1, createdAt: 0 })).toBe(true)
	expect((await fixture.ask({ name: 'tenant.get' })).tenant.heldSince).toBeNull()
	expect(await ringAll(fixture)).toBe(0)
})
