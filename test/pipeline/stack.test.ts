import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { environment, groupMembers, projectDir } from '../../dev/processes.ts'
import { type Stack, startStack } from '../../dev/stack.ts'

let dataDir: string

beforeEach(() => {
	dataDir = mkdtempSync(join(tmpdir(), 'freehold-stack-'))
})

afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

test('a second start finds the data of the first, and a stop leaves no process', async () => {
	const first = await startStack({ dataDir })
	const tenant = await createTenant(first)
	await expect(startStack({ dataDir })).rejects.toThrow(`in use by process ${process.pid}`)
	assertDescribed(first)
	const started = recordedProcesses()
	expect(started.flatMap(groupMembers).length).toBeGreaterThanOrEqual(3)
	await first.stop()
	expect(started.flatMap(groupMembers)).toEqual([])

	// The other runtime serves the same folder.
	const second = await startStack({ dataDir, runtime: 'direct' })
	expect(second.operatorToken).toBe(first.operatorToken)
	const headers = { authorization: `Bearer ${tenant.api_key.secret}` }
	const again = await fetch(`${second.url}/v1/tenant`, { headers })
	expect(await again.json()).toMatchObject({ id: tenant.id, slug: 'acme' })
	await second.stop()
})

test('Ctrl-C ends everything that npm run dev started', async () => {
	const dev = startDev('--port', '0', '--data-dir', dataDir)
	await dev.says('Freehold is ready: http://localhost:')
	const started = recordedProcesses()
	dev.child.kill('SIGINT')
	expect(await dev.exit).toBe(130)
	expect(started.flatMap(groupMembers)).toEqual([])
})

test('a kill -9 leaves nothing running, and the next start finds the folder free', async () => {
	const dev = startDev('--port', '0', '--data-dir', dataDir)
	await dev.says('Freehold is ready')
	const left = recordedProcesses()
	dev.child.kill('SIGKILL')
	await dev.exit
	await expect.poll(() => left.flatMap(groupMembers), { timeout: 30_000 }).toEqual([])
	const stack = await startStack({ dataDir, runtime: 'direct' })
	await stack.stop()
})

test('a taken port and an unknown flag are told in a sentence', async () => {
	const server = createServer()
	const port = await new Promise<number>((resolve) => {
		server.listen(0, '127.0.0.1', () => {
			const address = server.address()
			resolve(typeof address === 'object' ? (address?.port ?? 0) : 0)
		})
	})
	const taken = startDev('--port', String(port), '--data-dir', dataDir)
	await taken.says(`port ${port} is taken by another program`)
	expect(await taken.exit).toBe(1)
	expect(recordedProcesses()).toEqual([])
	server.close()
	expect(await startDev('--prot', '1').exit).toBe(2)
})

async function createTenant({ url, operatorToken }: Stack): Promise<{ id: string; api_key: { secret: string } }> {
	const response = await fetch(`${url}/v1/tenants`, {
		method: 'POST',
		headers: { authorization: `Bearer ${operatorToken}`, 'content-type': 'application/json' },
		body: JSON.stringify({ slug: 'acme', name: 'Acme', region: 'eu' }),
	})
	expect(response.status).toBe(201)
	return response.json()
}

/** The folder tells other programs where the stack is, and tells secrets to its owner only. */
function assertDescribed(stack: Stack): void {
	const described = JSON.parse(readFileSync(join(dataDir, 'stack.json'), 'utf8'))
	expect(described).toMatchObject({ url: stack.url, operator_token: stack.operatorToken, state_dir: stack.stateDir })
	expect(Object.keys(described.databases)).toEqual(['global', 'eu'])
	for (const name of ['stack.json', 'secrets.json', 'wrangler.env', 'postgres-passwords.json']) {
		expect(statSync(join(dataDir, name)).mode & 0o077, name).toBe(0)
	}
}

/** Leaders of the process groups that the stack on the folder runs. */
function recordedProcesses(): number[] {
	return ['runtime-process.json', 'postgres-process.json'].flatMap((name) => {
		const file = join(dataDir, name)
		return statSync(file, { throwIfNoEntry: false }) ? [JSON.parse(readFileSync(file, 'utf8')).pid] : []
	})
}

interface Command {
	child: ChildProcess
	exit: Promise<number | null>
	/** Returns when the command has printed the text; throws when it ends without. */
	says(text: string): Promise<void>
}

function startDev(...args: string[]): Command {
	const child = spawn(process.execPath, [join(projectDir, 'dev', 'dev.ts'), ...args], {
		env: environment(),
		stdio: ['ignore', 'pipe', 'pipe'],
	})
	let printed = ''
	const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
	const says = (text: string) =>
		new Promise<void>((resolve, reject) => {
			const look = () => printed.includes(text) && resolve()
			child.stdout.on('data', look)
			child.stderr.on('data', look)
			child.once('close', () => reject(new Error(`ended without saying "${text}": ${printed}`)))
		})
	for (const stream of [child.stdout, child.stderr]) {
		stream.on('data', (chunk) => {
			printed += chunk
		})
	}
	return { child, exit, says }
}
