/** All SQL that writes telemetry. It never touches a table of the view, and the view's statements never wait for it. */
import type { TelemetryMessage } from '../../core/telemetry.ts'
import type { Database } from './client.ts'

/**
 * Adds what isolates counted to the sums of its minute, hour and day and to that of all times, in one transaction of its own.
 * A message that has been added before adds nothing, so it may be delivered again after an answer got lost. @throws DatabaseFailure
 */
export async function addTelemetry(database: Database, messages: readonly TelemetryMessage[]): Promise<void> {
	await database.query({ text: add, params: [JSON.stringify(messages)] })
}

/** Notes how far every tenant's shards have come, as the last word on this hour and day so far. @throws DatabaseFailure */
export async function noteUsage(database: Database): Promise<void> {
	await database.query({ text: note, params: [] })
}

/** Deletes sums whose time is over, at most `rowsMax` a table. @throws DatabaseFailure */
export async function retireTelemetry(database: Database, rowsMax: number): Promise<void> {
	for (const table of ['telemetry_request', 'telemetry_latency', 'telemetry_tenant', 'telemetry_usage'])
		await database.query({ text: retire(table), params: [rowsMax] })
	await database.query({ text: forgetMessages, params: [rowsMax] })
}

// Rows are touched in one order, so that two deliveries at once wait for each other instead of deadlocking.
const add = `
WITH fresh AS (
	INSERT INTO telemetry_message (id, received_at)
	SELECT DISTINCT m.id, now() FROM jsonb_to_recordset($1::jsonb) AS m (id text) ORDER BY m.id
	ON CONFLICT (id) DO NOTHING RETURNING id
), message AS MATERIALIZED (
	SELECT DISTINCT ON (m.id) to_timestamp(m.at / 1000.0) AS at, m.routes, m.tenants
	FROM jsonb_to_recordset($1::jsonb) AS m (id text, at bigint, routes jsonb, tenants jsonb) JOIN fresh USING (id)
), counted AS MATERIALIZED (
	SELECT m.at, r.r AS route, r.c AS class, r.n, r.ms, r.b
	FROM message m, jsonb_to_recordset(m.routes) AS r (r text, c text, n bigint, ms bigint, b jsonb)
), requests AS (
	INSERT INTO telemetry_request AS t (grain, at, route, class, requests, duration_ms)
	SELECT g.grain, ${startOf('c.at')}, c.route, c.class, sum(c.n), sum(c.ms)
	FROM counted c CROSS JOIN (VALUES ('minute'), ('hour'), ('day'), ('ever')) AS g (grain)
	GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
	ON CONFLICT (grain, at, route, class) DO UPDATE SET
		requests = t.requests + excluded.requests, duration_ms = t.duration_ms + excluded.duration_ms
), latency AS (
	INSERT INTO telemetry_latency AS t (grain, at, route, bucket, requests)
	SELECT g.grain, ${startOf('c.at')}, c.route, (b.pair->>0)::int, sum((b.pair->>1)::bigint)
	FROM counted c CROSS JOIN LATERAL jsonb_array_elements(c.b) AS b (pair)
		CROSS JOIN (VALUES ('minute'), ('hour'), ('day'), ('ever')) AS g (grain)
	GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
	ON CONFLICT (grain, at, route, bucket) DO UPDATE SET requests = t.requests + excluded.requests
)
INSERT INTO telemetry_tenant AS t (grain, at, tenant_id, route, class, requests)
SELECT g.grain, ${startOf('m.at')}, r.t, r.r, r.c, sum(r.n)
FROM message m CROSS JOIN LATERAL jsonb_to_recordset(m.tenants) AS r (t text, r text, c text, n bigint)
	CROSS JOIN (VALUES ('hour'), ('day')) AS g (grain)
WHERE NOT EXISTS (SELECT FROM erasure e WHERE e.tenant_id = r.t)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (grain, at, tenant_id, route, class) DO UPDATE SET requests = t.requests + excluded.requests`

function startOf(moment: string): string {
	return `CASE g.grain WHEN 'ever' THEN to_timestamp(0) ELSE date_trunc(g.grain, ${moment}, 'UTC') END`
}

const note = `
INSERT INTO telemetry_usage AS t (grain, at, tenant_id, size_bytes, records, api_keys, changes, rows_written, rows_read, messages)
SELECT g.grain, date_trunc(g.grain, now(), 'UTC'), u.tenant_id, sum(u.size_bytes), sum(u.records), sum(u.api_keys),
	sum(s.applied_seq), sum(u.rows_written), sum(u.rows_read), sum(u.messages)
FROM shard_usage u JOIN shard s USING (tenant_id, shard) CROSS JOIN (VALUES ('hour'), ('day')) AS g (grain)
WHERE u.tenant_id IN (SELECT tenant_id FROM shard_usage WHERE reported_at > now() - interval '1 hour')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, grain, at) DO UPDATE SET
	size_bytes = excluded.size_bytes, records = excluded.records, api_keys = excluded.api_keys, changes = excluded.changes,
	rows_written = excluded.rows_written, rows_read = excluded.rows_read, messages = excluded.messages`

/** Minutes for two days, hours for five weeks, days for as long as the journal. */
const retire = (table: string) => `
DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
	SELECT ctid FROM ${table}
	WHERE grain <> 'ever' AND at < now() - CASE grain
		WHEN 'minute' THEN interval '2 days' WHEN 'hour' THEN interval '35 days' ELSE interval '400 days' END
	LIMIT $1::int
))`

/** No queue keeps a message for longer than 14 days. */
const forgetMessages = `
DELETE FROM telemetry_message WHERE ctid = ANY (ARRAY(
	SELECT ctid FROM telemetry_message WHERE received_at < now() - interval '15 days' LIMIT $1::int
))`
