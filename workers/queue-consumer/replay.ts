import type { RebuildReply, Shard } from '../../core/contract.ts'
import type { DeadLetterOrder } from '../../core/dead-letter.ts'
import type { TenantId } from '../../core/ids.ts'
import { replayAttemptsMax } from '../../core/limits.ts'
import { assertFollows, readingFirst } from '../../core/watermark.ts'
import { DatabaseFailure } from '../../db/neon/client.ts'
import type { ReplayedLetter } from '../../db/neon/dead-letters.ts'
import { type ViewStore, ViewWriter } from '../../db/neon/writer.ts'
import type { Ports } from './consumer.ts'
import { reasonOf, refusesData } from './dead-letter.ts'
import { pull } from './pull.ts'

export interface ReplayPorts extends Pick<Ports, 'announce' | 'sleep' | 'log'> {
	letters: {
		noteReplay(number: number): Promise<ReplayedLetter | null>
		noteRefused(number: number, reason: string): Promise<void>
		discard(number: number, at: number): Promise<void>
	}
	view: ViewStore
	shardOf(tenant: TenantId, shard: number): Pick<Shard, 'pull' | 'rebuild'>
}

/**
 * Does what an operator wishes with a dead letter. A letter that is gone is none any more: a later page has brought what it
 * pointed at. Throws when something is away: then the message comes again.
 */
export async function performOrder(order: DeadLetterOrder, ports: ReplayPorts): Promise<void> {
	const { region, number, intent, at } = order
	ports.log('info', 'dead_letter_ordered', { region, number, intent })
	if (intent === 'discard') return ports.letters.discard(number, at)
	const letter = await ports.letters.noteReplay(number)
	if (letter === null) return
	if (letter.collection === null) await askForAll(letter, order, ports)
	else await replay(letter, letter.collection, order, ports)
}

/** An entry about no collection described the tenant; a base of everything brings that, too. */
async function askForAll({ tenant, shard }: ReplayedLetter, { id, at }: DeadLetterOrder, ports: ReplayPorts) {
	const reply: RebuildReply = await ports.shardOf(tenant, shard).rebuild({ tenant, shard, id, askedAt: at })
	if (reply.kind === 'refused') ports.log('warn', 'replay_refused', { tenant, shard, reason: reply.reason })
}

/**
 * Reads the record anew, or begins to read its collection: under the fence of all pages, which takes the letter away with
 * the same statement. What Postgres refuses again changes nothing, so the letter stays what it is.
 */
async function replay(letter: ReplayedLetter, collection: string, order: DeadLetterOrder, ports: ReplayPorts) {
	const { tenant, shard, epoch, recordId: only } = letter
	const writer = new ViewWriter(ports.view)
	const range = { collection, after: null, only }
	for (let attempts = 0; attempts < replayAttemptsMax; attempts++) {
		const found = await writer.readWatermark({ tenant, shard, epoch, head: 0 })
		if (found === null) return
		const watermark = only === null ? readingFirst(collection, found) : found
		// Of a collection one record first: if that is refused, it is the collection that is to blame, and nothing has begun.
		const reply = await pull(ports, { watermark, range, entriesMax: 1 })
		if (reply.kind === 'refused') {
			ports.log('warn', 'replay_refused', { tenant, shard, reason: reply.reason })
			return
		}
		assertFollows(reply, range, watermark)
		try {
			if (await writer.apply(watermark, reply)) {
				await ports.announce({ tenant, shard, epoch: watermark.epoch, head: reply.page.head })
				return
			}
		} catch (error) {
			if (!(error instanceof DatabaseFailure) || !refusesData(error)) throw error
			await ports.letters.noteRefused(order.number, reasonOf(error))
			return
		}
	}
	throw new Error('the watermark keeps moving')
}
