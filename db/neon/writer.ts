import type { Page, WakeUp } from '../../core/contract.ts'
import { coalescedBytesMax, coalescedShardsMax } from '../../core/limits.ts'
import {
	applyPages,
	applySchema,
	type Move,
	type PoisonEntry,
	readWatermarks,
	setAside,
	type Watermark,
} from './apply.ts'
import { type Database, DatabaseFailure } from './client.ts'
import { coalesce } from './coalesce.ts'

/**
 * The consumer's way to write one region's view. Shards are caught up side by side, and what they ask of the database at
 * the same time goes there in one statement: a round trip a shard would cost more than all the rows in it.
 */
export class ViewWriter {
	readonly #database: Database
	readonly #readWatermark: (wakeUp: WakeUp) => Promise<Watermark>
	readonly #applyRecords: (move: Move) => Promise<boolean>

	constructor(database: Database) {
		this.#database = database
		this.#readWatermark = coalesce((wakeUps: WakeUp[]) => readWatermarks(database, wakeUps), {
			keyOf: nameOf,
			sizeOf: () => 1,
			sizeMax: coalescedShardsMax,
			isShared,
		})
		this.#applyRecords = coalesce((moves: Move[]) => applyPages(database, moves), {
			keyOf: ({ watermark }) => nameOf(watermark),
			sizeOf: ({ page }) => page.upserts.length + page.deletes.length,
			// A shard with a backlog does not make the small pages of others wait for its own.
			sizeMax: coalescedBytesMax,
			isShared,
		})
	}

	/** @throws DatabaseFailure */
	readWatermark(wakeUp: WakeUp): Promise<Watermark> {
		return this.#readWatermark(wakeUp)
	}

	/** Answers false when the watermark has moved since it was read: then nothing has changed. @throws DatabaseFailure */
	apply(watermark: Watermark, page: Page): Promise<boolean> {
		const { schema } = page
		return schema === null
			? this.#applyRecords({ watermark, page })
			: applySchema(this.#database, { watermark, page }, schema)
	}

	/** Moves the watermark past the one change of a page that Postgres cannot take. @throws DatabaseFailure */
	setAside(watermark: Watermark, page: Page, entry: PoisonEntry): Promise<boolean> {
		return setAside(this.#database, watermark, page, entry)
	}
}

function nameOf({ tenant, shard }: Pick<Watermark, 'tenant' | 'shard'>): string {
	return `${tenant}/${shard}`
}

/** Without an answer of Postgres, asking for each shard alone would meet the same silence. */
function isShared(error: unknown): boolean {
	return !(error instanceof DatabaseFailure) || error.sqlstate === null
}
