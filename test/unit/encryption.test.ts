import { expect, test } from 'vitest'
import { parseListQuery } from '../../core/filter.ts'
import { openField, recordKey, sealField } from '../../core/sealed-field.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { KeyAbsent } from '../../workers/shard-do/vault.ts'
import { ShardFixture, seeded } from '../shard.ts'

const patients = {
	type: 'object',
	required: ['email'],
	properties: {
		email: { type: 'string', format: 'email', 'x-personal': 'encrypted', 'x-unique': 'ci' },
		city: { type: ['string', 'null'], 'x-personal': 'encrypted', 'x-index': true },
		insured: { type: 'boolean', 'x-personal': 'encrypted', 'x-index': true },
		history: { type: 'array', 'x-personal': 'encrypted' },
		person: { type: 'string', 'x-subject': true },
		ward: { type: 'string', 'x-index': true },
	},
}

const ada = {
	email: 'Canary-Ada@example.com',
	city: 'Canaryville',
	insured: true,
	history: [{ canary: 'Canary flu', __proto__: null }],
	person: 'p-1',
	ward: 'north',
}

async function clinic(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	fixture.giveKey()
	await fixture.collection('patients', patients)
	return fixture
}

/** Everything that the tenant's database holds, as text. */
function storedText(sql: Sql): string {
	const tables = sql.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
	return tables.map(({ name }) => JSON.stringify(sql.all(`SELECT * FROM "${name}"`))).join('\n')
}

async function find(fixture: ShardFixture, query: string, inAddress?: true): Promise<unknown[]> {
	const parsed = parseListQuery(new URLSearchParams(query), 'query')
	if (!parsed.ok) throw new Error(parsed.refusal.detail)
	const found: unknown[] = []
	const asked = { name: 'record.list', collection: 'patients', ...(inAddress && { inAddress }) } as const
	let page = await fixture.ask({ ...asked, query: { ...parsed.value.query, count: false, after: null } })
	for (;;) {
		found.push(...page.records.map(({ data }) => JSON.parse(data)))
		if (page.next === null) return found
		page = await fixture.ask({ ...asked, query: { ...parsed.value.query, count: false, after: page.next } })
	}
}

test('[E1] encrypted properties come back byte for byte by every way out, and rest nowhere in the database', async () => {
	const fixture = await clinic()
	const idempotency = { key: 'k', fingerprint: 'f', seal: null }
	const text = JSON.stringify(ada)
	const { record } = await fixture.create('patients', ada, idempotency)
	expect(record.data).toBe(text)
	const place = { collection: 'patients', id: record.id }
	expect((await fixture.ask({ name: 'record.get', ...place })).record.data).toBe(text)
	const patch = JSON.stringify({ ward: 'south', city: 'Canaryport' })
	const patched = { name: 'record.patch', ...place, patch, ifMatch: null } as const
	const again = { idempotency: { key: 'k2', fingerprint: 'f', seal: null } }
	const first = await fixture.ask(patched, again)
	const changed = { ...ada, ward: 'south', city: 'Canaryport' }
	expect(JSON.parse(first.record.data)).toEqual(changed)
	expect(await fixture.ask(patched, again)).toEqual(first)
	expect(await find(fixture, '')).toEqual([changed])
	expect(await find(fixture, 'select=email')).toEqual([{ email: ada.email }])
	const read = await fixture.ask({ name: 'subject.read', subject: 'p-1', limit: 10, after: null })
	expect(read.records.map(({ record: { data } }) => JSON.parse(data))).toEqual([changed])

	const many = Array.from({ length: 6 }, (_, index) => ({ ...ada, email: `canary${index}@example.com` }))
	const operations = many.map((data) => ({ op: 'create', collection: 'patients', data: JSON.stringify(data) }) as const)
	await fixture.ask({ name: 'batch', operations })
	expect(new Set(await find(fixture, ''))).toEqual(new Set([changed, ...many]))
	fixture.restart()
	expect(await find(fixture, 'ward=eq.south')).toEqual([changed])

	await fixture.refused({ name: 'record.create', collection: 'patients', data: text })
	expect(storedText(fixture.sql)).toContain('north')
	expect(storedText(fixture.sql).toLowerCase()).not.toContain('canary')
})

