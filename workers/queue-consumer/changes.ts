import { z } from 'zod'
import type { DeadLetterOrder } from '../../core/dead-letter.ts'
import { parseRegion } from '../../core/ids.ts'
import type { RebuildStep } from '../../core/rebuild.ts'
import { consume, type Message, type Ports, retrySeconds } from './consumer.ts'
import { type RebuildPorts, stepRebuild } from './rebuild.ts'
import { performOrder, type ReplayPorts } from './replay.ts'

/** What the queue of changes carries: wake-ups of shards, steps of rebuilds, and what to do with dead letters. All are pointers. */
export async function consumeChanges(
	messages: readonly Message[],
	ports: Ports,
	{ rebuild, replay }: { rebuild: RebuildPorts; replay: ReplayPorts },
): Promise<void> {
	const taken: Promise<void>[] = []
	const others: Message[] = []
	for (const message of messages) {
		const parsed = order.safeParse(message.body)
		if (!parsed.success) others.push(message)
		else if (parsed.data.kind === 'rebuild') taken.push(takeStep(parsed.data, message, ports, rebuild))
		else taken.push(takeOrder(parsed.data, message, ports, replay))
	}
	await Promise.all([consume(others, ports), ...taken])
}

async function takeStep(step: RebuildStep, message: Message, { random, log }: Ports, ports: RebuildPorts) {
	try {
		await stepRebuild(step, ports)
		message.ack()
	} catch (error) {
		log('error', 'rebuild_failed', { rebuild: step.id, error: nameOf(error) })
		message.retry({ delaySeconds: retrySeconds(message.attempts, random()) })
	}
}

async function takeOrder(order: DeadLetterOrder, message: Message, { random, log }: Ports, ports: ReplayPorts) {
	try {
		await performOrder(order, ports)
		message.ack()
	} catch (error) {
		const { region, number, intent } = order
		log('error', 'dead_letter_failed', { region, number, intent, error: nameOf(error) })
		message.retry({ delaySeconds: retrySeconds(message.attempts, random()) })
	}
}

function nameOf(error: unknown): string {
	return error instanceof Error ? error.name : typeof error
}

const region = z.string().transform((text, context) => {
	const parsed = parseRegion(text)
	if (parsed !== null) return parsed
	context.addIssue({ code: 'custom', message: 'no region' })
	return z.NEVER
})
const id = z.string().regex(/^[0-9a-hjkmnp-tv-z]{26}$/)

const order = z.discriminatedUnion('kind', [
	z.object({ kind: z.literal('rebuild'), region, id }),
	z.object({
		kind: z.literal('dead_letter'),
		...{ region, id, number: z.int().positive(), intent: z.enum(['replay', 'discard']), at: z.int() },
	}),
])
