/** What tests against a whole stack share: starting one on a temporary folder, and a client of its REST API. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { commandLine, groupMembers } from '../dev/processes.ts'
import { type Stack, type StackOptions, startStack } from '../dev/stack.ts'

export interface TemporaryStack extends Stack {
	/** Stops the stack and removes its folder. */
	remove(): Promise<void>
}

export async function temporaryStack(options: Partial<StackOptions> = {}): Promise<TemporaryStack> {
	const dataDir = mkdtempSync(join(tmpdir(), 'freehold-test-'))
	const stack = await startStack({ dataDir, runtime: 'direct', ...options })
	const remove = async () => {
		await stack.stop()
		rmSync(dataDir, { recursive: true, force: true })
	}
	return { ...stack, remove }
}

export interface Answer {
	status: number
	headers: Headers
	text: string
	// biome-ignore lint/suspicious/noExplicitAny: a test reads what the assertion names
	body: any
}

export class Client {
	readonly #url: string
	readonly #bearer: string

	constructor(url: string, bearer: string) {
		this.#url = url
		this.#bearer = bearer
	}

	/** @throws when no answer arrives within `timeoutMs` */
	async send(
		method: string,
		path: string,
		body?: unknown,
		headers: Record<string, string> = {},
		timeoutMs = 10_000,
	): Promise<Answer> {
		const merges = method === 'PATCH' && path.includes('/records/')
		const response = await fetch(`${this.#url}${path}`, {
			method,
			signal: AbortSignal.timeout(timeoutMs),
			headers: {
				Authorization: `Bearer ${this.#bearer}`,
				...(body === undefined ? {} : { 'Content-Type': merges ? 'application/merge-patch+json' : 'application/json' }),
				...headers,
			},
			...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
		})
		const text = await response.text()
		return { status: response.status, headers: response.headers, text, body: text === '' ? null : JSON.parse(text) }
	}

	/** For bodies that are no JSON. */
	fetch(path: string, init: RequestInit = {}): Promise<Response> {
		return fetch(`${this.#url}${path}`, { ...init, headers: { Authorization: `Bearer ${this.#bearer}` } })
	}

	/** A GET whose answer goes on until the signal ends it. */
	stream(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
		return fetch(`${this.#url}${path}`, { headers: { Authorization: `Bearer ${this.#bearer}`, ...headers }, signal })
	}

	/** The body of an answer that must succeed. */
	async ok(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
		const answer = await this.send(method, path, body, headers)
		if (answer.status >= 300)
			throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text.slice(0, 500)}`)
		return answer
	}
}

export interface Tenant {
	id: string
	region: string
	client: Client
}

let tenants = 0

export async function createTenant(stack: Pick<Stack, 'url' | 'operatorToken'>, region: string): Promise<Tenant> {
	const operator = new Client(stack.url, stack.operatorToken)
	const slug = `tenant-${process.pid}-${++tenants}`
	const { body } = await operator.ok('POST', '/v1/tenants', { slug, name: slug, region })
	await operator.ok('PATCH', `/v1/tenants/${body.id}`, { limits: { requests_per_second: 100_000 } })
	return { id: body.id, region, client: new Client(stack.url, body.api_key.secret) }
}

/** Runs one SQL statement on a region's view. */
export async function viewRows(
	stack: Stack,
	region: string,
	query: string,
	values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
	const client = new pg.Client({ connectionString: stack.databases[region]?.write ?? '' })
	await client.connect()
	try {
		return (await client.query(query, values)).rows
	} finally {
		await client.end()
	}
}

/** Waits until `check` answers something, and returns that. @throws after `timeoutMs`, naming what was waited for */
export async function until<T>(
	what: string,
	check: () => Promise<T | null | undefined | false>,
	timeoutMs = 30_000,
): Promise<T> {
	const deadline = Date.now() + timeoutMs
	for (;;) {
		const found = await check()
		if (found !== null && found !== undefined && found !== false) return found
		if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`)
		await new Promise((resolve) => setTimeout(resolve, 50))
	}
}

/** Kills the process that holds the objects' files; Miniflare starts another one on the same port. */
export function killWorkerd(leader: number): boolean {
	const workers = groupMembers(leader).filter((pid) => /workerd\b.*\bserve\b/.test(commandLine(pid)))
	for (const pid of workers) process.kill(pid, 'SIGKILL')
	return workers.length > 0
}
