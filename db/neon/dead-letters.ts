/** The entries that the view went past: how the API reads them, and what the consumer does with one. */
import type { DeadLetter, DeadLetterPosition } from '../../core/dead-letter.ts'
import { deadLetterOps } from '../../core/dead-letter.ts'
import { type Region, regionOf, type TenantId } from '../../core/ids.ts'
import { bodyBytesMax } from '../../core/limits.ts'
import { compareText } from '../../core/order.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { DeadLetterPage, DeadLetterQuery, ViewScope } from '../../core/view.ts'
import type { Database, Row } from './client.ts'
import { freshnessOf, freshnessStatement } from './freshness.ts'
import { mergeParts } from './merge.ts'
import { askRegions, type RegionDatabase } from './regions.ts'
import { numberIn, numberOrNull, tenantIn, textIn } from './row.ts'

export async function listDeadLetters(
	databases: readonly RegionDatabase[],
	scope: ViewScope,
	{ state, limit, after }: DeadLetterQuery,
): Promise<Outcome<DeadLetterPage>> {
	const params = [scope.tenant, state, after?.region ?? null, after?.number ?? null, limit + 1]
	const asked = await askRegions(databases, scope, [
		{ text: list, params },
		{ text: count, params: [scope.tenant] },
		freshnessStatement(scope.tenant),
	])
	if (!asked.ok) return asked
	const parts = asked.value.map(({ results }) => ({ items: (results[0] ?? []).map(readLetter), more: false }))
	const page = mergeParts(parts, (a, b) => compareText(a.region, b.region) || a.number - b.number, {
		items: limit,
		bytes: bodyBytesMax,
		bytesOf: () => 0,
	})
	const counts = asked.value.map(({ results }) => results[1]?.[0] ?? {})
	const sum = (column: string) => counts.reduce((total, row) => total + numberIn(row, column), 0)
	const last = page.items.at(-1)
	return accept({
		deadLetters: [...page.items],
		next: page.more && last ? { region: last.region, number: last.number } : null,
		waiting: sum('waiting'),
		discarded: sum('discarded'),
		freshness: freshnessOf(asked.value, scope.tenant),
	})
}

/** Null when there is none, or none any more. */
export async function findDeadLetter(
	databases: readonly RegionDatabase[],
	{ region, number }: DeadLetterPosition,
): Promise<Outcome<DeadLetter | null>> {
	const asked = await askRegions(databases, { regions: [region], tenant: null }, [{ text: find, params: [number] }])
	if (!asked.ok) return asked
	const row = asked.value[0]?.results[0]?.[0]
	return accept(row === undefined ? null : readLetter(row))
}

/** What a replay has to know. */
export interface ReplayedLetter {
	tenant: TenantId
	shard: number
	epoch: number
	collection: string | null
	recordId: string | null
}

/** Notes that a replay begins; null when there is no such letter any more. */
export async function noteReplay(database: Database, number: number): Promise<ReplayedLetter | null> {
	const [row] = await database.query({ text: beginReplay, params: [number] })
	if (row === undefined) return null
	const [shard, epoch] = [numberIn(row, 'shard'), numberIn(row, 'epoch')]
	return { tenant: tenantIn(row), shard, epoch, collection: row.collection ?? null, recordId: row.record_id ?? null }
}

/** Notes that a replay was refused: whatever its letter points at is as absent as before, and it waits again. */
export async function noteRefused(database: Database, number: number, reason: string): Promise<void> {
	await database.query({ text: endReplay, params: [number, reason] })
}

/** Takes a letter off the operator's hands; the shard stays inexact until a later page brings what it points at. */
export async function discardDeadLetter(database: Database, number: number, at: number): Promise<void> {
	await database.query({ text: discard, params: [number, at] })
}

function readLetter(row: Row): DeadLetter {
	const tenant = tenantIn(row)
	const op = deadLetterOps.find((one) => one === row.op)
	if (op === undefined) throw new Error('the view holds a dead letter of an unknown kind')
	const region: Region = regionOf(tenant)
	const discardedAt = numberOrNull(row, 'discarded_at_ms')
	const createdAt = numberIn(row, 'created_at_ms')
	return {
		...{ region, number: numberIn(row, 'id'), tenant, shard: numberIn(row, 'shard'), seq: numberIn(row, 'seq'), op },
		...{ collection: row.collection ?? null, record: row.record_id ?? null, reason: textIn(row, 'reason') },
		...{ state: discardedAt === null ? 'waiting' : 'discarded', attempts: numberIn(row, 'attempts'), createdAt },
		// Letters of older Workers have the time of their first refusal only.
		refusedAt: numberOrNull(row, 'refused_at_ms') ?? createdAt,
		...{ replayingSince: numberOrNull(row, 'replay_asked_at_ms'), discardedAt },
	}
}

const ms = (column: string) => `extract(epoch FROM ${column}) * 1000 AS ${column}_ms`
const columns = `id, tenant_id, shard, seq, op, collection, record_id, reason, attempts,
	${['created_at', 'refused_at', 'replay_asked_at', 'discarded_at'].map(ms).join(', ')}`

// A tenant's id begins with its region, so one statement serves all regions.
const list = `
SELECT ${columns} FROM dead_letter
WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR (discarded_at IS NULL) = ($2 = 'waiting'))
	AND ($3::text IS NULL OR (split_part(tenant_id, '_', 1) COLLATE "C", id) > ($3, $4::bigint))
ORDER BY id LIMIT $5::int`

const count = `
SELECT count(*) FILTER (WHERE discarded_at IS NULL) AS waiting, count(discarded_at) AS discarded
FROM dead_letter WHERE $1::text IS NULL OR tenant_id = $1`

const find = `SELECT ${columns} FROM dead_letter WHERE id = $1::bigint`

const beginReplay = `
UPDATE dead_letter SET replay_asked_at = now() WHERE id = $1::bigint
RETURNING tenant_id, shard, epoch, collection, record_id`

const endReplay = `
UPDATE dead_letter SET reason = $2, attempts = attempts + 1, refused_at = now(), replay_asked_at = NULL, discarded_at = NULL
WHERE id = $1::bigint`

const discard = `
UPDATE dead_letter SET discarded_at = to_timestamp($2::bigint / 1000.0), replay_asked_at = NULL
WHERE id = $1::bigint AND discarded_at IS NULL`
