/** The heap of the isolate that serves, as its own inspector tells it. */
import { z } from 'zod'
import { pause } from './load.ts'

/**
 * Megabytes, the most that was seen at one look. Buffers lie outside of V8's heap, but the platform counts them with it, so `total` and
 * `live` hold them too.
 */
export interface HeapMost {
	/** What waits to be collected included. */
	total: number
	buffers: number
	/** Right after a collection: what is needed. */
	live: number
}

const targets = z.array(z.object({ id: z.string(), webSocketDebuggerUrl: z.string() }))
const usage = z.object({ usedSize: z.number(), backingStorageSize: z.number() })
const message = z.object({ id: z.number(), result: z.unknown(), error: z.object({ message: z.string() }).optional() })

const lookMs = 50
/** A collection stops everything for a while, so not every look begins with one. */
const collectEvery = 20

export class Heap {
	readonly #socket: WebSocket
	readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
	#asked = 0

	private constructor(socket: WebSocket) {
		this.#socket = socket
		socket.addEventListener('message', ({ data }) => this.#hear(String(data)))
		socket.addEventListener('close', () => this.#end())
	}

	/** Of the Worker with its objects, which share an isolate here. */
	static async open(port: number): Promise<Heap> {
		const listed = targets.parse(await (await fetch(`http://127.0.0.1:${port}/json`)).json())
		const target = listed.find(({ id }) => id.startsWith('core:user:'))
		if (target === undefined) throw new Error('the inspector knows no Worker')
		const socket = new WebSocket(target.webSocketDebuggerUrl)
		await new Promise<void>((resolve, reject) => {
			socket.addEventListener('open', () => resolve())
			socket.addEventListener('error', () => reject(new Error('the inspector does not answer')))
		})
		return new Heap(socket)
	}

	/** Looks at the heap while the work goes on, and once more when it is done. */
	async watch<T>(work: () => Promise<T>): Promise<{ value: T; most: HeapMost }> {
		const most: HeapMost = { total: 0, buffers: 0, live: 0 }
		let done = false
		const watching = (async () => {
			for (let look = 1; !done; look++) {
				await this.#look(most, look % collectEvery === 0)
				await pause(lookMs)
			}
			await this.#look(most, true)
		})()
		try {
			const value = await work()
			done = true
			await watching
			return { value, most }
		} finally {
			done = true
			// Where the work has failed because the runtime is gone, its failure is what matters.
			await watching.catch(() => {})
		}
	}

	close(): void {
		this.#socket.close()
	}

	async #look(most: HeapMost, collects: boolean): Promise<void> {
		if (collects) await this.#ask('HeapProfiler.collectGarbage')
		const { usedSize, backingStorageSize } = usage.parse(await this.#ask('Runtime.getHeapUsage'))
		const [total, buffers] = [(usedSize + backingStorageSize) / 1e6, backingStorageSize / 1e6]
		most.total = Math.max(most.total, total)
		most.buffers = Math.max(most.buffers, buffers)
		if (collects) most.live = Math.max(most.live, total)
	}

	#ask(method: string): Promise<unknown> {
		this.#asked += 1
		const id = this.#asked
		return new Promise((resolve, reject) => {
			this.#waiting.set(id, { resolve, reject })
			if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ id, method }))
			else this.#end()
		})
	}

	#hear(text: string): void {
		const parsed = message.safeParse(JSON.parse(text))
		// Events have no id.
		if (!parsed.success) return
		const { id, result, error } = parsed.data
		const waiting = this.#waiting.get(id)
		this.#waiting.delete(id)
		if (error) waiting?.reject(new Error(`the inspector says: ${error.message}`))
		else waiting?.resolve(result)
	}

	#end(): void {
		for (const { reject } of this.#waiting.values()) reject(new Error('the runtime and its inspector are gone'))
		this.#waiting.clear()
	}
}
