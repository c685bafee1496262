import { z } from 'zod'
import { parseRegion } from '../../core/ids.ts'
import type { RebuildStep } from '../../core/rebuild.ts'
import { consume, type Message, type Ports, retrySeconds } from './consumer.ts'
import { type RebuildPorts, stepRebuild } from './rebuild.ts'

/** What the queue of changes carries: wake-ups of shards, and steps of rebuilds. All of them are pointers, never data. */
export async function consumeChanges(
	messages: readonly Message[],
	ports: Ports,
	rebuildPorts: RebuildPorts,
): Promise<void> {
	const steps: { step: RebuildStep; message: Message }[] = []
	const others: Message[] = []
	for (const message of messages) {
		const parsed = rebuildStep.safeParse(message.body)
		if (parsed.success) steps.push({ step: parsed.data, message })
		else others.push(message)
	}
	await Promise.all([consume(others, ports), ...steps.map((one) => takeStep(one, ports, rebuildPorts))])
}

async function takeStep(
	{ step, message }: { step: RebuildStep; message: Message },
	{ random, log }: Ports,
	ports: RebuildPorts,
): Promise<void> {
	try {
		await stepRebuild(step, ports)
		message.ack()
	} catch (error) {
		log('error', 'rebuild_failed', { rebuild: step.id, error: error instanceof Error ? error.name : typeof error })
		message.retry({ delaySeconds: retrySeconds(message.attempts, random()) })
	}
}

const rebuildStep = z.object({
	kind: z.literal('rebuild'),
	region: z.string().transform((text, context) => {
		const region = parseRegion(text)
		if (region !== null) return region
		context.addIssue({ code: 'custom', message: 'no region' })
		return z.NEVER
	}),
	id: z.string().regex(/^[0-9a-hjkmnp-tv-z]{26}$/),
})
