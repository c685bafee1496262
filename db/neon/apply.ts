/**
 * All SQL that writes the view. A page of a shard's changes is applied by one statement that moves the watermark and
 * the rows together, fenced by epoch and revision: when another consumer was faster it changes nothing at all. That
 * makes it safe to repeat after an answer got lost, and it is why no row needs a version guard.
 */
import type { Page, SchemaPage, WakeUp } from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import type { Database, Row, Statement } from './client.ts'
import { numberIn } from './row.ts'

/** What the fence compares, as it was read before the pull. */
export interface Watermark {
	tenant: TenantId
	shard: number
	epoch: number
	revision: number
	appliedSeq: number
}

/** The one change of a page that Postgres cannot take. A schema entry has no `recordId`; a key or tenant entry has neither. */
export interface PoisonEntry {
	op: 'upsert' | 'delete' | 'schema' | 'none'
	collection: string | null
	recordId: string | null
	/** SQLSTATE and its class, never data. */
	reason: string
}

/** A page and the watermark that it follows. */
export interface Move {
	watermark: Watermark
	page: Page
}

/**
 * Reads the watermarks of shards, notes the heads that the wake-ups name, and starts a watermark on first contact, in one
 * statement. A wake-up of another epoch changes nothing. Every shard may be named once.
 */
export async function readWatermarks(database: Database, wakeUps: readonly WakeUp[]): Promise<Watermark[]> {
	const rows = await database.query({ text: noteHeads, params: [JSON.stringify(wakeUps)] })
	const found = new Map(rows.map((row) => [`${row.tenant_id}/${row.shard}`, row]))
	return wakeUps.map(({ tenant, shard }) => {
		const row = found.get(`${tenant}/${shard}`)
		if (row === undefined) throw new Error('an upsert without a condition returned no row')
		return {
			tenant,
			shard,
			epoch: numberIn(row, 'epoch'),
			revision: numberIn(row, 'revision'),
			appliedSeq: numberIn(row, 'applied_seq'),
		}
	})
}

/**
 * Applies the pages of several shards in one statement. Each has a fence of its own: the answer is false for one whose
 * watermark has moved since it was read, and nothing of that page has changed. Every shard may be named once.
 */
