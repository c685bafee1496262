import type { StoredRecord } from '../../core/contract.ts'
import type { RandomBytes } from '../../core/ids.ts'
import { shardFullShare } from '../../core/limits.ts'
import { type Outcome, refuse } from '../../core/refusal.ts'
import type { Meter } from '../../core/schema.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import type { Journal } from './journal.ts'
import type { Vault } from './vault.ts'

/** What one operation works with. Time and randomness are given, so that a run can be repeated. */
export interface Work {
	sql: Sql
	/** Milliseconds since 1970; the same for everything that one operation writes. */
	now: number
	random: RandomBytes
	/** `key:<id>` or `operator:<name>`, as the journal records it. */
	actor: string
	/** The API request that this is; null for what the shard does by itself. */
	request: string | null
	journal: Journal
	catalog: Catalog
	vault: Vault
	/** What the tenant may store, and what any shard may in this deployment. */
	storageBytesMax: number
	shardBytesMax: number
	storage: Room
	/** A keyed hash of a data subject's id. */
	hashSubject(subject: string): string
	/** Tells the alarm that a job was made or changed its state. */
	jobsChanged(): void
	/** The record that the operation is about, where the event's first statement has brought it. */
	found?: StoredRecord | null
	/** What checking against schemas may cost; the operations of a batch share one. */
	meter?: Meter
}

/** Growth between two looks at the size of the database: looking is a statement, and the limit leaves room for as much. */
const bytesPerLook = 256_000
/** What a write takes besides its text: keys, index entries, the journal. */
const bytesPerWrite = 1_000

/** What is asked before anything grows. */
export interface Room {
	/** Refuses to store `bytes` more when the database has come near its limit. */
	refuseGrowth(bytes: number, bytesMax: number): Outcome<never> | null
	/** @see StorageGauge.together */
	together(): Room
}

/** Knows about how large the database is. */
export class StorageGauge implements Room {
	readonly #sql: Sql
	#bytes = 0
	#sinceLook = Number.POSITIVE_INFINITY

	constructor(sql: Sql) {
		this.#sql = sql
	}

	refuseGrowth(bytes: number, bytesMax: number): Outcome<never> | null {
		this.#sinceLook += bytes + bytesPerWrite
		if (this.#sinceLook >= bytesPerLook) {
			this.#bytes = this.#sql.sizeBytes()
			this.#sinceLook = 0
		}
		if (this.#bytes < bytesMax * shardFullShare) return null
		// Deletes make room, so a look that found none is not the last word.
		this.#sinceLook = Number.POSITIVE_INFINITY
		return refuse('storage_full', 'the storage of this tenant is nearly full; deletes are still possible')
	}

	/**
	 * For operations that are done together or not at all: once one has found room, so have the others. What the first ones add would
	 * refuse the later ones and then be taken back, and a shard that is called full would rest below the size at which it is.
	 */
	together(): Room {
		let found = false
		return {
			together: () => this.together(),
			refuseGrowth: (bytes, bytesMax) => {
				const full = this.refuseGrowth(bytes, found ? Number.POSITIVE_INFINITY : bytesMax)
				found ||= full === null
				return full
			},
		}
	}
}

/** Runs one operation in a savepoint of its own: what is refused or thrown leaves no trace, neither in storage nor in memory (D2). */
export function attempt<T>({ sql, journal }: Pick<Work, 'sql' | 'journal'>, operation: () => Outcome<T>): Outcome<T> {
	const mark = journal.mark()
	let refused: Outcome<T> | null = null
	try {
		return sql.transaction(() => {
			const outcome = operation()
			if (outcome.ok) return outcome
			refused = outcome
			throw new Rollback()
		})
	} catch (error) {
		journal.rollback(mark)
		if (error instanceof Rollback && refused) return refused
		throw error
	}
}

/** Writes the journal's entries of an operation that has ended well. */
export function seal({ journal, now: at, actor, request }: Work): void {
	journal.seal({ at, actor, request })
}

class Rollback extends Error {}
