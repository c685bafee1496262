import { expect, test } from 'vitest'
import { addKey, type Control, type ControlStore, retireKeys, rewindControl } from '../../core/control.ts'
import { parseListQuery } from '../../core/filter.ts'
import { mintTenantId, type Region } from '../../core/ids.ts'
import { mintTenantKey } from '../../core/tenant-key.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { KeyAbsent } from '../../workers/shard-do/vault.ts'
import { ShardFixture, seeded } from '../shard.ts'

const random = seeded(3)
const tenant = mintTenantId('eu' as Region, Date.UTC(2026, 0, 1), random)
const mint = (version: number) => () => mintTenantKey('master', tenant, version, random)

/** One control object. */
function storeOf(control: Control): ControlStore & { control: Control } {
	return {
		control,
		async read() {
			return { control: this.control, etag: JSON.stringify(this.control) }
		},
		create: () => Promise.reject(new Error('it exists')),
		async replace(_tenant, changed, etag) {
			if (etag !== JSON.stringify(this.control)) return false
			this.control = changed
			return true
		},
	}
}

const versionsOf = ({ control }: { control: Control }) => control.keys?.map(({ version }) => version)

test('a version of a key is added once, and the last one never goes', async () => {
	const store = storeOf({ state: 'active', epoch: 1, createdAt: 0, keys: [mint(1)()] })
	for (const version of [3, 2, 2]) await addKey(store, tenant, version, mint(version))
	expect(versionsOf(store)).toEqual([1, 2])
	await retireKeys(store, tenant, 2, 2, 1_000)
	expect(versionsOf(store), 'of another epoch').toEqual([1, 2])
	await retireKeys(store, tenant, 1, 3, 1_000)
	expect(versionsOf(store), 'a version that nobody has').toEqual([1, 2])
	for (const now of [1_000, 2_000]) await retireKeys(store, tenant, 1, 2, now)
	expect([versionsOf(store), store.control.keysSince]).toEqual([[2], 1_000])
	store.control = { ...store.control, state: 'erasing' }
	await addKey(store, tenant, 3, mint(3))
	expect(versionsOf(store), 'of a tenant that is being erased').toEqual([2])
})

test('nobody goes back to a moment whose key is destroyed', async () => {
	const store = storeOf({ state: 'active', epoch: 1, createdAt: 0, keys: [mint(2)()], keysSince: 1_000 })
	const tenantThen = { slug: 's', name: 'n', status: 'active', requests_per_second: 1, storage_bytes: 1 } as const
	const standing = { position: 1, keys: [], webhooks: [], jobs: [], tenant: tenantThen }
	const began = { request: { id: 'r', key: 'k', fingerprint: 'f' }, at: 5_000, by: 'operator:eve', standing }
	const refused = await rewindControl(store, tenant, 1, { ...began, to: 1_000 })
	expect(refused).toMatchObject({ ok: false, refusal: { code: 'history_unavailable' } })
	expect((await rewindControl(store, tenant, 1, { ...began, to: 1_001 })).ok).toBe(true)
})

const patients = {
	type: 'object',
	properties: {
		email: { type: 'string', 'x-personal': 'encrypted', 'x-unique': 'ci' },
		city: { type: 'string', 'x-personal': 'encrypted', 'x-index': true },
		ward: { type: 'string' },
	},
}

async function clinic(records: number): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	fixture.giveKey()
	await fixture.collection('plain', { properties: { email: { type: 'string', 'x-unique': true } } })
	await fixture.collection('patients', patients)
	for (let from = 0; from < records; from += 500) {
		const operations = Array.from({ length: Math.min(500, records - from) }, (_, n) => {
			const data = { email: `p${from + n}@example.com`, city: `c${(from + n) % 100}`, ward: 'north' }
			return { op: 'create', collection: 'patients', data: JSON.stringify(data) } as const
		})
		await fixture.ask({ name: 'batch', operations })
	}
	return fixture
}

