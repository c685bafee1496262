import { createHash } from 'node:crypto'
import { constants, crc32, deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { manifestPath } from '../../core/archive.ts'
import type { ImportInfo } from '../../core/job.ts'
import { parseJson } from '../../core/json.ts'
import { zipPieces } from '../../core/zip.ts'
import { linesOf, type ReadArchive, readArchive } from '../archive-reader.ts'
import { Follower } from '../follower.ts'
import { Jobs } from '../jobs.ts'
import { people, ShardFixture } from '../shard.ts'

const everything = { filter: null, order: [], select: null, limit: 100, after: null, count: false }

/** The archive of a tenant as it is now. */
async function exported(fixture: ShardFixture, csv = false): Promise<Buffer> {
	const jobs = new Jobs(fixture)
	const { export: made } = await fixture.ask({ name: 'export.create', csv })
	await jobs.run(made.id)
	return jobs.archive(made.id)
}

async function begin(fixture: ShardFixture, bytes: Uint8Array, parts = 1): Promise<{ jobs: Jobs; id: string }> {
	const jobs = new Jobs(fixture)
	const { import: made } = await fixture.ask({ name: 'import.create', parts })
	await jobs.upload(made.id, bytes, parts)
	return { jobs, id: made.id }
}

async function imported(fixture: ShardFixture, bytes: Uint8Array, parts = 1): Promise<ImportInfo> {
	const { jobs, id } = await begin(fixture, bytes, parts)
	await jobs.run(id)
	return (await fixture.ask({ name: 'import.get', id })).import
}

/** What of an archive does not depend on where and when it was made. */
function contents({ files }: ReadArchive): [string, string][] {
	return [...files].filter(([path]) => path !== manifestPath && path !== 'audit.ndjson')
}

async function withPeople(records = 3): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await fixture.collection('empty', {})
	for (let index = 0; index < records; index++)
		await fixture.create('people', { email: `${index}@example.com`, age: index, phone: '1' })
	return fixture
}

test('[X1] export, import into an empty tenant, export gives the same records, byte for byte', async () => {
	const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/)
	const data = fc.dictionary(
		fc.string({ maxLength: 8 }),
		fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value))),
		{ maxKeys: 4 },
	)
	const id = fc.stringMatching(/^[A-Za-z0-9_~-]{1,12}$/)
	const collections = fc.dictionary(name, fc.dictionary(id, data, { maxKeys: 5 }), { maxKeys: 4 })
	await fc.assert(
		fc.asyncProperty(collections, fc.boolean(), fc.integer({ min: 1, max: 4 }), async (tenant, csv, parts) => {
			const from = new ShardFixture()
			for (const [collection, records] of Object.entries(tenant)) {
				await from.collection(collection, { title: collection })
				for (const [record, value] of Object.entries(records)) {
					// What the edge refuses never gets into a tenant.
					const parsed = parseJson(JSON.stringify(value))
					if (!parsed.ok) continue
					const put = { collection, id: record, data: parsed.value.text, ifMatch: null, ifNoneMatch: null }
					await from.ask({ name: 'record.put', ...put })
					from.now += 1
				}
			}
			const first = await exported(from, csv)
			const to = new ShardFixture({ region: 'global' })
			to.now += 1_000_000
			expect(await imported(to, first, parts)).toMatchObject({ state: 'done', faults: [] })
			expect(contents(await readArchive(await exported(to, csv)))).toEqual(contents(await readArchive(first)))
		}),
		{ numRuns: 60 },
	)
}, 120_000)

