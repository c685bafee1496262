/**
 * A page of a shard's changes is applied by one statement that moves the watermark and the rows together, fenced by epoch and
 * revision: when another consumer was faster it changes nothing at all. That makes it safe to repeat after an answer got
 * lost, and it is why no row needs a version guard.
 */
import type { Page } from '../../core/contract.ts'
import type { Watermark } from '../../core/watermark.ts'
import type { Database } from './client.ts'
import { checksumColumns, notErased, waiting } from './move.ts'
import { numberIn } from './row.ts'

/** A page and the watermark that it follows. */
export interface Move {
	watermark: Watermark
	page: Page
}

/**
 * Applies the pages of several shards in one statement. Each has a fence of its own: the answer is false for one whose
 * watermark has moved since it was read, and nothing of that page has changed. Every shard may be named once.
 */
export async function applyPages(database: Database, moves: readonly Move[]): Promise<boolean[]> {
	const fences = moves.map(({ watermark, page }, n) => ({
		n,
		tenant: watermark.tenant,
		shard: watermark.shard,
		epoch: watermark.epoch,
		revision: watermark.revision,
		...page.tenant,
		to: page.to,
		head: page.head,
		at: page.toAt,
		chain: page.chain ?? null,
		...page.checksum,
		...usageOf(page),
	}))
	const upserts = moves.map(({ page }, n) => `{"n":${n},"rows":${page.upserts}}`)
	const deletes = moves.map(({ page }, n) => `{"n":${n},"rows":${page.deletes}}`)
	const params = [JSON.stringify(fences), `[${upserts.join()}]`, `[${deletes.join()}]`]
	const rows = await database.query({ text: applyRecords, params })
	const moved = new Set(rows.map((row) => numberIn(row, 'n')))
	return moves.map((_, n) => moved.has(n))
}

/** What the page's shard says about itself; nothing when its object is older than reports. */
function usageOf({ report }: Page) {
	if (!report) return {}
	const { sizeBytes: bytes, records, keys, meter } = report
	return {
		bytes,
		records,
		keys,
		meter: meter.instance,
		written: meter.rowsWritten,
		read: meter.rowsRead,
		sent: meter.messages,
	}
}

/** What a meter counted since its last report: all of it, when its instance is new. */
const since = (column: string) => `excluded.${column} - CASE WHEN u.meter = excluded.meter THEN u.${column} ELSE 0 END`

/** $1 the fences, $2 and $3 the rows to put and to delete, by fence. */
const applyRecords = `
WITH fence AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($1::jsonb) AS f (n int, tenant text, shard int, epoch bigint, revision bigint,
		"to" bigint, head bigint, at bigint, chain text, slug text, name text, status text, "createdAt" bigint,
		count bigint, digest numeric, bytes bigint, records bigint, keys int, meter text, written bigint, read bigint, sent bigint)
), locked AS MATERIALIZED (
	SELECT f.n FROM shard s JOIN fence f
		ON s.tenant_id = f.tenant AND s.shard = f.shard AND s.epoch = f.epoch AND s.revision = f.revision
	WHERE ${notErased('f.tenant')}
	ORDER BY s.tenant_id, s.shard FOR UPDATE OF s
), moved AS (
	UPDATE shard s SET
		revision = s.revision + 1, applied_seq = f."to", chain = f.chain, read_seq = f.head, head_seq = greatest(head_seq, f.head),
		applied_at = now(), change_at = to_timestamp(f.at / 1000.0), behind_since = ${waiting('f."to"', 'f.head', 'f.at')},
		${checksumColumns('f.count', 'f.digest', 'f."to"')}
	FROM locked l JOIN fence f USING (n)
	WHERE s.tenant_id = f.tenant AND s.shard = f.shard
	RETURNING f.n, f.tenant, f.shard
), described AS (
	INSERT INTO tenant AS t (tenant_id, slug, name, status, created_at, updated_at)
	SELECT DISTINCT ON (f.tenant) f.tenant, f.slug, f.name, f.status, to_timestamp(f."createdAt" / 1000.0), now()
	FROM moved JOIN fence f USING (n) ORDER BY f.tenant
	ON CONFLICT (tenant_id) DO UPDATE SET slug = excluded.slug, name = excluded.name, status = excluded.status, updated_at = now()
	WHERE (t.slug, t.name, t.status) IS DISTINCT FROM (excluded.slug, excluded.name, excluded.status)
), metered AS (
	INSERT INTO shard_usage AS u (tenant_id, shard, size_bytes, records, api_keys, rows_written, rows_read, messages,
		meter, meter_rows_written, meter_rows_read, meter_messages, reported_at)
	SELECT f.tenant, f.shard, f.bytes, f.records, f.keys, f.written, f.read, f.sent, f.meter, f.written, f.read, f.sent, now()
	FROM moved JOIN fence f USING (n) WHERE f.meter IS NOT NULL
	ON CONFLICT (tenant_id, shard) DO UPDATE SET
		size_bytes = excluded.size_bytes, records = excluded.records, api_keys = excluded.api_keys,
		rows_written = u.rows_written + ${since('meter_rows_written')}, rows_read = u.rows_read + ${since('meter_rows_read')},
		messages = u.messages + ${since('meter_messages')}, meter = excluded.meter, meter_rows_written = excluded.meter_rows_written,
		meter_rows_read = excluded.meter_rows_read, meter_messages = excluded.meter_messages, reported_at = excluded.reported_at
), present AS MATERIALIZED (
	SELECT m.tenant, m.shard, p.c, p.i, p.v, p.t, p.u, p.d
	FROM moved m JOIN jsonb_to_recordset($2::jsonb) AS g (n int, rows jsonb) USING (n),
		jsonb_to_recordset(g.rows) AS p (c text, i text, v int, t bigint, u bigint, d jsonb)
), absent AS MATERIALIZED (
	SELECT m.tenant, m.shard, p.c, p.i
	FROM moved m JOIN jsonb_to_recordset($3::jsonb) AS g (n int, rows jsonb) USING (n),
		jsonb_to_recordset(g.rows) AS p (c text, i text)
), upserted AS (
	INSERT INTO record (tenant_id, collection, id, version, data, created_at, updated_at)
	SELECT tenant, c, i, v, d, to_timestamp(t / 1000.0), to_timestamp(u / 1000.0) FROM present
	ON CONFLICT (tenant_id, collection, id) DO UPDATE SET
		version = excluded.version, data = excluded.data, created_at = excluded.created_at, updated_at = excluded.updated_at
), deleted AS (
	DELETE FROM record r USING absent a WHERE r.tenant_id = a.tenant AND r.collection = a.c AND r.id = a.i
), recovered AS (
	DELETE FROM dead_letter d USING (SELECT tenant, shard, c, i FROM present UNION ALL SELECT tenant, shard, c, i FROM absent) p
	WHERE d.tenant_id = p.tenant AND d.shard = p.shard AND d.collection = p.c AND d.record_id = p.i
)
SELECT n FROM moved`