/** What rests in tables of records and answers, by the version of the key that it rests under. */
function restingUnder(sql: Sql): Record<string, number> {
	const tables = sql.all<{ name: string }>(
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_cf*'",
	)
	const text = tables.map(({ name }) => JSON.stringify(sql.all(`SELECT * FROM "${name}"`))).join('\n')
	const names = [...text.matchAll(/u0000k([0-9]+)\./g)].map(([, version = '']) => version)
	return Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]))
}

const rotationOf = async (fixture: ShardFixture) => (await fixture.ask({ name: 'rotation.get' }, operator)).rotation
const operator = { caller: { kind: 'operator', name: 'eve' } } as const
const keysOf = ({ control }: ShardFixture) => control?.keys?.map(({ version }) => version)

/** Rings the alarm until a condition holds; every ring may end the instance. */
async function ringUntil(fixture: ShardFixture, holds: () => unknown, between = async () => {}): Promise<void> {
	for (let rings = 0; !(await holds()); rings++) {
		if (rings > 60) throw new Error('this never comes')
		fixture.now = Math.max(fixture.now + 1, fixture.alarmAt ?? 0)
		await fixture.shard.alarm().catch(() => {
			fixture.alarmAt = fixture.now + 5_000
		})
		await between()
	}
}

async function emailsWhere(fixture: ShardFixture, query: string): Promise<string[]> {
	const parsed = parseListQuery(new URLSearchParams(query), 'query')
	if (!parsed.ok) throw new Error(parsed.refusal.detail)
	const asked = { ...parsed.value.query, limit: 1_000, count: false, after: null }
	const page = await fixture.ask({ name: 'record.list', collection: 'patients', query: asked })
	return page.records.map(({ data }) => JSON.parse(data).email).sort()
}

/** Equality and uniqueness are exact, for records from before and for new ones. */
async function expectExact(fixture: ShardFixture, records: number, tag: string): Promise<void> {
	for (const n of [0, records - 1]) {
		expect(await emailsWhere(fixture, `email=eq.P${n}@example.com`.replace('P', 'p')), tag).toEqual([
			`p${n}@example.com`,
		])
		const data = JSON.stringify({ email: `P${n}@Example.com` })
		const refusal = await fixture.refused({ name: 'record.create', collection: 'patients', data })
		expect(refusal.constraint, tag).toBe('patients.email')
	}
	expect(await emailsWhere(fixture, 'city=is.null'), tag).toEqual([])
	expect((await emailsWhere(fixture, 'city=in.(c1,nowhere)')).length, tag).toBe(Math.ceil((records - 1) / 100))
}

