import { expect, test } from 'vitest'
import { keyAt, mintPage, openPage, sealPage, slotsPerPage, withoutKeys } from '../../core/subject-key.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { Jobs } from '../jobs.ts'
import { nodeSql } from '../node-sql.ts'
import { seeded } from '../shard.ts'
import { Crash, patients, SubjectWorld } from '../subject-world.ts'

const operator = { kind: 'operator', name: 'test' } as const

async function clinic(options: { sql?: Sql } = {}): Promise<SubjectWorld> {
	const world = new SubjectWorld(options)
	await world.fixture.collection('patients', patients)
	return world
}

const aboutOf = (person: string | null, more: object = {}) => ({ note: `canary of ${person}`, person, ...more })

/** Which keys the records rest under, in the order of their ids: `k1` or the slot. */
function namesOf({ fixture }: SubjectWorld): string[] {
	const stored = fixture.sql.all<{ data: string }>('SELECT data FROM c_1 ORDER BY id')
	return stored.map(({ data }) => /\\u0000([ks][0-9]+)\./.exec(data)?.[1] ?? 'open')
}

const query = { filter: null, order: [], limit: 1_000, after: null, select: null, count: false }
const listOf = async ({ fixture }: SubjectWorld) => fixture.run({ name: 'record.list', collection: 'patients', query })

async function notesOf(world: SubjectWorld): Promise<string[]> {
	const listed = await listOf(world)
	if (!listed.ok) throw new Error(listed.refusal.detail)
	return listed.value.records.map(({ data }) => JSON.parse(data).note)
}

const batchOf = (people: readonly string[]) => ({
	name: 'batch' as const,
	operations: people.map((person) => ({
		op: 'create' as const,
		collection: 'patients',
		data: JSON.stringify(aboutOf(person)),
	})),
})

const peopleFrom = (first: number, count: number) => Array.from({ length: count }, (_, index) => `p-${first + index}`)

test('a page of keys opens at its own place only, and a destroyed key is in it no more', () => {
	const random = seeded(3)
	const key = random(new Uint8Array(32))
	const place = { tenant: 'eu_1', number: 2 }
	const page = mintPage(1, random)
	const stored = sealPage(key, 1, place, page, random)
	expect(openPage(key, place, stored)?.keys).toEqual(Buffer.from(page.keys))
	for (const other of [{ tenant: 'eu_2' }, { number: 3 }])
		expect(openPage(key, { ...place, ...other }, stored)).toBe(null)
	for (const other of [{ version: 2 }, { epoch: 2 }]) expect(openPage(key, place, { ...stored, ...other })).toBe(null)
	const slot = 2 * slotsPerPage + 5
	const left = withoutKeys(page, 2, [slot, 5])
	expect([slot - 1, slot, slot + 1].map((one) => keyAt(left, one) === null)).toEqual([false, true, false])
	expect(keyAt(page, slot)).not.toBe(null)
})

test('[E1] what is known about a person rests under a key of their own, and about nobody under the key of the tenant', async () => {
	const world = await clinic()
	const { fixture } = world
	const first = await fixture.create('patients', aboutOf('ada'))
	for (const person of ['bob', null, 'ada']) await fixture.create('patients', aboutOf(person))
	expect(new Set(namesOf(world))).toEqual(new Set(['s1', 's2', 'k1']))
	const notes = ['canary of ada', 'canary of bob', 'canary of null', 'canary of ada']
	expect(new Set(await notesOf(world))).toEqual(new Set(notes))

	// A new instance has no key in memory.
	world.restart()
	expect((await notesOf(world)).length).toBe(4)
	const place = { collection: 'patients', id: first.record.id }
	const moved = { name: 'record.patch', ...place, patch: '{"person":"bob"}', ifMatch: null } as const
	await fixture.ask(moved)
	expect(namesOf(world).sort()).toEqual(['k1', 's1', 's2', 's2'])
	const tables = fixture.sql.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
	const stored = tables.map(({ name }) => JSON.stringify(fixture.sql.all(`SELECT * FROM "${name}"`))).join()
	expect(stored).not.toContain('canary')
	const named = JSON.stringify(fixture.sql.all('SELECT * FROM subject_slot'))
	for (const person of ['ada', 'bob']) expect(named).not.toContain(person)
	// Whether a retry gets the first answer does not depend on whose the record is.
	const idempotency = { key: 'k', fingerprint: 'f', seal: null }
	const patched = { ...moved, patch: '{"note":"canary again"}' }
	const answer = await fixture.ask(patched, { idempotency })
	world.restart()
	expect(await fixture.ask(patched, { idempotency })).toEqual(answer)
})