export async function applyPages(database: Database, moves: readonly Move[]): Promise<boolean[]> {
	const fences = moves.map(({ watermark, page }, n) => ({
		n,
		...watermark,
		...page.tenant,
		to: page.to,
		head: page.head,
		at: page.toAt,
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

/** Applies a page that is about a collection's schema, which may touch all of its rows. */
export async function applySchema(database: Database, { watermark, page }: Move, schema: SchemaPage): Promise<boolean> {
	return moved(await database.query(schemaStatement(watermark, page, schema)))
}

/**
 * Moves the watermark past a page whose one change Postgres cannot take. The row it is about leaves the view, because an
 * older state would now be older than `applied_seq`; the dead letter says that it is missing, and the shard is not exact
 * until a later page brings the record. A collection whose schema entry failed leaves as a whole: what has become personal
 * could not be removed from its rows.
 */
export async function setAside(
	database: Database,
	watermark: Watermark,
	page: Page,
	entry: PoisonEntry,
): Promise<boolean> {
	const params = [...moveParams(watermark, page), entry.collection, entry.recordId, entry.op, entry.reason]
	return moved(await database.query({ text: setEntryAside, params }))
}

function schemaStatement(watermark: Watermark, page: Page, schema: SchemaPage): Statement {
	const params = [...moveParams(watermark, page), ...tenantParams(page), schema.collection]
	switch (schema.kind) {
		case 'put':
			return {
				text: putCollection,
				params: [...params, JSON.stringify(schema.fields), schema.createdAt, JSON.stringify(schema.personal)],
			}
		case 'dropped':
			return { text: dropCollection, params }
	}
}

function moveParams(watermark: Watermark, page: Page) {
	return [watermark.tenant, watermark.shard, watermark.epoch, watermark.revision, page.to, page.head, page.toAt]
}

function tenantParams({ tenant }: Page) {
	return [tenant.slug, tenant.name, tenant.status, tenant.createdAt]
}

function moved(rows: Row[]): boolean {
	return rows[0]?.moved === '1'
}

// Times of the watermark are this database's own, so that all consumers and readers of a region share one clock. Rows are
// locked in one order everywhere, so that two consumers with the same shards wait for each other instead of deadlocking.
const noteHeads = `
INSERT INTO shard AS s (tenant_id, shard, epoch, revision, applied_seq, read_seq, head_seq, behind_since)
SELECT w.tenant, w.shard, w.epoch, 0, 0, 0, w.head, CASE WHEN w.head > 0 THEN now() END
FROM jsonb_to_recordset($1::jsonb) AS w (tenant text, shard int, epoch bigint, head bigint) ORDER BY w.tenant, w.shard
ON CONFLICT (tenant_id, shard) DO UPDATE SET
	head_seq = CASE WHEN s.epoch = excluded.epoch THEN greatest(s.head_seq, excluded.head_seq) ELSE s.head_seq END,
	behind_since = CASE WHEN s.epoch = excluded.epoch AND excluded.head_seq > s.applied_seq
		THEN coalesce(s.behind_since, now()) ELSE s.behind_since END
RETURNING s.tenant_id, s.shard, s.epoch, s.revision, s.applied_seq`

/** What is known of the time since when a change has waited: what was applied last is older than whatever still waits. */
const waiting = (applied: string, head: string, at: string) =>
	`CASE WHEN ${applied} < greatest(head_seq, ${head}) THEN greatest(coalesce(behind_since, now()), to_timestamp(${at} / 1000.0)) END`

/** $1 to $7. Whatever follows in a statement reads from `moved`, so without the move nothing happens. */
const move = `
WITH moved AS (
	UPDATE shard SET
		revision = revision + 1, applied_seq = $5::bigint, read_seq = $6::bigint, head_seq = greatest(head_seq, $6::bigint),
		applied_at = now(), change_at = to_timestamp($7::bigint / 1000.0),
		behind_since = ${waiting('$5::bigint', '$6::bigint', '$7::bigint')}
	WHERE tenant_id = $1 AND shard = $2::int AND epoch = $3::bigint AND revision = $4::bigint
	RETURNING 1
)`

/** $8 to $11. */
const describeTenant = `described AS (
	INSERT INTO tenant AS t (tenant_id, slug, name, status, created_at, updated_at)
	SELECT $1, $8, $9, $10, to_timestamp($11::bigint / 1000.0), now() FROM moved
	ON CONFLICT (tenant_id) DO UPDATE SET slug = excluded.slug, name = excluded.name, status = excluded.status, updated_at = now()
	WHERE (t.slug, t.name, t.status) IS DISTINCT FROM (excluded.slug, excluded.name, excluded.status)
)`

/** What a meter counted since its last report: all of it, when its instance is new. */
const since = (column: string) => `excluded.${column} - CASE WHEN u.meter = excluded.meter THEN u.${column} ELSE 0 END`

/** $1 the fences, $2 and $3 the rows to put and to delete, by fence. */
const applyRecords = `
WITH fence AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($1::jsonb) AS f (n int, tenant text, shard int, epoch bigint, revision bigint,
		"to" bigint, head bigint, at bigint, slug text, name text, status text, "createdAt" bigint,
		bytes bigint, records bigint, keys int, meter text, written bigint, read bigint, sent bigint)
), locked AS MATERIALIZED (
	SELECT f.n FROM shard s JOIN fence f
		ON s.tenant_id = f.tenant AND s.shard = f.shard AND s.epoch = f.epoch AND s.revision = f.revision
	ORDER BY s.tenant_id, s.shard FOR UPDATE OF s
), moved AS (
	UPDATE shard s SET
		revision = s.revision + 1, applied_seq = f."to", read_seq = f.head, head_seq = greatest(head_seq, f.head),
		applied_at = now(), change_at = to_timestamp(f.at / 1000.0), behind_since = ${waiting('f."to"', 'f.head', 'f.at')}
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

/** $12 to $15: the collection, its fields, its creation, and the properties that no row may hold any longer. */
const putCollection = `${move}, ${describeTenant}, defined AS (
	INSERT INTO collection (tenant_id, name, fields, created_at)
	SELECT $1, $12, $13::jsonb, to_timestamp($14::bigint / 1000.0) FROM moved
	ON CONFLICT (tenant_id, name) DO UPDATE SET fields = excluded.fields, created_at = excluded.created_at
), personal AS (
	SELECT array_agg(p.name) AS names FROM moved, jsonb_array_elements_text($15::jsonb) AS p (name)
), stripped AS (
	UPDATE record r SET data = r.data - p.names FROM personal p
	WHERE r.tenant_id = $1 AND r.collection = $12 AND r.data ?| p.names
)
SELECT count(*) AS moved FROM moved`

const dropCollection = `${move}, ${describeTenant}, undefined AS (
	DELETE FROM collection c USING moved WHERE c.tenant_id = $1 AND c.name = $12
), emptied AS (
	DELETE FROM record r USING moved WHERE r.tenant_id = $1 AND r.collection = $12
), recovered AS (
	DELETE FROM dead_letter d USING moved WHERE d.tenant_id = $1 AND d.shard = $2::int AND d.collection = $12
)
SELECT count(*) AS moved FROM moved`

/** $8 to $11: collection, record, op and reason. Without a record, all of the collection is meant. */
const setEntryAside = `${move}, undefined AS (
	DELETE FROM collection c USING moved WHERE c.tenant_id = $1 AND c.name = $8 AND $9::text IS NULL
), removed AS (
	DELETE FROM record r USING moved
	WHERE r.tenant_id = $1 AND r.collection = $8 AND ($9::text IS NULL OR r.id = $9::text)
), kept AS (
	INSERT INTO dead_letter (tenant_id, shard, epoch, seq, collection, record_id, op, reason, created_at)
	SELECT $1, $2::int, $3::bigint, $5::bigint, $8, $9, $10, $11, now() FROM moved
)
SELECT count(*) AS moved FROM moved`