test('[D2] [I1] a rotation seals everything anew while the tenant is served, and then destroys the older key', async () => {
	const fixture = await clinic(300)
	const { record } = await fixture.create('patients', { email: 'patched@example.com', city: 'c0' })
	const patched = { name: 'record.patch', collection: 'patients', id: record.id, ifMatch: null } as const
	const again = { idempotency: { key: 'k', fingerprint: 'f', seal: null } }
	const first = await fixture.ask({ ...patched, patch: JSON.stringify({ ward: 'south' }) }, again)
	const once = { ...operator, idempotency: { key: 'k2', fingerprint: 'f', seal: null } }
	const started = await fixture.ask({ name: 'rotation.start' }, once)
	expect(started.rotation).toMatchObject({ version: 2, isDone: false, recordsDone: 0, recordsTotal: 301 })
	expect(await fixture.ask({ name: 'rotation.start' }, once)).toEqual(started)
	expect((await fixture.ask({ name: 'rotation.start' }, operator)).rotation).toEqual(started.rotation)

	let rings = 0
	const seen = new Set<number>()
	await ringUntil(
		fixture,
		async () => (await rotationOf(fixture)).isDone,
		async () => {
			fixture.restart()
			const { recordsDone } = await rotationOf(fixture)
			seen.add(recordsDone)
			// Before all others in their order, where the steps have been already.
			const data = JSON.stringify({ email: `new${rings}@example.com`, city: 'new' })
			const asked = { collection: 'patients', id: `00-${rings}`, data, ifMatch: null, ifNoneMatch: null }
			await fixture.ask({ name: 'record.put', ...asked })
			expect(await emailsWhere(fixture, `email=eq.new${rings++}@example.com`)).toHaveLength(1)
			expect(await emailsWhere(fixture, 'city=eq.new')).toHaveLength(rings)
			await expectExact(fixture, 300, `after ring ${rings}`)
		},
	)
	expect([...seen].slice(0, 2)).toEqual([0, 250])
	expect([keysOf(fixture), Object.keys(restingUnder(fixture.sql))]).toEqual([[2], ['2']])
	fixture.restart()
	await expectExact(fixture, 300, 'after a restart')
	expect(await fixture.ask({ ...patched, patch: JSON.stringify({ ward: 'south' }) }, again)).toEqual(first)
	expect(JSON.parse(first.record.data)).toEqual({ email: 'patched@example.com', city: 'c0', ward: 'south' })
	const audit = await fixture.ask({ name: 'audit.list', filter: { op: 'rotation' }, limit: 10, after: 0 })
	expect(audit.entries.map(({ version, actor }) => [version, actor])).toEqual([
		[1, 'operator:eve'],
		[2, 'system:ledger'],
		[3, 'system:ledger'],
	])
	expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: null })
	// The next one takes turns with the columns.
	await fixture.ask({ name: 'rotation.start' }, operator)
	await ringUntil(fixture, async () => (await rotationOf(fixture)).isDone)
	expect([keysOf(fixture), Object.keys(restingUnder(fixture.sql))]).toEqual([[3], ['3']])
	await expectExact(fixture, 300, 'under the third key')
})

test('a rotation that dies at any step goes on by the alarm alone, and no key goes before everything has left it', async () => {
	for (const keysFail of ['before', 'after'] as const)
		for (const phase of ['running', 'ending'] as const) {
			const tag = `${phase} ${keysFail}`
			const fixture = await clinic(40)
			await fixture.ask({ name: 'rotation.start' }, operator)
			let isSpent = phase === 'running'
			if (isSpent) fixture.keysFail = keysFail
			await ringUntil(
				fixture,
				async () => (await rotationOf(fixture)).isDone,
				async () => {
					// The object dies after every step.
					fixture.restart()
					if (!isSpent && (await rotationOf(fixture)).recordsDone > 0) {
						fixture.keysFail = keysFail
						isSpent = true
					}
					const under = restingUnder(fixture.sql)
					for (const version of Object.keys(under)) expect(keysOf(fixture), tag).toContain(Number(version))
				},
			)
			expect([keysOf(fixture), Object.keys(restingUnder(fixture.sql))], tag).toEqual([[2], ['2']])
			await expectExact(fixture, 40, tag)
		}
})

test('a late read of the control object brings no older key back', async () => {
	const fixture = await clinic(3)
	const before = fixture.control
	await fixture.ask({ name: 'rotation.start' }, operator)
	await ringUntil(fixture, () => keysOf(fixture)?.length === 2)
	const now = fixture.control
	fixture.shard.admit(before)
	await fixture.create('patients', { email: 'late@example.com' })
	expect(restingUnder(fixture.sql)[2]).toBe(1)
	fixture.control = before
	fixture.restart()
	const data = JSON.stringify({ email: 'later@example.com' })
	const create = { name: 'record.create', collection: 'patients', data } as const
	await expect(fixture.run(create)).rejects.toThrow(KeyAbsent)
	fixture.control = now
	fixture.restart()
	await fixture.ask(create)
	await ringUntil(fixture, async () => (await rotationOf(fixture)).isDone)
	expect(Object.keys(restingUnder(fixture.sql))).toEqual(['2'])
})

