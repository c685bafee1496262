/** A real Postgres and the local Neon endpoint, with an empty and migrated view for each region that a test names. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { connect, type Database } from '../../db/neon/client.ts'
import { migrate } from '../../dev/migrate.ts'
import { type NeonEndpoint, startNeonEndpoint } from '../../dev/neon-endpoint.ts'
import { readerRole, startPostgres } from '../../dev/postgres.ts'

export interface ViewStack {
	endpoint: NeonEndpoint
	writer(region: string): Database
	reader(region: string): Database
	/** Runs SQL as the writer on a session of its own, for what the ports cannot do. */
	sql(region: string, text: string): Promise<Record<string, unknown>[]>
	/** Empties every table of every region. */
	reset(): Promise<void>
	stop(): Promise<void>
}

export async function startViewStack(regions: string[]): Promise<ViewStack> {
	const dataDir = mkdtempSync(join(tmpdir(), 'freehold-view-'))
	const postgres = await startPostgres({ dataDir, databases: regions, log: () => {} })
	const endpoint = await startNeonEndpoint()
	await Promise.all(regions.map((region) => migrate(postgres.url(region))))
	const sql = async (region: string, text: string) => {
		const client = new pg.Client({ connectionString: postgres.url(region) })
		await client.connect()
		try {
			return (await client.query(text)).rows
		} finally {
			await client.end()
		}
	}
	return {
		endpoint,
		sql,
		writer: (region) => connect(postgres.url(region), endpoint.url),
		reader: (region) => connect(postgres.url(region, readerRole), endpoint.url),
		reset: async () => {
			for (const region of regions)
				await sql(
					region,
					'TRUNCATE tenant, shard, shard_usage, collection, record, dead_letter, erasure, registry_sweep',
				)
		},
		stop: async () => {
			await endpoint.stop()
			await postgres.stop()
			rmSync(dataDir, { recursive: true, force: true })
		},
	}
}
