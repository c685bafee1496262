import type { ChangePage } from '../../core/contract.ts'
import { changesLimitMax, streamHeartbeatMs, streamPullGapMs, streamPullsMax } from '../../core/limits.ts'
import { problemOf } from '../../core/problem.ts'
import { accept, type Outcome, type Refusal, refuse } from '../../core/refusal.ts'
import { homeShard } from '../../core/shard-map.ts'
import type { Handled, TenantCall } from './call.ts'
import { execute, reach } from './reach.ts'
import { showChange } from './representation.ts'
import { respond } from './respond.ts'

/**
 * Follows the journal as server-sent events. The shard's WebSocket only says how far the journal reaches; what goes out
 * comes from pages, so each entry is sent once and in order, however the messages of the socket arrive.
 */
export async function followChanges(call: TenantCall, after: number): Handled {
	// The socket is opened first: a commit between the first page and the socket would otherwise go unannounced.
	const opened = await openFeed(call, after)
	if (!opened.ok) return opened
	const feed = opened.value
	const first = await execute(call, { name: 'changes.list', after, limit: changesLimitMax })
	if (!first.ok) {
		feed.close()
		return first
	}
	const follower = new Follower(call, feed, after, first.value)
	const encoder = new TextEncoder()
	const body = new ReadableStream<Uint8Array>(
		{
			pull: async (controller) => {
				const text = await follower.next()
				if (text === null) {
					feed.close()
					controller.close()
				} else controller.enqueue(encoder.encode(text))
			},
			cancel: () => feed.close(),
		},
		// Nothing is read ahead: a client that does not read holds up nobody and fills no memory.
		{ highWaterMark: 0 },
	)
	return respond(call, 200, body, { 'Content-Type': 'text/event-stream' })
}

/** How soon a client reconnects; streams end now and then, because a request at the edge does. */
const opening = 'retry: 1000\n\n'

class Follower {
	readonly #call: TenantCall
	readonly #feed: Feed
	#position: number
	#text: string
	#pulls = 0
	#pulledAt: number
	#ended = false

	constructor(call: TenantCall, feed: Feed, after: number, first: ChangePage) {
		this.#call = call
		this.#feed = feed
		this.#position = after
		this.#pulledAt = call.ports.clock()
		this.#text = opening + this.#take(first)
	}

	/** What to send next, which may take a while; null at the end of the stream. */
	async next(): Promise<string | null> {
		let text = this.#text
		this.#text = ''
		while (text === '' && !this.#ended) text = await this.#follow()
		return text === '' ? null : text
	}

	async #follow(): Promise<string> {
		if (this.#pulls >= streamPullsMax) return this.#end('')
		const news = await this.#feed.wait(this.#position, Math.min(streamHeartbeatMs, this.#keyLastsMs()))
		if (news === 'ended') return this.#end('')
		// A key that is revoked says so by an entry of the journal; one that expires does it in silence.
		if (this.#keyLastsMs() <= 0) return this.#end(this.#problem(refuse('unauthorized', 'the key has expired').refusal))
		if (news === 'silence') return ': heartbeat\n\n'
		await this.#feed.rest(this.#pulledAt + streamPullGapMs - this.#call.ports.clock())
		const reply = await execute(this.#call, { name: 'changes.list', after: this.#position, limit: changesLimitMax })
		this.#pulls++
		this.#pulledAt = this.#call.ports.clock()
		if (reply.ok) return this.#take(reply.value)
		if (reply.refusal.code !== 'rate_limited') return this.#end(this.#problem(reply.refusal))
		await this.#feed.rest((reply.refusal.retryAfter ?? 1) * 1_000)
		return ''
	}

	#keyLastsMs(): number {
		return (this.#feed.until ?? Number.POSITIVE_INFINITY) - this.#call.ports.clock()
	}

	#take({ changes, head }: ChangePage): string {
		let text = ''
		for (const change of changes)
			text += `id: ${change.seq}\nevent: change\ndata: ${JSON.stringify(showChange(change))}\n\n`
		this.#position = changes.at(-1)?.seq ?? this.#position
		this.#feed.raise(head)
		return text
	}

	#end(text: string): string {
		this.#ended = true
		return text
	}

	#problem(refusal: Refusal): string {
		return `event: problem\ndata: ${JSON.stringify(problemOf(refusal, this.#call.requestId))}\n\n`
	}
}

/** The shard's WebSocket: the highest head that it named, until when the key holds, and whether it is still open. */
class Feed {
	/** In milliseconds; null for ever, or before the shard has said so. */
	until: number | null = null
	readonly #socket: WebSocket
	#head = 0
	#closed = false
	#wake: () => void = () => {}
	#wakesOnNews = false

	constructor(socket: WebSocket) {
		this.#socket = socket
		socket.addEventListener('message', (event) => {
			const { head, until } = newsIn(event.data)
			this.until = until ?? this.until
			this.raise(head)
		})
		socket.addEventListener('close', () => this.#end())
		socket.addEventListener('error', () => this.#end())
		socket.accept()
	}

	raise(head: number): void {
		if (head <= this.#head) return
		this.#head = head
		if (this.#wakesOnNews) this.#wake()
	}

	close(): void {
		if (this.#closed) return
		this.#end()
		this.#socket.close(1000)
	}

	/** Until the journal reaches beyond `position`, the feed ends, or nothing happened for so long. */
	async wait(position: number, silenceMs: number): Promise<'news' | 'silence' | 'ended'> {
		if (this.#head <= position) await this.#pause(silenceMs, true)
		if (this.#closed) return 'ended'
		return this.#head > position ? 'news' : 'silence'
	}

	/** Rests for so long, or until the feed ends. */
	async rest(ms: number): Promise<void> {
		if (ms > 0) await this.#pause(ms, false)
	}

	async #pause(ms: number, wakesOnNews: boolean): Promise<void> {
		if (this.#closed) return
		this.#wakesOnNews = wakesOnNews
		let timer: ReturnType<typeof setTimeout> | undefined
		await new Promise<void>((resolve) => {
			this.#wake = resolve
			timer = setTimeout(resolve, ms)
		})
		clearTimeout(timer)
	}

	#end(): void {
		this.#closed = true
		this.#wake()
	}
}

async function openFeed(call: TenantCall, after: number): Promise<Outcome<Feed>> {
	const { tenant, caller, requestId } = call
	const operation = { name: 'changes.list', after, limit: 1 }
	const command = JSON.stringify({ tenant, shard: homeShard, caller, requestId, idempotency: null, operation })
	const request = new Request('https://shard/changes', {
		headers: { Upgrade: 'websocket', 'Freehold-Command': command },
	})
	const answered = await reach(call, 'shard.fetch', () => call.ports.shardOf(tenant, homeShard).fetch(request))
	if (!answered.ok) return answered
	const { webSocket } = answered.value
	if (webSocket) return accept(new Feed(webSocket))
	const { refusal } = await answered.value.json<{ refusal: Refusal }>()
	return { ok: false, refusal }
}

function newsIn(message: unknown): { head: number; until: number | null } {
	const { head, until } = JSON.parse(String(message)) as { head?: unknown; until?: unknown }
	return { head: typeof head === 'number' ? head : 0, until: typeof until === 'number' ? until : null }
}
