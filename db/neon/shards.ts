import type { TenantId } from '../../core/ids.ts'
import type { ShardList, ShardState } from '../../core/metrics.ts'
import type { Row, Statement } from './client.ts'
import type { RegionAnswer } from './regions.ts'
import { numberIn, tenantIn } from './row.ts'

/** Sums over the shards of a region, and those that are furthest behind, then the largest; see `shardListOf`. */
export function shardStatements(tenant: TenantId | null, limit: number): Statement[] {
	return [
		{ text: sumShards, params: [tenant] },
		{ text: listShards, params: [tenant, limit] },
	]
}

/** Joins the regions' lists into one of at most `limit`. */
export function shardListOf(answers: readonly RegionAnswer[], limit: number): ShardList {
	const sums = answers.map(({ region, results }) => {
		const row = results[0]?.[0] ?? {}
		return {
			region,
			tenants: numberIn(row, 'tenants'),
			shards: numberIn(row, 'shards'),
			records: numberIn(row, 'records'),
			sizeBytes: numberIn(row, 'size_bytes'),
		}
	})
	const shards = answers
		.flatMap(({ results }) => (results[1] ?? []).map(readShard))
		.sort((a, b) => b.lagMs - a.lagMs || (b.held?.sizeBytes ?? 0) - (a.held?.sizeBytes ?? 0))
	return { regions: sums, shards: shards.slice(0, limit) }
}

function readShard(row: Row): ShardState {
	return {
		tenant: tenantIn(row),
		slug: row.slug ?? null,
		shard: numberIn(row, 'shard'),
		head: numberIn(row, 'head_seq'),
		applied: numberIn(row, 'applied_seq'),
		lagMs: numberIn(row, 'lag_ms'),
		exact: numberIn(row, 'exact') === 1,
		deadLetters: numberIn(row, 'dead_letters'),
		rebuilding:
			numberIn(row, 'rebuilding') === 1
				? { done: numberIn(row, 'base_done'), total: numberIn(row, 'base_total') }
				: null,
		held:
			row.reported_ms == null
				? null
				: {
						records: numberIn(row, 'records'),
						keys: numberIn(row, 'api_keys'),
						sizeBytes: numberIn(row, 'size_bytes'),
						reportedAt: numberIn(row, 'reported_ms'),
					},
	}
}

const sumShards = `
SELECT count(DISTINCT s.tenant_id) AS tenants, count(*) AS shards,
	coalesce(sum(u.records), 0) AS records, coalesce(sum(u.size_bytes), 0) AS size_bytes
FROM shard s LEFT JOIN shard_usage u USING (tenant_id, shard)
WHERE $1::text IS NULL OR s.tenant_id = $1`

const listShards = `
SELECT s.tenant_id, t.slug, s.shard, s.head_seq, s.applied_seq, s.base_done, s.base_total,
	(s.base_pending IS NOT NULL)::int AS rebuilding, letters.n AS dead_letters,
	(s.applied_seq = s.read_seq AND s.base_pending IS NULL AND letters.n = 0)::int AS exact,
	u.size_bytes, u.records, u.api_keys, floor(extract(epoch FROM u.reported_at) * 1000) AS reported_ms,
	coalesce(floor(extract(epoch FROM greatest(now() - s.behind_since, interval '0')) * 1000), 0) AS lag_ms
FROM shard s
LEFT JOIN shard_usage u USING (tenant_id, shard)
LEFT JOIN tenant t USING (tenant_id)
CROSS JOIN LATERAL (
	SELECT count(*) AS n FROM dead_letter d WHERE d.tenant_id = s.tenant_id AND d.shard = s.shard
) letters
WHERE $1::text IS NULL OR s.tenant_id = $1
ORDER BY s.behind_since NULLS LAST, u.size_bytes DESC NULLS LAST, s.tenant_id, s.shard LIMIT $2::int`
