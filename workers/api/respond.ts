import type { RateState, Reply } from '../../core/contract.ts'
import { rateRefillSeconds } from '../../core/limits.ts'
import { problemOf } from '../../core/problem.ts'
import type { Call, Refused } from './call.ts'

type ResponseHeaders = Record<string, string>

/** Nothing of this API is to be kept by a cache, and a body is what its type says. */
const commonHeaders = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }

/** On everything that a browser can come to by itself. */
const browserHeaders = {
	...commonHeaders,
	'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
	'Cross-Origin-Resource-Policy': 'same-origin',
	'Referrer-Policy': 'no-referrer',
	'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
}

/**
 * The one place where responses are made, so that none goes out without its request id and security headers. No browser sends a
 * bearer by itself, so what answers one can be neither a page nor a frame; and each header costs about 8 µs of a read's 500.
 */
export function respond(call: Call, status: number, body: BodyInit | null, headers: ResponseHeaders): Response {
	const security = 'bearer' in call ? commonHeaders : browserHeaders
	return new Response(body, { status, headers: { ...security, 'X-Request-Id': call.requestId, ...headers } })
}

/** Answers with JSON text that was put together already. */
export function respondJson(call: Call, status: number, text: string, headers: ResponseHeaders = {}): Response {
	return respond(call, status, text, { 'Content-Type': 'application/json', ...headers })
}

/** Answers with what a shard replied. `text` is null where there is no body. */
export function respondReply(
	call: Call,
	reply: Pick<Reply<unknown>, 'replayed' | 'rate'>,
	status: number,
	text: string | null,
	headers: ResponseHeaders = {},
): Response {
	const all = { ...replyHeaders(reply), ...headers }
	return text === null ? respond(call, status, null, all) : respondJson(call, status, text, all)
}

/** Answers with a problem document (RFC 9457). */
export function respondProblem(call: Call, refused: Refused, headers: ResponseHeaders = {}): Response {
	const { refusal } = refused
	const problem = problemOf(refusal, call.requestId)
	return respond(call, problem.status, JSON.stringify(problem), {
		'Content-Type': 'application/problem+json',
		...replyHeaders({ replayed: refused.replayed ?? false, rate: refused.rate ?? null }),
		...(refusal.retryAfter !== undefined && { 'Retry-After': String(Math.max(1, Math.ceil(refusal.retryAfter))) }),
		...challenge(refused, call.c.req.header('Authorization') !== undefined),
		...headers,
	})
}

/**
 * The fields of draft-ietf-httpapi-ratelimit-headers; the policy's quota is what a full bucket holds. The shard tells its rate from the
 * moment when it can matter.
 */
function replyHeaders({ replayed, rate }: { replayed: boolean; rate: RateState | null }): ResponseHeaders {
	const headers: ResponseHeaders = {}
	if (replayed) headers['Idempotency-Replayed'] = 'true'
	if (rate) {
		headers.RateLimit = `"default";r=${Math.max(0, Math.floor(rate.remaining))};t=${Math.ceil(rate.reset)}`
		headers['RateLimit-Policy'] = `"default";q=${rate.limit * rateRefillSeconds};w=${rateRefillSeconds}`
	}
	return headers
}

/** RFC 6750, section 3: a request that brought no credential is not told of an error. */
function challenge({ refusal }: Refused, authorised: boolean): ResponseHeaders {
	const realm = 'Bearer realm="freehold"'
	if (refusal.code === 'unauthorized')
		return { 'WWW-Authenticate': authorised ? `${realm}, error="invalid_token"` : realm }
	if (refusal.code === 'insufficient_scope') return { 'WWW-Authenticate': `${realm}, error="insufficient_scope"` }
	return {}
}
