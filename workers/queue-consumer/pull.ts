import type { BaseRange, PullReply, PullRequest } from '../../core/contract.ts'
import { pageBytesMax, pullMsMax } from '../../core/limits.ts'
import type { Watermark } from '../../core/watermark.ts'
import type { Ports } from './consumer.ts'
import { within } from './deadline.ts'

/** What to ask of a shard: what follows the watermark, or a range. `applied` is what to acknowledge, when it is less. */
export interface Question {
	watermark: Pick<Watermark, 'tenant' | 'shard' | 'epoch' | 'appliedSeq'> & Partial<Pick<Watermark, 'chain' | 'base'>>
	range: BaseRange | null
	applied?: number
	anew?: boolean
	entriesMax: number
}

/** @throws a timeout after `pullMsMax`, and whatever the shard throws */
export function pull({ shardOf, sleep }: Pick<Ports, 'shardOf' | 'sleep'>, question: Question): Promise<PullReply> {
	const { range: base, entriesMax } = question
	const { tenant, shard, epoch, appliedSeq: after, chain = null, base: running } = question.watermark
	const { applied = after, anew = false } = question
	// While a base runs one position stays unacknowledged, so that the shard goes on announcing: the base's own message may be lost.
	const held = running !== undefined && running.pending.length > 0 ? Math.max(0, applied - 1) : applied
	const request: PullRequest = {
		...{ tenant, shard, epoch, after, applied: held, chain, base, anew },
		...{ entriesMax, bytesMax: pageBytesMax },
	}
	return within(pullMsMax, shardOf(tenant, shard).pull(request), sleep)
}
