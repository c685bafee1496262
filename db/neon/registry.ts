/** How far the view has been compared with the registry of tenants; the row is read by every answer that tells its freshness. */
import { parseTenantId, type TenantId } from '../../core/ids.ts'
import type { Database } from './client.ts'
import { tenantIn } from './row.ts'

/** What the comparison asks of one region's view. */
export interface RegistryView {
	/** The last tenant that the running comparison has looked at; null at its start. */
	readCursor(): Promise<TenantId | null>
	/** Those that the view neither follows nor knows as erased, in the order of their ids. */
	listStrangers(tenants: readonly TenantId[]): Promise<TenantId[]>
	/** False when somebody else has gone on from there: then nothing has changed. */
	notePage(page: RegistryPage): Promise<boolean>
}

/** Tenants after `from` (null for the first) and up to `to`: null for the last, with whom the comparison is whole. */
export interface RegistryPage {
	from: TenantId | null
	to: TenantId | null
	tenants: number
	missing: number
}

export function registryView(database: Database): RegistryView {
	return {
		readCursor: async () => {
			const [row] = await database.query({ text: 'SELECT cursor FROM registry_sweep', params: [] })
			return row?.cursor == null ? null : parseTenantId(row.cursor)
		},
		listStrangers: async (tenants) => {
			const rows = await database.query({ text: selectStrangers, params: [JSON.stringify(tenants)] })
			return rows.map(tenantIn)
		},
		notePage: async ({ from, to, tenants, missing }) => {
			const rows = await database.query({ text: upsertPage, params: [from, to, tenants, missing] })
			return rows.length > 0
		},
	}
}

const selectStrangers = `
SELECT t.tenant_id FROM jsonb_array_elements_text($1::jsonb) AS t (tenant_id)
WHERE NOT EXISTS (SELECT FROM shard s WHERE s.tenant_id = t.tenant_id)
	AND NOT EXISTS (SELECT FROM erasure e WHERE e.tenant_id = t.tenant_id)
ORDER BY t.tenant_id COLLATE "C"`

// $2 is null with the last page: its sums become those of the last whole comparison, and the next one starts from nothing.
const upsertPage = `
INSERT INTO registry_sweep AS r (cursor, tenants, missing, last_tenants, last_missing, last_at)
SELECT $2::text, CASE WHEN $2::text IS NULL THEN 0 ELSE $3::int END, CASE WHEN $2::text IS NULL THEN 0 ELSE $4::int END,
	CASE WHEN $2::text IS NULL THEN $3::int END, CASE WHEN $2::text IS NULL THEN $4::int END, CASE WHEN $2::text IS NULL THEN now() END
WHERE $1::text IS NULL OR EXISTS (SELECT FROM registry_sweep)
ON CONFLICT (only_row) DO UPDATE SET
	cursor = excluded.cursor,
	tenants = CASE WHEN $2::text IS NULL THEN 0 ELSE r.tenants + $3::int END,
	missing = CASE WHEN $2::text IS NULL THEN 0 ELSE r.missing + $4::int END,
	last_tenants = CASE WHEN $2::text IS NULL THEN r.tenants + $3::int ELSE r.last_tenants END,
	last_missing = CASE WHEN $2::text IS NULL THEN r.missing + $4::int ELSE r.last_missing END,
	last_at = CASE WHEN $2::text IS NULL THEN now() ELSE r.last_at END
WHERE r.cursor IS NOT DISTINCT FROM $1::text
RETURNING 1`
