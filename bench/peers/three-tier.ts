/**
 * The three-tier peer: the same API on Hono and Node in front of one Postgres with row-level security. It is made as fast
 * as we know how, within the same promises: key check, scopes, the same schema validation, unique values, a change log,
 * idempotency, one transaction a call, fsync. One process of several; `DATABASE_URL` and `PORT` come from the environment.
 */
import { createHash } from 'node:crypto'
import { serve } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import pg from 'pg'
import { mintId } from '../../core/ids.ts'
import { isJsonObject, parseJson, readJson } from '../../core/json.ts'
import { parseSchema, type Schema } from '../../core/schema.ts'

/** Connections of one process: the writes that wait for the disk together share one flush of it. */
const connectionsMax = 32
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: connectionsMax })
const app = new Hono()

interface Key {
	id: string
	hash: string
}

/** `<key id>.<secret>` */
function readKey(c: Context): Key {
	const [id = '', secret = ''] = (c.req.header('Authorization') ?? '').replace('Bearer ', '').split('.')
	return { id, hash: createHash('sha256').update(secret).digest('base64url') }
}

app.put('/v1/collections/:collection', async (c) => {
	const body = readJson(new Uint8Array(await c.req.arrayBuffer()))
	if (!body.ok || !isJsonObject(body.value)) return problem(400)
	const parsed = parseSchema(body.value.schema)
	if (!parsed.ok) return problem(422)
	const key = readKey(c)
	await run('put_schema', 'SELECT put_schema($1, $2, $3, $4)', [
		key.id,
		key.hash,
		c.req.param('collection'),
		JSON.stringify(body.value.schema),
	])
	return c.json({ name: c.req.param('collection'), schema: body.value.schema }, 201)
})

app.post('/v1/collections/:collection/records', async (c) => {
	const key = readKey(c)
	const body = parseJson(new Uint8Array(await c.req.arrayBuffer()))
	if (!body.ok || !isJsonObject(body.value.value)) return problem(400)
	const { value, text } = body.value
	const collection = c.req.param('collection')
	const idempotencyKey = c.req.header('Idempotency-Key') ?? null
	const fingerprint =
		idempotencyKey === null ? null : createHash('sha256').update(`${c.req.path}\n${text}`).digest('base64url')
	return withSchema(key, collection, async ({ version, schema }) => {
		if (schema.validate(value).length > 0) return problem(422)
		const id = newId()
		const unique = value.email ?? null
		const [row] = await run('create_record', 'SELECT * FROM create_record($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
			...[key.id, key.hash, collection, version, id, text, unique, idempotencyKey, fingerprint],
		])
		const replay = row?.o_replay
		const made = replay ? { id: replay.id, seq: replay.seq, at: replay.at } : { id, seq: row?.o_seq, at: row?.o_at }
		const record = recordText({ id: made.id, version: 1, created_at: made.at, updated_at: made.at, data: text })
		return answer(201, record, {
			ETag: `"1-${made.seq}"`,
			Location: `/v1/collections/${collection}/records/${made.id}`,
			...(replay && { 'Idempotency-Replayed': 'true' }),
		})
	})
})

app.get('/v1/collections/:collection/records/:id', async (c) => {
	const key = readKey(c)
	const { collection, id } = c.req.param()
	const [row] = await run('read_record', 'SELECT * FROM read_record($1, $2, $3, $4)', [
		key.id,
		key.hash,
		collection,
		id,
	])
	if (row === undefined) return problem(404)
	return answer(200, recordText({ ...row, id }), { ETag: `"${row.version}-${row.seq}"` })
})

app.get('/v1/collections/members/records', async (c) => {
	const key = readKey(c)
	const team = (c.req.query('team') ?? '').replace('eq.', '')
	const limit = Number(c.req.query('limit') ?? 50)
	const rows = await run('list_members', 'SELECT * FROM list_members($1, $2, $3, $4, $5)', [
		...[key.id, key.hash, team, c.req.query('cursor') ?? '', limit + 1],
	])
	const shown = rows.slice(0, limit)
	const headers = rows.length > limit ? { Link: `<?cursor=${shown.at(-1)?.id}>; rel="next"` } : {}
	return answer(200, `{"records":[${shown.map(recordText).join(',')}]}`, headers)
})