test('what is found under the older key when all should have left it is sealed before the key goes', async () => {
	const fixture = await clinic(3)
	const [row] = fixture.sql.all<{ id: string; data: string }>('SELECT id, data FROM c_2 LIMIT 1')
	await fixture.ask({ name: 'rotation.start' }, operator)
	await ringUntil(fixture, () => Object.keys(restingUnder(fixture.sql)).join() === '2')
	expect(keysOf(fixture)).toEqual([1, 2])
	fixture.sql.all('UPDATE c_2 SET data = ? WHERE id = ?', row?.data ?? '', row?.id ?? '')
	await ringUntil(fixture, async () => (await rotationOf(fixture)).isDone)
	expect(Object.keys(restingUnder(fixture.sql))).toEqual(['2'])
	await expectExact(fixture, 3, 'in the end')
})

test('a change of schema in the middle of a rotation blinds under the new key, and nothing is left behind', async () => {
	const { email, city, ward } = patients.properties
	const indexed = { email, city, ward: { ...ward, 'x-index': true } }
	const encrypted = { email, city, ward: { ...indexed.ward, 'x-personal': 'encrypted' } }
	for (const [rings, records, properties] of [
		[1, 40, encrypted],
		[2, 40, encrypted],
		[3, 40, encrypted],
		// The fourth ring has filled the indexes of the first 250.
		[4, 260, indexed],
	] as const) {
		const fixture = await clinic(records)
		await fixture.ask({ name: 'rotation.start' }, operator)
		let rung = 0
		await ringUntil(fixture, () => rung++ === rings)
		await fixture.collection('patients', { properties })
		await fixture.create('patients', { email: 'late@example.com', city: 'late', ward: 'west' })
		expect(await emailsWhere(fixture, 'ward=eq.west')).toEqual(['late@example.com'])
		await ringUntil(fixture, async () => (await rotationOf(fixture)).isDone)
		expect([keysOf(fixture), Object.keys(restingUnder(fixture.sql))], `ring ${rings}`).toEqual([[2], ['2']])
		await expectExact(fixture, records, `ring ${rings}`)
		expect(await emailsWhere(fixture, 'ward=eq.west')).toEqual(['late@example.com'])
		expect((await emailsWhere(fixture, 'ward=eq.north')).length).toBe(records)
	}
})

test('a running export or import is waited for, and the rest of the alarm goes on', async () => {
	const fixture = await clinic(3)
	const { export: made } = await fixture.ask({ name: 'export.create', csv: false })
	await fixture.ask({ name: 'rotation.start' }, operator)
	await ringUntil(fixture, () => keysOf(fixture)?.length === 2)
	for (let rings = 0; rings < 5; rings++) {
		fixture.now += 60_000
		await fixture.shard.alarm()
	}
	expect(restingUnder(fixture.sql)[1]).toBeGreaterThan(0)
	await fixture.ask({ name: 'export.delete', id: made.id })
	await ringUntil(fixture, async () => (await rotationOf(fixture)).isDone)
	expect(Object.keys(restingUnder(fixture.sql))).toEqual(['2'])
})

test('what a rotation waits for is not held up by that', async () => {
	const fixture = await clinic(1_050)
	await fixture.ask({ name: 'rotation.start' }, operator)
	await ringUntil(fixture, () => keysOf(fixture)?.length === 2)
	// As an import that is not finished.
	fixture.sql.all(
		`INSERT INTO import_collection (name, number, version, schema, uniques, change, created_at, updated_at)
		VALUES ('coming', 9, 1, '{}', '[]', NULL, 0, 0)`,
	)
	const { ward, ...others } = patients.properties
	const properties = { ...others, ward: { ...ward, 'x-personal': 'encrypted' } }
	await fixture.collection('patients', { properties })
	const begunAt = fixture.now
	const isSealed = async () =>
		(await fixture.ask({ name: 'collection.get', collection: 'patients' })).collection.encryption?.finishedAt
	await ringUntil(fixture, isSealed)
	expect(fixture.now).toBeLessThan(begunAt + 30_000)
	fixture.sql.all('DELETE FROM import_collection')
	await ringUntil(fixture, async () => (await rotationOf(fixture)).isDone)
})

