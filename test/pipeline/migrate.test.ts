import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { migrate } from '../../dev/migrate.ts'
import { type Postgres, startPostgres } from '../../dev/postgres.ts'

let dataDir: string
let postgres: Postgres
let databases = 0

beforeAll(async () => {
	dataDir = mkdtempSync(join(tmpdir(), 'freehold-migrate-'))
	const names = Array.from({ length: 5 }, (_, number) => `test_${number}`)
	postgres = await startPostgres({ dataDir, databases: names, log: () => {} })
})

afterAll(async () => {
	await postgres.stop()
	rmSync(dataDir, { recursive: true, force: true })
})

test('migrations run once and in order, also when two deployments run them at the same time', async () => {
	const url = emptyDatabase()
	const files = {
		'0000_a': 'CREATE TABLE a (x int);--> statement-breakpoint\nINSERT INTO a VALUES (1);',
		'0001_b': 'UPDATE a SET x = x + 1',
	}
	const applied = await Promise.all([migrate(url, folder(files)), migrate(url, folder(files))])
	expect(applied.flat().toSorted()).toEqual(['0000_a', '0001_b'])
	expect(await migrate(url, folder({ ...files, '0002_c': 'UPDATE a SET x = x * 10' }))).toEqual(['0002_c'])
	expect(await query(url, 'SELECT x FROM a')).toEqual([{ x: 20 }])
})

test('a migration that fails leaves no trace, and those before it stay', async () => {
	const url = emptyDatabase()
	const broken = folder({
		'0000_a': 'CREATE TABLE a (x int)',
		'0001_b': 'CREATE TABLE b (x int);--> statement-breakpoint\nSELECT nonsense',
	})
	await expect(migrate(url, broken)).rejects.toThrow('nonsense')
	expect(await query(url, "SELECT to_regclass('a') IS NOT NULL AS a, to_regclass('b') IS NOT NULL AS b")).toEqual([
		{ a: true, b: false },
	])
})

test('an applied migration that was changed afterwards is refused', async () => {
	const url = emptyDatabase()
	await migrate(url, folder({ '0000_a': 'CREATE TABLE a (x int)' }))
	await expect(migrate(url, folder({ '0000_a': 'CREATE TABLE a (x bigint)' }))).rejects.toThrow('0000_a was changed')
})

test('a database that is newer than the code is refused', async () => {
	const url = emptyDatabase()
	await migrate(url, folder({ '0000_a': 'CREATE TABLE a (x int)', '0001_b': 'CREATE TABLE b (x int)' }))
	await expect(migrate(url, folder({ '0000_a': 'CREATE TABLE a (x int)' }))).rejects.toThrow('newer than this code')
})

test("the project's own migrations run as a role that is no superuser", async () => {
	const url = emptyDatabase()
	expect((await migrate(url)).length).toBeGreaterThan(0)
	expect(await query(url, "SELECT has_table_privilege('freehold_read', 'record', 'SELECT') AS may")).toEqual([
		{ may: true },
	])
})

function emptyDatabase(): string {
	return postgres.url(`test_${databases++}`)
}

/** A folder as drizzle-kit writes it. */
function folder(files: Record<string, string>): string {
	const path = mkdtempSync(join(dataDir, 'migrations-'))
	mkdirSync(join(path, 'meta'))
	const entries = Object.keys(files).map((tag, idx) => ({ idx, version: '7', when: 0, tag, breakpoints: true }))
	writeFileSync(join(path, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }))
	for (const [tag, sql] of Object.entries(files)) writeFileSync(join(path, `${tag}.sql`), sql)
	return path
}

async function query(url: string, sql: string): Promise<unknown[]> {
	const client = new pg.Client({ connectionString: url })
	await client.connect()
	try {
		return (await client.query(sql)).rows
	} finally {
		await client.end()
	}
}
