import type { BaseStart, Reading, SchemaPage, WakeUp } from '../../core/contract.ts'
import { coalescedBytesMax, coalescedShardsMax, statementsAtOnceMax } from '../../core/limits.ts'
import { Semaphore } from '../../core/semaphore.ts'
import type { Watermark } from '../../core/watermark.ts'
import { applyPages, type Move } from './apply.ts'
import { applyBase, type BaseMove, startBase } from './apply-base.ts'
import { applySchema } from './apply-schema.ts'
import { type Database, DatabaseFailure } from './client.ts'
import { coalesce } from './coalesce.ts'
import { type PoisonEntry, setAside } from './set-aside.ts'
import { readWatermarks, startOver, startWatermark } from './watermarks.ts'

/** What the consumer asks of one region's view, for many shards at once. Postgres answers it here, memory in the simulator. */
export interface ViewStore {
	/** @see readWatermarks */
	readWatermarks(wakeUps: readonly WakeUp[]): Promise<(Watermark | null)[]>
	/** @see startWatermark */
	startWatermark(wakeUp: WakeUp): Promise<void>
	/** @see startOver */
	startOver(of: Pick<Watermark, 'tenant' | 'shard' | 'epoch'>, epoch: number): Promise<void>
	/** @see applyPages */
	applyPages(moves: readonly Move[]): Promise<boolean[]>
	/** @see applySchema */
	applySchema(move: Move, schema: SchemaPage): Promise<boolean>
	/** @see startBase */
	startBase(move: Move, start: BaseStart): Promise<boolean>
	/** @see applyBase */
	applyBase(move: BaseMove): Promise<boolean>
	/** @see setAside */
	setAside(watermark: Watermark, reading: Reading, entry: PoisonEntry): Promise<boolean>
}

export function postgresStore(database: Database): ViewStore {
	return {
		readWatermarks: (wakeUps) => readWatermarks(database, wakeUps),
		startWatermark: (wakeUp) => startWatermark(database, wakeUp),
		startOver: (of, epoch) => startOver(database, of, epoch),
		applyPages: (moves) => applyPages(database, moves),
		applySchema: (move, schema) => applySchema(database, move, schema),
		startBase: (move, start) => startBase(database, move, start),
		applyBase: (move) => applyBase(database, move),
		setAside: (watermark, reading, entry) => setAside(database, watermark, reading, entry),
	}
}

/**
 * The consumer's way to write one region's view. Shards are caught up side by side, and what they ask of the database at
 * the same time goes there in one statement: a round trip a shard would cost more than all the rows in it.
 */
export class ViewWriter {
	readonly #store: ViewStore
	readonly #readWatermark: (wakeUp: WakeUp) => Promise<{ found: Watermark | null }>
	readonly #applySmall: (move: Move) => Promise<boolean>
	/** A shard with a backlog does not make the small pages of others wait for its own. */
	readonly #alone = new Semaphore(statementsAtOnceMax)

	constructor(store: ViewStore) {
		this.#store = store
		const read = async (wakeUps: WakeUp[]) => (await store.readWatermarks(wakeUps)).map((found) => ({ found }))
		this.#readWatermark = coalesce(read, {
			keyOf: nameOf,
			sizeOf: () => 1,
			sizeMax: coalescedShardsMax,
			callsAtOnceMax: statementsAtOnceMax,
			isShared,
		})
		this.#applySmall = coalesce((moves: Move[]) => store.applyPages(moves), {
			keyOf: ({ watermark }) => nameOf(watermark),
			sizeOf,
			sizeMax: coalescedBytesMax,
			callsAtOnceMax: statementsAtOnceMax,
			isShared,
		})
	}

	/** Null for a shard that the view has not met. @throws DatabaseFailure */
	async readWatermark(wakeUp: WakeUp): Promise<Watermark | null> {
		return (await this.#readWatermark(wakeUp)).found
	}

	/** Begins to follow a shard that has confirmed the wake-up's epoch. @throws DatabaseFailure */
	startWatermark(wakeUp: WakeUp): Promise<void> {
		return this.#store.startWatermark(wakeUp)
	}

	/** Answers false when the watermark has moved since it was read: then nothing has changed. @throws DatabaseFailure */
	apply(watermark: Watermark, reading: Reading): Promise<boolean> {
		if (reading.kind === 'base') return this.#applyAlone(() => this.#store.applyBase({ watermark, page: reading.page }))
		const move: Move = { watermark, page: reading.page }
		const { schema, base } = move.page
		if (schema !== null) return this.#applyAlone(() => this.#store.applySchema(move, schema))
		if (base) return this.#applyAlone(() => this.#store.startBase(move, base))
		if (sizeOf(move) <= coalescedBytesMax) return this.#applySmall(move)
		return this.#applyAlone(async () => (await this.#store.applyPages([move]))[0] ?? false)
	}

	async #applyAlone(apply: () => Promise<boolean>): Promise<boolean> {
		await this.#alone.take(1)
		try {
			return await apply()
		} finally {
			this.#alone.give(1)
		}
	}

	/** Moves the watermark past the one change of a page that Postgres cannot take. @throws DatabaseFailure */
	setAside(watermark: Watermark, reading: Reading, entry: PoisonEntry): Promise<boolean> {
		return this.#store.setAside(watermark, reading, entry)
	}
}

function sizeOf({ page }: Move): number {
	return page.upserts.length + page.deletes.length
}

function nameOf({ tenant, shard }: Pick<Watermark, 'tenant' | 'shard'>): string {
	return `${tenant}/${shard}`
}

/** Without an answer of Postgres, asking for each shard alone would meet the same silence. */
function isShared(error: unknown): boolean {
	return !(error instanceof DatabaseFailure) || error.sqlstate === null
}
