import type { Page, SchemaPage, WakeUp } from '../../core/contract.ts'
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

/** What the consumer asks of one region's view, for many shards at once. Postgres answers it here, memory in the simulator. */
export interface ViewStore {
	/** @see readWatermarks */
	readWatermarks(wakeUps: readonly WakeUp[]): Promise<Watermark[]>
	/** @see applyPages */
	applyPages(moves: readonly Move[]): Promise<boolean[]>
	/** @see applySchema */
	applySchema(move: Move, schema: SchemaPage): Promise<boolean>
	/** @see setAside */
	setAside(watermark: Watermark, page: Page, entry: PoisonEntry): Promise<boolean>
}

export function postgresStore(database: Database): ViewStore {
	return {
		readWatermarks: (wakeUps) => readWatermarks(database, wakeUps),
		applyPages: (moves) => applyPages(database, moves),
		applySchema: (move, schema) => applySchema(database, move, schema),
		setAside: (watermark, page, entry) => setAside(database, watermark, page, entry),
	}
}

/**
 * The consumer's way to write one region's view. Shards are caught up side by side, and what they ask of the database at
 * the same time goes there in one statement: a round trip a shard would cost more than all the rows in it.
 */
export class ViewWriter {
	readonly #store: ViewStore
	readonly #readWatermark: (wakeUp: WakeUp) => Promise<Watermark>
	readonly #applyRecords: (move: Move) => Promise<boolean>

	constructor(store: ViewStore) {
		this.#store = store
		this.#readWatermark = coalesce((wakeUps: WakeUp[]) => store.readWatermarks(wakeUps), {
			keyOf: nameOf,
			sizeOf: () => 1,
			sizeMax: coalescedShardsMax,
			isShared,
		})
		this.#applyRecords = coalesce((moves: Move[]) => store.applyPages(moves), {
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
			: this.#store.applySchema({ watermark, page }, schema)
	}

	/** Moves the watermark past the one change of a page that Postgres cannot take. @throws DatabaseFailure */
	setAside(watermark: Watermark, page: Page, entry: PoisonEntry): Promise<boolean> {
		return this.#store.setAside(watermark, page, entry)
	}
}

function nameOf({ tenant, shard }: Pick<Watermark, 'tenant' | 'shard'>): string {
	return `${tenant}/${shard}`
}

/** Without an answer of Postgres, asking for each shard alone would meet the same silence. */
function isShared(error: unknown): boolean {
	return !(error instanceof DatabaseFailure) || error.sqlstate === null
}
