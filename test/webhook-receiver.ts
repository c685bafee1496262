import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

export interface Received {
	path: string
	headers: Record<string, string>
	body: string
	/** What was answered; null where nothing was. */
	status: number | null
}

/** What a receiver answers: a status, with a place to go on to, or nothing at all. */
export type Behaviour = { status: number; location?: string } | 'silence'

/** A real HTTP server on loopback that keeps what it is sent and answers as it is told. */
export class Receiver {
	readonly received: Received[] = []
	behave: (request: Pick<Received, 'path' | 'headers' | 'body'>) => Behaviour = () => ({ status: 204 })
	readonly #server: Server

	private constructor() {
		this.#server = createServer((request, response) => {
			void bodyOf(request).then((body) => {
				const headers = request.headers as Record<string, string>
				const arrived = { path: request.url ?? '', headers, body }
				const answer = this.behave(arrived)
				this.received.push({ ...arrived, status: answer === 'silence' ? null : answer.status })
				if (answer === 'silence') return
				response.writeHead(answer.status, answer.location === undefined ? {} : { Location: answer.location }).end()
			})
		})
	}

	static async start(): Promise<Receiver> {
		const receiver = new Receiver()
		await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve))
		return receiver
	}

	get url(): string {
		return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
	}

	/** The messages that were answered with 2xx, in the order in which they came. */
	taken(): { id: string; seq: number; type: string }[] {
		return this.received
			.filter(({ status }) => status !== null && status < 300)
			.map(({ headers, body }) => {
				const { type, data } = JSON.parse(body)
				return { id: headers['webhook-id'] ?? '', seq: data.seq, type }
			})
	}

	async stop(): Promise<void> {
		this.#server.closeAllConnections()
		await new Promise((resolve) => this.#server.close(resolve))
	}
}

/** Whether the secret made one of the message's signatures, as the kept library of Standard Webhooks says. */
export function isSignedBy(secret: string, { headers, body }: Received): boolean {
	try {
		new Webhook(secret).verify(body, headers)
		return true
	} catch {
		return false
	}
}

async function bodyOf(request: IncomingMessage): Promise<string> {
	const parts: Buffer[] = []
	for await (const part of request) parts.push(part)
	return Buffer.concat(parts).toString('utf8')
}
