import type { Change, ChangeOp, ChangePage } from '../../core/contract.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Sql } from '../../db/shard/sql.ts'

/** The last position, 0 before provisioning. Reading it touches storage, which a stale instance cannot do (S1). */
export function head(sql: Sql): number {
	return sql.all<{ head: number | null }>('SELECT max(seq) AS head FROM journal')[0]?.head ?? 0
}

export interface Entry {
	at: number
	op: ChangeOp
	collection: string | null
	id: string | null
	version: number | null
	actor: string
}

/** Appends an entry and returns its position: one more than the last, because the last row is never deleted (J1). */
export function append(sql: Sql, entry: Entry): number {
	const rows = sql.all<{ seq: number }>(
		'INSERT INTO journal (at, op, collection, id, version, actor) VALUES (?, ?, ?, ?, ?, ?) RETURNING seq',
		entry.at,
		entry.op,
		entry.collection,
		entry.id,
		entry.version,
		entry.actor,
	)
	const row = rows[0]
	if (!row) throw new Error('the journal returned no position')
	return row.seq
}

/** The first position that is still kept; `head + 1` never occurs because the last entry always stays. */
function firstKept(sql: Sql): number {
	return sql.all<{ first: number | null }>('SELECT min(seq) AS first FROM journal')[0]?.first ?? 1
}

/** Entries after a position, oldest first. */
export function changesAfter(sql: Sql, after: number, limit: number): Outcome<ChangePage> {
	const first = firstKept(sql)
	if (after < first - 1) {
		return refuse(
			'position_pruned',
			`the journal is kept from position ${first}; read the records anew and go on from there`,
		)
	}
	const changes = sql.all<Change>(
		'SELECT seq, op, collection, id, version, actor, at FROM journal WHERE seq > ? ORDER BY seq LIMIT ?',
		after,
		limit,
	)
	return accept({ changes, head: head(sql) })
}

/** Deletes up to `rowsMax` entries older than `before`, never the last one and none after `applied` (J2). Returns whether more remain. */
export function prune(sql: Sql, before: number, applied: number, rowsMax: number): boolean {
	const bound = Math.min(applied, head(sql) - 1, firstKept(sql) - 1 + rowsMax)
	const pruned = sql.all('DELETE FROM journal WHERE seq <= ? AND at < ? RETURNING seq', bound, before)
	return pruned.length === rowsMax
}

/** When the oldest entry was written, in milliseconds; null for an empty journal. */
export function oldestAt(sql: Sql): number | null {
	return sql.all<{ at: number }>('SELECT at FROM journal ORDER BY seq LIMIT 1')[0]?.at ?? null
}
