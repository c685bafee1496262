import { type TelemetryMessage, telemetryMessage } from '../../core/telemetry.ts'
import { type Message, retrySeconds } from './consumer.ts'

interface TelemetryStore {
	/** Adds each message once, however often it is given. */
	add(messages: readonly TelemetryMessage[]): Promise<void>
}

interface TelemetryPorts {
	store: TelemetryStore
	/** From 0 up to, not including, 1. */
	random(): number
	log(level: 'warn' | 'error', event: string, fields: Record<string, string | number | null>): void
}

/** Adds what isolates have counted to the sums of their region. Never throws: what could not be added comes again. */
export async function consumeTelemetry(messages: readonly Message[], ports: TelemetryPorts): Promise<void> {
	const waiting: { message: Message; counted: TelemetryMessage }[] = []
	for (const message of messages) {
		const parsed = telemetryMessage.safeParse(message.body)
		if (parsed.success) waiting.push({ message, counted: parsed.data })
		else {
			// No retry would make it one.
			ports.log('error', 'telemetry_invalid', { attempts: message.attempts })
			message.ack()
		}
	}
	if (waiting.length === 0) return
	try {
		await ports.store.add(waiting.map(({ counted }) => counted))
		for (const { message } of waiting) message.ack()
	} catch (error) {
		ports.log('warn', 'telemetry_failed', { messages: waiting.length, error: nameOf(error) })
		for (const { message } of waiting) message.retry({ delaySeconds: retrySeconds(message.attempts, ports.random()) })
	}
}

function nameOf(error: unknown): string {
	return error instanceof Error ? error.name : typeof error
}
