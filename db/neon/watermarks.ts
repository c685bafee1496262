import { z } from 'zod'
import type { WakeUp } from '../../core/contract.ts'
import type { Watermark } from '../../core/watermark.ts'
import type { Database, Row } from './client.ts'
import { notErased } from './move.ts'
import { numberIn, tenantIn } from './row.ts'

/**
 * Reads the watermarks of shards and notes the heads that the wake-ups name, in one statement; null for a shard that the view
 * has not met. A wake-up of another epoch changes nothing. Every shard may be named once.
 */
export async function readWatermarks(database: Database, wakeUps: readonly WakeUp[]): Promise<(Watermark | null)[]> {
	const rows = await database.query({ text: noteHeads, params: [JSON.stringify(wakeUps)] })
	const found = new Map(rows.map((row) => [`${row.tenant_id}/${row.shard}`, row]))
	return wakeUps.map((wakeUp) => {
		const row = found.get(`${wakeUp.tenant}/${wakeUp.shard}`)
		return row === undefined ? null : readWatermark(wakeUp, row)
	})
}

/** Begins to follow a shard that has confirmed this epoch. Changes nothing when somebody else has begun, or for an erased tenant. */
export async function startWatermark(database: Database, { tenant, shard, epoch, head }: WakeUp): Promise<void> {
	await database.query({ text: insertWatermark, params: [tenant, shard, epoch, head] })
}

/**
 * Follows a shard of another history under a newer epoch, from nothing: the rows stay until its first base replaces them, and
 * until then the watermark says that they prove nothing. Changes nothing when the epoch is no longer `of`'s.
 */
export async function startOver(
	database: Database,
	{ tenant, shard, epoch: from }: Pick<Watermark, 'tenant' | 'shard' | 'epoch'>,
	epoch: number,
): Promise<void> {
	await database.query({ text: resetWatermark, params: [tenant, shard, from, epoch] })
}

/** Shards whose base has not moved for so long: the message that would have gone on with it was lost. */
export async function listStalled(database: Database, stalledMs: number, limit: number): Promise<WakeUp[]> {
	const rows = await database.query({ text: selectStalled, params: [stalledMs, limit] })
	return rows.map((row) => ({
		tenant: tenantIn(row),
		shard: numberIn(row, 'shard'),
		epoch: numberIn(row, 'epoch'),
		head: numberIn(row, 'head_seq'),
	}))
}

function readWatermark({ tenant, shard }: Pick<Watermark, 'tenant' | 'shard'>, row: Row): Watermark {
	return {
		tenant,
		shard,
		epoch: numberIn(row, 'epoch'),
		revision: numberIn(row, 'revision'),
		appliedSeq: numberIn(row, 'applied_seq'),
		chain: row.chain ?? null,
		base: {
			pending: row.base_pending == null ? [] : names.parse(JSON.parse(row.base_pending)),
			after: row.base_after ?? null,
			hollow: row.base_hollow === 't',
			done: numberIn(row, 'base_done'),
			total: numberIn(row, 'base_total'),
		},
	}
}

const names = z.array(z.string())

// Times of the watermark are this database's own, so that all consumers and readers of a region share one clock. Rows are
// locked in one order everywhere, so that two consumers with the same shards wait for each other instead of deadlocking.
const noteHeads = `
WITH told AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($1::jsonb) AS w (tenant text, shard int, epoch bigint, head bigint)
), locked AS MATERIALIZED (
	SELECT s.tenant_id, s.shard, w.epoch, w.head FROM shard s JOIN told w ON s.tenant_id = w.tenant AND s.shard = w.shard
	ORDER BY s.tenant_id, s.shard FOR UPDATE OF s
)
UPDATE shard s SET
	head_seq = CASE WHEN s.epoch = l.epoch THEN greatest(s.head_seq, l.head) ELSE s.head_seq END,
	behind_since = CASE WHEN s.epoch = l.epoch AND l.head > s.applied_seq THEN coalesce(s.behind_since, now()) ELSE s.behind_since END
FROM locked l WHERE s.tenant_id = l.tenant_id AND s.shard = l.shard
RETURNING s.tenant_id, s.shard, s.epoch, s.revision, s.applied_seq, s.chain,
	s.base_pending, s.base_after, s.base_hollow, s.base_done, s.base_total`

// `read_seq` differs from `applied_seq`, so that the shard is not exact.
const resetWatermark = `
UPDATE shard SET
	epoch = $4::bigint, revision = revision + 1, applied_seq = 0, chain = NULL, read_seq = greatest(read_seq, 1), head_seq = 0,
	behind_since = coalesce(behind_since, now()), base_pending = NULL, base_after = NULL, base_hollow = true, checksum_seq = NULL
WHERE tenant_id = $1 AND shard = $2::int AND epoch = $3::bigint AND ${notErased('$1')}`

const selectStalled = `
SELECT tenant_id, shard, epoch, head_seq FROM shard
WHERE (base_pending IS NOT NULL OR base_hollow) AND coalesce(applied_at, '-infinity') < now() - make_interval(secs => $1::float8 / 1000)
ORDER BY applied_at NULLS FIRST LIMIT $2::int`

const insertWatermark = `
INSERT INTO shard (tenant_id, shard, epoch, revision, applied_seq, read_seq, head_seq, behind_since)
SELECT $1, $2::int, $3::bigint, 0, 0, 0, $4::bigint, CASE WHEN $4::bigint > 0 THEN now() END WHERE ${notErased('$1')}
ON CONFLICT (tenant_id, shard) DO NOTHING`
