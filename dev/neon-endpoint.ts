/**
 * The local stand-in for Neon's endpoint: the same protocol as the one that `@neondatabase/serverless` speaks in
 * production, answered by a Postgres server on this machine. `POST /sql` runs one statement or a batch in one transaction;
 * a WebSocket on `/v1?address=<host>:<port>` carries raw Postgres bytes. Tests make it misbehave with `fault`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { type Duplex, pipeline } from 'node:stream'
import pg from 'pg'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { z } from 'zod'

/** Connections per connection string: writer and reader of two regions together stay under the 104 of the smallest Neon. */
const connectionsMax = 20
/** What Neon accepts over HTTP. */
const bodyBytesMax = 64 * 1024 * 1024
/** How long a stop waits for statements that still run. */
const stopMsMax = 2_000

/** What the endpoint does wrong to every request over HTTP from now on. */
export type Fault =
	/** Answers at once, nothing is executed. */
	| { kind: 'status'; status: number }
	/** Executes, then cuts the connection instead of answering: the client cannot know. */
	| { kind: 'timeout_after_execution' }
	/** Waits before it executes, as a database does that was scaled to zero. */
	| { kind: 'slow'; ms: number }

export interface NeonEndpoint {
	/** The address of `POST /sql`, for `neonConfig.fetchEndpoint`. */
	url: string
	port: number
	/** For requests that arrive from now on; null makes the endpoint well again. */
	fault(fault: Fault | null): void
	/** Requests over HTTP that have arrived so far, failed ones included. */
	requests(): number
	stop(): Promise<void>
}

/** Listens on 127.0.0.1, on a free port. It reaches databases on this machine and on the given hosts only. */
export async function startNeonEndpoint({ hosts = [] }: { hosts?: string[] } = {}): Promise<NeonEndpoint> {
	const reachable = new Set(['127.0.0.1', 'localhost', ...hosts])
	const pools = new Map<string, pg.Pool>()
	let present: Fault | null = null
	let requests = 0
	const server = createServer((request, response) => {
		requests += 1
		answer(request, response, { pools, reachable, fault: present }).catch((error: unknown) =>
			send(response, 500, { message: messageOf(error) }),
		)
	})
	// A connection that the client thinks is still open must not be closed under its next request.
	server.keepAliveTimeout = 60_000
	const sockets = new WebSocketServer({ noServer: true })
	server.on('upgrade', (request, socket, head) => relay({ sockets, reachable }, request, socket, head))
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject)
		server.listen(0, '127.0.0.1', resolve)
	})
	const address = server.address()
	if (address === null || typeof address === 'string') throw new Error('the endpoint has no port')
	return {
		url: `http://127.0.0.1:${address.port}/sql`,
		port: address.port,
		fault: (fault) => {
			present = fault
		},
		requests: () => requests,
		stop: async () => {
			server.close()
			server.closeAllConnections()
			for (const client of sockets.clients) client.terminate()
			const ended = Promise.allSettled([...pools.values()].map((pool) => pool.end()))
			await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, stopMsMax).unref())])
		},
	}
}

const statement = z.object({
	query: z.string(),
	params: z.array(z.union([z.string(), z.number(), z.boolean(), z.null()])).default([]),
})
type Statement = z.infer<typeof statement>
const body = z.union([z.object({ queries: z.array(statement) }), statement])

interface Serving {
	pools: Map<string, pg.Pool>
	reachable: Set<string>
	fault: Fault | null
}

async function answer(
	request: IncomingMessage,
	response: ServerResponse,
	{ pools, reachable, fault }: Serving,
): Promise<void> {
	const text = await readBody(request)
	if (request.method !== 'POST' || request.url !== '/sql')
		return send(response, 404, { message: 'only POST /sql is served here' })
	if (text === null) return send(response, 413, { message: `request is larger than ${bodyBytesMax} bytes` })
	if (fault?.kind === 'status') return send(response, fault.status, { message: 'fault switch' })
	if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.ms))
	const connectionString = String(request.headers['neon-connection-string'] ?? '')
	const database = parseUrl(connectionString)
	if (database === null || !reachable.has(database.hostname)) {
		return send(response, 400, { message: 'the connection string names no database that is served here' })
	}
	const parsed = body.safeParse(parseJson(text))
	if (!parsed.success) return send(response, 400, { message: 'the body is neither {query, params} nor {queries}' })
	const reply = await run(poolOf(pools, connectionString), parsed.data, request)
	if (fault?.kind === 'timeout_after_execution') response.destroy()
	else send(response, reply.status, reply.body)
}

