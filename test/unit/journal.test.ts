import fc from 'fast-check'
import { expect, test } from 'vitest'
import { chainStart, type JournalEntry, verifyChain } from '../../core/chain.ts'
import type { BatchOperation, Checksum, PullReply, PullRequest } from '../../core/contract.ts'
import { journalSegmentMs } from '../../core/limits.ts'
import { addToDigest, rowHash } from '../../core/row-hash.ts'
import { migrate } from '../../db/shard/migrate.ts'
import { migrations } from '../../db/shard/migrations.ts'
import { nodeSql } from '../node-sql.ts'
import { people, ShardFixture } from '../shard.ts'

const operator = { kind: 'operator', name: 'ops' } as const
/** As `people`, but with another personal property. */
const peopleByAge = {
	...people,
	properties: { ...people.properties, age: { type: 'integer', 'x-personal': true } },
}

function pull(fixture: ShardFixture, after: number, more: Partial<PullRequest> = {}): PullReply {
	const { tenant } = fixture
	return fixture.shard.pull({ tenant, shard: 0, epoch: 1, after, entriesMax: 100, bytesMax: 1e6, ...more })
}

/** What a page at the head says that the view must come to. */
function told(fixture: ShardFixture): Checksum | null | undefined {
	const reply = pull(fixture, fixture.shard.position())
	if (reply.kind !== 'page') throw new Error(reply.kind)
	return reply.page.checksum
}

/** The checksum computed from the tables alone. */
function computed(fixture: ShardFixture): Checksum {
	let count = 0
	let digest = 0n
	const collections = fixture.sql.all<{ name: string; number: number; schema: string }>(
		'SELECT name, number, schema FROM collection',
	)
	for (const { name: collection, number, schema } of collections) {
		const properties: Record<string, { 'x-personal'?: boolean }> = JSON.parse(schema).properties ?? {}
		const personal = Object.keys(properties).filter((property) => properties[property]?.['x-personal'])
		const rows = fixture.sql.all<{ id: string; version: number; createdAt: number; updatedAt: number; data: string }>(
			`SELECT id, version, created_at AS createdAt, updated_at AS updatedAt, data FROM c_${number}`,
		)
		for (const { data, ...row } of rows) {
			count++
			digest = addToDigest(digest, rowHash({ ...row, collection }, JSON.parse(data), personal))
		}
	}
	return { count, digest: digest.toString() }
}

function entries(fixture: ShardFixture): JournalEntry[] {
	const closed = fixture.sql.all<{ number: number }>('SELECT number FROM segment WHERE dropped = 0 ORDER BY number')
	const tables = [...closed.map(({ number }) => `journal_${number}`), 'journal']
	return tables.flatMap((table) => fixture.sql.all<JournalEntry>(`SELECT * FROM ${table} ORDER BY seq`))
}

/** Rings the alarm until every digest is whole. */
async function ringUntilTold(fixture: ShardFixture): Promise<void> {
	for (let ring = 0; ring < 50 && told(fixture) === null; ring++) {
		fixture.now += 10
		await fixture.shard.alarm()
	}
}

type Step =
	| { kind: 'batch'; operations: BatchOperation[] }
	| { kind: 'put' | 'delete' | 'patch'; id: string; data: string }
	| { kind: 'create'; data: string }
	| { kind: 'schema'; schema: object; collection: string }
	| { kind: 'drop' | 'failedCommit' | 'restart' | 'alarm' | 'month' | 'tenant' }

const ids = fc.constantFrom('a', 'b', 'c', 'd')
const collections = fc.constantFrom('people', 'others')
const data = fc
	.record({
		// Few values, so that some are refused as not unique; one is no e-mail at all.
		email: fc.constantFrom<string | number>('a@x', 'b@x', 'c@x', 'A@X', 'é@x', 'f@x', 'g@x', 1),
		age: fc.integer({ min: 0, max: 3 }),
		phone: fc.constantFrom('1', '2'),
		more: fc.constantFrom<unknown>(1e21, 5e-324, { b: [1, { 'é"': null }], a: '\\' }),
	})
	.map((value) => JSON.stringify(value))
const operations: fc.Arbitrary<BatchOperation> = fc.oneof(
	fc.record({ op: fc.constantFrom('put' as const, 'patch' as const), collection: collections, id: ids, data }),
	fc.record({ op: fc.constant('create' as const), collection: collections, data }),
	fc.record({ op: fc.constant('delete' as const), collection: collections, id: ids }),
)
const creates = fc.record({ op: fc.constant('create' as const), collection: fc.constant('others'), data })
const steps: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({ kind: fc.constantFrom('put' as const, 'delete' as const, 'patch' as const), id: ids, data }),
	},
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant('create' as const), data }) },
	{
		weight: 3,
		arbitrary: fc.record({
			kind: fc.constant('batch' as const),
			operations: fc.array(operations, { minLength: 1, maxLength: 5 }),
		}),
	},
	{
		weight: 2,
		arbitrary: fc.record({
			kind: fc.constant('batch' as const),
			operations: fc.array(creates, { minLength: 4, maxLength: 8 }),
		}),
	},
	{
		weight: 2,
		arbitrary: fc.record({
			kind: fc.constant('schema' as const),
			schema: fc.constantFrom(people, peopleByAge, {}),
			collection: collections,
		}),
	},
	{
		weight: 4,
		arbitrary: fc.record({
			kind: fc.constantFrom(
				'drop' as const,
				'failedCommit' as const,
				'restart' as const,
				'alarm' as const,
				'month' as const,
				'tenant' as const,
			),
		}),
	},
)

