/** Rows of tenants that the view does not follow: nobody would ever correct them. */
import { erasedRowsMax } from '../../core/limits.ts'
import type { Database } from './client.ts'
import { textIn } from './row.ts'

/**
 * Tenants with rows and without a watermark. Goes through the tenants by hopping along the key, from a random place on when
 * there are more than `sought`. What is no tenant's id is answered as it is.
 */
export async function listStrays(database: Database, sought: number, limit: number): Promise<string[]> {
	const rows = await database.query({ text: selectStrays, params: [sought, limit] })
	return rows.map((row) => textIn(row, 'tenant_id'))
}

/** Deletes a part of the rows, unless the view has begun to follow the tenant. */
export async function deleteStray(database: Database, tenant: string): Promise<void> {
	await database.write(strayTables.map((table) => ({ text: deletion(table), params: [tenant] })))
}

const strayTables = ['tenant', 'collection', 'dead_letter', 'shard_usage', 'record'] as const

function deletion(table: (typeof strayTables)[number]): string {
	const unfollowed = 'NOT EXISTS (SELECT FROM shard s WHERE s.tenant_id = $1)'
	if (table !== 'record') return `DELETE FROM ${table} WHERE tenant_id = $1 AND ${unfollowed}`
	return `DELETE FROM record WHERE ${unfollowed}
		AND ctid = ANY (ARRAY(SELECT ctid FROM record WHERE tenant_id = $1 LIMIT ${erasedRowsMax}))`
}

const selectStrays = `
WITH RECURSIVE place AS (
	SELECT CASE WHEN n.shards <= $1::bigint THEN '' ELSE (
		SELECT tenant_id FROM shard ORDER BY tenant_id OFFSET floor(random() * n.shards) LIMIT 1
	) END AS first
	FROM (SELECT count(*) AS shards FROM shard) n
), held AS (
	SELECT (SELECT min(r.tenant_id) FROM record r, place p WHERE r.tenant_id >= p.first) AS tenant_id, 1 AS n
	UNION ALL
	SELECT (SELECT min(r.tenant_id) FROM record r WHERE r.tenant_id > h.tenant_id), h.n + 1
	FROM held h WHERE h.tenant_id IS NOT NULL AND h.n < $1::bigint
), seen AS (
	SELECT tenant_id FROM held WHERE tenant_id IS NOT NULL
	UNION SELECT tenant_id FROM tenant
	UNION SELECT tenant_id FROM collection
)
SELECT tenant_id FROM seen e WHERE NOT EXISTS (SELECT FROM shard s WHERE s.tenant_id = e.tenant_id) LIMIT $2::int`
