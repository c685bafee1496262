/**
 * Queries across tenants through the API, beside the same rows asked of the same Postgres by plain SQL with a client's own
 * connections: what the view costs on top of its database.
 */
import { performance } from 'node:perf_hooks'
import pg from 'pg'
import type { Tenant } from './contestants/contestant.ts'
import { settle } from './cpu.ts'
import { type Latency, latencyOf } from './figures.ts'
import { type Hosted, host } from './hosted.ts'
import { closedLoop, requestText } from './load.ts'
import { freshRecords } from './population.ts'
import { collection, teamOf } from './records.ts'

export interface ViewResult {
	query: string
	tenants: number
	perSecond: number
	latency: Latency
	/** The same by plain SQL. */
	bare: { perSecond: number; latency: Latency }
}

const recordsATenant = 20
const connections = 8
const drainSecondsMax = 300

/** Every query asks for a page of 50 over all tenants of a region. */
const queries = [
	{
		query: 'a page of one collection',
		parameters: '',
		sql: 'SELECT tenant_id, id, version, data, created_at, updated_at FROM record WHERE collection = $1 ORDER BY tenant_id, id LIMIT 50',
		values: [collection],
	},
	{
		query: 'filtered by a property that a twentieth of the records share',
		parameters: `&team=eq.${teamOf(7)}`,
		sql: `SELECT tenant_id, id, version, data, created_at, updated_at FROM record
			WHERE collection = $1 AND data->'team' = to_jsonb($2::text) ORDER BY tenant_id, id LIMIT 50`,
		values: [collection, teamOf(7)],
	},
	{
		query: 'the newest first',
		parameters: '&order=created_at.desc',
		sql: `SELECT tenant_id, id, version, data, created_at, updated_at FROM record
			WHERE collection = $1 ORDER BY created_at DESC, tenant_id, id LIMIT 50`,
		values: [collection],
	},
] as const

interface Options {
	tenants: number
	rounds: number
	seconds: number
}

/** In a process with a view of its own, because what other workloads left would be read by these queries, too. */
export async function measureView(dataDir: string, options: Options): Promise<ViewResult[][]> {
	const freehold = await host('freehold', dataDir)
	try {
		return await ask(freehold, options)
	} finally {
		await freehold.stop()
	}
}

/** The tenants are made once; every round measures all queries. */
async function ask(freehold: Hosted, options: Options): Promise<ViewResult[][]> {
	const { database, secret } = freehold.address
	if (database === null) throw new Error('the view is elsewhere')
	for (const tenant of await freehold.client.provision(options.tenants)) await fill(freehold, tenant)
	await settle(freehold.pid, drainSecondsMax)
	const rounds: ViewResult[][] = []
	for (let round = 0; round < options.rounds; round++) {
		const results: ViewResult[] = []
		for (const { query, parameters, sql, values } of queries) {
			const path = `GET /v1/view/records?collection=${collection}&region=global&limit=50${parameters}`
			const request = requestText(path, [`Authorization: Bearer ${secret ?? ''}`], null)
			const asked = await closedLoop({
				...{ port: freehold.address.port, connections, seconds: options.seconds },
				next: () => request,
			})
			if (asked.failures > 0) throw new Error(`${path} was answered with ${asked.firstFailure}`)
			const bare = await askPlainly(database, sql, [...values], options.seconds)
			results.push({ query, tenants: options.tenants, perSecond: asked.perSecond, latency: asked.latency, bare })
		}
		rounds.push(results)
	}
	return rounds
}

async function fill({ client }: Hosted, tenant: Tenant): Promise<void> {
	await client.seed(tenant, collection, freshRecords(recordsATenant, 300))
}

async function askPlainly(
	connectionString: string,
	text: string,
	values: string[],
	seconds: number,
): Promise<ViewResult['bare']> {
	const pool = new pg.Pool({ connectionString, max: connections })
	const latencies: number[] = []
	const startedAt = performance.now()
	const endsAt = startedAt + seconds * 1_000
	const ask = async () => {
		while (performance.now() < endsAt) {
			const askedAt = performance.now()
			await pool.query({ name: text.slice(0, 60), text, values })
			latencies.push(performance.now() - askedAt)
		}
	}
	try {
		await Promise.all(Array.from({ length: connections }, ask))
	} finally {
		await pool.end()
	}
	return { perSecond: (latencies.length * 1_000) / (performance.now() - startedAt), latency: latencyOf(latencies) }
}
