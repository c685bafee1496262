/** Which shards a rebuild has asked, and how far they are: kept beside the watermarks, so that both are read at once. */
import type { TenantId } from '../../core/ids.ts'
import type { RebuildProgress } from '../../core/rebuild.ts'
import type { Database, Row, Statement } from './client.ts'
import { numberIn } from './row.ts'

/** A shard that was asked; `seq` is null when it could not be reached. */
export interface AskedShard {
	tenant: TenantId
	shard: number
	seq: number | null
}

/** Part of the registry: tenants after one (null for the first) and up to another (null for the last). */
export interface TenantRange {
	after: TenantId | null
	last: TenantId | null
}

/** Notes what a part of the registry holds now; whatever else was noted of that part is forgotten. */
export async function noteAsked(
	database: Database,
	id: string,
	{ after, last }: TenantRange,
	asked: readonly AskedShard[],
): Promise<void> {
	await database.query({ text: replaceAsked, params: [id, after ?? '', last, JSON.stringify(asked)] })
}

export function progressStatement(id: string): Statement {
	return { text: measureProgress, params: [id] }
}

export function readProgress(row: Row): RebuildProgress & { unreached: number } {
	return {
		shards: { done: numberIn(row, 'shards_done'), total: numberIn(row, 'shards') },
		records: { done: numberIn(row, 'records_done'), total: numberIn(row, 'records') },
		unreached: numberIn(row, 'unreached'),
	}
}

/** How far the shards are that a rebuild has asked. */
export async function rebuildProgress(
	database: Database,
	id: string,
): Promise<RebuildProgress & { unreached: number }> {
	const [row] = await database.query(progressStatement(id))
	if (row === undefined) throw new Error('an aggregate without groups returned no row')
	return readProgress(row)
}

export async function forgetAsked(database: Database, id: string): Promise<void> {
	await database.query({ text: 'DELETE FROM rebuild_shard WHERE rebuild_id = $1', params: [id] })
}

const replaceAsked = `
WITH told AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($4::jsonb) AS a (tenant text, shard int, seq bigint)
), gone AS (
	DELETE FROM rebuild_shard r
	WHERE r.rebuild_id = $1 AND r.tenant_id > $2 AND ($3::text IS NULL OR r.tenant_id <= $3)
		AND NOT EXISTS (SELECT FROM told t WHERE t.tenant = r.tenant_id AND t.shard = r.shard)
)
INSERT INTO rebuild_shard AS r (rebuild_id, tenant_id, shard, seq)
SELECT $1, tenant, shard, seq FROM told
ON CONFLICT (rebuild_id, tenant_id, shard) DO UPDATE SET seq = coalesce(excluded.seq, r.seq)`

// A shard is done once the view has applied its entry and no base runs: the one that the entry began has ended.
const measureProgress = `
SELECT count(*) AS shards, count(*) FILTER (WHERE r.seq IS NULL) AS unreached,
	count(*) FILTER (WHERE s.applied_seq >= r.seq AND s.base_pending IS NULL) AS shards_done,
	coalesce(sum(s.base_done) FILTER (WHERE s.applied_seq >= r.seq), 0) AS records_done,
	coalesce(sum(greatest(s.base_total, s.base_done)) FILTER (WHERE s.applied_seq >= r.seq), 0) AS records
FROM rebuild_shard r LEFT JOIN shard s ON s.tenant_id = r.tenant_id AND s.shard = r.shard
WHERE r.rebuild_id = $1`
