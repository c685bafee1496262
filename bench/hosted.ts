import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { type ContestantName, contestants } from './contestants/all.ts'
import type { Address, Client, ServeOptions } from './contestants/contestant.ts'

/** A contestant that runs, and what to do with it. */
export interface Hosted {
	name: ContestantName
	/** The root of everything that serves. */
	pid: number
	address: Address
	client: Client
	/** Tells the stand-in for Neon to refuse everything, or to serve again. */
	tell(message: 'refuse' | 'serve'): void
	stop(): Promise<void>
}

const startMsMax = 120_000
const stopMsMax = 30_000
const text = z.string().nullable()
const address = z.object({
	port: z.number(),
	secret: text,
	database: text,
	endpoint: text,
	inspectorPort: z.number().nullable(),
})

/** @throws when the contestant does not come up; its own words are on standard error */
export async function host(name: ContestantName, dataDir: string, options: ServeOptions = {}): Promise<Hosted> {
	// The same contestant may run several times at once.
	hosts += 1
	const folder = join(dataDir, `${hosts}-${name.replaceAll(' ', '-')}`)
	mkdirSync(folder, { recursive: true })
	// What serves prints (the build, notes of the runtime) would tear the progress apart.
	const child = fork(join(import.meta.dirname, 'host.ts'), [name, folder, JSON.stringify(options)], {
		// Stripping types is called experimental, and that is all there is to say about it.
		execArgv: ['--disable-warning=ExperimentalWarning'],
		stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
	})
	const answered = address.parse(await firstMessage(child, name))
	return {
		name,
		pid: child.pid ?? 0,
		address: answered,
		client: contestants[name].client(answered),
		tell: (message) => void child.send(message),
		stop: () => stop(child),
	}
}

let hosts = 0

function firstMessage(child: ChildProcess, name: string): Promise<unknown> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => {
			child.kill('SIGKILL')
			reject(new Error(`${name} did not start within ${startMsMax / 1_000} s`))
		}, startMsMax)
		child.once('message', (message) => {
			clearTimeout(timer)
			resolve(message)
		})
		child.once('exit', (code) => {
			clearTimeout(timer)
			reject(new Error(`${name} ended with code ${code} before it served`))
		})
	})
}

function stop(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
	return new Promise((resolve) => {
		const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
		child.once('exit', () => {
			clearTimeout(timer)
			resolve()
		})
		child.send('stop')
	})
}
