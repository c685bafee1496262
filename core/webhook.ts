import type { Change, ChangeOp } from './contract.ts'
import { webhookRetryMs, webhookRetryMsMax } from './limits.ts'

/** What an outgoing webhook says and when it is sent again. Its form is that of Standard Webhooks (standardwebhooks.com). */

const eventByOp = {
	create: 'record.created',
	update: 'record.updated',
	delete: 'record.deleted',
	schema: 'collection.changed',
	key: 'key.changed',
	tenant: 'tenant.changed',
	webhook: 'webhook.changed',
	rebuild: 'view.rebuild',
	export: 'export.changed',
	access: 'archive.downloaded',
	erasure: 'erasure.changed',
	import: 'import.changed',
	restrict: 'record.restricted',
	release: 'record.released',
	encryption: 'collection.encrypted',
	restore: 'tenant.restored',
	rotation: 'tenant.key_rotated',
} as const satisfies Record<ChangeOp, string>

export type WebhookEvent = (typeof eventByOp)[ChangeOp]
export const webhookEvents = Object.values(eventByOp)
/** Sent when somebody asks for it, never because of a change. */
const testEvent = 'webhook.test'

/** Which entries of the journal an endpoint gets; null stands for all. */
export interface WebhookFilter {
	events: WebhookEvent[] | null
	/** Entries that belong to no collection pass only where this is null. */
	collections: string[] | null
}

export function passes({ events, collections }: WebhookFilter, change: Change): boolean {
	if (events !== null && !events.includes(eventByOp[change.op])) return false
	return collections === null || (change.collection !== null && collections.includes(change.collection))
}

export interface WebhookMessage {
	/** `webhook-id`: the same for every attempt, so that a receiver can pass over what it already has. */
	id: string
	event: WebhookEvent | typeof testEvent
	/** The journal position; null for a test. */
	seq: number | null
	/** The body, as it is signed and sent. */
	body: string
}

/** Names one entry for good. The epoch is part of it: after a restore the same position may hold another entry. */
export function changeMessage(shard: { tenant: string; shard: number; epoch: number }, change: Change): WebhookMessage {
	const { seq, op, collection, id, version, actor, at } = change
	const event = eventByOp[op]
	return {
		id: `msg_${shard.tenant}_${shard.shard}_${shard.epoch}_${seq}`,
		event,
		seq,
		body: bodyOf(event, at, { seq, op, collection, id, version, actor }),
	}
}

export function testMessage(id: string, webhook: string, at: number): WebhookMessage {
	return { id, event: testEvent, seq: null, body: bodyOf(testEvent, at, { webhook }) }
}

function bodyOf(type: string, at: number, data: object): string {
	return JSON.stringify({ type, timestamp: new Date(at).toISOString(), data })
}

/**
 * Milliseconds until the next attempt after so many failures in a row. The upper half is random, so that endpoints that
 * failed together do not come back together. Waits stay shorter than for messages without order, because one message that
 * fails holds up all after it.
 * @param random from 0 up to, not including, 1
 */
export function retryDelayMs(failures: number, random: number): number {
	const longest = Math.min(webhookRetryMs * 2 ** (failures - 1), webhookRetryMsMax)
	return Math.ceil(longest * (0.5 + random / 2))
}
