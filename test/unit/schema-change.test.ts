import { expect, test } from 'vitest'
import { people, ShardFixture } from '../shard.ts'

const plain = { properties: { email: { type: 'string' }, age: { type: 'integer' }, phone: { type: 'string' } } }

async function filled(emails: string[]): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('people', plain)
	for (const [index, email] of emails.entries()) {
		await fixture.ask({
			name: 'record.put',
			collection: 'people',
			id: `r${index}`,
			data: JSON.stringify({ email, age: index }),
			ifMatch: null,
			ifNoneMatch: null,
		})
	}
	return fixture
}

test('x-unique and x-index become real indexes over present data, and the engine uses them', async () => {
	const fixture = await filled(['Ä@example.com', 'b@example.com'])
	const { created, collection } = await fixture.collection('people', people)
	expect({ created, change: collection.change }).toEqual({ created: false, change: null })
	const clash = await fixture.refused({
		name: 'record.create',
		collection: 'people',
		data: '{"email":"ä@example.com"}',
	})
	expect(clash.code).toBe('unique_violation')
	const plan = fixture.sql.all<{ detail: string }>(
		`EXPLAIN QUERY PLAN SELECT id FROM c_1 WHERE json_extract(data, '$."age"') > 1`,
	)
	const indexes = fixture.sql.all<{ sql: string }>(
		"SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'c_1' AND sql IS NOT NULL",
	)
	expect(indexes).toHaveLength(2)
	expect(JSON.stringify(plan)).toContain('SEARCH')
})

test('a change that present data violates is refused with the first offenders and changes nothing', async () => {
	const fixture = await filled(['a@example.com', 'b@example.com', 'A@example.com'])
	const before = fixture.sql.all('SELECT * FROM collection')
	const tables = fixture.sql.all('SELECT name, sql FROM sqlite_master ORDER BY name')
	const clash = await fixture.refused({ name: 'collection.put', collection: 'people', schema: JSON.stringify(people) })
	expect(clash).toMatchObject({ code: 'schema_conflict', errors: [{ pointer: '/records/r2/email' }] })
	const older = { properties: { age: { type: 'integer', minimum: 1 } } }
	const offended = await fixture.refused({
		name: 'collection.put',
		collection: 'people',
		schema: JSON.stringify(older),
	})
	expect(offended).toMatchObject({ code: 'schema_conflict', errors: [{ pointer: '/records/r0/age' }] })
	expect(fixture.sql.all('SELECT * FROM collection')).toEqual(before)
	expect(fixture.sql.all('SELECT name, sql FROM sqlite_master ORDER BY name')).toEqual(tables)
	expect(fixture.shard.position()).toBe(6)
})

test('a unique property can be taken away and given back, and its column is used again', async () => {
	const unique = { properties: { ...plain.properties, email: { type: 'string', 'x-unique': 'ci' } } }
	const fixture = await filled(['a@example.com'])
	await fixture.collection('people', unique)
	await fixture.collection('people', plain)
	await fixture.create('people', { email: 'a@example.com' })
	const clash = await fixture.refused({ name: 'collection.put', collection: 'people', schema: JSON.stringify(unique) })
	expect(clash.code).toBe('schema_conflict')
	await fixture.ask({ name: 'record.delete', collection: 'people', id: 'r0', ifMatch: null })
	await fixture.collection('people', unique)
	expect(
		(await fixture.refused({ name: 'record.create', collection: 'people', data: '{"email":"A@example.com"}' })).code,
	).toBe('unique_violation')
	expect(fixture.sql.all("SELECT name FROM pragma_table_info('c_1') WHERE name GLOB 'u_*'")).toHaveLength(1)
})

test('a property that is no longer personal asks the view to read the collection anew', async () => {
	const fixture = await filled(['a@example.com'])
	await fixture.collection('people', people)
	const before = fixture.shard.position()
	await fixture.collection('people', plain)
	const { changes } = await fixture.ask({ name: 'changes.list', after: before, limit: 10 })
	expect(changes.map(({ op, collection }) => [op, collection])).toEqual([
		['rebuild', 'people'],
		['schema', 'people'],
	])
	await fixture.collection('people', people)
	expect(fixture.shard.position()).toBe(before + 3)
})

test('the same schema again is no change and no journal entry', async () => {
	const fixture = await filled([])
	const again = await fixture.collection('people', plain)
	expect(again).toMatchObject({ created: false, position: 3 })
	expect(fixture.shard.position()).toBe(3)
})

test('a change over many records runs in steps, and writes meanwhile satisfy both schemas', async () => {
	const fixture = await filled([])
	fixture.sql.all(
		`INSERT INTO c_1 (id, version, seq, created_at, updated_at, data)
		SELECT printf('n%06d', value), 1, 3, 0, 0, json_object('email', value || '@example.com', 'age', value) FROM json_each(?)`,
		JSON.stringify(Array.from({ length: 100_001 }, (_, index) => index)),
	)
	forgetTotals(fixture)
	const { collection } = await fixture.collection('people', people)
	expect(collection.change).toMatchObject({ status: 'running', recordsTotal: 100_001 })
	expect(
		(await fixture.refused({ name: 'collection.put', collection: 'people', schema: JSON.stringify(people) })).code,
	).toBe('schema_conflict')
	expect((await fixture.refused({ name: 'record.create', collection: 'people', data: '{"age":1}' })).code).toBe(
		'validation_failed',
	)
	await fixture.create('people', { email: 'new@example.com' })
	for (let ring = 0; ring < 20 && (await status(fixture)) !== null; ring++) {
		fixture.now += 10
		await fixture.shard.alarm()
	}
	expect(await status(fixture)).toBeNull()
	expect(
		(await fixture.refused({ name: 'record.create', collection: 'people', data: '{"email":"NEW@example.com"}' })).code,
	).toBe('unique_violation')
	expect(
		(await fixture.refused({ name: 'record.create', collection: 'people', data: '{"email":"77@Example.com"}' })).code,
	).toBe('unique_violation')
})

test('a change in steps that meets an offender fails, says so, and leaves the old schema in force', async () => {
	const fixture = await filled(['a@example.com'])
	fixture.sql.all(
		`INSERT INTO c_1 (id, version, seq, created_at, updated_at, data)
		SELECT printf('n%06d', value), 1, 3, 0, 0, json_object('email', (value % 100001) || '@example.com') FROM json_each(?)`,
		JSON.stringify(Array.from({ length: 100_002 }, (_, index) => index)),
	)
	forgetTotals(fixture)
	await fixture.collection('people', people)
	for (let ring = 0; ring < 20 && (await status(fixture)) === 'running'; ring++) {
		fixture.now += 10
		await fixture.shard.alarm()
	}
	const { collection } = await fixture.ask({ name: 'collection.get', collection: 'people' })
	expect(collection.change).toMatchObject({ status: 'failed', errors: [{ detail: 'another record has this value' }] })
	expect(JSON.parse(collection.schema)).toEqual(plain)
	await fixture.create('people', { email: '0@example.com' })
})

async function status(fixture: ShardFixture): Promise<string | null> {
	const { collection } = await fixture.ask({ name: 'collection.get', collection: 'people' })
	return collection.change?.status ?? null
}

/** Rows that came past the journal are counted by an instance that finds no totals, as in a shard from before they were kept. */
function forgetTotals(fixture: ShardFixture): void {
	fixture.sql.all("UPDATE checkpoint SET totals = '{}'")
	fixture.sql.all('UPDATE journal SET records = NULL, digest = NULL')
	fixture.restart()
}
