import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NeonDbError, neon, neonConfig, Pool } from '@neondatabase/serverless'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type NeonEndpoint, startNeonEndpoint } from '../../dev/neon-endpoint.ts'
import { type Postgres, startPostgres } from '../../dev/postgres.ts'

let dataDir: string
let postgres: Postgres
let endpoint: NeonEndpoint
let url: string

beforeAll(async () => {
	dataDir = await mkdtemp(join(tmpdir(), 'freehold-endpoint-'))
	postgres = await startPostgres({ dataDir, databases: ['freehold_test'], log: () => {} })
	endpoint = await startNeonEndpoint()
	url = postgres.url('freehold_test')
	neonConfig.fetchEndpoint = endpoint.url
	neonConfig.wsProxy = (host, port) => `127.0.0.1:${endpoint.port}/v1?address=${host}:${port}`
	neonConfig.useSecureWebSocket = false
	neonConfig.pipelineConnect = false
	await neon(url)`CREATE TABLE note (id int CONSTRAINT note_key PRIMARY KEY, text text NOT NULL)`
}, 60_000)

afterAll(async () => {
	await endpoint.stop()
	await postgres.stop()
	await rm(dataDir, { recursive: true, force: true })
})

beforeEach(async () => {
	await neon(url)`TRUNCATE note`
})

afterEach(() => endpoint.fault(null))

test('values of every type that the view uses come back as the driver parses them', async () => {
	const sql = neon(url)
	const at = new Date('2026-11-22T10:00:00.123Z')
	const [row] =
		await sql`SELECT ${{ a: [1, 'ü'] }}::jsonb AS json, ${'9007199254740993'}::bigint AS big, ${at}::timestamptz AS at,
		${true}::boolean AS yes, ${null}::text AS nothing, ${['a', 'b,"c']}::text[] AS list, 7::int AS small`
	const expected = {
		json: { a: [1, 'ü'] },
		big: '9007199254740993',
		at,
		yes: true,
		nothing: null,
		list: ['a', 'b,"c'],
		small: 7,
	}
	expect(row).toEqual(expected)
})

test('array mode and full results carry the fields and the count', async () => {
	const sql = neon(url, { arrayMode: true, fullResults: true })
	const result = await sql`INSERT INTO note VALUES (1, 'one'), (2, 'two') RETURNING id, text`
	expect(result).toMatchObject({ command: 'INSERT', rowCount: 2, rowAsArray: true })
	expect(result.rows).toEqual([
		[1, 'one'],
		[2, 'two'],
	])
	expect(result.fields.map((field) => [field.name, field.dataTypeID])).toEqual([
		['id', 23],
		['text', 25],
	])
})

test('a violated constraint is an error with its code, constraint and detail', async () => {
	const sql = neon(url)
	await sql`INSERT INTO note VALUES (1, 'one')`
	const error: unknown = await sql`INSERT INTO note VALUES (1, 'again')`.catch((thrown: unknown) => thrown)
	expect(error).toBeInstanceOf(NeonDbError)
	expect(error).toMatchObject({ code: '23505', constraint: 'note_key', table: 'note', severity: 'ERROR' })
	expect(error).toHaveProperty('detail', 'Key (id)=(1) already exists.')
})

test('a batch is one transaction: the failure of its last statement undoes the first', async () => {
	const sql = neon(url)
	const batch = sql.transaction([sql`INSERT INTO note VALUES (1, 'one')`, sql`INSERT INTO note VALUES (1, 'again')`])
	await expect(batch).rejects.toMatchObject({ code: '23505' })
	expect(await sql`SELECT * FROM note`).toEqual([])
	const results = await sql.transaction([sql`INSERT INTO note VALUES (2, 'two')`, sql`SELECT text FROM note`])
	expect(results).toEqual([[], [{ text: 'two' }]])
})

test('a batch honours isolation level and read-only', async () => {
	const sql = neon(url)
	const options = { isolationLevel: 'RepeatableRead', readOnly: true } as const
	const [shown] = await sql.transaction([sql`SHOW transaction_isolation`], options)
	expect(shown).toEqual([{ transaction_isolation: 'repeatable read' }])
	const write = sql.transaction([sql`INSERT INTO note VALUES (1, 'one')`], options)
	await expect(write).rejects.toMatchObject({ code: '25006' })
})

test('one request runs one statement only', async () => {
	await expect(neon(url).query('SELECT 1; SELECT 2')).rejects.toMatchObject({ code: '42601' })
})

test('a parameter of 8 MB passes in less than five seconds', async () => {
	const rows = JSON.stringify(Array.from({ length: 8_000 }, (_, id) => ({ id, text: 'x'.repeat(980) })))
	const started = performance.now()
	const [row] = await neon(url)`WITH moved AS (
		INSERT INTO note SELECT id, text FROM jsonb_to_recordset(${rows}::jsonb) AS r(id int, text text) RETURNING 1
	) SELECT count(*)::int AS count FROM moved`
	expect(row).toEqual({ count: 8_000 })
	expect(rows.length).toBeGreaterThan(8_000_000)
	expect(performance.now() - started).toBeLessThan(5_000)
})

test('a pool over WebSocket has interactive transactions', async () => {
	const pool = new Pool({ connectionString: url })
	const client = await pool.connect()
	await client.query('BEGIN')
	await client.query('INSERT INTO note VALUES ($1, $2)', [1, 'x'.repeat(1_000_000)])
	expect((await client.query('SELECT length(text) AS length FROM note')).rows).toEqual([{ length: 1_000_000 }])
	await client.query('ROLLBACK')
	client.release()
	await pool.end()
	expect(await neon(url)`SELECT * FROM note`).toEqual([])
})

test('the reader may not write and every role needs its password', async () => {
	const read = postgres.url('freehold_test', 'freehold_read')
	await expect(neon(read)`CREATE TEMPORARY TABLE mine (id int)`).rejects.toMatchObject({ code: '25006' })
	const wrong = url.replace(/:[^:@]+@/, ':wrong@')
	await expect(neon(wrong)`SELECT 1`).rejects.toMatchObject({ code: '28P01' })
})

test('databases of other machines are out of reach', async () => {
	await expect(neon('postgresql://u:p@db.example.com/d')`SELECT 1`).rejects.toThrow('no database that is served here')
})

test('the fault switch refuses, delays, and loses an answer after the work was done', async () => {
	const sql = neon(url)
	endpoint.fault({ kind: 'status', status: 429 })
	await expect(sql`INSERT INTO note VALUES (1, 'one')`).rejects.toThrow('429')
	endpoint.fault({ kind: 'timeout_after_execution' })
	await expect(sql`INSERT INTO note VALUES (2, 'two')`).rejects.toThrow('Error connecting to database')
	endpoint.fault({ kind: 'slow', ms: 50 })
	const started = performance.now()
	expect(await sql`SELECT id FROM note`).toEqual([{ id: 2 }])
	expect(performance.now() - started).toBeGreaterThanOrEqual(49)
})

test('a restarted Postgres is reached again without a restart of the endpoint', async () => {
	await postgres.kill()
	await expect(neon(url)`SELECT 1`).rejects.toThrow()
	postgres = await startPostgres({ dataDir, databases: [], port: postgres.port, log: () => {} })
	expect(await neon(url)`SELECT 1 AS one`).toEqual([{ one: 1 }])
})
