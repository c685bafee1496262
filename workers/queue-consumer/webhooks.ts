/**
 * The consumer of the webhooks' queue: brings every endpoint that a batch of wake-ups names its messages. Like the view's
 * consumer it is told nothing but where to look, and each message of the queue is acknowledged by itself, after its effect.
 */
import { z } from 'zod'
import type { WebhookShard, WebhookWakeUp } from '../../core/contract.ts'
import { tenantIdSchema } from '../../core/control.ts'
import type { RandomBytes, TenantId } from '../../core/ids.ts'
import type { AddressRules } from '../../core/webhook-address.ts'
import { type Message, type Ports, retrySeconds } from './consumer.ts'
import { takeTurn } from './webhook-turn.ts'

export interface WebhookPorts {
	shardOf(tenant: TenantId, shard: number): WebhookShard
	/** Sends a wake-up to the queue of its tenant's region. */
	announce(wakeUp: WebhookWakeUp): Promise<void>
	/** The newest seals, all of them open. */
	signingSecrets: readonly [string, ...string[]]
	addresses: AddressRules
	/** Every IP address that a name has now. */
	resolve(host: string): Promise<string[]>
	/** The status of the answer; follows no redirect. @throws an error named `TimeoutError` when none came in time */
	post(url: URL, headers: Record<string, string>, body: string): Promise<number>
	/** Milliseconds since 1970. */
	now(): number
	random: RandomBytes
	sleep(ms: number, signal: AbortSignal): Promise<void>
	log: Ports['log']
}

/** Never throws. The endpoints of a batch are served side by side: a slow one holds up nobody else in it. */
export async function deliverWebhooks(messages: readonly Message[], ports: WebhookPorts): Promise<void> {
	await Promise.all(groupByEndpoint(messages, ports).map((group) => deliver(group, ports)))
}

interface Group {
	wakeUp: WebhookWakeUp
	messages: Message[]
}

async function deliver({ wakeUp, messages }: Group, ports: WebhookPorts): Promise<void> {
	const done = await settles(wakeUp, ports)
	for (const message of messages) {
		if (done) message.ack()
		else
			message.retry({ delaySeconds: retrySeconds(message.attempts, (ports.random(new Uint8Array(1))[0] ?? 0) / 256) })
	}
}

/** True when nothing is left to do for these messages; a receiver that fails is the shard's to come back to. */
async function settles(wakeUp: WebhookWakeUp, ports: WebhookPorts): Promise<boolean> {
	try {
		const isUnfinished = await takeTurn(wakeUp, ports)
		if (isUnfinished) await ports.announce(wakeUp)
		return true
	} catch (error) {
		const { tenant, webhook } = wakeUp
		const name = error instanceof Error ? error.name : typeof error
		ports.log('error', 'webhook_turn_failed', { tenant, webhook, error: name })
		return false
	}
}

const wakeUpSchema = z.object({
	kind: z.literal('webhook'),
	tenant: tenantIdSchema,
	shard: z.int().nonnegative(),
	epoch: z.int().nonnegative(),
	webhook: z.string(),
})

/** Messages of one endpoint go together; what is no wake-up is acknowledged, because no retry would make it one. */
function groupByEndpoint(messages: readonly Message[], ports: WebhookPorts): Group[] {
	const groups = new Map<string, Group>()
	for (const message of messages) {
		const parsed = wakeUpSchema.safeParse(message.body)
		if (!parsed.success) {
			ports.log('error', 'wake_up_invalid', { attempts: message.attempts })
			message.ack()
			continue
		}
		const { tenant, shard, epoch, webhook } = parsed.data
		const key = `${tenant}/${shard}/${epoch}/${webhook}`
		const group = groups.get(key)
		if (group) group.messages.push(message)
		else groups.set(key, { wakeUp: parsed.data, messages: [message] })
	}
	return [...groups.values()]
}