test('people of several pages are written and read together; every page is fetched once, and the next one is made ahead', async () => {
	const world = await clinic()
	const { fixture } = world
	await fixture.ask(batchOf(peopleFrom(0, 700)))
	await world.ring()
	expect([...fixture.pages.pages.keys()]).toEqual([0])
	await fixture.ask(batchOf(peopleFrom(700, 200)))
	await world.ring()
	expect([...fixture.pages.pages.keys()]).toEqual([0, 1])
	fixture.pages.reads.length = 0
	await fixture.ask(batchOf(peopleFrom(900, 200)))
	expect(fixture.pages.reads).toEqual([])
	expect(new Set(namesOf(world)).size).toBe(1_100)

	world.restart()
	await fixture.ask(batchOf(peopleFrom(850, 200)))
	expect([...fixture.pages.reads].sort()).toEqual([0, 1])
	expect(new Set(namesOf(world)).size).toBe(1_100)
	world.restart()
	fixture.pages.reads.length = 0
	const last = await fixture.ask({ name: 'subject.read', subject: 'p-1099', limit: 10, after: null })
	expect(last.records.map(({ record }) => JSON.parse(record.data).note)).toEqual(['canary of p-1099'])
	expect(fixture.pages.reads).toEqual([1])
	expect((await notesOf(world)).length).toBe(1_000)
	expect([...fixture.pages.reads].sort()).toEqual([0, 1])
})

test('a bucket that is away, or has lost a page, is a refusal that a retry may outlive, and never another key', async () => {
	const world = await clinic()
	const { fixture } = world
	await fixture.create('patients', aboutOf('ada'))
	world.restart()
	fixture.pages.before = () => {
		throw new Error('the bucket is away')
	}
	const asked = { name: 'record.create', collection: 'patients', data: JSON.stringify(aboutOf('bob')) } as const
	for (const reply of [await listOf(world), await fixture.run(asked)])
		expect(reply).toMatchObject({ ok: false, refusal: { code: 'unavailable', retryAfter: 5 } })
	fixture.pages.before = () => {}
	const kept = new Map(fixture.pages.pages)
	fixture.pages.pages.clear()
	for (const reply of [await listOf(world), await fixture.run(asked)])
		expect(reply).toMatchObject({ ok: false, refusal: { code: 'unavailable' } })
	expect(fixture.pages.pages.size).toBe(0)
	for (const [number, page] of kept) fixture.pages.pages.set(number, page)
	expect(await notesOf(world)).toEqual(['canary of ada'])
})

test('[E1] the key of a person is destroyed before the records go, in the bucket and in memory, and nobody else loses any', async () => {
	const world = await clinic()
	const { fixture } = world
	for (const person of ['ada', 'bob', 'ada']) await fixture.create('patients', aboutOf(person))
	const order: string[] = []
	fixture.pages.before = (asked) =>
		order.push(`${asked}, records: ${namesOf(world).length}, ledger: ${world.ledger.length}`)
	const reply = await world.erase('ada')
	expect(order).toEqual(['read, records: 3, ledger: 1', 'replace, records: 3, ledger: 1'])
	expect(reply).toMatchObject({
		value: { receipt: { kind: 'erasure', records: 2, finishedAt: fixture.now, keyDestroyedAt: fixture.now } },
	})
	expect(await notesOf(world)).toEqual(['canary of bob'])
	expect(fixture.sql.all('SELECT * FROM doomed_key')).toEqual([])
	expect(fixture.sql.all('SELECT * FROM subject_erasure')).toEqual([])
	expect(world.ledger).toHaveLength(1)

	// Who comes back is somebody new.
	await fixture.create('patients', aboutOf('ada'))
	expect(new Set(namesOf(world))).toEqual(new Set(['s2', 's3']))
	expect(await world.erase('nobody')).toMatchObject({ value: { receipt: { records: 0, keyDestroyedAt: null } } })
	expect((await fixture.ask({ name: 'audit.verify', after: 0 })).brokenAt).toBe(null)
})