test('what is equal is found and kept unique by a blind index, as the normalised value is', async () => {
	const fixture = await clinic()
	const people = [
		ada,
		{ ...ada, email: 'bob@example.com', city: 'Zu\u0308rich', insured: false },
		{ ...ada, email: 'cy@example.com', city: null, insured: false },
		{ email: 'di@example.com', city: 'Canaryville', ward: 'west' },
	]
	for (const person of people) {
		await fixture.create('patients', person)
		fixture.now += 1
	}
	const emails = async (query: string) => (await find(fixture, query)).map((found) => (found as typeof ada).email)
	expect(await emails('email=eq.canary-ADA@example.com')).toEqual([ada.email])
	expect(await emails('city=eq.Canaryville&limit=1')).toEqual([ada.email, 'di@example.com'])
	expect(await emails(`city=eq.${encodeURIComponent('Z\u00fcrich')}`)).toEqual(['bob@example.com'])
	expect(await emails('city=in.(Canaryville,Nowhere)&order=ward.desc')).toEqual(['di@example.com', ada.email])
	expect(await emails('city=neq.Canaryville')).toEqual(['bob@example.com'])
	expect(await emails('city=not.eq.Canaryville&order=ward')).toEqual(['bob@example.com'])
	expect(await emails('city=is.null')).toEqual(['cy@example.com'])
	expect(await emails('insured=is.true')).toEqual([ada.email])
	expect(await emails('insured=eq.false&limit=1')).toEqual(['bob@example.com', 'cy@example.com'])
	expect(await emails('or=(insured.eq.true,ward.eq.west)')).toEqual([ada.email, 'di@example.com'])
	expect(await emails('city=eq.Canaryville&ward=eq.west')).toEqual(['di@example.com'])

	const clash = await fixture.refused({
		name: 'record.create',
		collection: 'patients',
		data: JSON.stringify({ email: 'BOB@example.com' }),
	})
	expect(clash).toMatchObject({ code: 'unique_violation', constraint: 'patients.email' })
	expect(JSON.stringify(clash).toLowerCase()).not.toContain('bob')
})

test('what a blind index cannot answer is refused clearly, and so is a value in an address', async () => {
	const fixture = await clinic()
	const refused = async (query: string, inAddress?: true) => {
		const parsed = parseListQuery(new URLSearchParams(query), 'query')
		if (!parsed.ok) throw new Error(parsed.refusal.detail)
		const asked = { name: 'record.list', collection: 'patients', ...(inAddress && { inAddress }) } as const
		const refusal = await fixture.refused({ ...asked, query: { ...parsed.value.query, count: false, after: null } })
		return `${refusal.code} ${refusal.errors?.map(({ pointer, detail }) => `${pointer}: ${detail}`).join()}`
	}
	expect(await refused('city=gt.A')).toBe(
		'invalid_filter city: an encrypted property can be compared by eq, neq, in and is only',
	)
	expect(await refused('city=like.A*')).toContain('by eq, neq, in and is only')
	expect(await refused('order=city')).toBe('invalid_filter order: an encrypted property has no order')
	expect(await refused('email=eq.a@example.com', true)).toBe(
		'invalid_filter email: is encrypted: ask by POST /v1/collections/patients/records/search',
	)
	expect(await refused('or=(ward.eq.a,not.and(city.eq.b,ward.eq.c))', true)).toContain('is encrypted')
	expect(await find(fixture, 'ward=eq.north&order=ward', true)).toEqual([])
	await fixture.collection('plain', { properties: { note: { type: 'string', 'x-personal': 'encrypted' } } })
	const query = { filter: null, order: [], limit: 5, after: null, select: null, count: false }
	const filter = { kind: 'compare', field: 'note', op: 'eq', value: 'x', pointer: 'note' } as const
	const refusal = await fixture.refused({ name: 'record.list', collection: 'plain', query: { ...query, filter } })
	expect(refusal.errors?.[0]?.detail).toContain('with x-index or x-unique')
})

test('a sealed value opens at its own place only, under its own key', async () => {
	const fixture = await clinic()
	const { person: _, ...nobody } = ada
	const first = await fixture.create('patients', nobody)
	const second = await fixture.create('patients', { ...nobody, email: 'other@example.com' })
	const [number] = fixture.sql.all<{ number: number }>('SELECT number FROM collection')
	const table = `c_${number?.number}`
	const stored = fixture.sql.all<{ data: string }>(`SELECT data FROM ${table} WHERE id = ?`, first.record.id)[0]?.data
	fixture.sql.all(`UPDATE ${table} SET data = ? WHERE id = ?`, stored ?? '', second.record.id)
	const get = (id: string) => fixture.run({ name: 'record.get', collection: 'patients', id })
	await expect(get(second.record.id)).rejects.toThrow('does not open at its place')
	expect((await get(first.record.id)).ok).toBe(true)

	fixture.giveKey()
	await expect(get(first.record.id)).rejects.toThrow('does not open at its place')
})

