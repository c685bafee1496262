import type { Page, PullReply, PullRequest, WakeUp } from '../../core/contract.ts'
import { deliveryMsMax, pageBytesMax, pageEntriesMax, pagesPerDeliveryMax, pullMsMax } from '../../core/limits.ts'
import type { Watermark } from '../../db/neon/apply.ts'
import { DatabaseFailure } from '../../db/neon/client.ts'
import type { ViewWriter } from '../../db/neon/writer.ts'
import type { Ports } from './consumer.ts'
import { isolates, poisonEntry, refusesData } from './dead-letter.ts'
import { within } from './deadline.ts'

/** How one shard's turn ended. */
export type End =
	/** The shard had nothing further; its last pull acknowledged all that the view has. */
	| { end: 'current' }
	/** The turn was used up before the shard was. */
	| { end: 'unfinished'; head: number }
	/** The wake-up is of an epoch that the view has left. */
	| { end: 'superseded' }
	| { end: 'epoch_ahead'; viewEpoch: number }
	| { end: 'refused'; reason: Extract<PullReply, { kind: 'refused' }>['reason'] }

type Turn = Pick<Ports, 'shardOf' | 'now' | 'sleep' | 'log'>

/**
 * Pulls pages and applies them until one is empty, for at most `pagesPerDeliveryMax` pages or `deliveryMsMax`.
 * @throws DatabaseFailure, and whatever the shard throws: what was applied until then stays applied
 */
export async function catchUp(wakeUp: WakeUp, writer: ViewWriter, ports: Turn): Promise<End> {
	const startedAt = ports.now()
	let watermark = await writer.readWatermark(wakeUp)
	if (wakeUp.epoch > watermark.epoch) return { end: 'epoch_ahead', viewEpoch: watermark.epoch }
	let head = wakeUp.head
	/** Where a page ended that Postgres refused: the entry to blame is at or before it. */
	let refusedTo: number | null = null
	/** The page after the one that is being applied, read meanwhile. */
	let ahead: Promise<PullReply> | null = null
	for (let pages = 0; pages < pagesPerDeliveryMax; pages++) {
		if (wakeUp.epoch < watermark.epoch) return { end: 'superseded' }
		// A search for a poisoned entry is finished whatever the time, else the next turn would start it from the beginning.
		if (refusedTo === null && ports.now() - startedAt >= deliveryMsMax) break
		const reply: PullReply = await (ahead ??
			pull(ports, watermark, watermark.appliedSeq, entriesWanted(watermark, refusedTo)))
		ahead = null
		if (reply.kind === 'refused') return { end: 'refused', reason: reply.reason }
		const page: Page = reply.page
		assertFollows(page, watermark)
		if (page.to === page.from) return { end: 'current' }
		head = page.head
		const next: Promise<PullReply> | null =
			page.to < head && refusedTo === null ? pullAhead(ports, watermark, page.to) : null
		switch (await applyOrSetAside(writer, watermark, page, ports)) {
			case 'applied':
				watermark = movedBy(page, watermark)
				if (refusedTo !== null && page.to >= refusedTo) refusedTo = null
				ahead = next
				break
			case 'set_aside':
				watermark = movedBy(page, watermark)
				refusedTo = null
				break
			case 'overtaken':
				watermark = await writer.readWatermark(wakeUp)
				refusedTo = null
				break
			case 'refused':
				refusedTo = page.to
				break
		}
	}
	return { end: 'unfinished', head }
}

type Applied = 'applied' | 'set_aside' | 'overtaken' | 'refused'

async function applyOrSetAside(writer: ViewWriter, watermark: Watermark, page: Page, { log }: Turn): Promise<Applied> {
	try {
		return (await writer.apply(watermark, page)) ? 'applied' : 'overtaken'
	} catch (error) {
		if (!(error instanceof DatabaseFailure) || !refusesData(error)) throw error
		const { tenant, shard } = watermark
		log('warn', 'page_refused', { tenant, shard, from: page.from, to: page.to, sqlstate: error.sqlstate })
		if (!isolates(page)) return 'refused'
		if (!(await writer.setAside(watermark, page, poisonEntry(page, error)))) return 'overtaken'
		log('error', 'entry_set_aside', { tenant, shard, seq: page.to, sqlstate: error.sqlstate })
		return 'set_aside'
	}
}

/** Half of what is left to search, else a whole page. */
function entriesWanted(watermark: Watermark, refusedTo: number | null): number {
	return refusedTo === null ? pageEntriesMax : Math.max(1, Math.floor((refusedTo - watermark.appliedSeq) / 2))
}

function movedBy(page: Page, watermark: Watermark): Watermark {
	return { ...watermark, revision: watermark.revision + 1, appliedSeq: page.to }
}

/**
 * Reads the next page while this one is applied. It is applied under the revision that this page will leave, so nothing but
 * this page, which was read before it, can come between; and it acknowledges no more than what was applied.
 */
function pullAhead(ports: Turn, watermark: Watermark, after: number): Promise<PullReply> {
	const reply = pull(ports, watermark, after, pageEntriesMax)
	// Whether anybody waits for it depends on how the application of this page ends.
	reply.catch(() => {})
	return reply
}

async function pull(
	{ shardOf, sleep }: Turn,
	{ tenant, shard, epoch, appliedSeq: applied }: Watermark,
	after: number,
	entriesMax: number,
): Promise<PullReply> {
	const request: PullRequest = { tenant, shard, epoch, after, applied, entriesMax, bytesMax: pageBytesMax }
	return within(pullMsMax, shardOf(tenant, shard).pull(request), sleep)
}

/** Asserted on this side of the border too: a page that does not follow the watermark would leave a hole in the view. */
function assertFollows(page: Page, watermark: Watermark): void {
	if (page.epoch !== watermark.epoch) throw new Error('the shard answered with a page of another epoch')
	if (page.from !== watermark.appliedSeq || page.to < page.from || page.to > page.head) {
		throw new Error('the shard answered with a page that does not follow the watermark')
	}
}
