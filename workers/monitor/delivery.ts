import { Webhook } from 'standardwebhooks'
import { alertMessageKeptMs } from '../../core/limits.ts'
import { retryDelayMs } from '../../core/webhook.ts'
import type { MonitorStore } from './store.ts'

export interface DeliveryPorts {
	store: MonitorStore
	/** Where alerts go, and the secret that signs them (`whsec_…`); null for nowhere. */
	receiver: { url: string; secret: string } | null
	/** Answers the status. @throws when no answer came */
	post(url: URL, headers: Record<string, string>, body: string): Promise<number>
	/** From 0 up to, not including, 1. */
	random(): number
	log(level: 'warn', event: string, fields: Record<string, string | number | null>): void
}

/**
 * Sends the messages that are due, as Standard Webhooks, and answers when the next one is; null when none waits. A message that
 * fails comes again, with its id, until it is three days old: the receiver passes over what it has.
 */
export async function deliverMessages(ports: DeliveryPorts, now: number): Promise<number | null> {
	const { store, random, log } = ports
	for (const { id, body, madeAt, failures } of store.dueMessages(now)) {
		if (await send(ports, id, body, now)) store.forgetMessage(id)
		else {
			log('warn', 'alert_undelivered', { message: id, failures: failures + 1 })
			if (now - madeAt > alertMessageKeptMs) store.forgetMessage(id)
			else store.postponeMessage(id, now + retryDelayMs(failures + 1, random()))
		}
	}
	return store.nextMessageAt()
}

async function send({ receiver, post }: DeliveryPorts, id: string, body: string, now: number): Promise<boolean> {
	if (receiver === null) return false
	const headers = {
		'Content-Type': 'application/json',
		'User-Agent': 'Freehold-Monitor',
		'webhook-id': id,
		'webhook-timestamp': String(Math.floor(now / 1_000)),
		'webhook-signature': new Webhook(receiver.secret).sign(id, new Date(now), body),
	}
	try {
		const status = await post(new URL(receiver.url), headers, body)
		return status >= 200 && status < 300
	} catch {
		return false
	}
}
