import type { Idempotency } from '../../core/contract.ts'
import { idempotencyKeptMs } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { identifier, type Sql } from '../../db/shard/sql.ts'

/**
 * Rows rest in one table per day: two days are looked at, and a day that is over is dropped whole, because deleting row
 * by row would be billed again for every write.
 */
const windowMs = idempotencyKeptMs

function tableAt(at: number): string {
	return identifier(`idempotency_${Math.floor(at / windowMs)}`)
}

function tables(sql: Sql): string[] {
	return sql
		.all<{ name: string }>(
			"SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'idempotency_*' ORDER BY name",
		)
		.map((row) => row.name)
}

/** The answer that an earlier request with this key left; null when there was none within 24 hours. */
export function recall(sql: Sql, asked: Idempotency, now: number): Outcome<string | null> {
	const present = new Set(tables(sql))
	for (const table of [tableAt(now), tableAt(now - windowMs)]) {
		if (!present.has(table)) continue
		const row = sql.all<{ fingerprint: string; answer: string }>(
			`SELECT fingerprint, answer FROM ${table} WHERE key = ? AND at > ?`,
			asked.key,
			now - idempotencyKeptMs,
		)[0]
		if (!row) continue
		if (row.fingerprint === asked.fingerprint) return accept(row.answer)
		return refuse('idempotency_mismatch', 'this Idempotency-Key was used for another request', {
			errors: [{ pointer: 'Idempotency-Key', detail: 'a key belongs to one request; use a new one' }],
		})
	}
	return accept(null)
}

/** Keeps an answer beside its effect, in the same transaction. The answer never holds the request's own data. */
export function remember(sql: Sql, asked: Idempotency, answer: string, now: number): void {
	const table = tableAt(now)
	sql.all(
		`CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, answer TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
	)
	// An expired row of the same key can only be in an older table, or in this one if the clock was set back.
	sql.all(
		`INSERT OR REPLACE INTO ${table} (key, fingerprint, answer, at) VALUES (?, ?, ?, ?)`,
		asked.key,
		asked.fingerprint,
		answer,
		now,
	)
}

/** Drops the days that are over and returns when the next one will be, in milliseconds; null when no row is kept. */
export function expire(sql: Sql, now: number): number | null {
	let next: number | null = null
	for (const table of tables(sql)) {
		const overAt = (Number(table.slice('idempotency_'.length)) + 2) * windowMs
		if (overAt <= now) sql.all(`DROP TABLE ${identifier(table)}`)
		else next = Math.min(next ?? overAt, overAt)
	}
	return next
}
