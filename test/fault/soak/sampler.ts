import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { z } from 'zod'
import type { ViewSample } from '../history.ts'
import type { Recorder } from './recorder.ts'

/** Rows and watermark by one statement, so of one snapshot. What counts as exact is the view's own word. */
const look = `
SELECT
	s.epoch, s.applied_seq, s.read_seq, f.exact, s.base_hollow AS filling,
	(SELECT coalesce(jsonb_agg(jsonb_build_object('collection', r.collection, 'id', r.id, 'version', r.version, 'data', r.data)), '[]')
		FROM record r WHERE r.tenant_id = s.tenant_id) AS rows,
	(SELECT coalesce(jsonb_agg(jsonb_build_object('collection', d.collection, 'id', d.record_id)), '[]')
		FROM dead_letter d WHERE d.tenant_id = s.tenant_id AND d.collection IS NOT NULL) AS dead_letters
FROM shard s JOIN view_freshness f USING (tenant_id, shard)
WHERE s.tenant_id = $1`

const looked = z.object({
	epoch: z.coerce.number(),
	applied_seq: z.coerce.number(),
	read_seq: z.coerce.number(),
	exact: z.boolean(),
	filling: z.boolean(),
	rows: z.array(
		z.object({ collection: z.string(), id: z.string(), version: z.number(), data: z.record(z.string(), z.unknown()) }),
	),
	dead_letters: z.array(z.object({ collection: z.string(), id: z.string().nullable() })),
})

/** Looks at one tenant's view, with the rights of a reader, past every fault but the server's own. */
export class Sampler {
	/** Looks that found the server gone or too slow. */
	missed = 0
	readonly #tenant: string
	readonly #database: string
	readonly #recorder: Recorder
	#client: pg.Client | null = null

	/** @param database the connection string of the read-only role */
	constructor(tenant: string, database: string, recorder: Recorder) {
		this.#tenant = tenant
		this.#database = database
		this.#recorder = recorder
	}

	async run(everyMs: number, stopped: () => boolean): Promise<void> {
		while (!stopped()) {
			await pause(everyMs)
			try {
				const sample = await this.look()
				if (sample) this.#recorder.sample(sample)
			} catch {
				this.missed += 1
			}
		}
	}

	/** Null while the view has not heard of the tenant. @throws when the server is not there */
	async look(): Promise<ViewSample | null> {
		const client = this.#client ?? (await this.#connect())
		const { rows } = await client.query(look, [this.#tenant])
		if (rows.length === 0) return null
		const { epoch, applied_seq: appliedSeq, read_seq: readSeq, exact, filling, ...held } = looked.parse(rows[0])
		const { rows: records, dead_letters: deadLetters } = held
		const place = { tenant: this.#tenant, epoch, appliedSeq, readSeq }
		return { ...place, exact, filling, final: false, rows: records, deadLetters }
	}

	async close(): Promise<void> {
		await this.#client?.end()
		this.#client = null
	}

	async #connect(): Promise<pg.Client> {
		const client = new pg.Client({
			connectionString: this.#database,
			connectionTimeoutMillis: 5_000,
			query_timeout: 10_000,
		})
		client.on('error', () => {
			if (this.#client === client) this.#client = null
		})
		await client.connect()
		this.#client = client
		return client
	}
}
