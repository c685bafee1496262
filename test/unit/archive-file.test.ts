import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { verifyArchive, writeSqlite } from '../../dev/archive-file.ts'
import { Jobs } from '../jobs.ts'
import { people, ShardFixture } from '../shard.ts'

let folder: string
let file: string

beforeEach(async () => {
	folder = mkdtempSync(join(tmpdir(), 'freehold-archive-'))
	file = join(folder, 'export.zip')
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await fixture.collection('sqlite_own', {})
	await fixture.create('people', { email: 'ada@example.com', age: 36, phone: 'ü' })
	const jobs = new Jobs(fixture)
	const { export: made } = await fixture.ask({ name: 'export.create', csv: true })
	await jobs.run(made.id)
	writeFileSync(file, await jobs.archive(made.id))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('an archive becomes a plain SQLite file with every record, schema and audit entry', async () => {
	const out = join(folder, 'out.sqlite')
	expect((await verifyArchive(file)).counts).toEqual({ collections: 2, records: 1, audit_entries: 6 })
	await writeSqlite(file, out)
	const database = new DatabaseSync(out)
	const rows = database.prepare("SELECT version, created_at, data ->> 'phone' AS phone FROM people").all()
	expect(rows).toEqual([{ version: 1, created_at: '2026-01-01T00:00:00.000Z', phone: 'ü' }])
	expect(database.prepare('SELECT name FROM _collection').all()).toEqual([{ name: 'people' }, { name: 'sqlite_own' }])
	expect(database.prepare('SELECT max(seq) AS head, count(*) AS entries FROM _audit').get()).toEqual({
		head: 6,
		entries: 6,
	})
	expect(database.prepare('SELECT count(*) AS none FROM "_sqlite_own"').get()).toEqual({ none: 0 })
	database.close()
	await expect(writeSqlite(file, out)).rejects.toThrow('is there already')
})

test('a broken archive is told, and leaves no SQLite file behind', async () => {
	const bytes = readFileSync(file)
	writeFileSync(file, bytes.subarray(0, -1))
	await expect(verifyArchive(file)).rejects.toThrow('as long')
	await expect(writeSqlite(file, join(folder, 'out.sqlite'))).rejects.toThrow('as long')
	const broken = Buffer.from(bytes)
	const place = bytes.indexOf('collections/people/records.ndjson', bytes.indexOf('PK\x01\x02')) - 200
	broken[place] = (broken[place] ?? 0) ^ 0xff
	writeFileSync(file, broken)
	await expect(writeSqlite(file, join(folder, 'out.sqlite'))).rejects.toThrow()
	expect(readdirSync(folder)).toEqual(['export.zip'])
})
