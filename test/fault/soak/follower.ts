import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { Client, Tenant } from '../../stack-client.ts'
import type { Random } from './nemesis.ts'

/** A stream that is silent for so long, heartbeats included, is given up. */
const silenceMsMax = 20_000
/** The follower itself hangs up about so often. */
const hangUpMsMax = 5_000

const change = z.looseObject({ seq: z.number() })
export type FollowedChange = z.infer<typeof change>

/** Follows a tenant's journal as server-sent events and goes on where it was cut off, by `Last-Event-ID`. */
export class Follower {
	/** What arrived, in the order of arrival. */
	readonly changes: FollowedChange[] = []
	connections = 0
	readonly tenant: string
	readonly #client: Client
	readonly #random: Random

	constructor({ id, client }: Tenant, random: Random) {
		this.tenant = id
		this.#client = client
		this.#random = random
	}

	async run(stopped: () => boolean): Promise<void> {
		while (!stopped()) {
			try {
				await this.#follow(stopped)
			} catch {
				// Cut off, refused for now, or hung up by ourselves.
			}
			await pause(50)
		}
	}

	get position(): number {
		return this.changes.at(-1)?.seq ?? 0
	}

	async #follow(stopped: () => boolean): Promise<void> {
		const ended = new AbortController()
		const hangUp = setTimeout(() => ended.abort(), 200 + this.#random() * hangUpMsMax)
		const silence = setTimeout(() => ended.abort(), silenceMsMax)
		try {
			const headers = { Accept: 'text/event-stream', 'Last-Event-ID': String(this.position) }
			const response = await this.#client.stream('/v1/changes', headers, ended.signal)
			if (!response.ok || response.body === null) return
			this.connections += 1
			let text = ''
			for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
				silence.refresh()
				text += piece
				const events = text.split('\n\n')
				text = events.pop() ?? ''
				for (const event of events) this.#take(event)
				if (stopped()) break
			}
		} finally {
			clearTimeout(hangUp)
			clearTimeout(silence)
			ended.abort()
		}
	}

	#take(event: string): void {
		const lines = event.split('\n')
		const data = lines.find((line) => line.startsWith('data: '))?.slice('data: '.length)
		if (lines.includes('event: change') && data !== undefined) this.changes.push(change.parse(JSON.parse(data)))
	}
}
