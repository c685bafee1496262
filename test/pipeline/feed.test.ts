import { expect, test } from 'vitest'
import { seeded } from '../shard.ts'
import { createTenant, killWorkerd, type Tenant, temporaryStack, until } from '../stack-client.ts'

const killsWanted = 6
const entriesPerKill = 40

test('[J1] a follower that resumes by Last-Event-ID sees each position once and in order, through kills of the process', async () => {
	const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
	const random = seeded(seed)
	const stack = await temporaryStack()
	const ended = new AbortController()
	try {
		const tenant = await createTenant(stack, 'eu')
		await tenant.client.ok('PUT', '/v1/collections/entries', { schema: {} })
		const follower = new Follower(tenant)
		const following = follower.follow(ended.signal)
		let stopped = false
		const writers = [0, 1, 2].map((writer) => write(tenant, writer, () => stopped))
		for (let kills = 0; kills < killsWanted; kills++) {
			const before = follower.seen.length
			await until('more entries', async () => follower.seen.length >= before + entriesPerKill, 60_000)
			// Somewhere in the middle of what goes on, not always right after an event.
			await new Promise((resolve) => setTimeout(resolve, random() * 200))
			await until('a process to kill', async () => killWorkerd(stack.runtime.pid))
		}
		stopped = true
		await Promise.all(writers)
		const { body } = await until('an answer', () => tenant.client.ok('GET', '/v1/tenant').catch(() => null))
		const head = body.usage.position
		await until('the end of the journal', async () => (follower.seen.at(-1) ?? 0) >= head, 60_000)
		ended.abort()
		await following
		console.log(`seed ${seed}: ${killsWanted} kills, ${head} entries, ${follower.streams} streams`)
		expect(follower.seen).toEqual(Array.from({ length: head }, (_, index) => index + 1))
		expect(follower.streams).toBeGreaterThan(killsWanted)
	} finally {
		ended.abort()
		await stack.remove()
	}
}, 300_000)

/** Follows as an `EventSource` does: whenever the stream ends, it connects again with the last id that it was given. */
class Follower {
	readonly seen: number[] = []
	/** Streams that brought something. */
	streams = 0
	readonly #tenant: Tenant

	constructor(tenant: Tenant) {
		this.#tenant = tenant
	}

	async follow(signal: AbortSignal): Promise<void> {
		while (!signal.aborted) {
			try {
				await this.#readStream(signal)
			} catch {
				// Cut off, or not answered: the process is being killed, or starts.
			}
			await new Promise((resolve) => setTimeout(resolve, 20))
		}
	}

	async #readStream(signal: AbortSignal): Promise<void> {
		const headers = { Accept: 'text/event-stream', 'Last-Event-ID': String(this.seen.at(-1) ?? 0) }
		let text = ''
		let isFirst = true
		const response = await this.#tenant.client.stream('/v1/changes', headers, signal)
		if (!response.ok || !response.body) throw new Error(`the stream answered ${response.status}`)
		const decoder = new TextDecoder()
		for await (const bytes of response.body) {
			const blocks = (text + decoder.decode(bytes, { stream: true })).split('\n\n')
			// An event that was cut off is not one.
			text = blocks.pop() ?? ''
			for (const block of blocks) {
				const id = /^id: ([0-9]+)$/m.exec(block)?.[1]
				if (id === undefined) continue
				this.seen.push(Number(id))
				if (isFirst) this.streams++
				isFirst = false
			}
		}
	}
}

/** Each write is sent until it is answered; whether it happened twice is another test's matter. */
async function write({ client }: Tenant, writer: number, stopped: () => boolean): Promise<void> {
	for (let round = 0; !stopped(); round++) {
		const headers = { 'Idempotency-Key': `${writer}-${round}` }
		const send = () => client.ok('POST', '/v1/collections/entries/records', { round }, headers).catch(() => null)
		while (!stopped() && (await send()) === null) await new Promise((resolve) => setTimeout(resolve, 20))
	}
}
