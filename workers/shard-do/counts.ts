import { identifier, type Sql } from '../../db/shard/sql.ts'
import { head } from './journal.ts'

/**
 * Records per collection, kept in memory because a stored counter would cost one more written row per write. A checkpoint
 * holds the counts as of a journal position, and a cold start adds what the journal says since then.
 */
export class Counts {
	readonly #committed: Map<number, number>
	#pending: { number: number; delta: number }[] = []

	constructor(committed: Map<number, number>) {
		this.#committed = committed
	}

	static load(sql: Sql): Counts {
		const checkpoint = readCheckpoint(sql)
		const stored = new Map(Object.entries(checkpoint.counts).map(([number, count]) => [Number(number), count]))
		const moved = new Map(
			sql
				.all<{ collection: string; delta: number; schemas: number }>(
					`SELECT collection, sum(op = 'create') - sum(op = 'delete') AS delta, sum(op = 'schema') AS schemas
					FROM journal WHERE seq > ? AND collection IS NOT NULL GROUP BY collection`,
					checkpoint.seq,
				)
				.map((row) => [row.collection, row]),
		)
		const counts = new Map<number, number>()
		for (const { name, number } of sql.all<{ name: string; number: number }>('SELECT name, number FROM collection')) {
			const before = stored.get(number)
			const since = moved.get(name)
			// A collection made since the checkpoint may be the second of its name; only its own table knows.
			if (before === undefined || (since && since.schemas > 0)) counts.set(number, countRows(sql, number))
			else counts.set(number, before + (since?.delta ?? 0))
		}
		return new Counts(counts)
	}

	of(number: number): number {
		let count = this.#committed.get(number) ?? 0
		for (const change of this.#pending) if (change.number === number) count += change.delta
		return count
	}

	total(): number {
		let total = 0
		for (const count of this.#committed.values()) total += count
		for (const change of this.#pending) total += change.delta
		return total
	}

	add(number: number, delta: number): void {
		this.#pending.push({ number, delta })
	}

	/** A place to roll back to when one operation of a transaction is refused. */
	mark(): number {
		return this.#pending.length
	}

	rollback(mark: number): void {
		this.#pending.length = mark
	}

	/** Memory follows only after the outer commit (D2). */
	commit(): void {
		for (const { number, delta } of this.#pending)
			this.#committed.set(number, (this.#committed.get(number) ?? 0) + delta)
		this.#pending = []
	}

	/** Writes the committed counts as of the journal's head. Must run where nothing is pending. */
	save(sql: Sql, acknowledged: number): void {
		if (this.#pending.length > 0) throw new Error('a checkpoint inside a transaction')
		const counts = JSON.stringify(Object.fromEntries([...this.#committed].filter(([, count]) => count > 0)))
		sql.all('UPDATE checkpoint SET seq = ?, acknowledged = ?, counts = ?', head(sql), acknowledged, counts)
	}

	forget(number: number): void {
		this.add(number, -this.of(number))
	}
}

export function readCheckpoint(sql: Sql): { seq: number; acknowledged: number; counts: Record<string, number> } {
	const row = sql.all<{ seq: number; acknowledged: number; counts: string }>(
		'SELECT seq, acknowledged, counts FROM checkpoint',
	)[0]
	if (!row) throw new Error('the checkpoint is missing')
	return { ...row, counts: JSON.parse(row.counts) }
}

function countRows(sql: Sql, number: number): number {
	return sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${identifier(`c_${number}`)}`)[0]?.n ?? 0
}
