import { addToDigest } from '../../core/row-hash.ts'
import { identifier, type Sql } from '../../db/shard/sql.ts'

/** What the rows of a collection come to. */
interface Total {
	records: number
	/** Sum of the hashes of all rows, or of those up to `summedTo` while it is being computed anew. */
	digest: bigint
	/** The last id that the sum holds; null when it holds all. */
	summedTo: string | null
}

const nothing: Total = { records: 0, digest: 0n, summedTo: null }

/**
 * Records and digest of every collection, kept in memory because a stored counter would cost one more written row per write.
 * The journal's entries carry them, a checkpoint holds them as of a position, and a cold start reads both.
 */
export class Totals {
	readonly #totals: Map<number, Total>
	/** What to put back when an operation or the whole transaction does not come about. */
	readonly #undo: { number: number; before: Total | undefined }[] = []

	constructor(totals: Map<number, Total>) {
		this.#totals = totals
	}

	static load(sql: Sql): Totals {
		const checkpoint = readCheckpoint(sql)
		const since = new Map(
			sql
				.all<{ collection: string; records: number | null; digest: string | null }>(
					// SQLite takes the bare columns from the row that has the maximum.
					`SELECT collection, records, digest, max(seq) FROM journal WHERE seq > ? AND collection IS NOT NULL GROUP BY collection`,
					checkpoint.seq,
				)
				.map(({ collection, records, digest }) => [collection, [records, digest] as const]),
		)
		const totals = new Map<number, Total>()
		for (const { name, number } of sql.all<{ name: string; number: number }>('SELECT name, number FROM collection')) {
			const [records, digest] = since.get(name) ?? checkpoint.totals[number] ?? [null, null]
			// Entries from before entries carried totals: only the rows themselves know.
			totals.set(number, totalOf(records ?? countRows(sql, number), digest))
		}
		return new Totals(totals)
	}

	records(number: number): number {
		return this.#of(number).records
	}

	/** Sum of the hashes of all rows of a collection; null while it is being computed anew. */
	digest(number: number): bigint | null {
		const { digest, summedTo } = this.#of(number)
		return summedTo === null ? digest : null
	}

	/** All records, and the sum of all digests unless one of them is being computed anew. */
	sum(): { records: number; digest: bigint | null } {
		let records = 0
		let digest: bigint | null = 0n
		for (const total of this.#totals.values()) {
			records += total.records
			digest = digest === null || total.summedTo !== null ? null : addToDigest(digest, total.digest)
		}
		return { records, digest }
	}

	/** Whether the digest changes with this record; beyond the place where it is being computed anew it does not. */
	covers(number: number, id: string): boolean {
		const { summedTo } = this.#of(number)
		return summedTo === null || id <= summedTo
	}

	add(number: number, records: number, digest: bigint): void {
		const total = this.#of(number)
		this.#set(number, { ...total, records: total.records + records, digest: addToDigest(total.digest, digest) })
	}

	forget(number: number): void {
		this.#set(number, undefined)
	}

	/** The digest no longer fits the rows, because what it leaves out has changed; it is computed anew in steps. */
	restartDigest(number: number): void {
		this.#set(number, totalOf(this.records(number), null))
	}

	/** A collection whose digest is being computed anew, and how far it is. */
	unsummed(): { number: number; summedTo: string } | null {
		for (const [number, { summedTo }] of this.#totals) if (summedTo !== null) return { number, summedTo }
		return null
	}

	/** Takes the rows after the place reached until now into the sum; `summedTo` is null when no row is left. */
	extendDigest(number: number, digest: bigint, summedTo: string | null): void {
		const total = this.#of(number)
		this.#set(number, { ...total, digest: addToDigest(total.digest, digest), summedTo })
	}

	/** A place to roll back to. */
	mark(): number {
		return this.#undo.length
	}

	rollback(mark: number): void {
		for (const { number, before } of this.#undo.splice(mark).reverse()) {
			if (before) this.#totals.set(number, before)
			else this.#totals.delete(number)
		}
	}

	commit(): void {
		this.#undo.length = 0
	}

	/** Writes everything as of a position. Must run where nothing is uncommitted. */
	save(sql: Sql, seq: number, acknowledged: number): void {
		if (this.#undo.length > 0) throw new Error('a checkpoint inside a transaction')
		const stored: StoredTotals = {}
		for (const [number, { records }] of this.#totals)
			stored[number] = [records, this.digest(number)?.toString() ?? null]
		const totals = JSON.stringify(stored)
		sql.all('UPDATE checkpoint SET seq = ?, acknowledged = ?, totals = ?', seq, acknowledged, totals)
	}

	#of(number: number): Total {
		return this.#totals.get(number) ?? nothing
	}

	#set(number: number, total: Total | undefined): void {
		this.#undo.push({ number, before: this.#totals.get(number) })
		if (total) this.#totals.set(number, total)
		else this.#totals.delete(number)
	}
}

/** By the number of the collection: its records, and its digest as decimal text or null while that is unknown. */
type StoredTotals = Record<string, [number, string | null]>

export function readCheckpoint(sql: Sql): { seq: number; acknowledged: number; totals: StoredTotals } {
	const row = sql.all<{ seq: number; acknowledged: number; totals: string }>(
		'SELECT seq, acknowledged, totals FROM checkpoint',
	)[0]
	if (!row) throw new Error('the checkpoint is missing')
	return { ...row, totals: JSON.parse(row.totals) }
}

/** A collection without records has a digest, whatever is known of it. */
function totalOf(records: number, digest: string | null): Total {
	if (digest === null && records > 0) return { records, digest: 0n, summedTo: '' }
	return { records, digest: BigInt(digest ?? 0), summedTo: null }
}

function countRows(sql: Sql, number: number): number {
	return sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${identifier(`c_${number}`)}`)[0]?.n ?? 0
}
