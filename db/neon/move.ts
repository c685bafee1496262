/** What the statements that apply one page share: the fence, the watermark's move, and the tenant's description. */
import type { Page, Reading } from '../../core/contract.ts'
import { movedBy, type Watermark } from '../../core/watermark.ts'
import type { Row } from './client.ts'

type Params = (string | number | boolean | null)[]

/** $1 to $13 of a statement that begins with `move`. `to` is the watermark after it. */
export function moveParams(from: Watermark, reading: Reading, to: Watermark = movedBy(reading, from)): Params {
	const { base, appliedSeq, chain } = to
	const { head } = reading.page
	const at = reading.kind === 'page' ? reading.page.toAt : null
	const starts = reading.kind === 'page' && Boolean(reading.page.base)
	const checksum = reading.kind === 'page' ? reading.page.checksum : null
	const pending = base.pending.length === 0 ? null : JSON.stringify(base.pending)
	return [
		...[from.tenant, from.shard, from.epoch, from.revision, appliedSeq, head, at],
		...[pending, base.after, base.hollow, base.done, base.total],
		JSON.stringify({ starts, chain, ...checksum }),
	]
}

/** $14 to $17 of a statement with `describeTenant`. */
export function tenantParams({ tenant }: Page): Params {
	return [tenant.slug, tenant.name, tenant.status, tenant.createdAt]
}

/** The tombstone's part of every fence: an erased tenant has no watermark, and nothing can give it one again (V3). */
export const notErased = (tenant: string) => `NOT EXISTS (SELECT FROM erasure e WHERE e.tenant_id = ${tenant})`

/** What is known of the time since when a change has waited: what was applied last is older than whatever still waits. */
export const waiting = (applied: string, head: string, at: string) =>
	`CASE WHEN ${applied} < greatest(head_seq, ${head}) THEN greatest(coalesce(behind_since, now()), to_timestamp(${at} / 1000.0)) END`

/** What the shard says that its rows come to; a page that does not say leaves the last word, which is of its own position. */
export const checksumColumns = (count: string, digest: string, to: string) => `
		checksum_seq = CASE WHEN ${digest} IS NULL THEN checksum_seq ELSE ${to} END,
		checksum_count = coalesce((${count})::bigint, checksum_count),
		checksum_digest = coalesce((${digest})::numeric, checksum_digest)`

/** Whatever follows in a statement reads from `moved`, so without the move nothing happens. */
export const move = `
WITH RECURSIVE moved AS (
	UPDATE shard SET
		revision = revision + 1, applied_seq = $5::bigint, chain = $13::jsonb ->> 'chain',
		read_seq = $6::bigint, head_seq = greatest(head_seq, $6::bigint),
		applied_at = now(), change_at = coalesce(to_timestamp($7::bigint / 1000.0), change_at),
		behind_since = ${waiting('$5::bigint', '$6::bigint', '$7::bigint')},
		base_pending = $8::jsonb, base_after = $9, base_hollow = $10::boolean, base_done = $11::bigint, base_total = $12::bigint,
		${checksumColumns("$13::jsonb ->> 'count'", "$13::jsonb ->> 'digest'", '$5::bigint')},
		base_started_at = CASE WHEN ($13::jsonb -> 'starts')::boolean THEN now() ELSE base_started_at END,
		base_finished_at = CASE WHEN $8::jsonb IS NULL AND (($13::jsonb -> 'starts')::boolean OR base_pending IS NOT NULL) THEN now()
			WHEN ($13::jsonb -> 'starts')::boolean THEN NULL ELSE base_finished_at END
	WHERE tenant_id = $1 AND shard = $2::int AND epoch = $3::bigint AND revision = $4::bigint AND ${notErased('$1')}
	RETURNING 1
)`

export const describeTenant = `described AS (
	INSERT INTO tenant AS t (tenant_id, slug, name, status, created_at, updated_at)
	SELECT $1, $14, $15, $16, to_timestamp($17::bigint / 1000.0), now() FROM moved
	ON CONFLICT (tenant_id) DO UPDATE SET slug = excluded.slug, name = excluded.name, status = excluded.status, updated_at = now()
	WHERE (t.slug, t.name, t.status) IS DISTINCT FROM (excluded.slug, excluded.name, excluded.status)
)`

/** What a statement that ends with `SELECT count(*) AS moved FROM moved` has answered. */
export function hasMoved(rows: Row[]): boolean {
	return rows[0]?.moved === '1'
}
