import type { BaseRange, PullReply, Reading, WakeUp } from '../../core/contract.ts'
import { pageEntriesMax, pagesPerDeliveryMax } from '../../core/limits.ts'
import { assertFollows, beginsAnew, movedBy, movedPast, nextRange, type Watermark } from '../../core/watermark.ts'
import { DatabaseFailure } from '../../db/neon/client.ts'
import type { PoisonEntry } from '../../db/neon/set-aside.ts'
import type { ViewWriter } from '../../db/neon/writer.ts'
import type { Ports } from './consumer.ts'
import { isolates, poisonEntry, refusesData } from './dead-letter.ts'
import type { PageMemory, Pulled } from './page-memory.ts'
import { pull, type Question } from './pull.ts'

/** How one shard's turn ended. */
export type End =
	/** The shard had nothing further, and knows what the view has or announces soon enough and is asked again. */
	| { end: 'current' }
	/** The turn was used up before the shard was. */
	| { end: 'unfinished'; epoch: number; head: number }
	/** The wake-up is of an epoch that the view has left, or of an erased tenant. */
	| { end: 'superseded' }
	| { end: 'epoch_ahead'; viewEpoch: number }
	/** The shard has another history than the view follows under this epoch. */
	| { end: 'diverged'; viewEpoch: number }
	| { end: 'refused'; reason: Refusal }

type Refusal = Extract<PullReply, { kind: 'refused' }>['reason']
type Turn = Pick<Ports, 'shardOf' | 'now' | 'sleep' | 'log'>

type Read = (question: Question) => Promise<Pulled>

/** What the shards of one delivery share. */
export interface Delivery {
	/** Milliseconds of `Ports.now`. */
	endsAt: number
	memory: PageMemory
}

/**
 * Pulls pages and applies them until one is empty or leaves nothing that the shard does not announce by itself, for at most
 * `pagesPerDeliveryMax` pages and none that would likely end after `endsAt`; one is applied whatever the time, so that every turn
 * comes further. While a base runs, its ranges and pages of changes take turns.
 * @throws DatabaseFailure, and whatever the shard throws: what was applied until then stays applied
 */
export async function catchUp(
	wakeUp: WakeUp,
	writer: ViewWriter,
	ports: Turn,
	{ endsAt, memory }: Delivery,
): Promise<End> {
	const read: Read = (question) => memory.hold(() => pull(ports, question))
	const met = (await writer.readWatermark(wakeUp)) ?? (await meet(wakeUp, writer, read))
	if (typeof met === 'string') return { end: 'refused', reason: met }
	let watermark: Watermark = met
	if (wakeUp.epoch > watermark.epoch) return { end: 'epoch_ahead', viewEpoch: watermark.epoch }
	if (isLate(wakeUp, watermark)) return { end: 'superseded' }
	let head = wakeUp.head
	/** The range to read now; null for what changed. */
	let range: BaseRange | null = null
	/** How much the view has still to take of a page that Postgres refused: the entry to blame is in there. */
	let suspects: number | null = null
	/** The page after the one that is being applied, read meanwhile. */
	let ahead: Promise<Pulled> | null = null
	let hasApplied = false
	/** How long the last page took: one that would take as long and end too late is another turn's. */
	let pageMs = 1
	let pulledAt = ports.now()
	const isOver = () => ports.now() + pageMs > endsAt
	for (let pages = 0; pages < pagesPerDeliveryMax; pages++) {
		// A search for a poisoned entry is finished whatever the time, else the next turn would start it from the beginning. A
		// page that was read ahead is applied, too: reading it again would cost more.
		if (hasApplied && suspects === null && ahead === null && isOver()) break
		using pulled: Pulled = await (ahead ??
			read({ watermark, range, anew: beginsAnew(watermark), entriesMax: entriesWanted(suspects) }))
		const { reply } = pulled
		ahead = null
		pageMs = Math.max(1, ports.now() - pulledAt)
		pulledAt = ports.now()
		if (reply.kind === 'refused') {
			if (reply.reason === 'diverged') return { end: 'diverged', viewEpoch: watermark.epoch }
			return { end: 'refused', reason: reply.reason }
		}
		assertFollows(reply, range, watermark)
		head = reply.page.head
		if (isEmpty(reply)) {
			range = nextRange(watermark.base)
			if (range === null) return { end: 'current' }
			continue
		}
		const moved: Watermark = movedBy(reply, watermark)
		const next: BaseRange | null = rangeAfter(reply, moved)
		const goesOn = suspects === null && !isOver() && pages + 1 < pagesPerDeliveryMax && hasMore(moved, head)
		using following = goesOn ? new Ahead(read(followingOf(watermark, moved, next))) : null
		const applied = await applyOrSetAside(writer, watermark, reply, ports)
		hasApplied = true
		switch (applied.outcome) {
			case 'applied':
				suspects = left(suspects, reply)
				watermark = moved
				if (suspects === null) range = next
				else if (range !== null) range = nextRange(moved.base)
				ahead = following?.take() ?? null
				if (suspects === null && isAnnouncedSoon(reply, moved)) return { end: 'current' }
				break
			case 'set_aside':
				watermark = movedPast(reply, applied.entry.recordId === null ? applied.entry.collection : null, watermark)
				range = rangeAfter(reply, watermark)
				suspects = null
				break
			case 'overtaken': {
				const read = await writer.readWatermark(wakeUp)
				if (read === null || isLate(wakeUp, read)) return { end: 'superseded' }
				watermark = read
				range = null
				suspects = null
				break
			}
			case 'refused':
				suspects = sizeOf(reply)
				break
		}
	}
	return { end: 'unfinished', epoch: watermark.epoch, head }
}

