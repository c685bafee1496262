import type { Operations, Provisioning, TenantInfo, TenantStatus } from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import { requestsPerSecondDefault, shardBytesMax } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { keyCount } from './keys.ts'
import type { Work } from './work.ts'

export interface TenantRow {
	id: TenantId
	shard: number
	epoch: number
	slug: string
	name: string
	status: TenantStatus
	created_at: number
	requests_per_second: number
	storage_bytes: number
	held_at: number | null
}

export function readTenant(sql: Sql): TenantRow {
	const row = sql.all<TenantRow>(
		'SELECT id, shard, epoch, slug, name, status, created_at, requests_per_second, storage_bytes, held_at FROM tenant',
	)[0]
	if (!row) throw new Error('the tenant row is missing')
	return row
}

/** The first rows of a tenant's database, inside the transaction that makes it. */
export function insertTenant(sql: Sql, { tenant, shard, epoch, slug, name, createdAt }: Provisioning): void {
	sql.all(
		`INSERT INTO tenant (only_row, id, shard, epoch, slug, name, status, created_at, requests_per_second, storage_bytes, collections_created, catalog)
		VALUES (1, ?, ?, ?, ?, ?, 'active', ?, ?, ?, 0, '')`,
		...[tenant, shard, epoch, slug, name, createdAt, requestsPerSecondDefault, shardBytesMax],
	)
	sql.all("INSERT INTO checkpoint (only_row, seq, acknowledged, totals) VALUES (1, 0, 0, '{}')")
}

/** Whether the database was made by this very provisioning. */
export function isSame(sql: Sql, { tenant, shard, slug, key }: Provisioning): boolean {
	const present = readTenant(sql)
	if (present.id !== tenant || present.shard !== shard || present.slug !== slug) return false
	return sql.all('SELECT 1 AS one FROM api_key WHERE id = ? AND secret_hash = ?', key.id, key.secretHash).length > 0
}

export function getTenant(work: Work): Outcome<{ tenant: TenantInfo }> {
	return accept({ tenant: infoOf(work) })
}

export function updateTenant(
	work: Work,
	takes: Operations['tenant.update']['takes'],
): Outcome<{ tenant: TenantInfo; position: number }> {
	const { status: before } = readTenant(work.sql)
	work.sql.all(
		`UPDATE tenant SET slug = coalesce(?, slug), name = coalesce(?, name), status = coalesce(?, status),
			requests_per_second = coalesce(?, requests_per_second), storage_bytes = coalesce(?, storage_bytes)`,
		takes.slug ?? null,
		takes.tenantName ?? null,
		takes.status ?? null,
		takes.limits?.requests_per_second ?? null,
		takes.limits?.storage_bytes ?? null,
	)
	work.catalog.change()
	let position = work.journal.append({ op: 'tenant', collection: null, id: null, version: null })
	const { status } = readTenant(work.sql)
	// All records leave the view, or come back to it.
	if (status !== before && (status === 'restricted' || before === 'restricted'))
		position = work.journal.append({ op: 'rebuild', collection: null, id: null, version: null })
	return accept({ tenant: infoOf(work), position })
}

/** Takes note of a legal hold as the control object has it; null for none. True when that is news. */
export function noteHold({ sql, catalog }: Work, at: number | null): boolean {
	if (catalog.tenant().held_at === at) return false
	sql.all('UPDATE tenant SET held_at = ?', at)
	catalog.change()
	return true
}

function infoOf(work: Work): TenantInfo {
	const row = readTenant(work.sql)
	const collections =
		work.sql.all<{ collections: number }>('SELECT count(*) AS collections FROM collection')[0]?.collections ?? 0
	return {
		id: row.id,
		slug: row.slug,
		name: row.name,
		status: row.status,
		createdAt: row.created_at,
		heldSince: row.held_at,
		limits: {
			requests_per_second: row.requests_per_second,
			storage_bytes: Math.min(row.storage_bytes, work.shardBytesMax),
		},
		usage: {
			records: work.journal.totals.sum().records,
			collections,
			keys: keyCount(work),
			storage_bytes: work.sql.sizeBytes(),
			position: work.journal.head,
		},
	}
}
