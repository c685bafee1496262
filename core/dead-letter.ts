/** Dead letters: journal entries that the view's database refused. Each region counts its own, `<region>_<number>`. */
import { parseRegion, type Region, type TenantId } from './ids.ts'

export const deadLetterStates = ['waiting', 'discarded'] as const
/** A discarded letter is off the operator's hands, but what it points at is still absent from the view. */
export type DeadLetterState = (typeof deadLetterStates)[number]

export const deadLetterOps = ['upsert', 'delete', 'schema', 'none'] as const

/** Pointers and times (milliseconds since 1970), never data. */
export interface DeadLetter {
	region: Region
	number: number
	tenant: TenantId
	shard: number
	/** The journal position at which it was refused last. */
	seq: number
	/** `none` is an entry about no record and no collection. */
	op: (typeof deadLetterOps)[number]
	/** Null where the entry is about none. */
	collection: string | null
	/** Null where all of the collection is absent. */
	record: string | null
	/** SQLSTATE and its class. */
	reason: string
	state: DeadLetterState
	attempts: number
	createdAt: number
	refusedAt: number
	/** When a replay began of which nothing has come yet. */
	replayingSince: number | null
	discardedAt: number | null
}

export interface DeadLetterPosition {
	region: Region
	number: number
}

/** Travels through the region's queue: the consumer, which alone writes to the view, does what an operator wishes. */
export interface DeadLetterOrder extends DeadLetterPosition {
	kind: 'dead_letter'
	intent: 'replay' | 'discard'
	/** Minted for this wish, as `mintId` makes it: one that comes twice has one effect. */
	id: string
	/** Milliseconds since 1970. */
	at: number
}

export function printDeadLetterId({ region, number }: DeadLetterPosition): string {
	return `${region}_${number}`
}

export function parseDeadLetterId(text: string): DeadLetterPosition | null {
	const [, regionText = '', digits = ''] = /^([a-z0-9]{1,16})_([1-9][0-9]{0,14})$/.exec(text) ?? []
	const region = parseRegion(regionText)
	return region === null ? null : { region, number: Number(digits) }
}
