/** A TCP proxy on 127.0.0.1 that misbehaves on demand: what a network does between a program and its server, for tests and drills. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type Duplex, pipeline } from 'node:stream'

/** What happens to every connection, present and coming, until the next call of `fault`. */
export type ProxyFault =
	/** Each piece of a reply arrives so much later. */
	| { kind: 'slow'; ms: number }
	/** Present connections are reset, and so is every new one. */
	| { kind: 'refusing' }
	/** Connections stay open and nothing passes; what was held back passes afterwards. */
	| { kind: 'frozen' }
	/** Each connection ends after so many further bytes of its replies. */
	| { kind: 'cut'; afterBytes: number }

export interface TcpProxy {
	port: number
	/** Null makes the network well again. */
	fault(fault: ProxyFault | null): void
	stop(): Promise<void>
}

/** Listens on a free port and passes each connection on to `target`, a port of 127.0.0.1. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
	const weather = new Weather()
	const clients = new Set<Socket>()
	const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
		if (weather.fault?.kind === 'refusing') return client.resetAndDestroy()
		clients.add(client)
		client.once('close', () => clients.delete(client))
		pass(client, target, weather)
	})
	const port = await listen(server)
	return {
		port,
		fault: (fault) => {
			weather.change(fault)
			if (fault?.kind === 'refusing') for (const client of clients) client.resetAndDestroy()
		},
		stop: async () => {
			for (const client of clients) client.destroy()
			await new Promise((resolve) => server.close(resolve))
		},
	}
}

/** The present fault, and a way to wait for the next. */
class Weather {
	fault: ProxyFault | null = null
	#changed = Promise.withResolvers<void>()

	change(fault: ProxyFault | null): void {
		this.fault = fault
		this.#changed.resolve()
		this.#changed = Promise.withResolvers()
	}

	async thaw(): Promise<void> {
		while (this.fault?.kind === 'frozen') await this.#changed.promise
	}
}

function pass(client: Socket, target: number, weather: Weather): void {
	const server = connect({ host: '127.0.0.1', port: target, noDelay: true, allowHalfOpen: true })
	const end = (error: unknown) => {
		if (!error) return
		client.destroy()
		server.destroy()
	}
	pipeline(client, (chunks: Duplex) => requests(chunks, weather), server, end)
	pipeline(server, (chunks: Duplex) => replies(chunks, weather), client, end)
}

async function* requests(chunks: AsyncIterable<Buffer>, weather: Weather): AsyncGenerator<Buffer> {
	for await (const chunk of chunks) {
		await weather.thaw()
		yield chunk
	}
}

async function* replies(chunks: AsyncIterable<Buffer>, weather: Weather): AsyncGenerator<Buffer> {
	/** Whose bytes are counted, and how many of them are left. */
	let counted: ProxyFault | null = null
	let left = 0
	for await (const chunk of chunks) {
		await weather.thaw()
		const { fault } = weather
		if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.ms))
		if (fault?.kind !== 'cut') {
			yield chunk
			continue
		}
		if (counted !== fault) left = fault.afterBytes
		counted = fault
		yield chunk.subarray(0, left)
		left -= chunk.length
		// Leaving the loop closes the side of the server; what was passed until here still reaches the client.
		if (left <= 0) return
	}
}

function listen(server: Server): Promise<number> {
	return new Promise((resolve, reject) => {
		server.once('error', reject)
		server.listen(0, '127.0.0.1', () => {
			const address = server.address()
			if (address === null || typeof address === 'string') reject(new Error('the proxy has no port'))
			else resolve(address.port)
		})
	})
}