test.each([
	['dies', true],
	['fails', false],
] as const)(
	'[E1] [E2] an erasure that %s at any step comes to its end by the alarm, once, with the key destroyed',
	async (_, dies) => {
		let finished = false
		for (let step = 1; !finished; step += 0.5) {
			if (step > 40) throw new Error('an erasure has too many steps')
			const world = await clinic()
			const { fixture } = world
			for (const person of ['ada', 'bob', 'ada']) await fixture.create('patients', aboutOf(person))
			world.calls = 0
			world.failAt = step
			const idempotency = { key: 'k', fingerprint: 'f', seal: null }
			const first = await world.erase('ada', idempotency).catch((error) => {
				if (!(error instanceof Crash)) throw error
				return null
			})
			finished = first !== null
			world.failAt = null
			if (dies) world.restart()
			// The alarm that the first step has set, and nobody else.
			for (let rings = 0; rings < 3; rings++) await world.ring()
			const isBegun = world.ledger.length > 0
			expect((await notesOf(world)).length, `step ${step}`).toBe(isBegun ? 1 : 3)
			expect(await world.erase('ada', idempotency), `step ${step}`).toMatchObject({ ok: true })
			expect(await notesOf(world)).toEqual(['canary of bob'])
			const { requests } = await fixture.ask({ name: 'subject.requests', limit: 10, after: null })
			expect(requests[0], `step ${step}`).toMatchObject({ records: 2, keyDestroyedAt: expect.any(Number) })
			expect(requests.every(({ finishedAt }) => finishedAt !== null)).toBe(true)
			// Whoever comes back is not erased by what is left in the ledger.
			await fixture.create('patients', aboutOf('ada'))
			world.restart()
			await world.ring()
			expect((await notesOf(world)).length, `step ${step}`).toBe(2)
			expect(fixture.sql.all('SELECT slot FROM doomed_key')).toEqual([])
			expect(fixture.sql.all('SELECT subject FROM subject_slot WHERE slot = 1')).toEqual([{ subject: null }])
			expect((await fixture.ask({ name: 'audit.verify', after: 0 })).brokenAt).toBe(null)
		}
	},
)

test('[E1] after an erasure nothing opens: not a kept answer, not a database from before', async () => {
	const sql = nodeSql()
	const world = await clinic({ sql })
	const { fixture } = world
	const { record } = await fixture.create('patients', aboutOf('ada'))
	await fixture.create('patients', aboutOf('bob'))
	const idempotency = { key: 'k', fingerprint: 'f', seal: null }
	const place = { collection: 'patients', id: record.id }
	const patch = { name: 'record.patch', ...place, patch: '{"note":"canary of a patch"}', ifMatch: null } as const
	await fixture.ask(patch, { idempotency })
	// The answer is about ada, and the record about bob by now.
	await fixture.ask({ ...patch, patch: '{"person":"bob"}' })
	const before = sql.all<{ id: string; data: string }>('SELECT id, data FROM c_1')
	const lost = await fixture.create('patients', aboutOf('ada'))
	const kept = sql.all<{ data: string }>('SELECT data FROM c_1 WHERE id = ?', lost.record.id)[0]?.data ?? ''
	await world.erase('ada')
	expect((await notesOf(world)).length).toBe(before.length)
	const retried = await fixture.run(patch, { idempotency })
	expect(retried).toMatchObject({ ok: false, refusal: { code: 'subject_erased' } })
	expect(JSON.stringify(retried)).not.toContain('canary')

	// As if a copy of the row had come back behind everybody's back, and then with a ledger that knows of it.
	sql.all(
		'INSERT INTO c_1 (id, version, seq, created_at, updated_at, data) VALUES (?, 1, 1, 0, 0, ?)',
		lost.record.id,
		kept,
	)
	for (const restart of [false, true]) {
		if (restart) world.restart()
		const get = await fixture.run({ name: 'record.get', collection: 'patients', id: lost.record.id })
		expect(get).toMatchObject({ ok: false, refusal: { code: 'unavailable' } })
		expect(await listOf(world)).toMatchObject({ ok: false, refusal: { code: 'unavailable' } })
	}
	sql.all('DELETE FROM subject_request')
	world.restart()
	await world.ring()
	expect(new Set(await notesOf(world))).toEqual(new Set(['canary of bob', 'canary of a patch']))
})

