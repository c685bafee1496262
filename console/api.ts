/** The console's one way to the API: every answer is parsed here, and what is refused comes back as a `Refused`. */
import * as z from 'zod/mini'
import { end, token } from './session.ts'

export interface Answer<T> {
	value: T
	/** The cursor of the next page, from the `Link` header; null at the end of a list. */
	next: string | null
}

export interface Request {
	method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
	body?: unknown
	signal?: AbortSignal
	headers?: Record<string, string>
}

const problem = z.object({
	title: z.string(),
	status: z.number(),
	detail: z.string(),
	code: z.string(),
	request_id: z.string(),
	errors: z.optional(z.array(z.object({ pointer: z.string(), detail: z.string() }))),
})
type Problem = z.infer<typeof problem>

/** What the API answered instead, or that it did not answer: then `requestId` is null. */
export class Refused extends Error {
	override readonly name = 'Refused'
	readonly code: string
	readonly requestId: string | null
	readonly faults: { pointer: string; detail: string }[]

	constructor({
		detail,
		code,
		request_id: requestId,
		errors = [],
	}: Omit<Problem, 'request_id'> & { request_id: string | null }) {
		super(detail)
		this.code = code
		this.requestId = requestId
		this.faults = errors
	}
}

/** @throws Refused; an AbortError when `signal` ended it */
export async function ask<T>(shape: z.ZodMiniType<T>, path: string, request: Request = {}): Promise<Answer<T>> {
	const response = await send(path, request)
	const parsed = shape.safeParse(response.status === 204 ? null : await readJson(response))
	if (!parsed.success) throw unexpected(response, parsed.error.issues[0]?.path.join('.') ?? '')
	return { value: parsed.data, next: nextCursor(response.headers.get('Link')) }
}

/** A file, held in memory. @throws Refused */
export async function download(path: string): Promise<Blob> {
	const response = await send(path, {})
	return response.blob()
}

async function send(path: string, { method = 'GET', body, signal, headers = {} }: Request): Promise<Response> {
	const bearer = token.peek()
	const response = await attempt(path, {
		method,
		headers: {
			...headers,
			...(bearer !== null && { Authorization: `Bearer ${bearer}` }),
			...(body !== undefined && { 'Content-Type': 'application/json' }),
			// A click that is sent twice by the network has one effect.
			...(method !== 'GET' && { 'Idempotency-Key': crypto.randomUUID() }),
		},
		...(body !== undefined && { body: JSON.stringify(body) }),
		...(signal && { signal }),
		cache: 'no-store',
		credentials: 'omit',
	})
	if (response.ok) return response
	const refused = problem.safeParse(await readJson(response))
	if (!refused.success) throw unexpected(response, '')
	if (response.status === 401 && bearer === token.peek()) end('The token is not valid any more.')
	throw new Refused(refused.data)
}

async function attempt(path: string, init: RequestInit): Promise<Response> {
	try {
		return await fetch(path, init)
	} catch (error) {
		if (error instanceof DOMException && error.name === 'AbortError') throw error
		throw new Refused({
			...{ title: 'Unreachable', status: 0, code: 'unreachable', request_id: null },
			detail: 'The API does not answer. Check the network, then try again.',
		})
	}
}

async function readJson(response: Response): Promise<unknown> {
	try {
		return await response.json()
	} catch {
		return undefined
	}
}

function unexpected(response: Response, place: string): Refused {
	return new Refused({
		...{ title: 'Unexpected answer', status: response.status, code: 'unexpected_answer' },
		detail: `The console does not understand this answer${place === '' ? '' : ` at ${place}`}. Load the page again: it may be older than the API.`,
		request_id: response.headers.get('X-Request-Id'),
	})
}

function nextCursor(link: string | null): string | null {
	const [, address] = /<([^>]+)>; rel="next"/.exec(link ?? '') ?? []
	return address === undefined ? null : new URL(address, location.origin).searchParams.get('cursor')
}