app.post('/v1/batch', async (c) => {
	const key = readKey(c)
	const body = readJson(new Uint8Array(await c.req.arrayBuffer()))
	if (!body.ok || !isJsonObject(body.value) || !Array.isArray(body.value.operations)) return problem(400)
	const operations = body.value.operations as { op: string; collection: string; data: Record<string, unknown> }[]
	const collection = operations[0]?.collection ?? ''
	if (operations.some((operation) => operation.op !== 'create' || operation.collection !== collection))
		return problem(422)
	return withSchema(key, collection, async ({ version, schema }) => {
		if (operations.some(({ data }) => schema.validate(data).length > 0)) return problem(422)
		const rows = operations.map(({ data }) => ({ i: newId(), u: data.email ?? null, d: data }))
		const [row] = await run('create_records', 'SELECT * FROM create_records($1, $2, $3, $4, $5)', [
			...[key.id, key.hash, collection, version, JSON.stringify(rows)],
		])
		const seqs: string[] = String(row?.o_seqs).split(',')
		const results = rows.map(({ i }, place) => `{"id":"${i}","version":1,"etag":"\\"1-${seqs[place]}\\""}`)
		return answer(200, `{"results":[${results.join(',')}]}`, {})
	})
})

app.onError((error) => {
	if (!(error instanceof pg.DatabaseError)) return problem(500)
	if (error.code === '23505') return problem(409)
	return problem(error.code?.startsWith('FH') ? Number(error.code.slice(2)) : 500)
})

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT) }, () => process.send?.('serving'))

interface Known {
	version: number
	schema: Schema
}

/** Compiled schemas by key and collection; the write itself checks that the version still holds. */
const schemas = new Map<string, Known>()

async function withSchema(key: Key, collection: string, work: (known: Known) => Promise<Response>): Promise<Response> {
	const place = `${key.id}/${collection}`
	for (let tries = 0; ; tries++) {
		const known = schemas.get(place) ?? (await readSchema(key, collection))
		schemas.set(place, known)
		try {
			return await work(known)
		} catch (error) {
			if (tries > 2 || !(error instanceof pg.DatabaseError) || error.code !== 'FH409') throw error
			schemas.delete(place)
		}
	}
}

async function readSchema(key: Key, collection: string): Promise<Known> {
	const [row] = await run('read_schema', 'SELECT * FROM read_schema($1, $2, $3)', [key.id, key.hash, collection])
	const parsed = parseSchema(JSON.parse(row?.o_schema))
	if (!parsed.ok) throw new Error('a stored schema cannot be used')
	return { version: Number(row?.o_version), schema: parsed.value }
}

async function run(name: string, text: string, values: unknown[]) {
	return (await pool.query({ name, text, values })).rows
}

function recordText(record: {
	id: string
	version: number
	created_at: Date | string
	updated_at: Date | string
	data: string
}): string {
	const { id, version, created_at: createdAt, updated_at: updatedAt, data } = record
	return `{"id":"${id}","version":${version},"created_at":"${timeOf(createdAt)}","updated_at":"${timeOf(updatedAt)}","data":${data}}`
}

function timeOf(at: Date | string): string {
	return new Date(at).toISOString()
}

function answer(status: number, text: string, headers: Record<string, string>): Response {
	return new Response(text, { status, headers: { ...common(), 'Content-Type': 'application/json', ...headers } })
}

function problem(status: number): Response {
	const headers = { ...common(), 'Content-Type': 'application/problem+json' }
	return new Response(JSON.stringify({ type: 'about:blank', status }), { status, headers })
}

/** What Freehold puts on every answer, too. */
function common(): Record<string, string> {
	return {
		'Cache-Control': 'no-store',
		'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
		'Cross-Origin-Resource-Policy': 'same-origin',
		'Referrer-Policy': 'no-referrer',
		'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
		'X-Content-Type-Options': 'nosniff',
		'X-Request-Id': newId(),
	}
}

function newId(): string {
	return mintId(Date.now(), (bytes) => crypto.getRandomValues(bytes))
}