test('a write about the person in the middle of the erasure goes with the rest, and so does its key', async () => {
	const world = await clinic()
	const { fixture } = world
	await fixture.create('patients', aboutOf('ada'))
	let wrote = false
	const replies: Promise<unknown>[] = []
	fixture.pages.before = (asked) => {
		if (asked !== 'replace' || wrote) return
		wrote = true
		replies.push(fixture.create('patients', aboutOf('ada')))
	}
	expect(await world.erase('ada')).toMatchObject({ ok: true, value: { receipt: { records: 2 } } })
	expect(replies).toHaveLength(1)
	await replies[0]
	expect(namesOf(world)).toEqual([])
	expect(fixture.sql.all('SELECT * FROM doomed_key')).toEqual([])
	expect(fixture.sql.all('SELECT slot, subject FROM subject_slot')).toEqual([
		{ slot: 1, subject: null },
		{ slot: 2, subject: null },
	])
	const page = fixture.pages.pages.get(0)
	expect(page?.etag).toBe('3')
})

test('a page that somebody else changed meanwhile is read again, and the key is destroyed in the bucket, too', async () => {
	const world = await clinic()
	const { fixture } = world
	for (const person of ['ada', 'bob']) await fixture.create('patients', aboutOf(person))
	const [ada] = fixture.sql.all<{ id: string; data: string }>(
		"SELECT id, data FROM c_1 WHERE data ->> 'person' = 'ada'",
	)
	if (!ada) throw new Error('no record')
	let others = 2
	fixture.pages.before = (asked) => {
		const found = fixture.pages.pages.get(0)
		if (asked === 'replace' && found && others-- > 0) fixture.pages.pages.set(0, { ...found, etag: `other ${others}` })
	}
	await world.erase('ada')
	// Whoever has the row of before asks an instance that knows only what the bucket says.
	world.restart()
	fixture.sql.all(
		'INSERT INTO c_1 (id, version, seq, created_at, updated_at, data) VALUES (?, 1, 1, 0, 0, ?)',
		...[ada.id, ada.data],
	)
	const reply = await fixture.run({ name: 'record.get', collection: 'patients', id: ada.id })
	expect(reply).toMatchObject({ ok: false, refusal: { code: 'unavailable', retryAfter: 1 } })
	fixture.sql.all('DELETE FROM c_1 WHERE id = ?', ada.id)
	expect(await notesOf(world)).toEqual(['canary of bob'])
	await fixture.create('patients', aboutOf('cy'))
	expect(namesOf(world).sort()).toEqual(['s2', 's3'])
})

test('records about persons from before are sealed under their keys by the alarm, and writes do it at once', async () => {
	const world = new SubjectWorld()
	const { fixture } = world
	const { person, ...others } = patients.properties
	const before = { ...patients, properties: { ...others, person: { type: person.type } } }
	await fixture.collection('patients', before)
	for (let from = 0; from < 1_200; from += 600) await fixture.ask(batchOf(peopleFrom(from, 600)))
	expect(new Set(namesOf(world))).toEqual(new Set(['k1']))
	const put = await fixture.collection('patients', patients)
	expect(put.collection.encryption).toMatchObject({ recordsDone: 0, recordsTotal: 1_200, finishedAt: null })
	await fixture.create('patients', aboutOf('new'))
	const encryption = async () =>
		(await fixture.ask({ name: 'collection.get', collection: 'patients' })).collection.encryption
	for (let rings = 0; (await encryption())?.finishedAt === null; rings++) {
		if (rings > 20) throw new Error('the records are never sealed anew')
		await world.ring()
	}
	expect(new Set(namesOf(world)).size).toBe(1_201)
	expect(namesOf(world)).not.toContain('k1')
	expect((await notesOf(world)).length).toBe(1_000)
	const kept = { name: 'collection.put', collection: 'patients', schema: JSON.stringify(before) } as const
	expect(await fixture.refused(kept)).toMatchObject({
		code: 'schema_conflict',
		errors: [{ pointer: '/schema/properties/person/x-subject' }],
	})
})