test('an import keeps versions, times and unique values, and its records live on like all others', async () => {
	const bytes = await exported(await withPeople())
	const to = new ShardFixture()
	to.now += 5_000
	const done = await imported(to, bytes, 3)
	expect(done).toMatchObject({ state: 'done', parts: 3, partsDone: 3, recordsDone: 3, recordsTotal: 3 })
	const clash = await to.refused({ name: 'record.create', collection: 'people', data: '{"email":"1@EXAMPLE.com"}' })
	expect(clash).toMatchObject({ code: 'unique_violation', constraint: 'people.email' })
	const { tenant } = await to.ask({ name: 'tenant.get' })
	expect(tenant.usage).toMatchObject({ records: 3, collections: 2 })
	const { changes } = await to.ask({ name: 'changes.list', after: 2, limit: 100 })
	expect(changes.map(({ op, collection }) => [op, collection])).toEqual([
		['import', null],
		['schema', 'empty'],
		['rebuild', 'empty'],
		['schema', 'people'],
		['rebuild', 'people'],
		['import', null],
	])
	to.restart()
	expect((await to.ask({ name: 'collection.get', collection: 'people' })).collection.records).toBe(3)
	await to.create('people', { email: 'new@example.com' })
})

test('an import resumes after a crash at any effect, and nothing of it is seen before it is done', async () => {
	const from = await withPeople(5)
	const bytes = await exported(from)
	const expected = contents(await readArchive(bytes))
	let effects = 0
	const count = await begin(new ShardFixture(), bytes)
	count.jobs.onEffect = () => void effects++
	await count.jobs.run(count.id)
	expect(effects).toBeGreaterThan(20)
	for (let crashAt = 1; crashAt <= effects; crashAt++) {
		const to = new ShardFixture()
		const { jobs, id } = await begin(to, bytes)
		let effect = 0
		jobs.onEffect = () => {
			if (++effect === crashAt) throw new Error('crash')
		}
		await expect(jobs.run(id)).rejects.toThrow('crash')
		const { import: state } = await to.ask({ name: 'import.get', id })
		const { collections } = await to.ask({ name: 'collection.list', limit: 10, after: null })
		expect(collections.length, `crash at effect ${crashAt}`).toBe(state.state === 'done' ? 2 : 0)
		to.restart()
		await Promise.all([jobs.run(id), jobs.run(id)])
		expect(contents(await readArchive(await exported(to))), `crash at effect ${crashAt}`).toEqual(expected)
	}
}, 120_000)

test('[E1] a tenant goes back to an archive at once, and whoever was erased since stays erased, whatever crashes', async () => {
	const schema = { type: 'object', properties: { who: { type: 'string', 'x-subject': true }, n: { type: 'integer' } } }
	const tenant = async () => {
		const fixture = new ShardFixture()
		await fixture.collection('notes', schema)
		await fixture.collection('gone', {})
		for (const who of ['ada', 'bob', 'eve']) for (const n of [1, 2]) await fixture.create('notes', { who, n })
		await fixture.ask({ name: 'subject.erase', subject: 'eve' })
		const backup = await exported(fixture)
		// Afterwards nothing is as it was: a person is erased, and somebody makes a mess.
		fixture.now += 60_000
		await fixture.ask({ name: 'subject.erase', subject: 'ada' })
		await fixture.collection('notes', { ...schema, required: ['n'] })
		const { records } = await fixture.ask({ name: 'record.list', collection: 'notes', query: everything })
		for (const { id } of records) await fixture.ask({ name: 'record.delete', collection: 'notes', id, ifMatch: null })
		await fixture.ask({ name: 'collection.delete', collection: 'gone' })
		await fixture.collection('mess', {})
		await fixture.create('mess', { who: 'ada' })
		return { fixture, backup }
	}
	const shown = async (fixture: ShardFixture) => {
		const { collections } = await fixture.ask({ name: 'collection.list', limit: 10, after: null })
		const names = collections.map(({ name, records }) => `${name} ${records}`)
		if (!names.some((name) => name.startsWith('notes'))) return names
		const { records } = await fixture.ask({ name: 'record.list', collection: 'notes', query: everything })
		return [...names, ...records.map(({ data }) => data).sort()]
	}
	const restored = ['gone 0', 'notes 2', '{"who":"bob","n":1}', '{"who":"bob","n":2}']
	for (let crashAt = 1, crashed = true; crashed; crashAt++) {
		const { fixture, backup } = await tenant()
		const before = await shown(fixture)
		expect(before).toEqual(['mess 1', 'notes 0'])
		const jobs = new Jobs(fixture)
		const { import: made } = await fixture.ask({ name: 'import.create', parts: 1, replaces: true })
		await jobs.upload(made.id, backup)
		let effect = 0
		jobs.onEffect = () => {
			if (++effect === crashAt) throw new Error('crash')
		}
		crashed = await jobs.run(made.id).then(
			() => false,
			() => true,
		)
		const { state } = (await fixture.ask({ name: 'import.get', id: made.id })).import
		expect(await shown(fixture), `crash at effect ${crashAt}`).toEqual(state === 'done' ? restored : before)
		fixture.restart()
		jobs.onEffect = () => {}
		await jobs.run(made.id)
		expect(await shown(fixture)).toEqual(restored)
		const { requests } = await fixture.ask({ name: 'subject.requests', limit: 10, after: null })
		expect(requests.map(({ kind, records }) => [kind, records])).toEqual([
			['erasure', 2],
			['erasure', 2],
		])
		expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: null })
	}
}, 60_000)