async function run(
	pool: pg.Pool,
	asked: z.infer<typeof body>,
	request: IncomingMessage,
): Promise<{ status: number; body: unknown }> {
	try {
		if ('query' in asked) return { status: 200, body: await execute(pool, asked) }
		return { status: 200, body: { results: await transact(pool, asked.queries, beginStatement(request)) } }
	} catch (error) {
		if (error instanceof pg.DatabaseError) return { status: 400, body: describe(error) }
		return { status: 500, body: { message: messageOf(error) } }
	}
}

async function transact(pool: pg.Pool, queries: Statement[], begin: string): Promise<unknown[]> {
	const client = await pool.connect()
	let broken: Error | undefined
	try {
		await client.query(begin)
		const results: unknown[] = []
		for (const query of queries) results.push(await execute(client, query))
		await client.query('COMMIT')
		return results
	} catch (error) {
		// A connection that cannot roll back is not fit for another request.
		await client.query('ROLLBACK').catch((failed: Error) => {
			broken = failed
		})
		throw error
	} finally {
		client.release(broken)
	}
}

const isolationLevels: Record<string, string> = {
	ReadUncommitted: 'READ UNCOMMITTED',
	ReadCommitted: 'READ COMMITTED',
	RepeatableRead: 'REPEATABLE READ',
	Serializable: 'SERIALIZABLE',
}

function beginStatement({ headers }: IncomingMessage): string {
	const level = isolationLevels[String(headers['neon-batch-isolation-level'])]
	return [
		'BEGIN',
		level === undefined ? '' : `ISOLATION LEVEL ${level}`,
		headers['neon-batch-read-only'] === 'true' ? 'READ ONLY' : '',
		headers['neon-batch-deferrable'] === 'true' ? 'DEFERRABLE' : '',
	].join(' ')
}

/** The driver asks for arrays of raw text, always, and parses them itself. */
async function execute(runner: pg.Pool | pg.PoolClient, { query, params }: Statement): Promise<unknown> {
	const config = {
		text: query,
		values: params,
		rowMode: 'array' as const,
		types: { getTypeParser: () => (value: unknown) => value },
		// One statement a query, as Neon has it, also where there are no parameters.
		queryMode: 'extended',
	}
	const { fields, rows, command, rowCount } = await runner.query<unknown[]>(config)
	return { fields, rows, command, rowCount, rowAsArray: true }
}

function poolOf(pools: Map<string, pg.Pool>, connectionString: string): pg.Pool {
	const present = pools.get(connectionString)
	if (present !== undefined) return present
	const pool = new pg.Pool({ connectionString, max: connectionsMax, connectionTimeoutMillis: 10_000 })
	// The server ended an idle connection; the next request opens another.
	pool.on('error', () => {})
	// Or one between two statements of a transaction: the next statement fails, and says so to whoever asked.
	pool.on('connect', (client) => client.on('error', () => {}))
	pools.set(connectionString, pool)
	return pool
}

interface Relaying {
	sockets: WebSocketServer
	reachable: Set<string>
}

function relay({ sockets, reachable }: Relaying, request: IncomingMessage, socket: Duplex, head: Buffer): void {
	const url = new URL(request.url ?? '/', 'http://127.0.0.1')
	const target = parseUrl(`postgres://${url.searchParams.get('address')}`)
	if (url.pathname !== '/v1' || target === null || !reachable.has(target.hostname)) {
		socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
		return
	}
	sockets.handleUpgrade(request, socket, head, (webSocket) => {
		const client = createWebSocketStream(webSocket)
		const server = connect({ host: target.hostname, port: Number(target.port || 5432), noDelay: true })
		// Either side may hang up at any time; then the other is closed, and that is all there is to do.
		pipeline(client, server, () => server.destroy())
		pipeline(server, client, () => client.destroy())
	})
}

async function readBody(request: IncomingMessage): Promise<string | null> {
	const chunks: Buffer[] = []
	let size = 0
	for await (const chunk of request) {
		size += chunk.length
		if (size <= bodyBytesMax) chunks.push(chunk)
	}
	return size > bodyBytesMax ? null : Buffer.concat(chunks).toString('utf8')
}

function send(response: ServerResponse, status: number, value: unknown): void {
	if (response.headersSent || response.destroyed) return
	const text = Buffer.from(JSON.stringify(value))
	response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length })
	response.end(text)
}

/** The fields of an error that Neon hands on. */
function describe(error: pg.DatabaseError): Record<string, string | undefined> {
	const { message, severity, code, detail, hint, position, internalPosition, internalQuery, where } = error
	const { schema, table, column, dataType, constraint, file, line, routine } = error
	const said = { message, severity, code, detail, hint, position, internalPosition, internalQuery, where }
	return { ...said, schema, table, column, dataType, constraint, file, line, routine }
}

function parseUrl(text: string): URL | null {
	return URL.canParse(text) ? new URL(text) : null
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text)
	} catch {
		return null
	}
}

function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error)
}
