/**
 * Taking a tenant out of the view for good. The tombstone and the deletions are one transaction of several statements: the
 * later ones see what a page that was being applied has left, which one statement with one snapshot would miss.
 */
import type { StoreCount } from '../../core/erasure.ts'
import type { TenantId } from '../../core/ids.ts'
import { erasedRowsMax } from '../../core/limits.ts'
import type { Database } from './client.ts'
import { numberIn, textIn } from './row.ts'

/** Every table with rows of tenants, `shard` first: whoever applies a page holds its row, and has to be waited for. */
export const tenantTables = [
	'shard',
	'tenant',
	'collection',
	'dead_letter',
	'record',
	'shard_usage',
	'telemetry_tenant',
	'telemetry_usage',
	'rebuild_shard',
] as const

/**
 * Puts the tombstone, which no later page gets past, and deletes the tenant's rows, of its records `erasedRowsMax` at most:
 * no statement may run into the time limit. True when none is left. @throws DatabaseFailure
 */
export async function eraseTenant(database: Database, tenant: TenantId, epoch: number): Promise<boolean> {
	await database.write([
		{ text: bury, params: [tenant, epoch] },
		...tenantTables.map((table) => ({ text: deletion(table), params: [tenant] })),
	])
	const [row] = await database.query({ text: `SELECT count(*) AS left FROM (${remaining}) r`, params: [tenant] })
	return row === undefined || numberIn(row, 'left') === 0
}

/** How many rows of the tenant each table holds. @throws DatabaseFailure */
export async function countTenant(database: Database, tenant: TenantId): Promise<StoreCount[]> {
	const counts = tenantTables.map((table) => `(SELECT count(*) FROM ${table} WHERE tenant_id = $1) AS ${table}`)
	const [row = {}] = await database.query({ text: `SELECT ${counts.join(', ')}`, params: [tenant] })
	return tenantTables.map((table) => ({ store: 'view', things: table, count: numberIn(row, table) }))
}

/** Which of the tenants have no tombstone. @throws DatabaseFailure */
export async function listUnburied(database: Database, tenants: readonly TenantId[]): Promise<TenantId[]> {
	const rows = await database.query({ text: unburied, params: [JSON.stringify(tenants)] })
	const found = new Set(rows.map((row) => textIn(row, 'tenant_id')))
	return tenants.filter((tenant) => found.has(tenant))
}

const unburied = `
SELECT t.tenant_id FROM jsonb_array_elements_text($1::jsonb) AS t (tenant_id)
WHERE NOT EXISTS (SELECT FROM erasure e WHERE e.tenant_id = t.tenant_id)`

const bury = `
INSERT INTO erasure (tenant_id, epoch, erased_at) VALUES ($1, $2::bigint, now())
ON CONFLICT (tenant_id) DO UPDATE SET epoch = greatest(erasure.epoch, excluded.epoch)`

const remaining = 'SELECT 1 FROM record WHERE tenant_id = $1 LIMIT 1'

function deletion(table: (typeof tenantTables)[number]): string {
	if (table !== 'record') return `DELETE FROM ${table} WHERE tenant_id = $1`
	return `DELETE FROM record WHERE ctid = ANY (ARRAY(SELECT ctid FROM record WHERE tenant_id = $1 LIMIT ${erasedRowsMax}))`
}
