import { chainStart, type LinkedEntry, linkOf, type Origin } from '../../core/chain.ts'
import type { ChangeOp } from '../../core/contract.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Segments } from './segments.ts'
import { Totals } from './totals.ts'

export interface Entry {
	op: ChangeOp
	collection: { name: string; number: number } | null
	id: string | null
	version: number | null
}

/** A place to roll back to when one operation of a transaction is refused. */
export interface Mark {
	head: number
	chain: string
	waiting: number
	totals: number
}

/**
 * The shard's journal while it is written. Entries wait in memory until their operation is done, and are then written
 * together: only its last entry carries the link of the audit chain and, for each collection, the last one the running
 * totals, and no entry is written twice. Memory holds head, chain and totals; what does not commit is rolled back here too.
 */
export class Journal {
	readonly totals: Totals
	readonly segments: Segments
	readonly #sql: Sql
	#head: number
	#chain: string
	#waiting: Entry[] = []
	#committed: Mark

	constructor(sql: Sql, segments: Segments) {
		this.#sql = sql
		this.totals = Totals.load(sql)
		this.segments = segments
		const [last] = sql.all<{ seq: number; chain: string }>(
			`SELECT seq, chain FROM (SELECT seq, chain FROM journal ORDER BY seq DESC LIMIT 1)
			UNION ALL SELECT last, chain FROM (SELECT last, chain FROM segment ORDER BY number DESC LIMIT 1)`,
		)
		this.#head = last?.seq ?? 0
		this.#chain = last?.chain ?? chainStart
		this.#committed = this.mark()
	}

	/** The last position, with those of the operation that is under way; 0 before the first entry. */
	get head(): number {
		return this.#head + this.#waiting.length
	}

	/** Takes an entry and returns its position: one more than the last (J1). */
	append(entry: Entry): number {
		return this.#head + this.#waiting.push(entry)
	}

	/** Writes the entries of the operation that has ended well, inside its transaction. */
	seal(origin: Origin): void {
		if (this.#waiting.length === 0) return
		const rows = this.#linkedEntries()
		const text = JSON.stringify(rows)
		const chain = linkOf(this.#chain, origin, text)
		const [first] = rows
		if (first && rows.length === 1) insertEntry(this.#sql, origin, first, chain)
		else if (first && isUniform(rows)) insertAlike(this.#sql, origin, first, rows, chain)
		else insertEntries(this.#sql, origin, text, this.head, chain)
		this.#head += rows.length
		this.#chain = chain
		this.#waiting = []
	}

	mark(): Mark {
		return { head: this.#head, chain: this.#chain, waiting: this.#waiting.length, totals: this.totals.mark() }
	}

	rollback(mark: Mark): void {
		this.#head = mark.head
		this.#chain = mark.chain
		this.#waiting.length = mark.waiting
		this.totals.rollback(mark.totals)
	}

	/** Memory follows only after the outer commit (D2). */
	commit(): void {
		this.totals.commit()
		this.#committed = this.mark()
	}

	/** The transaction did not commit, or nobody knows. */
	abandon(): void {
		this.rollback(this.#committed)
	}

	#linkedEntries(): LinkedEntry[] {
		const told = new Set<number>()
		const rows: LinkedEntry[] = []
		for (let index = this.#waiting.length - 1; index >= 0; index--) {
			const entry = this.#waiting[index]
			if (!entry) throw new Error('an entry is missing')
			const { op, collection, id, version } = entry
			const tells = collection !== null && !told.has(collection.number)
			if (tells) told.add(collection.number)
			const records = tells ? this.totals.records(collection.number) : null
			const digest = tells ? (this.totals.digest(collection.number)?.toString() ?? null) : null
			rows.push([this.#head + index + 1, op, collection?.name ?? null, id, version, records, digest])
		}
		return rows.reverse()
	}
}

const entryColumns = 'seq, at, op, collection, id, version, actor, request, records, digest, chain'

function insertEntry(sql: Sql, { at, actor, request }: Origin, entry: LinkedEntry, chain: string): void {
	const [seq, op, collection, id, version, records, digest] = entry
	sql.all(
		`INSERT INTO journal (${entryColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		...[seq, at, op, collection, id, version, actor, request, records, digest, chain],
	)
}

/** Whether entries differ only in their ids, as those of a batch of creates do; the last one may carry totals. */
function isUniform(entries: LinkedEntry[]): boolean {
	const [first] = entries
	return entries.every(
		([, op, collection, , version, records], index) =>
			op === first?.[1] &&
			collection === first[2] &&
			version === first[4] &&
			(records === null || index === entries.length - 1),
	)
}

/** Like `insertEntries`, for entries that differ only in their ids: all else that is read from JSON there is bound here. */
function insertAlike(
	sql: Sql,
	{ at, actor, request }: Origin,
	first: LinkedEntry,
	entries: LinkedEntry[],
	chain: string,
): void {
	const [seq, op, collection, , version] = first
	const [last, , , , , records, digest] = entries[entries.length - 1] ?? first
	const ids = JSON.stringify(entries.map(([, , , id]) => id))
	sql.all(
		`INSERT INTO journal (${entryColumns})
		SELECT ?1 + key, ?2, ?3, ?4, value, ?5, ?6, ?7,
			CASE ?1 + key WHEN ?8 THEN ?9 END, CASE ?1 + key WHEN ?8 THEN ?10 END, CASE ?1 + key WHEN ?8 THEN ?11 END
		FROM json_each(?12)`,
		...[seq, at, op, collection, version, actor, request, last, records, digest, chain, ids],
	)
}

/** `entries` is the JSON text that the chain covers; `last` is the position that carries the chain. */
function insertEntries(sql: Sql, { at, actor, request }: Origin, entries: string, last: number, chain: string): void {
	sql.all(
		`INSERT INTO journal (${entryColumns})
		SELECT value ->> 0, ?, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ?, ?, value ->> 5, value ->> 6,
			CASE value ->> 0 WHEN ? THEN ? END
		FROM json_each(?)`,
		...[at, actor, request, last, chain, entries],
	)
}