async function perform(fixture: ShardFixture, step: Step): Promise<void> {
	const collection = 'people'
	switch (step.kind) {
		case 'batch':
			return void (await fixture.run({ name: 'batch', operations: step.operations }))
		case 'create':
			return void (await fixture.run({ name: 'record.create', collection, data: step.data }))
		case 'put':
			return void (await fixture.run({
				name: 'record.put',
				collection,
				id: step.id,
				data: step.data,
				ifMatch: null,
				ifNoneMatch: null,
			}))
		case 'patch':
			return void (await fixture.run({
				name: 'record.patch',
				collection,
				id: step.id,
				patch: step.data,
				ifMatch: null,
			}))
		case 'delete':
			return void (await fixture.run({ name: 'record.delete', collection, id: step.id, ifMatch: null }))
		case 'schema':
			return void (await fixture.run({
				name: 'collection.put',
				collection: step.collection,
				schema: JSON.stringify(step.schema),
			}))
		case 'drop':
			return void (await fixture.run({ name: 'collection.delete', collection: 'others' }))
		case 'tenant':
			return void (await fixture.run({ name: 'tenant.update', tenantName: 'Other' }, { caller: operator }))
		case 'restart':
			return fixture.restart()
		case 'month':
			fixture.now += journalSegmentMs
			return fixture.shard.alarm()
		case 'alarm':
			return fixture.shard.alarm()
		case 'failedCommit': {
			const create = fixture.command({ name: 'record.create', collection, data: '{"email":"z@x"}' })
			const gone = () => {
				fixture.shard.execute(create)
				throw new Error('the disk is gone')
			}
			expect(() => fixture.sql.transaction(gone)).toThrow('the disk is gone')
			return fixture.shard.failed()
		}
	}
}

test('[D2] [J1] after any operations the running totals are those of the tables, and the chain holds over every entry', async () => {
	let known = 0
	const property = fc.asyncProperty(fc.array(steps, { minLength: 20, maxLength: 40 }), async (list) => {
		const fixture = new ShardFixture()
		await fixture.collection('people', people)
		await fixture.collection('others', {})
		for (const step of list) {
			fixture.now += 7
			await perform(fixture, step)
			const checksum = told(fixture)
			if (checksum) known++
			if (checksum) expect(checksum).toEqual(computed(fixture))
		}
		await ringUntilTold(fixture)
		expect(told(fixture)).toEqual(computed(fixture))
		expect(verifyChain(entries(fixture), chainStart)).toBeNull()
		expect(entries(fixture).map(({ seq }) => seq)).toEqual(entries(fixture).map((_, index) => index + 1))
	})
	await fc.assert(property, { numRuns: 60 })
	// Most states are not those of a digest that is being computed anew.
	expect(known).toBeGreaterThan(60 * 5)
})

test('writes on both sides of the place that a new digest has reached are in it when it is whole', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('notes', { properties: { text: { type: 'string' }, owner: { type: 'string' } } })
	const put = (id: string, owner: string): BatchOperation => ({
		op: 'put',
		collection: 'notes',
		id,
		data: JSON.stringify({ owner, text: 'x'.repeat(60_000) }),
	})
	const all = Array.from({ length: 100 }, (_, index) => `n${index + 100}`)
	for (let from = 0; from < all.length; from += 20)
		await fixture.ask({ name: 'batch', operations: all.slice(from, from + 20).map((id) => put(id, 'a')) })
	const personal = { properties: { text: { type: 'string' }, owner: { type: 'string', 'x-personal': true } } }
	await fixture.collection('notes', personal)
	expect(told(fixture)).toBeNull()
	await fixture.shard.alarm()
	expect(told(fixture)).toBeNull()
	const operations: BatchOperation[] = [put('n100', 'b'), put('n199', 'b'), put('n000', 'b'), put('n999', 'b')]
	operations.push({ op: 'delete', collection: 'notes', id: 'n101' }, { op: 'delete', collection: 'notes', id: 'n198' })
	await fixture.ask({ name: 'batch', operations })
	expect(told(fixture)).toBeNull()
	await ringUntilTold(fixture)
	expect(told(fixture)).toEqual(computed(fixture))
})

test('an entry names the request that made it, and only the last one of an operation carries totals and the link', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	const create = (email: string) => ({ op: 'create' as const, collection: 'people', data: JSON.stringify({ email }) })
	await fixture.ask({ name: 'batch', operations: ['a', 'b', 'c', 'd', 'e'].map(create) })
	const batch = entries(fixture).slice(3)
	expect(batch.map(({ request, records }) => [request, records])).toEqual([
		...Array.from({ length: 4 }, () => ['request', null]),
		['request', 5],
	])
	expect(batch.map(({ chain, digest }) => [chain === null, digest === null])).toEqual([
		...Array.from({ length: 4 }, () => [true, true]),
		[false, false],
	])
})

