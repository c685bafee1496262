import type { WebhookShard, WebhookWakeUp } from '../core/contract.ts'
import { mintWebhookSecret, sealWebhookSecret } from '../core/webhook-secret.ts'
import type { WebhookPorts } from '../workers/queue-consumer/webhooks.ts'
import { ShardFixture, seeded } from './shard.ts'

export const signingSecret = 'signing-secret-of-the-test'

/** One request that the consumer sent. */
export interface Sent {
	url: string
	headers: Record<string, string>
	body: string
	seq: number | null
}

/** A shard with endpoints, the consumer's ports around it, and receivers that answer as they are told. */
export class WebhookFixture {
	readonly shard = new ShardFixture()
	readonly sent: Sent[] = []
	readonly logged: string[] = []
	readonly announced: WebhookWakeUp[] = []
	/** What a receiver answers; whatever it throws is a broken connection. */
	answer: (sent: Sent) => number = () => 200
	/** What a name resolves to. */
	addresses: string[] = ['9.9.9.9']
	ports: WebhookPorts
	readonly #random = seeded(11)

	constructor() {
		this.ports = {
			shardOf: () => this.stub,
			announce: async (wakeUp) => void this.announced.push(wakeUp),
			signingSecrets: [signingSecret],
			addresses: 'public',
			resolve: async () => this.addresses,
			post: async (url, headers, body) => {
				const sent = { url: url.href, headers, body, seq: JSON.parse(body).data.seq ?? null }
				this.sent.push(sent)
				return this.answer(sent)
			},
			now: () => this.shard.now,
			random: this.#random,
			sleep: () => new Promise(() => {}),
			log: (level, event, fields) => void this.logged.push(JSON.stringify({ level, event, fields })),
		}
	}

	/** The shard as the consumer sees it: a report is a turn of its own, as in the object. */
	readonly stub: WebhookShard = {
		pullWebhook: async (asked) => this.shard.shard.pullWebhook(asked),
		reportWebhook: (report) => this.shard.turn().submit(() => this.shard.shard.reportWebhook(report)),
	}

	async endpoint(more: object = {}): Promise<{ id: string; secret: string }> {
		const id = `hook-${String(this.#random()).slice(2, 12)}`
		const prepared = { id, ...this.secret() }
		const wanted = { url: 'https://hooks.acme.com/x', description: null, events: null, collections: null, after: null }
		const { webhook, secret } = await this.shard.ask({ name: 'webhook.create', ...wanted, ...more, prepared })
		return { id: webhook.id, secret }
	}

	secret(signedBy = signingSecret): { secret: string; sealed: string } {
		const secret = mintWebhookSecret(this.#random)
		return { secret, sealed: sealWebhookSecret(secret, this.shard.tenant, signedBy, this.#random) }
	}

	wakeUp(webhook: string): WebhookWakeUp {
		return { kind: 'webhook', tenant: this.shard.tenant, shard: 0, epoch: 1, webhook }
	}

	/** Moves the clock to the alarm and rings it; answers which endpoints were announced. */
	async ring(): Promise<string[]> {
		const { shard } = this
		if (shard.alarmAt === null) throw new Error('no alarm is set')
		shard.now = Math.max(shard.now, shard.alarmAt)
		shard.alarmAt = null
		const before = shard.webhooksAnnounced.length
		await shard.shard.alarm()
		return shard.webhooksAnnounced.slice(before).map(({ webhook }) => webhook)
	}

	async show(id: string) {
		return (await this.shard.ask({ name: 'webhook.get', id })).webhook
	}
}