test('a restore leaves the tenant as it is while somebody is restricted', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('notes', { properties: { who: { type: 'string', 'x-subject': true } } })
	await fixture.create('notes', { who: 'ada' })
	const archive = await exported(fixture)
	await fixture.ask({ name: 'subject.restrict', subject: 'ada' })
	const jobs = new Jobs(fixture)
	const { import: made } = await fixture.ask({ name: 'import.create', parts: 1, replaces: true })
	await jobs.upload(made.id, archive)
	await jobs.run(made.id)
	const { import: ended } = await fixture.ask({ name: 'import.get', id: made.id })
	expect([ended.state, ended.faults]).toEqual(['failed', [{ file: '', line: null, detail: expect.any(String) }]])
	expect((await fixture.ask({ name: 'collection.get', collection: 'notes' })).collection.records).toBe(1)
})

test('a restore with a broken archive leaves the tenant as it is', async () => {
	const fixture = await withPeople()
	const archive = await exported(fixture)
	const before = contents(await readArchive(archive))
	archive.fill(0, archive.length - 200, archive.length - 100)
	const jobs = new Jobs(fixture)
	const { import: made } = await fixture.ask({ name: 'import.create', parts: 1, replaces: true })
	await jobs.upload(made.id, archive)
	await jobs.run(made.id)
	expect((await fixture.ask({ name: 'import.get', id: made.id })).import.state).toBe('failed')
	expect(contents(await readArchive(await exported(fixture)))).toEqual(before)
})

test('whatever byte of an archive is flipped, it is refused with nothing kept, or it was of no meaning', async () => {
	const bytes = await exported(await withPeople())
	const expected = contents(await readArchive(bytes))
	await fc.assert(
		fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (place, bit) => {
			const broken = Buffer.from(bytes)
			broken[place] = (broken[place] ?? 0) ^ (1 << bit)
			const to = new ShardFixture()
			const outcome = await imported(to, broken)
			if (outcome.state === 'failed') return expectNothing(to)
			// Deflate fills up its last byte with bits that nobody reads.
			expect(outcome.state).toBe('done')
			expect(contents(await readArchive(await exported(to)))).toEqual(expected)
		}),
		{ numRuns: 400 },
	)
}, 120_000)

test('an archive that is cut, lengthened, or no archive at all is refused with nothing kept', async () => {
	const bytes = await exported(await withPeople())
	for (const length of [1, 10, 43, 44, 60, 500, bytes.length - 22, bytes.length - 1])
		await expectRefused(bytes.subarray(0, length))
	await expectRefused(Buffer.concat([bytes, Buffer.from('x')]))
	await expectRefused(Buffer.concat([Buffer.from('x'), bytes]))
	await expectRefused(Buffer.alloc(1_000))
})

