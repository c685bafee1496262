/** The sweep's side of verification: a shard's rows are summed in Postgres and held against what the shard says of them. */
import type { Checksum } from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import type { Comparison } from '../../core/verification.ts'
import type { Database, Row } from './client.ts'
import { digestOf, rowHashOf } from './digest.ts'
import { numberIn, tenantIn, textIn } from './row.ts'
import { deleteStray, listStrays } from './strays.ts'

/** A shard whose rows the view has at this position, as far as it knows. */
interface ExactShard {
	tenant: TenantId
	shard: number
	epoch: number
	appliedSeq: number
}

/** What the sweep asks of one region's view. */
export interface ComparedView {
	/** @see listUnsummed */
	listUnsummed(limit: number): Promise<ExactShard[]>
	/** @see noteChecksum */
	noteChecksum(of: ExactShard, checksum: Checksum): Promise<void>
	/** @see compareShards */
	compareShards(within: Bounds): Promise<Comparison[]>
	/** @see compareLarge */
	compareLarge(rowsMax: number): Promise<Comparison | null>
	/** @see noteComparisons */
	noteComparisons(comparisons: readonly Comparison[], repairGapMs: number): Promise<ShardName[]>
	/** @see withdrawRepair */
	withdrawRepair(of: ShardName): Promise<void>
	/** @see listStrays */
	listStrays(sought: number, limit: number): Promise<string[]>
	/** @see deleteStray */
	deleteStray(tenant: string): Promise<void>
}

export type ShardName = Pick<ExactShard, 'tenant' | 'shard'>

interface Bounds {
	shardsMax: number
	/** Of all of them together; a larger shard is left to `compareLarge`. */
	rowsMax: number
	/** Leaves out what was compared within these last milliseconds. */
	sinceMs: number
}

export function comparedView(database: Database): ComparedView {
	return {
		listUnsummed: (limit) => listUnsummed(database, limit),
		noteChecksum: (of, checksum) => noteChecksum(database, of, checksum),
		compareShards: (within) => compareShards(database, within),
		compareLarge: (rowsMax) => compareLarge(database, rowsMax),
		noteComparisons: (comparisons, repairGapMs) => noteComparisons(database, comparisons, repairGapMs),
		withdrawRepair: (of) => withdrawRepair(database, of),
		listStrays: (sought, limit) => listStrays(database, sought, limit),
		deleteStray: (tenant) => deleteStray(database, tenant),
	}
}

/** Exact shards of which no page has said yet what they come to at their position: any of them, because not every one can say. */
async function listUnsummed(database: Database, limit: number): Promise<ExactShard[]> {
	const rows = await database.query({ text: selectUnsummed, params: [limit] })
	return rows.map((row) => ({
		tenant: tenantIn(row),
		shard: numberIn(row, 'shard'),
		epoch: numberIn(row, 'epoch'),
		appliedSeq: numberIn(row, 'applied_seq'),
	}))
}

/** Changes nothing when the shard's watermark has moved on. */
async function noteChecksum(database: Database, of: ExactShard, { count, digest }: Checksum): Promise<void> {
	const params = [of.tenant, of.shard, of.epoch, of.appliedSeq, count, digest]
	await database.query({ text: updateChecksum, params })
}

/**
 * Compares the shards that have waited longest, and first those that were read anew since they differed. All of it is one
 * snapshot.
 */
async function compareShards(database: Database, { shardsMax, rowsMax, sinceMs }: Bounds): Promise<Comparison[]> {
	return (await database.query({ text: sumShards, params: [shardsMax, rowsMax, sinceMs] })).map(readComparison)
}

/** Compares one shard of more than `rowsMax` rows, part by part; null when there is none, or it changed meanwhile. */
async function compareLarge(database: Database, rowsMax: number): Promise<Comparison | null> {
	const [found] = await database.query({ text: selectLarge, params: [rowsMax] })
	if (!found) return null
	const tenant = tenantIn(found)
	const shard = numberIn(found, 'shard')
	const revision = numberIn(found, 'revision')
	let count = numberIn(found, 'letters')
	let digest = BigInt(textIn(found, 'letters_sum'))
	let [collection, id] = ['', '']
	for (;;) {
		const params = [tenant, shard, revision, collection, id, rowsMax]
		const [part] = await database.query({ text: sumPart, params })
		if (part === undefined || part.same !== 't') return null
		const rows = numberIn(part, 'rows')
		count += rows
		digest = BigInt.asUintN(64, digest + BigInt(textIn(part, 'sum')))
		if (rows < rowsMax) break
		collection = textIn(part, 'collection')
		id = textIn(part, 'id')
	}
	const equal = count === numberIn(found, 'checksum_count') && digest.toString() === textIn(found, 'checksum_digest')
	return { tenant, shard, revision, equal }
}

/**
 * Notes the comparisons of watermarks that have not moved since. Answers the shards that are to be read anew, and counts that
 * as their repair: at most one in `repairGapMs`, whoever else looks at the same time.
 */
async function noteComparisons(
	database: Database,
	comparisons: readonly Comparison[],
	repairGapMs: number,
): Promise<ShardName[]> {
	if (comparisons.length === 0) return []
	const params = [JSON.stringify(comparisons), repairGapMs]
	const rows = await database.query({ text: updateVerified, params })
	return rows.filter((row) => row.due === 't').map((row) => ({ tenant: tenantIn(row), shard: numberIn(row, 'shard') }))
}

