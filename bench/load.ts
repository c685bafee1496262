/**
 * The load generator: HTTP/1.1 over keep-alive sockets, written by hand because it shares two cores with what it
 * measures. Requests are whole texts, answers are parsed no further than to find their end.
 */
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { type Latency, latencyOf } from './figures.ts'

export interface Load {
	port: number
	connections: number
	seconds: number
	/** The text of the next request; called once for each, in the order of sending. */
	next(): string
	/** Sees every answer that was a success, with the text that `next` gave; for what cannot be counted alone. */
	answered?(head: string, request: string): void
}

export interface LoadResult {
	/** Successful answers a second. */
	perSecond: number
	answers: number
	/** Answers that were no 2xx, and connections that broke. */
	failures: number
	/** The first answer that was no success, for the person who has to find out why. */
	firstFailure: string | null
	latency: Latency
}

/** Every connection sends its next request when the last one is answered: what the server can do at most. */
export async function closedLoop(load: Load): Promise<LoadResult> {
	const tally = new Tally(load)
	const connections = await open(load, load.connections)
	const startedAt = performance.now()
	const endsAt = startedAt + load.seconds * 1_000
	await Promise.all(
		connections.map(async (connection) => {
			while (performance.now() < endsAt) {
				const sentAt = performance.now()
				await tally.exchange(connection, load.next(), sentAt)
			}
		}),
	)
	return tally.result(startedAt)
}

/**
 * Requests arrive at times drawn beforehand (exponential gaps, fixed seed) whether or not the server keeps up, and a
 * latency counts from the scheduled time, so that a stalled server cannot hide the requests that it held up.
 */
export async function openLoop(load: Load & { perSecond: number }): Promise<LoadResult> {
	const tally = new Tally(load)
	const idle = await open(load, load.connections)
	const waiting: number[] = []
	const running = new Set<Promise<void>>()
	const startedAt = performance.now()
	const send = () => {
		while (waiting.length > 0) {
			const connection = idle.pop()
			if (connection === undefined) return
			const exchange = tally.exchange(connection, load.next(), waiting.shift() ?? 0).then(() => {
				idle.push(connection)
				running.delete(exchange)
				send()
			})
			running.add(exchange)
		}
	}
	for (const arrivals of schedule(load.perSecond, load.seconds)) {
		// A timer that is late must not make all the later ones late as well.
		const early = startedAt + arrivals.ms - performance.now()
		if (early > 0) await pause(early)
		waiting.push(...arrivals.times.map((time) => startedAt + time))
		send()
	}
	while (running.size > 0 || waiting.length > 0) await Promise.race([...running, pause(50)])
	for (const connection of idle) connection.close()
	return tally.result(startedAt)
}

export interface Side {
	/** Sides of the same name are one and the same to whoever looks at the latencies. */
	name: string
	port: number
	next(): string
}

/**
 * Asks the sides in turn, one request at a time, so that all of them see the same moments of the machine. `turns` bounds how often each is
 * asked. @throws when a request is not answered with success
 */
export async function inTurn(
	sides: readonly Side[],
	{ seconds, turns = Number.POSITIVE_INFINITY }: { seconds: number; turns?: number },
): Promise<Record<string, Latency>> {
	const measured = new Map<string, number[]>(sides.map(({ name }) => [name, []]))
	const connections = await Promise.all(
		sides.map(async (side) => ({ side, to: await Connection.open(side.port, false) })),
	)
	const endsAt = performance.now() + seconds * 1_000
	for (let turn = 0; turn < turns && performance.now() < endsAt; turn++) {
		for (const { side, to } of connections) {
			const request = side.next()
			const sentAt = performance.now()
			const { status, head } = await to.exchange(request)
			if (status < 200 || status >= 300) throw new Error(`${side.name} was answered with ${head.slice(0, 200)}`)
			measured.get(side.name)?.push(performance.now() - sentAt)
		}
	}
	for (const { to } of connections) to.close()
	return Object.fromEntries([...measured].map(([name, latencies]) => [name, latencyOf(latencies)]))
}

/** Sends one request on a connection of its own. For preparing and asking, not for measuring. */
export async function once(port: number, request: string): Promise<{ status: number; head: string; body: string }> {
	const connection = await Connection.open(port, true)
	try {
		return await connection.exchange(request)
	} finally {
		connection.close()
	}
}