test('hostile archives are refused, naming the file and the line', async () => {
	const record =
		'{"id":"a","version":1,"created_at":"2026-01-01T00:00:00.000Z","updated_at":"2026-01-01T00:00:00.000Z","data":{}}\n'
	const at = (line: number | null, detail: RegExp, file = 'collections/c/records.ndjson') =>
		({ file, line, detail: expect.stringMatching(detail) }) as object
	const cases: [string, Partial<Made>, object][] = [
		['another version', { version: 2 }, at(null, /another version/, manifestPath)],
		['an unknown member', { more: { extra: 1 } }, at(null, /not well-formed/, manifestPath)],
		['a made-up tenant', { tenant: '../../etc' }, at(null, /not well-formed/, manifestPath)],
		['a path that climbs', { paths: { records: '../records.ndjson' } }, at(null, /not expected/, '../records.ndjson')],
		['an absolute path', { paths: { records: '/etc/passwd' } }, at(null, /not expected/, '/etc/passwd')],
		['a foreign tenant in a line', { records: record.replace('{"id"', '{"tenant":"x","id"') }, at(1, /nothing else/)],
		['a broken line', { records: `${record}{"id":\n` }, at(2, /not valid JSON/)],
		['U+0000', { records: record.replace('{}', '{"x":"\\u0000"}') }, at(1, /U\+0000/)],
		['an id twice', { records: record + record }, at(2, /ordered by id/)],
		['an id that climbs', { records: record.replace('"a"', '".."') }, at(1, /id is not/)],
		['no such day', { records: record.replace('01-01T', '02-30T') }, at(1, /created_at/)],
		['a broken schema', { schema: '{"type":"nonsense"}\n' }, at(null, /./, 'collections/c/schema.json')],
		['data against the schema', { schema: '{"required":["n"]}\n' }, at(1, /\/data/)],
		[
			'a unique value twice',
			{
				schema: '{"properties":{"n":{"type":"integer","x-unique":true}}}\n',
				records: record.replace('{}', '{"n":1}') + record.replace('"a"', '"b"').replace('{}', '{"n":1}'),
			},
			at(2, /unique/),
		],
		['a bomb', { records: `${' '.repeat(20_000_000)}\n` }, at(null, /at most/)],
		['a bomb that lies', { records: record.repeat(10_000), claimedBytes: record.length }, at(null, /unpacked/)],
		['another SHA-256', { sha256: '0'.repeat(64) }, at(null, /SHA-256/)],
		['another count', { lines: 7 }, at(null, /counts|lines/, expect.any(String) as unknown as string)],
	]
	for (const [what, made, fault] of cases) {
		const to = new ShardFixture()
		const outcome = await imported(to, makeArchive({ records: record, ...made }))
		expect({ what, state: outcome.state, faults: outcome.faults }).toEqual({ what, state: 'failed', faults: [fault] })
		expectNothing(to)
	}
	const to = new ShardFixture()
	expect(await imported(to, makeArchive({ records: record }))).toMatchObject({ state: 'done', faults: [] })
}, 60_000)

test('an import goes into an empty tenant only, also when collections are made while it runs', async () => {
	const bytes = await exported(await withPeople())
	const full = await withPeople()
	expect(await full.refused({ name: 'import.create', parts: 1 })).toMatchObject({ code: 'tenant_not_empty' })
	const to = new ShardFixture()
	const { jobs, id } = await begin(to, bytes)
	expect(await to.refused({ name: 'import.create', parts: 1 })).toMatchObject({ code: 'job_running' })
	await to.collection('mine', {})
	await jobs.run(id)
	const { import: outcome } = await to.ask({ name: 'import.get', id })
	expect(outcome).toMatchObject({
		state: 'failed',
		faults: [{ detail: 'collections were made in the tenant meanwhile' }],
	})
	expect(
		(await to.ask({ name: 'collection.list', limit: 10, after: null })).collections.map(({ name }) => name),
	).toEqual(['mine'])
})

async function expectRefused(bytes: Uint8Array): Promise<void> {
	const to = new ShardFixture()
	const outcome = await imported(to, bytes)
	expect(outcome.state).toBe('failed')
	expect(outcome.faults).toHaveLength(1)
	expectNothing(to)
}

