import { send } from './client.ts'

export interface ServerEvent {
	id: string | null
	type: string
	data: string
}

/** One server-sent event stream, read as a client would: event by event, until the server ends it or it is closed. */
export class EventClient {
	readonly response: Response
	readonly #reader: ReadableStreamDefaultReader<Uint8Array>
	readonly #decoder = new TextDecoder()
	#text = ''

	private constructor(response: Response, body: ReadableStream<Uint8Array>) {
		this.response = response
		this.#reader = body.getReader()
	}

	/** @throws when the stream is refused */
	static async open(secret: string, query = '', lastEventId?: number): Promise<EventClient> {
		const headers: Record<string, string> = { Accept: 'text/event-stream' }
		if (lastEventId !== undefined) headers['Last-Event-ID'] = String(lastEventId)
		const response = await send('GET', `/v1/changes${query}`, secret, undefined, headers)
		if (response.status !== 200 || !response.body) throw new Error(`the stream was refused: ${await response.text()}`)
		return new EventClient(response, response.body)
	}

	/** The next event; null at the end of the stream, however it came. */
	async next(): Promise<ServerEvent | null> {
		for (;;) {
			const end = this.#text.indexOf('\n\n')
			if (end >= 0) {
				const event = parseEvent(this.#text.slice(0, end))
				this.#text = this.#text.slice(end + 2)
				if (event) return event
				continue
			}
			const chunk = await this.#reader.read().catch(() => ({ done: true, value: undefined }))
			if (chunk.done || !chunk.value) return null
			this.#text += this.#decoder.decode(chunk.value, { stream: true })
		}
	}

	/** So many events, or fewer when the stream ends before. */
	async take(count: number): Promise<ServerEvent[]> {
		const events: ServerEvent[] = []
		while (events.length < count) {
			const event = await this.next()
			if (event === null) break
			events.push(event)
		}
		return events
	}

	async close(): Promise<void> {
		await this.#reader.cancel().catch(() => {})
	}
}

/** Null for a comment or a field that is no event, such as `retry`. */
function parseEvent(block: string): ServerEvent | null {
	const event: ServerEvent = { id: null, type: 'message', data: '' }
	for (const line of block.split('\n')) {
		const [, field = '', value = ''] = /^([^:]*): ?(.*)$/s.exec(line) ?? []
		if (field === 'id') event.id = value
		else if (field === 'event') event.type = value
		else if (field === 'data') event.data += value
	}
	return event.data === '' ? null : event
}