test('a page of keys that was sealed before a rotation and stored after it is made anew', async () => {
	const fixture = await clinic(3)
	const { ward, ...others } = patients.properties
	await fixture.collection('people', { properties: { ...others, ward: { ...ward, 'x-subject': true } } })
	await fixture.shard.keyPages.fetch([{ number: 0, mint: true }])
	const { pages } = fixture.pages
	const late = pages.get(0)
	pages.clear()
	fixture.restart()
	await fixture.ask({ name: 'rotation.start' }, operator)
	await ringUntil(fixture, async () => (await rotationOf(fixture)).isDone)
	if (!late) throw new Error('no page was made')
	pages.set(0, late)
	const { record } = await fixture.create('people', { email: 'ada@example.com', ward: 'p-1' })
	expect(pages.get(0)?.page.version).toBe(2)
	fixture.restart()
	const read = await fixture.ask({ name: 'record.get', collection: 'people', id: record.id })
	expect(JSON.parse(read.record.data)).toEqual({ email: 'ada@example.com', ward: 'p-1' })
	expect(pages.get(0)?.page.version).toBe(2)
})

test('a record that does not open holds up the rotation, and nothing else', async () => {
	const fixture = await clinic(3)
	fixture.sql.all("UPDATE c_2 SET data = replace(data, 'k1.', 'k1.damaged') WHERE id = (SELECT max(id) FROM c_2)")
	await fixture.ask({ name: 'rotation.start' }, operator)
	await ringUntil(fixture, () => keysOf(fixture)?.length === 2)
	for (let rings = 0; rings < 5; rings++) {
		await fixture.create('plain', { email: `${rings}` })
		fixture.announced.length = 0
		fixture.now += 60_000
		const rung = fixture.shard.alarm()
		await (rings > 2 ? expect(rung).rejects.toThrow('does not open at its place') : rung.catch(() => {}))
		expect(fixture.announced).toHaveLength(1)
	}
	expect(keysOf(fixture)).toEqual([1, 2])
})

test('a database from before its key was destroyed says so, and goes on with what is not encrypted', async () => {
	const fixture = await clinic(3)
	const { record } = await fixture.create('patients', { email: 'x@example.com' })
	await fixture.ask({ name: 'record.create', collection: 'plain', data: '{"email":"x"}' })
	if (!fixture.control) throw new Error('no control object')
	fixture.control = { ...fixture.control, keys: [mintTenantKey('other', fixture.tenant, 2, random)] }
	fixture.restart()
	const get = { name: 'record.get', collection: 'patients', id: record.id } as const
	await expect(fixture.run(get)).rejects.toThrow(KeyAbsent)
	fixture.announced.length = 0
	fixture.now += 60_000
	await fixture.shard.alarm()
	expect(fixture.announced).toHaveLength(1)
	expect(await rotationOf(fixture)).toMatchObject({ version: 2, isDone: false })
	expect((await fixture.ask({ name: 'collection.get', collection: 'plain' })).collection.records).toBe(1)
})

test('a tenant without a key has nothing to rotate, and only operators may', async () => {
	const fixture = new ShardFixture()
	expect((await fixture.refused({ name: 'rotation.start' }, operator)).code).toBe('not_ready')
	expect((await fixture.refused({ name: 'rotation.get' }, operator)).code).toBe('not_found')
	fixture.giveKey()
	for (const name of ['rotation.start', 'rotation.get'] as const)
		expect((await fixture.refused({ name })).code).toBe('insufficient_scope')
})
