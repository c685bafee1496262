import { type ShardCensus, stalledMs } from '../../core/alert-rules.ts'
import { bucketOf } from '../../core/histogram.ts'
import type { Period } from '../../core/sli.ts'
import { slos } from '../../core/slos.ts'
import { type Database, DatabaseFailure } from './client.ts'
import { numberIn } from './row.ts'

/** What a region's database says to its monitor. */
export interface Observation {
	census: ShardCensus
	/** Availability and latency by minute. */
	requests: Period[]
}

/** Null when the database does not answer, or refuses to: that is itself what the monitor wants to know. @param since milliseconds since 1970 */
export async function observe(database: Database, since: number): Promise<Observation | null> {
	try {
		const [counted = [], requests = [], latency = []] = await database.read([
			{ text: countShards, params: [boundOf('freshness') / 1_000, stalledMs / 1_000] },
			{ text: sumRequests, params: [since] },
			{ text: sumLatency, params: [since, bucketOf(boundOf('latency'))] },
		])
		const row = counted[0] ?? {}
		const census = {
			shards: numberIn(row, 'shards'),
			late: numberIn(row, 'late'),
			stalled: numberIn(row, 'stalled'),
			worstLagMs: numberIn(row, 'worst_lag_ms'),
			differing: numberIn(row, 'differing'),
			incomplete: numberIn(row, 'incomplete'),
			deadLetters: numberIn(row, 'dead_letters'),
			largestBytes: numberIn(row, 'largest_bytes'),
		}
		const within = new Map(latency.map((one) => [numberIn(one, 'at_ms'), one]))
		const periods = requests.map((one): Period => {
			const at = numberIn(one, 'at_ms')
			const fast = within.get(at) ?? {}
			return {
				at,
				counts: {
					availability: { good: numberIn(one, 'good'), total: numberIn(one, 'total') },
					...(fast.total != null && { latency: { good: numberIn(fast, 'good'), total: numberIn(fast, 'total') } }),
				},
			}
		})
		return { census, requests: periods }
	} catch (error) {
		if (error instanceof DatabaseFailure) return null
		throw error
	}
}

function boundOf(name: 'freshness' | 'latency'): number {
	const bound = slos.find((slo) => slo.name === name)?.withinMs
	if (bound == null) throw new Error(`the SLO ${name} has no bound`)
	return bound
}

const countShards = `
SELECT
	count(*) AS shards,
	count(*) FILTER (WHERE now() - behind_since > make_interval(secs => $1)) AS late,
	count(*) FILTER (WHERE now() - behind_since > make_interval(secs => $2)) AS stalled,
	coalesce(floor(extract(epoch FROM max(greatest(now() - behind_since, interval '0'))) * 1000), 0) AS worst_lag_ms,
	count(*) FILTER (WHERE NOT verified_equal) AS differing,
	count(*) FILTER (WHERE NOT verified_equal OR EXISTS (
		SELECT FROM dead_letter d WHERE d.tenant_id = s.tenant_id AND d.shard = s.shard
	)) AS incomplete,
	(SELECT count(*) FROM dead_letter WHERE discarded_at IS NULL) AS dead_letters,
	(SELECT coalesce(max(size_bytes), 0) FROM shard_usage) AS largest_bytes
FROM shard s`

const sumRequests = `
SELECT extract(epoch FROM at) * 1000 AS at_ms, sum(requests) AS total, coalesce(sum(requests) FILTER (WHERE class <> '5xx'), 0) AS good
FROM telemetry_request WHERE grain = 'minute' AND at >= to_timestamp($1::bigint / 1000.0) GROUP BY at`

const sumLatency = `
SELECT extract(epoch FROM at) * 1000 AS at_ms, sum(requests) AS total,
	coalesce(sum(requests) FILTER (WHERE bucket <= $2::int), 0) AS good
FROM telemetry_latency WHERE grain = 'minute' AND at >= to_timestamp($1::bigint / 1000.0) GROUP BY at`
