import type { JournalEntry } from '../../core/chain.ts'
import type { Change, ChangePage } from '../../core/contract.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { identifier, type Sql } from '../../db/shard/sql.ts'

/** A part of the journal that is closed: a table of its own, until it is dropped. */
export interface Segment {
	number: number
	first: number
	last: number
	/** When the last entry was written, in milliseconds. */
	lastAt: number
	/** The audit chain's link at the last entry, which stays known when the entries are gone. */
	chain: string | null
	dropped: number
}

/**
 * The journal is kept in segments that are dropped whole, because deleting entries one by one would be billed again for each
 * write. Entries are appended to the table `journal`; closing it gives it a number and begins an empty one.
 */
export class Segments {
	readonly #sql: Sql
	#closed: Segment[] | null = null

	constructor(sql: Sql) {
		this.#sql = sql
	}

	/** All segments that were ever closed, oldest first. */
	get closed(): readonly Segment[] {
		this.#closed ??= this.#sql.all<Segment>(
			'SELECT number, first, last, last_at AS lastAt, chain, dropped FROM segment ORDER BY number',
		)
		return this.#closed
	}

	/** The oldest closed segment whose entries are still there. */
	get oldest(): Segment | null {
		return this.closed.find(({ dropped }) => dropped === 0) ?? null
	}

	/** The first entry of the segment that is written to: its position, and when it was written in milliseconds. */
	current(): { first: number; since: number } | null {
		return (
			this.#sql.all<{ first: number; since: number }>(
				'SELECT seq AS first, at AS since FROM journal ORDER BY seq LIMIT 1',
			)[0] ?? null
		)
	}

	/** The first position that is still kept; the one after `head` when none is. */
	firstKept(head: number): number {
		return this.oldest?.first ?? this.current()?.first ?? head + 1
	}

	/** The tables that hold entries after a position, oldest first, each with the last position that it holds. */
	after(position: number, head: number): { table: string; last: number }[] {
		const closed = this.closed.filter(({ dropped, last }) => dropped === 0 && last > position)
		return [
			...closed.map(({ number, last }) => ({ table: tableOf(number), last })),
			{ table: identifier('journal'), last: head },
		]
	}

	/** When an entry was written and the link that it carries; null when neither is known any longer. */
	entryAt(position: number, head: number): { at: number; chain: string | null } | null {
		const ending = this.closed.find(({ last }) => last === position)
		if (ending) return { at: ending.lastAt, chain: ending.chain }
		const [part] = this.after(position - 1, head)
		if (!part) return null
		return (
			this.#sql.all<{ at: number; chain: string | null }>(
				`SELECT at, chain FROM ${part.table} WHERE seq = ?`,
				position,
			)[0] ?? null
		)
	}

	/** Entries after a position, oldest first. */
	changesAfter(after: number, limit: number, head: number): Outcome<ChangePage> {
		const first = this.firstKept(head)
		if (after < first - 1) {
			return refuse(
				'position_pruned',
				`the journal is kept from position ${first}; read the records anew and go on from there`,
			)
		}
		const changes: Change[] = []
		for (const { table } of this.after(after, head)) {
			const rows = this.#sql.all<Change>(
				`SELECT seq, op, collection, id, version, actor, request, at FROM ${table} WHERE seq > ? ORDER BY seq LIMIT ?`,
				after,
				limit - changes.length,
			)
			changes.push(...rows)
			if (changes.length === limit) break
		}
		return accept({ changes, head })
	}

	/** The position of a rebuild's entry, null when there is none that was written since `notBefore`, in milliseconds. */
	rebuildEntry(id: string, notBefore: number, head: number): number | null {
		const young = this.closed.filter(({ dropped, lastAt }) => dropped === 0 && lastAt >= notBefore)
		for (const { table } of this.after((young[0]?.first ?? this.current()?.first ?? 1) - 1, head)) {
			// From the end backwards, so that only what was written since is read.
			const [entry] = this.#sql.all<{ seq: number }>(
				`SELECT seq FROM ${table} WHERE op = 'rebuild' AND id = ?
					AND seq > coalesce((SELECT seq FROM ${table} WHERE at < ? ORDER BY seq DESC LIMIT 1), 0)`,
				id,
				notBefore,
			)
			if (entry) return entry.seq
		}
		return null
	}

	/** Entries after a position as they rest, oldest first. */
	entriesAfter(after: number, limit: number, head: number): JournalEntry[] {
		const entries: JournalEntry[] = []
		for (const { table } of this.after(after, head)) {
			const rows = this.#sql.all<JournalEntry>(
				`SELECT seq, op, collection, id, version, actor, at, request, records, digest, chain FROM ${table}
				WHERE seq > ? ORDER BY seq LIMIT ?`,
				after,
				limit - entries.length,
			)
			entries.push(...rows)
			if (entries.length === limit) break
		}
		return entries
	}

	/** Closes the segment that is written to, which holds at least one entry. Must run in a transaction. */
	close(): void {
		const number = (this.closed.at(-1)?.number ?? 0) + 1
		this.#closed = null
		this.#sql.all(
			`INSERT INTO segment (number, first, last, last_at, chain, dropped)
			SELECT ?, (SELECT min(seq) FROM journal), seq, at, chain, 0 FROM journal ORDER BY seq DESC LIMIT 1`,
			number,
		)
		// The next table is as the migrations have made this one.
		const [table] = this.#sql.all<{ sql: string }>("SELECT sql FROM sqlite_master WHERE name = 'journal'")
		if (!table) throw new Error('the journal is missing')
		this.#sql.all(`ALTER TABLE journal RENAME TO ${tableOf(number)}`)
		this.#sql.all(table.sql)
	}

	/** Must run in a transaction. */
	drop({ number }: Segment): void {
		this.#closed = null
		this.#sql.all(`DROP TABLE ${tableOf(number)}`)
		this.#sql.all('UPDATE segment SET dropped = 1 WHERE number = ?', number)
	}
}

function tableOf(number: number): string {
	return identifier(`journal_${number}`)
}
