import { regionOf } from '../../core/ids.ts'
import { metricsShardsMax } from '../../core/limits.ts'
import type { Measured, Metrics, ShardMetrics, Usage } from '../../core/metrics.ts'
import { accept } from '../../core/refusal.ts'
import { statusClasses } from '../../core/telemetry.ts'
import { trafficOf } from '../../core/traffic.ts'
import { type Database, DatabaseFailure, type Row } from './client.ts'
import { freshnessStatement } from './freshness.ts'
import { askRegions, type RegionDatabase } from './regions.ts'
import { numberIn, tenantIn, textIn } from './row.ts'
import { shardListOf, shardStatements } from './shards.ts'
import { trafficStatements, trafficSumsOf } from './traffic.ts'

/** @param databases of every region, by a role that reads */
export function createMetrics(databases: readonly RegionDatabase[]): Metrics {
	return {
		read: (regions) =>
			Promise.all(
				regions.map(async (region) => {
					const served = databases.find((one) => one.region === region)
					return { region, measured: served ? await measure(served.database) : null }
				}),
			),

		async usage(tenant, grain, limit) {
			const statement = { text: listUsage, params: [tenant, grain, limit] }
			const asked = await askRegions(databases, { regions: [regionOf(tenant)], tenant }, [statement])
			return asked.ok ? accept((asked.value[0]?.results[0] ?? []).map(readUsage)) : asked
		},

		async shards(scope, limit) {
			const asked = await askRegions(databases, scope, shardStatements(scope.tenant, limit))
			return asked.ok ? accept(shardListOf(asked.value, limit)) : asked
		},

		async traffic(regions, grain, range) {
			const statements = trafficStatements(grain, range.from, range.until)
			const asked = await askRegions(databases, { regions, tenant: null }, statements)
			return asked.ok ? accept(trafficOf(asked.value.map(trafficSumsOf), grain, range)) : asked
		},
	}
}

async function measure(database: Database): Promise<Measured | null> {
	try {
		const [requests = [], latency = [], shards = [], view = []] = await database.read([
			{ text: sumRequests, params: [] },
			{ text: sumLatency, params: [] },
			{ text: listShards, params: [metricsShardsMax] },
			freshnessStatement(null),
		])
		const fresh = view[0] ?? {}
		return {
			requests: requests.map((row) => ({
				route: textIn(row, 'route'),
				class: classIn(row),
				requests: numberIn(row, 'requests'),
				durationMs: numberIn(row, 'duration_ms'),
			})),
			latency: latency.map((row) => ({
				route: textIn(row, 'route'),
				bucket: numberIn(row, 'bucket'),
				requests: numberIn(row, 'requests'),
			})),
			view: {
				shards: numberIn(fresh, 'shards'),
				shardsBehind: numberIn(fresh, 'shards_behind'),
				worstLagMs: numberIn(fresh, 'worst_lag_ms'),
				deadLetters: numberIn(fresh, 'dead_letters'),
			},
			shards: shards.map(readShard),
		}
	} catch (error) {
		if (error instanceof DatabaseFailure && error.sqlstate === null) return null
		throw error
	}
}

function classIn(row: Row) {
	const found = statusClasses.find((one) => one === row.class)
	if (found === undefined) throw new Error('telemetry holds an unknown class')
	return found
}

function readShard(row: Row): ShardMetrics {
	return {
		tenant: tenantIn(row),
		shard: numberIn(row, 'shard'),
		head: numberIn(row, 'head_seq'),
		lagMs: numberIn(row, 'lag_ms'),
		sizeBytes: numberIn(row, 'size_bytes'),
		records: numberIn(row, 'records'),
		keys: numberIn(row, 'api_keys'),
		changes: numberIn(row, 'applied_seq'),
		rowsWritten: numberIn(row, 'rows_written'),
		rowsRead: numberIn(row, 'rows_read'),
		messages: numberIn(row, 'messages'),
	}
}

function readUsage(row: Row): Usage {
	const held =
		row.records == null
			? null
			: { records: numberIn(row, 'records'), keys: numberIn(row, 'api_keys'), sizeBytes: numberIn(row, 'size_bytes') }
	return {
		at: numberIn(row, 'at_ms'),
		held,
		requests: numberIn(row, 'requests'),
		writes: numberIn(row, 'writes'),
		exports: numberIn(row, 'exports'),
		erasures: numberIn(row, 'erasures'),
		rowsWritten: numberIn(row, 'rows_written'),
		rowsRead: numberIn(row, 'rows_read'),
		messages: numberIn(row, 'messages'),
	}
}

const sumRequests = `
SELECT route, class, requests, duration_ms FROM telemetry_request WHERE grain = 'ever' ORDER BY route, class`

const sumLatency = `
SELECT route, bucket, requests FROM telemetry_latency WHERE grain = 'ever' ORDER BY route, bucket`

const listShards = `
SELECT s.tenant_id, s.shard, s.head_seq, s.applied_seq, u.size_bytes, u.records, u.api_keys, u.rows_written, u.rows_read, u.messages,
	coalesce(floor(extract(epoch FROM greatest(now() - s.behind_since, interval '0')) * 1000), 0) AS lag_ms
FROM shard s JOIN shard_usage u USING (tenant_id, shard)
ORDER BY s.behind_since NULLS LAST, u.size_bytes DESC, s.tenant_id, s.shard LIMIT $1::int`

/** A row tells how far the tenant had come, so what it did is the difference to the row before. */
const listUsage = `
WITH used AS (
	SELECT at, records, api_keys, size_bytes,
		changes - coalesce(lag(changes) OVER earlier, 0) AS writes,
		rows_written - coalesce(lag(rows_written) OVER earlier, 0) AS rows_written,
		rows_read - coalesce(lag(rows_read) OVER earlier, 0) AS rows_read,
		messages - coalesce(lag(messages) OVER earlier, 0) AS messages
	FROM telemetry_usage WHERE tenant_id = $1 AND grain = $2
	WINDOW earlier AS (ORDER BY at)
), asked AS (
	SELECT at, sum(requests) AS requests,
		coalesce(sum(requests) FILTER (WHERE class = '2xx' AND route = 'POST /v1/exports'), 0) AS exports,
		coalesce(sum(requests) FILTER (WHERE class = '2xx' AND route IN
			('DELETE /v1/tenant', 'DELETE /v1/tenants/{id}', 'DELETE /v1/subjects/{subject}')), 0) AS erasures
	FROM telemetry_tenant WHERE tenant_id = $1 AND grain = $2 GROUP BY at
)
SELECT extract(epoch FROM at) * 1000 AS at_ms, u.records, u.api_keys, u.size_bytes,
	coalesce(a.requests, 0) AS requests, coalesce(a.exports, 0) AS exports, coalesce(a.erasures, 0) AS erasures,
	coalesce(u.writes, 0) AS writes, coalesce(u.rows_written, 0) AS rows_written,
	coalesce(u.rows_read, 0) AS rows_read, coalesce(u.messages, 0) AS messages
FROM used u FULL JOIN asked a USING (at) ORDER BY at DESC LIMIT $3::int`