/** A shard that is to be read anew learns of its epoch by being asked, so until then its wake-ups have the one before. */
function isLate({ epoch }: WakeUp, watermark: Watermark): boolean {
	return epoch < watermark.epoch && !beginsAnew(watermark)
}

/**
 * First contact: only the shard knows whether it exists and which epoch it has, so a late wake-up from before a lost view
 * starts nothing. Answers why not.
 */
async function meet(wakeUp: WakeUp, writer: ViewWriter, read: Read): Promise<Watermark | Refusal> {
	const { tenant, shard, epoch } = wakeUp
	const unmet = { tenant, shard, epoch, appliedSeq: 0 }
	using pulled = await read({ watermark: unmet, range: null, entriesMax: 1 })
	const { reply } = pulled
	if (reply.kind === 'refused') return reply.reason
	await writer.startWatermark({ tenant, shard, epoch, head: reply.page.head })
	const watermark = await writer.readWatermark(wakeUp)
	// Only an erasure keeps a watermark from being started.
	return watermark ?? 'unknown_shard'
}

type Applied = { outcome: 'applied' | 'overtaken' | 'refused' } | { outcome: 'set_aside'; entry: PoisonEntry }

async function applyOrSetAside(
	writer: ViewWriter,
	watermark: Watermark,
	reading: Reading,
	{ log }: Turn,
): Promise<Applied> {
	try {
		return { outcome: (await writer.apply(watermark, reading)) ? 'applied' : 'overtaken' }
	} catch (error) {
		if (!(error instanceof DatabaseFailure) || !refusesData(error)) throw error
		const { tenant, shard } = watermark
		log('warn', 'page_refused', { tenant, shard, ...placeOf(reading), sqlstate: error.sqlstate })
		if (!isolates(reading)) return { outcome: 'refused' }
		const entry = poisonEntry(reading, error)
		if (!(await writer.setAside(watermark, reading, entry))) return { outcome: 'overtaken' }
		log('error', 'entry_set_aside', { tenant, shard, ...placeOf(reading), sqlstate: error.sqlstate })
		return { outcome: 'set_aside', entry }
	}
}

function placeOf(reading: Reading): { from: number; to: number } {
	if (reading.kind === 'page') return { from: reading.page.from, to: reading.page.to }
	return { from: reading.page.head, to: reading.page.head }
}

/** Half of what is left to search, else a whole page. */
function entriesWanted(suspects: number | null): number {
	return suspects === null ? pageEntriesMax : Math.max(1, Math.floor(suspects / 2))
}

function left(suspects: number | null, reading: Reading): number | null {
	const rest = suspects === null ? 0 : suspects - sizeOf(reading)
	return rest > 0 ? rest : null
}

function sizeOf(reading: Reading): number {
	return reading.kind === 'page' ? reading.page.to - reading.page.from : Math.max(1, reading.page.upsertCount)
}

function isEmpty(reading: Reading): boolean {
	return reading.kind === 'page' && reading.page.to === reading.page.from
}

/** Changes and ranges take turns; changes that there are none of need no turn. */
function rangeAfter({ kind, page }: Reading, { appliedSeq, base }: Watermark): BaseRange | null {
	const changesNext = kind === 'base' && page.head > appliedSeq
	return changesNext ? null : nextRange(base)
}

function hasMore({ appliedSeq, base }: Watermark, head: number): boolean {
	return appliedSeq < head || base.pending.length > 0
}

/** Of a busy shard each pull finds something new. Its next wake-up brings that, and confirms what was applied now. */
function isAnnouncedSoon({ kind, page }: Reading, moved: Watermark): boolean {
	return kind === 'page' && page.willAnnounce === true && !hasMore(moved, page.head)
}

/**
 * The next page, read while this one is applied. It is applied under the revision that this page will leave, so nothing but
 * this page, which was read before it, can come between; and it acknowledges no more than what was applied.
 */
function followingOf({ appliedSeq: applied }: Watermark, watermark: Watermark, range: BaseRange | null): Question {
	return { watermark, range, applied, entriesMax: pageEntriesMax }
}

/** A page that is being read; whether anybody takes it depends on how the page before it fares. */
class Ahead implements Disposable {
	#page: Promise<Pulled> | null

	constructor(page: Promise<Pulled>) {
		this.#page = page
		// Until somebody takes it, nobody waits for it.
		page.catch(() => {})
	}

	take(): Promise<Pulled> | null {
		const page = this.#page
		this.#page = null
		return page
	}

	[Symbol.dispose](): void {
		this.#page?.then(
			(page) => page[Symbol.dispose](),
			() => {},
		)
	}
}
