import type { RandomBytes } from '../../core/ids.ts'
import type { Outcome } from '../../core/refusal.ts'
import type { Meter } from '../../core/schema.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import type { Counts } from './counts.ts'

/** What one operation works with. Time and randomness are given, so that a run can be repeated. */
export interface Work {
	sql: Sql
	/** Milliseconds since 1970; the same for everything that one operation writes. */
	now: number
	random: RandomBytes
	/** `key:<id>` or `operator:<name>`, as the journal records it. */
	actor: string
	counts: Counts
	catalog: Catalog
	storageBytesMax: number
	storage: StorageGauge
	/** What checking against schemas may cost; the operations of a batch share one. */
	meter?: Meter
}

/** Writes between two looks at the size of the database: looking is a statement, and the limit leaves room for as many. */
const writesPerLook = 200

/** Knows about how large the database is. */
export class StorageGauge {
	readonly #sql: Sql
	#bytes = 0
	#writes = 0

	constructor(sql: Sql) {
		this.#sql = sql
	}

	/** The size in bytes, as of one of the last `writesPerLook` writes. */
	bytes(): number {
		if (this.#writes++ % writesPerLook === 0) this.#bytes = this.#sql.sizeBytes()
		return this.#bytes
	}
}

/** Runs one operation in a savepoint of its own: what is refused or thrown leaves no trace, neither in storage nor in memory (D2). */
export function attempt<T>(sql: Sql, counts: Counts, operation: () => Outcome<T>): Outcome<T> {
	const mark = counts.mark()
	let refused: Outcome<T> | null = null
	try {
		return sql.transaction(() => {
			const outcome = operation()
			if (outcome.ok) return outcome
			refused = outcome
			throw new Rollback()
		})
	} catch (error) {
		counts.rollback(mark)
		if (error instanceof Rollback && refused) return refused
		throw error
	}
}

class Rollback extends Error {}
