import { telemetryRetiredRowsMax } from '../../core/limits.ts'
import { type TelemetryMessage, telemetryMessage } from '../../core/telemetry.ts'
import { type Message, retrySeconds } from './consumer.ts'

export interface TelemetryStore {
	/** Adds each message once, however often it is given. */
	add(messages: readonly TelemetryMessage[]): Promise<void>
	/** Notes how far every tenant's shards have come. */
	noteUsage(): Promise<void>
	/** Deletes sums whose time is over. */
	retire(rowsMax: number): Promise<void>
}

interface TelemetryPorts {
	store: Pick<TelemetryStore, 'add'>
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

const noteEveryMinutes = 10
const retireEveryMinutes = 60

/** What the sums need now and then; called every minute. @param at milliseconds since 1970 */
export async function maintainTelemetry(store: Omit<TelemetryStore, 'add'>, at: number): Promise<void> {
	const minute = Math.floor(at / 60_000)
	if (minute % noteEveryMinutes === 0) await store.noteUsage()
	if (minute % retireEveryMinutes === 0) await store.retire(telemetryRetiredRowsMax)
}
