import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'

export interface Call {
	/** Sent as JSON. */
	body?: unknown
	/** Sent as it is, instead of a body: an archive or a part of one, which may be sent again. */
	file?: Blob
	headers?: Record<string, string>
	/** With it a write may be repeated: the server gives the first answer again. */
	idempotencyKey?: string
}

export interface Answer {
	status: number
	headers: Headers
	text: string
}

const problem = z.object({ code: z.string(), detail: z.string(), constraint: z.string().optional() })

/** What a well-behaved client of the REST API does: bearer, JSON, and patience with what passes. */
export class Client {
	/** How often a call had to be sent again. */
	repeats = 0
	readonly #origin: string
	readonly #bearer: string

	constructor(origin: string, bearer: string) {
		this.#origin = origin
		this.#bearer = bearer
	}

	/** Sends, and parses the answer's body. @throws unless the status is 2xx */
	async ask<T>(method: string, path: string, shape: z.ZodType<T>, call: Call = {}): Promise<T> {
		const answer = await this.send(method, path, call)
		if (answer.status >= 300)
			throw new Error(`${method} ${path} was answered with ${answer.status} ${problemOf(answer).code}`)
		return shape.parse(JSON.parse(answer.text))
	}

	/**
	 * Sends, and gives any answer back that will not change by waiting. Waits when the rate limit or the view says so, and
	 * after a failure of the network or the server, when repeating the call is safe: `Retry-After`, else 0.25 s, 0.5 s, 1 s, …
	 * @throws when there is no such answer within a minute
	 */
	async send(method: string, path: string, call: Call = {}): Promise<Answer> {
		const deadline = Date.now() + patienceMs
		for (let attempt = 0; ; attempt++) {
			const answer = await this.#once(method, path, call)
			const isSafe = method === 'GET' || call.idempotencyKey !== undefined || call.file !== undefined
			if (answer instanceof Error ? !isSafe : !isPassing(answer, isSafe)) return settled(answer)
			const waitMs = waitMsOf(answer, attempt)
			if (Date.now() + waitMs > deadline) return settled(answer)
			this.repeats++
			await pause(waitMs)
		}
	}

	/** Writes what is answered to a file that only its owner may read. @throws unless all of it arrives */
	async download(path: string, file: string): Promise<void> {
		const headers = { Authorization: `Bearer ${this.#bearer}` }
		const response = await fetch(this.#origin + path, { headers, signal: AbortSignal.timeout(transferMsMax) })
		if (response.status !== 200 || response.body === null)
			throw new Error(`GET ${path} was answered with ${response.status}`)
		await pipeline(response.body, createWriteStream(file, { mode: 0o600 }))
	}

	/** Reads so many bytes of what a path serves. @throws when it serves fewer */
	async range(path: string, offset: number, length: number): Promise<Uint8Array> {
		const headers = { Authorization: `Bearer ${this.#bearer}`, Range: `bytes=${offset}-${offset + length - 1}` }
		const response = await fetch(this.#origin + path, { headers, signal: AbortSignal.timeout(answerMsMax) })
		const bytes = await response.bytes()
		if (response.status !== 206 || bytes.length !== length)
			throw new Error(`GET ${path} was answered with ${response.status}`)
		return bytes
	}

	async #once(method: string, path: string, { body, file, headers, idempotencyKey }: Call): Promise<Answer | Error> {
		const init: RequestInit = {
			method,
			headers: {
				Authorization: `Bearer ${this.#bearer}`,
				...(body !== undefined && { 'Content-Type': 'application/json' }),
				...(file !== undefined && { 'Content-Type': 'application/zip' }),
				...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }),
				...headers,
			},
			signal: AbortSignal.timeout(file ? transferMsMax : answerMsMax),
			...(body !== undefined && { body: JSON.stringify(body) }),
			...(file !== undefined && { body: file }),
		}
		try {
			const response = await fetch(this.#origin + path, init)
			return { status: response.status, headers: response.headers, text: await response.text() }
		} catch (error) {
			return error instanceof Error ? error : new Error(String(error))
		}
	}
}

/** The problem document of a refusal; its code is empty when the answer is none. */
export function problemOf({ headers, text }: Answer): z.infer<typeof problem> {
	const isProblem = headers.get('Content-Type') === 'application/problem+json'
	return isProblem ? problem.parse(JSON.parse(text)) : { code: '', detail: '' }
}

/** The path and query of `Link: <…>; rel="next"`, or null on the last page. */
export function nextOf({ headers }: Answer): string | null {
	return /<([^>]+)>;\s*rel="next"/.exec(headers.get('Link') ?? '')?.[1] ?? null
}

const patienceMs = 60_000
const answerMsMax = 30_000
/** An archive of 10 GB at 10 MB/s takes 17 minutes. */
const transferMsMax = 3_600_000

function settled(answer: Answer | Error): Answer {
	if (answer instanceof Error) throw answer
	return answer
}

function isPassing(answer: Answer, isSafe: boolean): boolean {
	if (answer.status === 429) return true
	return isSafe && (answer.status >= 500 || problemOf(answer).code === 'idempotency_in_progress')
}

function waitMsOf(answer: Answer | Error, attempt: number): number {
	const backoffMs = 250 * 2 ** Math.min(attempt, 4)
	if (answer instanceof Error) return backoffMs
	// The server has held this call for a while already, and a second more would blur the lag that the demo measures.
	if (answer.status === 503 && problemOf(answer).code === 'view_behind') return 0
	const seconds = Number(answer.headers.get('Retry-After') ?? Number.NaN)
	return Number.isFinite(seconds) ? seconds * 1_000 : backoffMs
}
