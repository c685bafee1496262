import type { RateState, Reply } from '../../core/contract.ts'
import { rateRefillSeconds } from '../../core/limits.ts'
import { problemOf } from '../../core/problem.ts'
import type { Call, Refused } from './call.ts'

type ResponseHeaders = Record<string, string>

/** On every response: nothing of this API is a page, a frame, or something to keep. */
const securityHeaders = {
	'Cache-Control': 'no-store',
	'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
	'Cross-Origin-Resource-Policy': 'same-origin',
	'Referrer-Policy': 'no-referrer',
	'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
	'X-Content-Type-Options': 'nosniff',
}

/** The one place where responses are made, so that none goes out without its request id and security headers. */
export function respond(call: Call, status: number, body: BodyInit | null, headers: ResponseHeaders): Response {
	return new Response(body, { status, headers: { ...securityHeaders, 'X-Request-Id': call.requestId, ...headers } })
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

/** The fields of draft-ietf-httpapi-ratelimit-headers; the policy's quota is what a full bucket holds. */
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
