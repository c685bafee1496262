/** How far the view has come with one shard, and how a page moves it. The fenced statements store what is computed here. */
import type { BasePage, BaseRange, BaseStart, Page, Reading } from './contract.ts'
import type { TenantId } from './ids.ts'

/** As it was read before the pull; the fence compares `epoch` and `revision`. */
export interface Watermark {
	tenant: TenantId
	shard: number
	epoch: number
	revision: number
	appliedSeq: number
	/** The link of the shard's audit chain there, if one is known: a shard that has another there has another history. */
	chain: string | null
	base: Base
}

/** Reading collections anew by key; it runs while any is pending. */
export interface Base {
	/** The first is in progress. */
	pending: readonly string[]
	/** The last id that was read of the first collection; null at its start. */
	after: string | null
	/** Until it ends, rows may be missing; see `BaseStart`. */
	hollow: boolean
	/** Records read, and about how many there are. Both outlast the base. */
	done: number
	total: number
}

export const noBase: Base = { pending: [], after: null, hollow: false, done: 0, total: 0 }

/** Whether the view holds rows of another history than the shard's, and has to be told first what there is to read. */
export function beginsAnew({ appliedSeq, base }: Watermark): boolean {
	return appliedSeq === 0 && base.hollow && base.pending.length === 0
}

/** The range to read next, null when no base runs. */
export function nextRange({ pending, after }: Base): BaseRange | null {
	const [collection] = pending
	return collection === undefined ? null : { collection, after, only: null }
}

/** As if a base of this collection had just begun; one that runs goes on behind it, from the beginning of what was in progress. */
export function readingFirst(collection: string, watermark: Watermark): Watermark {
	const { base } = watermark
	const running = base.pending.length > 0 ? base : noBase
	const pending = [collection, ...base.pending.filter((name) => name !== collection)]
	return { ...watermark, base: { ...running, pending, after: null } }
}

/** The watermark after a page was applied under its fence. */
export function movedBy({ page, kind }: Reading, watermark: Watermark): Watermark {
	const moved = { ...watermark, revision: watermark.revision + 1 }
	if (kind === 'base') return { ...moved, base: baseAfter(page, watermark.base) }
	const base = page.base ? baseWith(page.base, watermark.base) : watermark.base
	return { ...moved, appliedSeq: page.to, chain: page.chain ?? null, base }
}

/** The watermark after the one change of a page was set aside. What a collection without a definition holds cannot be read. */
export function movedPast(reading: Reading, collection: string | null, watermark: Watermark): Watermark {
	const moved = movedBy(reading, watermark)
	const { pending, after } = moved.base
	if (collection === null || !pending.includes(collection)) return moved
	const left = pending.filter((name) => name !== collection)
	const hollow = moved.base.hollow && left.length > 0
	return { ...moved, base: { ...moved.base, pending: left, after: pending[0] === collection ? null : after, hollow } }
}

/** A base that starts while another runs goes on with what is pending and takes its own collections from their beginning. */
function baseWith(start: BaseStart, running: Base): Base {
	if (start.all || running.pending.length === 0)
		return {
			pending: start.collections,
			after: null,
			hollow: start.collections.length > 0 && (start.hollow || hollowStill(running)),
			done: 0,
			total: start.records,
		}
	const kept = running.pending.filter((name) => !start.collections.includes(name))
	return {
		pending: [...kept, ...start.collections],
		after: kept[0] === running.pending[0] ? running.after : null,
		hollow: running.hollow || start.hollow,
		done: running.done,
		total: running.total + start.records,
	}
}

function hollowStill({ pending, hollow }: Base): boolean {
	return pending.length > 0 && hollow
}

function baseAfter({ range, last, upsertCount }: BasePage, base: Base): Base {
	if (range.only !== null) return base
	const done = base.done + upsertCount
	if (last !== null) return { ...base, after: last, done }
	const pending = base.pending.slice(1)
	return { ...base, pending, after: null, hollow: base.hollow && pending.length > 0, done }
}

/** Asserted on the consumer's side of the border too: a page that does not follow the watermark would leave a hole in the view. */
export function assertFollows({ kind, page }: Reading, asked: BaseRange | null, watermark: Watermark): void {
	if (page.epoch !== watermark.epoch) throw new Error('the shard answered with a page of another epoch')
	const follows = kind === 'base' ? isRange(page, asked) : asked === null && isNext(page, watermark)
	if (!follows) throw new Error('the shard answered with a page that does not follow the watermark')
}

function isNext({ from, to, head }: Page, { appliedSeq }: Watermark): boolean {
	return from === appliedSeq && to >= from && to <= head
}

function isRange({ range, last }: BasePage, asked: BaseRange | null): boolean {
	const { collection, after, only } = range
	if (collection !== asked?.collection || after !== asked.after || only !== asked.only) return false
	return last === null || (only === null && (after === null || last > after))
}