/** The text of a request; `headers` are lines without their ends. */
export function requestText(line: string, headers: readonly string[], body: string | null): string {
	const lines = [`${line} HTTP/1.1`, 'Host: 127.0.0.1', ...headers]
	if (body === null) return `${lines.join('\r\n')}\r\n\r\n`
	return `${lines.join('\r\n')}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

export function pause(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms))
}

class Tally {
	readonly #load: Load
	readonly #latencies: number[] = []
	#failures = 0
	#firstFailure: string | null = null

	constructor(load: Load) {
		this.#load = load
	}

	async exchange(connection: Connection, request: string, countsFrom: number): Promise<void> {
		const { status, head } = await connection.exchange(request)
		if (status >= 200 && status < 300) {
			this.#latencies.push(performance.now() - countsFrom)
			this.#load.answered?.(head, request)
			return
		}
		this.#failures += 1
		this.#firstFailure ??= head.slice(0, 200)
		// A server that refuses at once must not make a loop that only counts refusals.
		await pause(1)
	}

	result(startedAt: number): LoadResult {
		const seconds = (performance.now() - startedAt) / 1_000
		const answers = this.#latencies.length
		const counted = { answers, failures: this.#failures, firstFailure: this.#firstFailure }
		return { perSecond: answers / seconds, ...counted, latency: latencyOf(this.#latencies) }
	}
}

function open({ port }: Load, count: number): Promise<Connection[]> {
	return Promise.all(Array.from({ length: count }, () => Connection.open(port, false)))
}

/** Arrival times in milliseconds from the start, gathered into ticks of a millisecond: timers are no finer. */
function* schedule(perSecond: number, seconds: number): Generator<{ ms: number; times: number[] }> {
	let state = 1
	const random = () => {
		state = (state * 48_271) % 2_147_483_647
		return state / 2_147_483_647
	}
	let tick = { ms: 1, times: [] as number[] }
	for (let time = 0; time < seconds * 1_000; time += (-Math.log(random()) * 1_000) / perSecond) {
		if (time > tick.ms) {
			yield tick
			tick = { ms: Math.ceil(time), times: [] }
		}
		tick.times.push(time)
	}
	yield tick
}

interface Reply {
	status: number
	head: string
	/** Empty unless the connection keeps bodies. */
	body: string
}

/** One keep-alive socket with one request on the way at a time. */
class Connection {
	readonly #socket: Socket
	readonly #keepsBody: boolean
	#settle: ((reply: Reply) => void) | null = null
	#head = ''
	#status = 0
	#body: Buffer[] = []
	/** Bytes of the body still to come; negative while the head is read, Infinity for a chunked one. */
	#left = -1
	#tail = ''

	private constructor(socket: Socket, keepsBody: boolean) {
		this.#socket = socket
		this.#keepsBody = keepsBody
		socket.setNoDelay(true)
		socket.on('data', (chunk) => this.#read(chunk))
		socket.on('close', () => this.#broken())
		socket.on('error', () => {})
	}

	static open(port: number, keepsBody: boolean): Promise<Connection> {
		return new Promise((resolve, reject) => {
			const socket = connect(port, '127.0.0.1')
			socket.once('error', reject)
			socket.once('connect', () => resolve(new Connection(socket, keepsBody)))
		})
	}

	exchange(request: string): Promise<Reply> {
		return new Promise((resolve) => {
			this.#settle = resolve
			if (this.#socket.destroyed) this.#broken()
			else this.#socket.write(request, 'latin1')
		})
	}

	close(): void {
		this.#settle = null
		this.#socket.destroy()
	}

	#read(chunk: Buffer): void {
		let body = chunk
		if (this.#left < 0) {
			const text = this.#head + chunk.toString('latin1')
			const end = text.indexOf('\r\n\r\n')
			if (end === -1) {
				this.#head = text
				return
			}
			body = chunk.subarray(end + 4 - this.#head.length)
			this.#head = text.slice(0, end)
			this.#status = Number(text.slice(9, 12))
			this.#left = bodyBytes(this.#head, this.#status)
		}
		if (this.#keepsBody) this.#body.push(body)
		if (this.#left === Number.POSITIVE_INFINITY) {
			this.#tail = (this.#tail + body.subarray(-5).toString('latin1')).slice(-5)
			if (this.#tail === '0\r\n\r\n') this.#done()
			return
		}
		this.#left -= body.length
		if (this.#left <= 0) this.#done()
	}

	#done(): void {
		const reply = { status: this.#status, head: this.#head, body: Buffer.concat(this.#body).toString() }
		this.#head = ''
		this.#tail = ''
		this.#body = []
		this.#left = -1
		const settle = this.#settle
		this.#settle = null
		settle?.(reply)
	}

	#broken(): void {
		const settle = this.#settle
		this.#settle = null
		settle?.({ status: 0, head: 'the connection broke', body: '' })
	}
}

function bodyBytes(head: string, status: number): number {
	if (status === 204 || status === 304) return 0
	const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
	return length === undefined ? Number.POSITIVE_INFINITY : Number(length)
}
