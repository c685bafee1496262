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

/**
 * Reads the shard's watermark, notes the head that the wake-up names, and starts the watermark on first contact. A wake-up
 * of another epoch changes nothing.
 */
export async function readWatermark(database: Database, wakeUp: WakeUp): Promise<Watermark> {
	const { tenant, shard } = wakeUp
	const [row] = await database.query({ text: noteHead, params: [tenant, shard, wakeUp.epoch, wakeUp.head] })
	if (row === undefined) throw new Error('an upsert without a condition returned no row')
	return {
		tenant,
		shard,
		epoch: numberIn(row, 'epoch'),
		revision: numberIn(row, 'revision'),
		appliedSeq: numberIn(row, 'applied_seq'),
	}
}

/** Answers false when the watermark has moved since it was read: then nothing has changed. */
export async function applyPage(database: Database, watermark: Watermark, page: Page): Promise<boolean> {
	return moved(
		await database.query(
			page.schema === null ? recordsStatement(watermark, page) : schemaStatement(watermark, page, page.schema),
		),
	)
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

function recordsStatement(watermark: Watermark, page: Page): Statement {
	return {
		text: applyRecords,
		params: [...moveParams(watermark, page), ...tenantParams(page), page.upserts, page.deletes],
	}
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

// Times of the watermark are this database's own, so that all consumers and readers of a region share one clock.
const noteHead = `
INSERT INTO shard AS s (tenant_id, shard, epoch, revision, applied_seq, read_seq, head_seq, behind_since)
VALUES ($1, $2::int, $3::bigint, 0, 0, 0, $4::bigint, CASE WHEN $4::bigint > 0 THEN now() END)
ON CONFLICT (tenant_id, shard) DO UPDATE SET
	head_seq = CASE WHEN s.epoch = excluded.epoch THEN greatest(s.head_seq, excluded.head_seq) ELSE s.head_seq END,
	behind_since = CASE WHEN s.epoch = excluded.epoch AND excluded.head_seq > s.applied_seq
		THEN coalesce(s.behind_since, now()) ELSE s.behind_since END
RETURNING s.epoch, s.revision, s.applied_seq`

/** $1 to $7. Whatever follows in a statement reads from `moved`, so without the move nothing happens. */
const move = `
WITH moved AS (
	UPDATE shard SET
		revision = revision + 1, applied_seq = $5::bigint, read_seq = $6::bigint, head_seq = greatest(head_seq, $6::bigint),
		applied_at = now(), change_at = to_timestamp($7::bigint / 1000.0),
		behind_since = CASE WHEN $5::bigint < greatest(head_seq, $6::bigint) THEN coalesce(behind_since, now()) END
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

const applyRecords = `${move}, ${describeTenant}, present AS MATERIALIZED (
	SELECT p.c, p.i, p.v, p.t, p.u, p.d
	FROM moved, jsonb_to_recordset($12::jsonb) AS p (c text, i text, v int, t bigint, u bigint, d jsonb)
), absent AS MATERIALIZED (
	SELECT p.c, p.i FROM moved, jsonb_to_recordset($13::jsonb) AS p (c text, i text)
), upserted AS (
	INSERT INTO record (tenant_id, collection, id, version, data, created_at, updated_at)
	SELECT $1, c, i, v, d, to_timestamp(t / 1000.0), to_timestamp(u / 1000.0) FROM present
	ON CONFLICT (tenant_id, collection, id) DO UPDATE SET
		version = excluded.version, data = excluded.data, created_at = excluded.created_at, updated_at = excluded.updated_at
), deleted AS (
	DELETE FROM record r USING absent a WHERE r.tenant_id = $1 AND r.collection = a.c AND r.id = a.i
), recovered AS (
	DELETE FROM dead_letter d USING (SELECT c, i FROM present UNION ALL SELECT c, i FROM absent) p
	WHERE d.tenant_id = $1 AND d.shard = $2::int AND d.collection = p.c AND d.record_id = p.i
)
SELECT count(*) AS moved FROM moved`

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