test('in another epoch slots go on behind all that were ever made, because nobody knows which were given', async () => {
	const world = await clinic()
	const { fixture } = world
	await fixture.create('patients', aboutOf('ada'))
	const { control } = fixture
	if (!control) throw new Error('no control object')
	fixture.control = { ...control, epoch: 2, diverged: 2 }
	world.restart()
	await fixture.create('patients', aboutOf('bob'))
	expect(namesOf(world).sort()).toEqual(['s1', `s${slotsPerPage}`])
	expect((await notesOf(world)).length).toBe(2)
	await fixture.create('patients', aboutOf('ada'))
	expect(namesOf(world).filter((name) => name === 's1')).toHaveLength(2)
})

test('pages of keys follow a rotation of the key of the tenant before the older one is destroyed', async () => {
	const world = await clinic()
	const { fixture } = world
	await fixture.ask(batchOf(peopleFrom(0, 900)))
	await fixture.create('patients', aboutOf(null))
	await world.ring()
	await fixture.ask({ name: 'rotation.start' }, { caller: operator })
	fixture.pages.before = (asked) => {
		if (asked === 'replace') throw new Error('the bucket is away')
	}
	for (let rings = 0; rings < 20; rings++) await world.ring().catch(() => {})
	expect(fixture.control?.keys?.map(({ version }) => version)).toEqual([1, 2])
	fixture.pages.before = () => {}
	for (let rings = 0; fixture.control?.keys?.length === 2; rings++) {
		if (rings > 20) throw new Error('the rotation stands still')
		await world.ring()
	}
	expect([...fixture.pages.pages.values()].map(({ page }) => page.version)).toEqual([2, 2])
	expect(namesOf(world)).toContain('k2')
	world.restart()
	expect((await notesOf(world)).length).toBe(901)
	expect(await world.erase('p-899')).toMatchObject({ ok: true, value: { receipt: { records: 1 } } })
	expect((await notesOf(world)).length).toBe(900)
})

test('[E1] an archive is open, and an import seals it under keys of its own tenant; who was erased since goes once more, key and all', async () => {
	const world = await clinic()
	const { fixture } = world
	await fixture.ask(batchOf(peopleFrom(0, 1_100)))
	const exporting = new Jobs(fixture)
	const { export: made } = await fixture.ask({ name: 'export.create', csv: false })
	world.restart()
	await exporting.run(made.id)
	const archive = await exporting.archive(made.id)

	const other = new SubjectWorld({ region: 'global' })
	const bring = async ({ fixture: to }: SubjectWorld, replaces: object) => {
		const { import: begun } = await to.ask({ name: 'import.create', parts: 1, ...replaces })
		const jobs = new Jobs(to)
		await jobs.upload(begun.id, archive)
		await jobs.run(begun.id)
		expect((await to.ask({ name: 'import.get', id: begun.id })).import.state).toBe('done')
	}
	await bring(other, {})
	expect(new Set(namesOf(other)).size).toBe(1_100)
	expect(new Set(await notesOf(other)).size).toBe(1_000)

	fixture.now += 1
	await world.erase('p-7')
	await bring(world, { replaces: true })
	for (let rings = 0; rings < 3; rings++) await world.ring()
	expect(fixture.sql.all('SELECT slot FROM doomed_key')).toEqual([])
	expect(fixture.sql.all('SELECT slot FROM subject_slot WHERE subject IS NULL')).toHaveLength(2)
	const { records } = await fixture.ask({ name: 'subject.read', subject: 'p-7', limit: 10, after: null })
	expect(records).toEqual([])
})