test('a place is the tenant, the collection, the record and the property, and every record has a key of its own', () => {
	const random = seeded(5)
	const fields = random(new Uint8Array(32))
	const place = { tenant: 'eu_1', collection: 1, record: 'a', property: 'email' }
	const key = recordKey(fields, place)
	const sealed = sealField(key, { version: 1 }, place, { mail: 'ada' }, random)
	expect(openField(key, place, sealed)).toEqual({ mail: 'ada' })
	const others = [{ tenant: 'eu_2' }, { collection: 2 }, { record: 'b' }, { property: 'phone' }]
	for (const other of others)
		expect(() => openField(key, { ...place, ...other }, sealed), JSON.stringify(other)).toThrow('at its place')
	expect(() => openField(key, place, sealed.replace('k1.', 'k2.'))).toThrow('at its place')
	for (const other of [{ collection: 2 }, { record: 'b' }])
		expect(() => openField(recordKey(fields, { ...place, ...other }), place, sealed)).toThrow('at its place')
})

test('[D2] work that misses its key leaves nothing, and succeeds once the key is there', async () => {
	const fixture = new ShardFixture()
	const put = { name: 'collection.put', collection: 'patients', schema: JSON.stringify(patients) } as const
	const before = storedText(fixture.sql)
	await expect(fixture.run(put)).rejects.toThrow(KeyAbsent)
	expect(storedText(fixture.sql)).toBe(before)
	fixture.giveKey()
	await fixture.ask(put)
	await fixture.create('patients', ada)

	fixture.control = null
	fixture.restart()
	const data = JSON.stringify({ ...ada, email: 'new@example.com' })
	await expect(fixture.run({ name: 'record.create', collection: 'patients', data })).rejects.toThrow(KeyAbsent)
	expect(await fixture.ask({ name: 'collection.get', collection: 'patients' })).toMatchObject({
		collection: { records: 1 },
	})
})

test('the view never gets an encrypted property, nor anything made of it', async () => {
	const fixture = await clinic()
	await fixture.create('patients', ada)
	const asked = { tenant: fixture.tenant, shard: 0, epoch: 1, base: null, entriesMax: 100, bytesMax: 1_000_000 }
	const schemaPage = fixture.shard.pull({ ...asked, after: 2 })
	expect(schemaPage).toMatchObject({
		page: {
			schema: { fields: [{ name: 'person' }, { name: 'ward' }], personal: ['email', 'city', 'insured', 'history'] },
		},
	})
	const page = fixture.shard.pull({ ...asked, after: 3 })
	if (page.kind !== 'page') throw new Error('no page')
	expect(JSON.parse(page.page.upserts)).toMatchObject([{ d: { person: 'p-1', ward: 'north' } }])
	expect(Object.keys(JSON.parse(page.page.upserts)[0].d)).toEqual(['person', 'ward'])
})

const open = {
	properties: {
		email: { type: 'string', 'x-unique': 'ci', 'x-personal': true },
		city: { type: 'string', 'x-index': true },
		ward: { type: 'string' },
	},
}
const closed = {
	properties: {
		email: { ...open.properties.email, 'x-personal': 'encrypted' },
		city: { ...open.properties.city, 'x-personal': 'encrypted' },
		ward: open.properties.ward,
	},
}

/** Records of before, in a collection that was not encrypted. */
async function grown(records: number): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	fixture.giveKey()
	await fixture.collection('patients', open)
	for (let from = 0; from < records; from += 500) {
		const operations = Array.from({ length: Math.min(500, records - from) }, (_, n) => {
			const data = { email: `Canary${from + n}@example.com`, city: 'Canaryville', ward: 'north' }
			return { op: 'create', collection: 'patients', data: JSON.stringify(data) } as const
		})
		await fixture.ask({ name: 'batch', operations })
	}
	return fixture
}

const encryptionOf = async (fixture: ShardFixture) =>
	(await fixture.ask({ name: 'collection.get', collection: 'patients' })).collection.encryption