/** Takes back a repair that could not be begun, so that the next comparison tries again. */
async function withdrawRepair(database: Database, { tenant, shard }: ShardName): Promise<void> {
	const text =
		'UPDATE shard SET repairs = repairs - 1, repaired_at = NULL WHERE tenant_id = $1 AND shard = $2::int AND repairs > 0'
	await database.query({ text, params: [tenant, shard] })
}

function readComparison(row: Row): Comparison {
	return {
		tenant: tenantIn(row),
		shard: numberIn(row, 'shard'),
		revision: numberIn(row, 'revision'),
		equal: row.equal === 't',
	}
}

/** The view has all that it knows of, and nothing of the shard was set aside that nobody knows the hash of. */
const exact = `s.applied_seq = s.read_seq AND s.base_pending IS NULL AND NOT EXISTS (
		SELECT FROM dead_letter d
		WHERE d.tenant_id = s.tenant_id AND d.shard = s.shard AND d.hash IS NULL AND d.op IN ('upsert', 'schema'))`
const comparable = `s.checksum_seq = s.applied_seq AND ${exact}`

const selectUnsummed = `
SELECT s.tenant_id, s.shard, s.epoch, s.applied_seq FROM shard s
WHERE s.checksum_seq IS DISTINCT FROM s.applied_seq AND ${exact}
ORDER BY random() LIMIT $1::int`

const updateChecksum = `
UPDATE shard SET checksum_seq = $4::bigint, checksum_count = $5::bigint, checksum_digest = $6::numeric
WHERE tenant_id = $1 AND shard = $2::int AND epoch = $3::bigint AND applied_seq = $4::bigint AND base_pending IS NULL`

/** What was set aside and is counted by its hash. */
const letters = `SELECT count(*) AS n, coalesce(sum(d.hash), 0) AS sum FROM dead_letter d
	WHERE d.tenant_id = s.tenant_id AND d.shard = s.shard AND d.hash IS NOT NULL`

const sumShards = `
WITH candidate AS (
	SELECT s.*, row_number() OVER () AS place FROM (
		SELECT s.tenant_id, s.shard, s.revision, s.checksum_count, s.checksum_digest FROM shard s
		WHERE ${comparable} AND s.checksum_count <= $2::bigint
			AND (s.verified_at IS NULL OR s.verified_at < now() - make_interval(secs => $3::float8 / 1000))
		ORDER BY (NOT coalesce(s.verified_equal, true) AND s.applied_at > s.verified_at) DESC, s.verified_at NULLS FIRST
		LIMIT $1::int
	) s
), chosen AS (
	SELECT c.*, sum(c.checksum_count) OVER (ORDER BY c.place) AS upto FROM candidate c
)
SELECT s.tenant_id, s.shard, s.revision,
	held.n + letters.n = s.checksum_count AND ${digestOf('coalesce(held.sum, 0) + letters.sum')} = s.checksum_digest AS equal
FROM chosen s
CROSS JOIN LATERAL (SELECT count(*) AS n, sum(${rowHashOf('r')}) AS sum FROM record r WHERE r.tenant_id = s.tenant_id) held
CROSS JOIN LATERAL (${letters}) letters
WHERE s.upto <= $2::bigint`

// Any of them: one that never stays still long enough must not keep the others from their turn.
const selectLarge = `
SELECT s.tenant_id, s.shard, s.revision, s.checksum_count, s.checksum_digest, letters.n AS letters, letters.sum AS letters_sum
FROM shard s CROSS JOIN LATERAL (${letters}) letters
WHERE ${comparable} AND s.checksum_count > $1::bigint
ORDER BY random() LIMIT 1`

/** $4 and $5 the last row of the part before, $6 rows of a part. */
const sumPart = `
WITH part AS MATERIALIZED (
	SELECT r.* FROM record r WHERE r.tenant_id = $1 AND (r.collection, r.id) > ($4, $5)
	ORDER BY r.collection, r.id LIMIT $6::int
), last AS (
	SELECT collection, id FROM part ORDER BY collection DESC, id DESC LIMIT 1
)
SELECT count(*) AS rows, coalesce(sum(${rowHashOf('r')}), 0) AS sum,
	(SELECT collection FROM last) AS collection, (SELECT id FROM last) AS id,
	EXISTS (SELECT FROM shard s WHERE s.tenant_id = $1 AND s.shard = $2::int AND s.revision = $3::bigint) AS same
FROM part r`

// Locked in the order of all writers; a watermark that somebody moves just now is compared another time.
const updateVerified = `
WITH told AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($1::jsonb) AS t (tenant text, shard int, revision bigint, equal boolean)
), locked AS MATERIALIZED (
	SELECT s.tenant_id, s.shard, t.equal,
		NOT t.equal AND (s.repaired_at IS NULL OR s.repaired_at <= now() - make_interval(secs => $2::float8 / 1000)) AS due
	FROM shard s JOIN told t ON s.tenant_id = t.tenant AND s.shard = t.shard AND s.revision = t.revision
	ORDER BY s.tenant_id, s.shard FOR UPDATE OF s SKIP LOCKED
)
UPDATE shard s SET verified_at = now(), verified_equal = l.equal,
	repairs = s.repairs + l.due::int, repaired_at = CASE WHEN l.due THEN now() ELSE s.repaired_at END
FROM locked l WHERE s.tenant_id = l.tenant_id AND s.shard = l.shard
RETURNING s.tenant_id, s.shard, l.due`