function expectNothing(fixture: ShardFixture): void {
	const tables = fixture.sql.all<{ name: string }>(
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'c_[0-9]*'",
	)
	expect(tables).toEqual([])
	expect(fixture.sql.all('SELECT name FROM collection UNION ALL SELECT name FROM import_collection')).toEqual([])
}

interface Made {
	version: number
	more: object
	tenant: string
	paths: { records?: string }
	schema: string
	records: string
	claimedBytes: number
	sha256: string
	lines: number
}

/** An archive of one collection `c` with a record or whatever a case wants instead, sound in every other respect. */
function makeArchive(made: Partial<Made> & { records: string }): Buffer {
	const texts: [string, string, number | null][] = [
		['collections/c/schema.json', made.schema ?? '{}\n', null],
		[made.paths?.records ?? 'collections/c/records.ndjson', made.records, linesOf(made.records).length],
		['audit.ndjson', '', 0],
	]
	const files = texts.map(([path, text, lines]) => {
		const isRecords = text === made.records
		const bytes = isRecords ? (made.claimedBytes ?? Buffer.byteLength(text)) : Buffer.byteLength(text)
		const data = text === '' ? Buffer.alloc(0) : deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH })
		const sha256 = createHash('sha256').update(text).digest('hex')
		const parts = text === '' ? [] : [[bytes, data.length]]
		const records = lines === null || !isRecords ? lines : (made.lines ?? lines)
		return {
			path,
			records,
			bytes,
			sha256: isRecords ? (made.sha256 ?? sha256) : sha256,
			crc32: crc32(text),
			parts,
			data,
		}
	})
	const manifest = {
		format: 'freehold-archive',
		version: made.version ?? 1,
		tenant: {
			id: made.tenant ?? `eu_${'0'.repeat(26)}`,
			slug: 'acme',
			name: 'Acme',
			region: 'eu',
			created_at: '2026-01-01T00:00:00.000Z',
		},
		export: { id: '0'.repeat(26), as_of_seq: 1, as_of: '2026-01-01T00:00:00.000Z' },
		counts: { collections: 1, records: linesOf(made.records).length, audit_entries: 0 },
		files: files.map(({ data: _, ...file }) => file),
		...made.more,
	}
	const pieces = zipPieces(
		[
			{ path: manifestPath, stored: Buffer.from(JSON.stringify(manifest)) },
			...files.map(({ path, bytes, crc32: crc, data }) => {
				const content = data.length > 0 ? [{ key: path, length: data.length }] : []
				return { path, bytes, packed: data.length, crc, content }
			}),
		],
		Date.parse(manifest.export.as_of),
	)
	return Buffer.concat(
		pieces.map((piece) =>
			piece instanceof Uint8Array ? piece : (files.find(({ path }) => path === piece.key)?.data ?? Buffer.alloc(0)),
		),
	)
}

test('who was restricted is restricted in the tenant that takes the archive in, and its view leaves them out', async () => {
	const from = new ShardFixture()
	await from.collection('people', { properties: { person: { type: 'string', 'x-subject': true } } })
	for (const person of ['ada', 'bob']) await from.create('people', { person })
	for (const subject of ['ada', 'nobody yet']) await from.ask({ name: 'subject.restrict', subject })
	const archive = await exported(from)
	const to = new ShardFixture({ region: 'global' })
	expect(await imported(to, archive)).toMatchObject({ state: 'done', recordsDone: 2, faults: [] })
	await to.shard.alarm()
	const view = new Follower(to)
	expect(view.follow()).toHaveLength(1)
	expect(view.told).toEqual(view.checksum())
	for (const person of ['ada', 'nobody yet']) {
		const data = JSON.stringify({ person })
		expect((await to.refused({ name: 'record.create', collection: 'people', data })).code).toBe('subject_restricted')
	}
	expect((await to.ask({ name: 'subject.release', subject: 'ada' })).receipt.records).toBe(1)
	expect(view.follow()).toHaveLength(2)
})
