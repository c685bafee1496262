import { Webhook } from 'standardwebhooks'
import type { WebhookAttempt, WebhookFailure } from '../../core/contract.ts'
import type { WebhookMessage } from '../../core/webhook.ts'
import { isPublicAddress, parseWebhookUrl } from '../../core/webhook-address.ts'
import type { WebhookPorts } from './webhooks.ts'

/** Sends one message once, signed by each secret, and says what came of it. Never throws. */
export async function attemptMessage(
	message: WebhookMessage,
	endpoint: { url: string; secrets: readonly string[] },
	ports: WebhookPorts,
): Promise<WebhookAttempt> {
	const at = ports.now()
	const result = await send(message, endpoint, at, ports)
	const { id, event, seq } = message
	return { message: id, event, seq, at, duration: Math.max(0, ports.now() - at), ...result }
}

type Result = Pick<WebhookAttempt, 'status' | 'failure'>

async function send(
	message: WebhookMessage,
	{ url: text, secrets }: { url: string; secrets: readonly string[] },
	at: number,
	ports: WebhookPorts,
): Promise<Result> {
	// The address was checked when it was given, but perhaps under other rules, and what a name resolves to may change.
	const url = parseWebhookUrl(text, ports.addresses)
	if (!url.ok) return failed('address_refused')
	const refused = ports.addresses === 'public' ? await refuseName(url.value.hostname, ports) : null
	if (refused) return failed(refused)
	const headers = {
		'Content-Type': 'application/json',
		'User-Agent': 'Freehold-Webhooks',
		'webhook-id': message.id,
		'webhook-timestamp': String(Math.floor(at / 1_000)),
		'webhook-signature': secrets
			.map((secret) => new Webhook(secret).sign(message.id, new Date(at), message.body))
			.join(' '),
	}
	try {
		const status = await ports.post(url.value, headers, message.body)
		if (status >= 200 && status < 300) return { status, failure: null }
		// Following would mean to check again where it leads; receivers are asked to give their final address.
		return { status, failure: status >= 300 && status < 400 ? 'redirect' : 'status' }
	} catch (error) {
		return failed(error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'unreachable')
	}
}

/** Every address that the name has must be public: which of them the request will go to is not ours to choose. */
async function refuseName(host: string, ports: WebhookPorts): Promise<WebhookFailure | null> {
	// Literal addresses were held against the rules with the rest of the URL.
	if (host.startsWith('[') || /^[0-9.]+$/.test(host)) return null
	try {
		const addresses = await ports.resolve(host)
		if (addresses.length === 0) return 'unresolved'
		return addresses.every(isPublicAddress) ? null : 'address_refused'
	} catch {
		return 'unresolved'
	}
}

function failed(failure: WebhookFailure): Result {
	return { status: null, failure }
}
