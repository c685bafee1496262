/** Ports of 127.0.0.1 for servers that are started a moment later, and may be started again on the same one. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below the range that systems give to outgoing connections (Linux from 32,768, others from 49,152): of those thousands
 * come and go while a stack runs, and any of them may sit on the port between our choice and the start of the server.
 */
const first = 20_000
const last = 32_000

/** A port that nobody uses at this moment. @throws when a hundred in a row are taken */
export async function freePort(): Promise<number> {
	for (let tries = 0; tries < 100; tries += 1) {
		const port = randomInt(first, last + 1)
		if (await isFree(port)) return port
	}
	throw new Error(`no port between ${first} and ${last} of 127.0.0.1 can be listened on`)
}

/** Whether a server can listen there. */
export function isFree(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const server = createServer()
		server.once('error', () => resolve(false))
		server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
	})
}
