import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '../../dev/port.ts'
import { startTcpProxy, type TcpProxy } from '../../dev/tcp-proxy.ts'

let proxy: TcpProxy
const target = createServer((socket) => {
	socket.on('error', () => {})
	socket.pipe(socket)
})

beforeEach(async () => {
	const port = await freePort()
	await new Promise<void>((resolve) => target.listen(port, '127.0.0.1', resolve))
	proxy = await startTcpProxy(port)
})

afterEach(async () => {
	await proxy.stop()
	await new Promise((resolve) => target.close(resolve))
})

test('what is sent comes back, and the end of it too', async () => {
	const socket = open()
	socket.end('there and back')
	expect(await text(socket)).toBe('there and back')
})

test('a slow proxy holds a reply back for the time it was told', async () => {
	proxy.fault({ kind: 'slow', ms: 200 })
	const socket = open()
	const startedAt = performance.now()
	socket.end('late')
	expect(await text(socket)).toBe('late')
	expect(performance.now() - startedAt).toBeGreaterThan(190)
})

test('a refusing proxy resets the connections that it has and those that come', async () => {
	const present = open()
	present.write('echo')
	await once(present, 'data')
	proxy.fault({ kind: 'refusing' })
	await expect(ending(present)).resolves.toBe('ECONNRESET')
	await expect(ending(open())).resolves.toBe('ECONNRESET')
	proxy.fault(null)
	const socket = open()
	socket.end('well')
	expect(await text(socket)).toBe('well')
})

test('a frozen proxy passes nothing, and afterwards what it held back', async () => {
	const socket = open()
	socket.write('before')
	await once(socket, 'data')
	proxy.fault({ kind: 'frozen' })
	let arrived = ''
	socket.on('data', (data) => {
		arrived += data
	})
	socket.write('held back')
	// Another connection is open by the time that an echo takes.
	const other = open()
	await once(other, 'connect')
	expect(arrived).toBe('')
	proxy.fault(null)
	await expect.poll(() => arrived).toBe('held back')
	socket.destroy()
	other.destroy()
})

test('a cut comes in the middle of a reply', async () => {
	const socket = open()
	socket.write('whole')
	await once(socket, 'data')
	proxy.fault({ kind: 'cut', afterBytes: 4 })
	let arrived = ''
	socket.on('data', (data) => {
		arrived += data
	})
	const ended = ending(socket)
	socket.write('half of it')
	await ended
	expect(arrived).toBe('half')
})

function open(): Socket {
	return connect({ host: '127.0.0.1', port: proxy.port })
}

/** How a connection ends: the code of its error, or `end`. */
function ending(socket: Socket): Promise<string> {
	return new Promise((resolve) => {
		socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.name))
		socket.once('close', () => resolve('end'))
	})
}