test('whatever is changed in an entry, left out, added or put elsewhere breaks the chain there', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await fixture.create('people', { email: 'a@x' })
	await fixture.ask({
		name: 'batch',
		operations: [
			{ op: 'put', collection: 'people', id: 'x', data: '{"email":"b@x"}' },
			{ op: 'delete', collection: 'people', id: 'x' },
		],
	})
	const whole = entries(fixture)
	expect(verifyChain(whole, chainStart)).toBeNull()
	expect(verifyChain(whole, 'another')).toBe(1)
	const changes: Partial<JournalEntry>[] = [
		{ at: 0 },
		{ op: 'update' },
		{ collection: 'other' },
		{ id: 'other' },
		{ version: 9 },
		{ actor: 'key:other' },
		{ request: 'other' },
		{ records: 9 },
		{ digest: '9' },
		{ chain: 'other' },
		{ chain: null },
	]
	for (const change of changes) {
		const forged = whole.map((entry) => (entry.seq === 4 ? { ...entry, ...change } : entry))
		expect({ change, broken: verifyChain(forged, chainStart) }).toEqual({ change, broken: 4 })
	}
	expect(
		verifyChain(
			whole.filter(({ seq }) => seq !== 4),
			chainStart,
		),
	).toBe(4)
	expect(verifyChain(whole.slice(0, -1), chainStart)).toBe(5)
	expect(verifyChain(whole.with(3, whole[4] as JournalEntry), chainStart)).not.toBeNull()
})

test('a page carries the chain at its end, and a view that knows another history is told that it has diverged', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	const reply = pull(fixture, 2)
	if (reply.kind !== 'page') throw new Error(reply.kind)
	const { to, chain } = reply.page
	expect([to, chain]).toEqual([3, entries(fixture).at(-1)?.chain])
	await fixture.create('people', { email: 'a@x' })
	expect(pull(fixture, 3, { chain: chain ?? null })).toMatchObject({ kind: 'page', page: { to: 4 } })
	expect(pull(fixture, 3, { chain: 'of another history' })).toEqual({ kind: 'refused', reason: 'diverged' })
	expect(pull(fixture, 3, { chain: null })).toMatchObject({ kind: 'page' })
	// Inside an operation there is no link to compare.
	expect(pull(fixture, 1, { chain: 'of another history' })).toMatchObject({ kind: 'page' })
})

test('[J1] a shard of the first migration comes through: entries stay, totals are computed anew, and the chain starts after them', async () => {
	const sql = nodeSql()
	const old = new ShardFixture({ sql })
	await old.collection('people', people)
	await old.create('people', { email: 'a@x', phone: '1' })
	await old.create('people', { email: 'b@x', phone: '2' })
	const fixture = new ShardFixture({ sql: asOfFirstMigration(old), provision: false })
	Object.assign(fixture, { tenant: old.tenant })
	expect(told(fixture)).toBeNull()
	await fixture.create('people', { email: 'c@x' })
	await ringUntilTold(fixture)
	expect(told(fixture)).toEqual(computed(fixture))
	expect(told(fixture)?.count).toBe(3)
	fixture.restart()
	expect(told(fixture)).toEqual(computed(fixture))
	expect(entries(fixture).map(({ seq, chain }) => [seq, chain === chainStart])).toEqual([
		[1, false],
		[2, false],
		[3, false],
		[4, false],
		[5, true],
		[6, false],
	])
	expect(verifyChain(entries(fixture), chainStart)).toBeNull()
	expect((await fixture.ask({ name: 'changes.list', after: 0, limit: 10 })).changes).toHaveLength(6)
})

/** The same data as the code before the second migration has left it. */
function asOfFirstMigration(now: ShardFixture) {
	const sql = nodeSql()
	migrate(sql, migrations.slice(0, 1))
	const copy = (table: string, columns: string) => {
		for (const row of now.sql.all<Record<string, string | number | null>>(`SELECT ${columns} FROM ${table}`))
			sql.all(`INSERT INTO ${table} (${columns}) VALUES (${columns.replaceAll(/\w+/g, '?')})`, ...Object.values(row))
	}
	copy(
		'tenant',
		'only_row, id, shard, epoch, slug, name, status, created_at, requests_per_second, storage_bytes, collections_created, catalog',
	)
	copy('journal', 'seq, at, op, collection, id, version, actor')
	copy('collection', 'name, number, version, schema, uniques, change, created_at, updated_at')
	copy('api_key', 'id, secret_hash, name, scopes, created_at, expires_at')
	sql.all('INSERT INTO checkpoint (only_row, seq, acknowledged, counts) VALUES (1, 4, 4, \'{"1":1}\')')
	for (const { sql: text } of now.sql.all<{ sql: string }>(
		"SELECT sql FROM sqlite_master WHERE name GLOB 'c_1*' AND sql IS NOT NULL",
	))
		sql.all(text)
	copy('c_1', 'id, version, seq, created_at, updated_at, data, u_0')
	return sql
}
