/**
 * Reading a shard anew while its changes go on: a base replaces one key range after the other in place, under the same fence
 * as pages of changes, so readers never see a hole and heads only rise.
 */
import type { BasePage, BaseStart } from '../../core/contract.ts'
import type { Watermark } from '../../core/watermark.ts'
import type { Move } from './apply.ts'
import type { Database } from './client.ts'
import { describeTenant, hasMoved, move, moveParams, tenantParams } from './move.ts'

/** A key range and the watermark that was read before it. */
export interface BaseMove {
	watermark: Watermark
	page: BasePage
}

/** Notes what is to be read. Of all collections, those that the shard no longer has go at once. */
export async function startBase(database: Database, { watermark, page }: Move, start: BaseStart): Promise<boolean> {
	const params = [...moveParams(watermark, { kind: 'page', page }), ...tenantParams(page)]
	if (!start.all) return hasMoved(await database.query({ text: startSome, params }))
	return hasMoved(await database.query({ text: startAll, params: [...params, JSON.stringify(start.collections)] }))
}

/** Replaces the range: puts its records, deletes what it lacks. Rows that are equal already are left alone. */
export async function applyBase(database: Database, { watermark, page }: BaseMove): Promise<boolean> {
	const { range, last, definition, upserts } = page
	const described = definition?.kind === 'put' ? JSON.stringify(definition) : null
	const params = [
		...moveParams(watermark, { kind: 'base', page }),
		...[range.collection, range.only ?? range.after ?? '', last, upserts, described, definition?.kind ?? null],
	]
	return hasMoved(await database.query({ text: range.only === null ? replaceRange : replaceOne, params }))
}

const startSome = `${move}, ${describeTenant} SELECT count(*) AS moved FROM moved`

/** $18 the collections there are. The held ones are found by hopping through the key, not by reading all rows. */
const startAll = `${move}, ${describeTenant}, held AS (
	SELECT (SELECT min(collection) FROM record WHERE tenant_id = $1) AS name
	UNION ALL
	SELECT (SELECT min(r.collection) FROM record r WHERE r.tenant_id = $1 AND r.collection > h.name) FROM held h WHERE h.name IS NOT NULL
), emptied AS (
	DELETE FROM record r USING moved WHERE r.tenant_id = $1 AND r.collection = ANY (
		ARRAY(SELECT h.name FROM held h WHERE h.name IS NOT NULL AND NOT $18::jsonb ? h.name)
	)
), undefined AS (
	DELETE FROM collection c USING moved WHERE c.tenant_id = $1 AND NOT $18::jsonb ? c.name
), recovered AS (
	DELETE FROM dead_letter d USING moved
	WHERE d.tenant_id = $1 AND d.shard = $2::int AND (d.collection IS NULL OR NOT $18::jsonb ? d.collection)
)
SELECT count(*) AS moved FROM moved`

/** $14 the collection, $17 its records, $18 its definition and $19 whether there is one. `within` says which ids are in the range. */
const replace = (within: (id: string) => string, whole: string) => `${move}, present AS MATERIALIZED (
	SELECT p.i, p.v, p.t, p.u, p.d
	FROM moved, jsonb_to_recordset($17::jsonb) AS p (i text, v int, t bigint, u bigint, d jsonb)
), upserted AS (
	INSERT INTO record AS r (tenant_id, collection, id, version, data, created_at, updated_at)
	SELECT $1, $14, i, v, d, to_timestamp(t / 1000.0), to_timestamp(u / 1000.0) FROM present
	ON CONFLICT (tenant_id, collection, id) DO UPDATE SET
		version = excluded.version, data = excluded.data, created_at = excluded.created_at, updated_at = excluded.updated_at
	WHERE (r.version, r.data, r.created_at, r.updated_at)
		IS DISTINCT FROM (excluded.version, excluded.data, excluded.created_at, excluded.updated_at)
), deleted AS (
	DELETE FROM record r USING moved
	WHERE r.tenant_id = $1 AND r.collection = $14 AND ${within('r.id')} AND NOT EXISTS (SELECT FROM present p WHERE p.i = r.id)
), defined AS (
	INSERT INTO collection (tenant_id, name, fields, created_at)
	SELECT $1, $14, $18::jsonb -> 'fields', to_timestamp(($18::jsonb ->> 'createdAt')::bigint / 1000.0) FROM moved WHERE $18::jsonb IS NOT NULL
	ON CONFLICT (tenant_id, name) DO UPDATE SET fields = excluded.fields, created_at = excluded.created_at
), undefined AS (
	DELETE FROM collection c USING moved WHERE c.tenant_id = $1 AND c.name = $14 AND $19 = 'dropped'
), recovered AS (
	DELETE FROM dead_letter d USING moved WHERE d.tenant_id = $1 AND d.shard = $2::int AND d.collection = $14
		AND (${within('d.record_id')} OR (d.record_id IS NULL AND ${whole}))
)
SELECT count(*) AS moved FROM moved`

const replaceRange = replace((id) => `${id} > $15 AND ($16::text IS NULL OR ${id} <= $16)`, '$16::text IS NULL')
const replaceOne = replace((id) => `${id} = $15 AND $16::text IS NULL`, 'false')