async function ringUntilDone(fixture: ShardFixture): Promise<void> {
	for (let rings = 0; (await encryptionOf(fixture))?.finishedAt === null; rings++) {
		if (rings > 20) throw new Error('the records are never encrypted')
		fixture.now = Math.max(fixture.now + 1, fixture.alarmAt ?? 0)
		await fixture.shard.alarm()
	}
}

test('records from before are encrypted in steps that nobody notices, and the journal says when that was done', async () => {
	const fixture = await grown(2_500)
	const put = await fixture.collection('patients', closed)
	expect(put.collection.encryption).toMatchObject({ recordsDone: 0, recordsTotal: 2_500, finishedAt: null })
	const works = async (number: number) => {
		const email = `canary${number}@example.com`
		expect(await find(fixture, `email=eq.${email}`)).toEqual([
			{ email: `Canary${number}@example.com`, city: 'Canaryville', ward: 'north' },
		])
		const data = JSON.stringify({ email })
		const clash = await fixture.refused({ name: 'record.create', collection: 'patients', data })
		expect(clash.code).toBe('unique_violation')
	}
	for (const number of [0, 2_499]) await works(number)
	fixture.now += 1
	await fixture.shard.alarm()
	expect((await encryptionOf(fixture))?.recordsDone).toBe(1_000)
	fixture.restart()
	await fixture.create('patients', { email: 'Canary-new@example.com', city: 'Canaryville', ward: 'north' })
	for (const number of [0, 2_499]) await works(number)
	await ringUntilDone(fixture)
	expect(await encryptionOf(fixture)).toMatchObject({ recordsDone: 2_501, recordsTotal: 2_501 })
	for (const number of [0, 2_499]) await works(number)
	expect(storedText(fixture.sql).toLowerCase()).not.toContain('canary')
	const { entries } = await fixture.ask({ name: 'audit.list', filter: { op: 'encryption' }, limit: 10, after: 0 })
	expect(entries).toMatchObject([{ collection: 'patients', actor: 'system' }])
	expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: null })
})

test('an export that is running reads the records as they were, and they are encrypted after it', async () => {
	const fixture = await grown(3)
	const { export: made } = await fixture.ask({ name: 'export.create', csv: false })
	await fixture.collection('patients', closed)
	fixture.now += 1
	await fixture.shard.alarm()
	expect((await encryptionOf(fixture))?.recordsDone).toBe(0)
	const job = { tenant: fixture.tenant, shard: 0, epoch: 1, job: made.id }
	const cursor = { source: 0, after: '' }
	const page = fixture.shard.job<'export.read'>({ ...job, call: { name: 'export.read', cursor } })
	if (!page.ok || page.value === null) throw new Error('no page')
	const lines = Buffer.from(page.value.lines).toString().trim().split('\n')
	expect(lines.map((line: string) => JSON.parse(line).data.city)).toEqual(['Canaryville', 'Canaryville', 'Canaryville'])
	await fixture.ask({ name: 'export.delete', id: made.id })
	await ringUntilDone(fixture)
	expect(storedText(fixture.sql).toLowerCase()).not.toContain('canary')
})

test('without its key a collection waits to be encrypted, and the alarm goes on with everything else', async () => {
	const fixture = await grown(3)
	await fixture.collection('patients', closed)
	const { control } = fixture
	fixture.control = null
	fixture.restart()
	fixture.announced.length = 0
	fixture.now += 1
	await fixture.shard.alarm()
	expect(fixture.announced).toHaveLength(1)
	if (control === null) throw new Error('no control object')
	fixture.shard.admit(control)
	await ringUntilDone(fixture)
})

test('what rests encrypted stays so while there are records', async () => {
	const fixture = await clinic()
	const put = { name: 'collection.put', collection: 'patients' } as const
	await fixture.collection('patients', open)
	await fixture.collection('patients', closed)
	await fixture.create('patients', { email: 'a@example.com' })
	const { email, ...others } = closed.properties
	for (const properties of [open.properties, others])
		expect(await fixture.refused({ ...put, schema: JSON.stringify({ properties }) })).toMatchObject({
			code: 'schema_conflict',
			errors: expect.arrayContaining([expect.objectContaining({ pointer: '/schema/properties/email/x-personal' })]),
		})
	expect(email['x-personal']).toBe('encrypted')
})
