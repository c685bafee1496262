import type { Idempotency } from '../../core/contract.ts'
import { idempotencyKeptMs } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { identifier, type Sql } from '../../db/shard/sql.ts'

/**
 * Rows rest in one table per day: two days are looked at, and a day that is over is dropped whole, because deleting row
 * by row would be billed again for every write. A clock that goes back over midnight, as when an object moves to another
 * machine, finds rows of tomorrow; they are looked at, too, or a retry would have a second effect (I1).
 */
const windowMs = idempotencyKeptMs

function windowAt(now: number): number {
	return Math.floor(now / windowMs)
}

function tableOf(window: number): string {
	return identifier(`idempotency_${window}`)
}

/** The rows of idempotent requests, found in one of the tables that exist whenever they are looked at. */
export class Idempotencies {
	readonly #sql: Sql
	/** The day whose tables are known to exist. */
	#ready: number | null = null
	/** Those that may hold a row that still counts. */
	#tables: string[] = []
	#news = false

	constructor(sql: Sql) {
		this.#sql = sql
	}

	/** The answer that an earlier request with this key left; null when there was none within 24 hours. */
	recall(asked: Idempotency, now: number): Outcome<string | null> {
		this.#prepare(now)
		const since = now - idempotencyKeptMs
		const row = this.#sql.all<{ fingerprint: string; answer: string }>(
			this.#tables
				.map((table) => `SELECT fingerprint, answer FROM ${table} WHERE key = ? AND at > ?`)
				.join(' UNION ALL '),
			...this.#tables.flatMap(() => [asked.key, since]),
		)[0]
		if (!row) return accept(null)
		if (row.fingerprint === asked.fingerprint) return accept(row.answer)
		return refuse('idempotency_mismatch', 'this Idempotency-Key was used for another request', {
			errors: [{ pointer: 'Idempotency-Key', detail: 'a key belongs to one request; use a new one' }],
		})
	}

	/** Keeps an answer beside its effect, in the same transaction. The answer never holds the request's own data. */
	remember(asked: Idempotency, answer: string, now: number): void {
		// An expired row of the same key can only be in an older table, or in this one if the clock was set back.
		this.#sql.all(
			`INSERT OR REPLACE INTO ${tableOf(this.#prepare(now))} (key, fingerprint, answer, at) VALUES (?, ?, ?, ?)`,
			asked.key,
			asked.fingerprint,
			answer,
			now,
		)
	}

	/** The transaction that made the tables may have been rolled back. */
	forget(): void {
		this.#ready = null
	}

	/** Whether a table was made since this was last asked; it will have to go one day. */
	takeNews(): boolean {
		const news = this.#news
		this.#news = false
		return news
	}

	/** Drops the days that are over and returns when the next one will be, in milliseconds; null when no row is kept. */
	expire(now: number): number | null {
		let next: number | null = null
		for (const window of windowsOf(this.#sql)) {
			const overAt = (window + 2) * windowMs
			if (overAt > now) {
				next = Math.min(next ?? overAt, overAt)
				continue
			}
			this.#sql.all(`DROP TABLE ${tableOf(window)}`)
			// Where the clock goes back, the table will be looked at again and must be made again before.
			this.forget()
		}
		return next
	}

	#prepare(now: number): number {
		const window = windowAt(now)
		if (this.#ready === window) return window
		this.#tables = [tableOf(window), tableOf(window - 1)]
		for (const table of this.#tables) {
			this.#sql.all(
				`CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, answer TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
			)
		}
		const tomorrow = tableOf(window + 1)
		if (this.#sql.all('SELECT 1 AS one FROM sqlite_master WHERE name = ?', tomorrow).length > 0)
			this.#tables.push(tomorrow)
		this.#ready = window
		this.#news = true
		return window
	}
}

/**
 * Changes kept answers, those of one table after those of another. Answers the place of the last one that was looked at, as
 * the number of its table and its key; null when there are no more.
 */
export function rewriteAnswers(
	sql: Sql,
	place: { number: number; after: string },
	rowsMax: number,
	change: (answer: string) => string,
): { number: number; after: string } | null {
	const number = windowsOf(sql).find((window) => window >= place.number)
	if (number === undefined) return null
	const table = tableOf(number)
	const rows = sql.all<{ key: string; answer: string }>(
		`SELECT key, answer FROM ${table} WHERE key > ? ORDER BY key LIMIT ?`,
		number === place.number ? place.after : '',
		rowsMax,
	)
	for (const { key, answer } of rows) {
		const changed = change(answer)
		if (changed !== answer) sql.all(`UPDATE ${table} SET answer = ? WHERE key = ?`, changed, key)
	}
	return rows.length < rowsMax ? { number: number + 1, after: '' } : { number, after: rows.at(-1)?.key ?? '' }
}

/** The days of which there are tables, the oldest first. */
function windowsOf(sql: Sql): number[] {
	return sql
		.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'idempotency_*'")
		.map(({ name }) => Number(name.slice('idempotency_'.length)))
		.sort((a, b) => a - b)
}

/** Forgets the kept answers that hold one of these records. A retry of such a request is then a request of its own. */
export function dropAnswersAbout(sql: Sql, ids: string[]): void {
	for (const window of windowsOf(sql)) {
		sql.all(
			`DELETE FROM ${tableOf(window)} WHERE json_extract(answer, '$.record.id') IN (SELECT value FROM json_each(?))`,
			JSON.stringify(ids),
		)
	}
}
