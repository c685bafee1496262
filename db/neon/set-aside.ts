import type { Reading } from '../../core/contract.ts'
import { movedPast, type Watermark } from '../../core/watermark.ts'
import type { Database } from './client.ts'
import { hasMoved, move, moveParams } from './move.ts'

/** The one change of a page that Postgres cannot take. A schema entry has no `recordId`; a key or tenant entry has neither. */
export interface PoisonEntry {
	op: 'upsert' | 'delete' | 'schema' | 'none'
	collection: string | null
	recordId: string | null
	/** SQLSTATE and its class, never data. */
	reason: string
	/** What the record adds to its shard's digest, so that the rest of the shard can still be verified; null without a record. */
	hash: string | null
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
	reading: Reading,
	entry: PoisonEntry,
): Promise<boolean> {
	const past = movedPast(reading, entry.recordId === null ? entry.collection : null, watermark)
	const seq = reading.kind === 'page' ? reading.page.to : reading.page.head
	const params = [
		...moveParams(watermark, reading, past),
		...[entry.collection, entry.recordId, entry.op, entry.reason, seq],
		...rangeOf(reading),
		entry.hash,
	]
	return hasMoved(await database.query({ text: setEntryAside, params }))
}

/** What the page says about ids beside the record's own: nothing else is in that range. */
function rangeOf(reading: Reading): [after: string | null, last: string | null] {
	if (reading.kind === 'page' || reading.page.range.only !== null) return [null, null]
	return [reading.page.range.after ?? '', reading.page.last]
}

/**
 * $14 to $18: collection, record, op, reason and position; $19 and $20 the range that the page tells of, $21 the hash. Without a
 * record, all of the collection is meant. What was set aside before is the same letter again.
 */
const setEntryAside = `${move}, undefined AS (
	DELETE FROM collection c USING moved WHERE c.tenant_id = $1 AND c.name = $14 AND $15::text IS NULL
), removed AS (
	DELETE FROM record r USING moved
	WHERE r.tenant_id = $1 AND r.collection = $14
		AND ($15::text IS NULL OR r.id = $15::text OR (r.id > $19::text AND ($20::text IS NULL OR r.id <= $20::text)))
), again AS (
	UPDATE dead_letter d SET epoch = $3::bigint, seq = $18::bigint, op = $16, reason = $17, hash = $21::numeric,
		attempts = attempts + 1, refused_at = now(), replay_asked_at = NULL, discarded_at = NULL
	FROM moved WHERE d.tenant_id = $1 AND d.shard = $2::int AND d.collection = $14 AND d.record_id IS NOT DISTINCT FROM $15
	RETURNING 1
), kept AS (
	INSERT INTO dead_letter (tenant_id, shard, epoch, seq, collection, record_id, op, reason, created_at, refused_at, hash)
	SELECT $1, $2::int, $3::bigint, $18::bigint, $14, $15, $16, $17, now(), now(), $21::numeric FROM moved WHERE NOT EXISTS (SELECT FROM again)
)
SELECT count(*) AS moved FROM moved`
