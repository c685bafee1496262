/**
 * A refusal is an expected answer, not an exception: it crosses the RPC border as a value and becomes a problem
 * document (RFC 9457) at the edge. Whatever is thrown instead is a bug or a broken platform.
 */

export const statusByCode = {
	invalid_request: 400,
	invalid_json: 400,
	invalid_filter: 400,
	invalid_cursor: 400,
	unknown_field: 400,
	unauthorized: 401,
	insufficient_scope: 403,
	tenant_suspended: 403,
	not_found: 404,
	method_not_allowed: 405,
	not_acceptable: 406,
	slug_taken: 409,
	unique_violation: 409,
	schema_conflict: 409,
	job_running: 409,
	tenant_not_empty: 409,
	not_ready: 409,
	idempotency_in_progress: 409,
	erasure_started: 409,
	move_running: 409,
	history_unavailable: 409,
	position_pruned: 410,
	tenant_erased: 410,
	subject_erased: 410,
	precondition_failed: 412,
	payload_too_large: 413,
	unsupported_media_type: 415,
	range_not_satisfiable: 416,
	// Restricted processing (Art. 18 GDPR): what is meant can be read and not changed.
	subject_restricted: 423,
	tenant_restricted: 423,
	validation_failed: 422,
	schema_invalid: 422,
	index_required: 422,
	limit_exceeded: 422,
	idempotency_mismatch: 422,
	rate_limited: 429,
	internal: 500,
	unavailable: 503,
	view_behind: 503,
	view_stale: 503,
	view_unavailable: 503,
	storage_full: 507,
} as const

export type RefusalCode = keyof typeof statusByCode

/** One place in the input that is wrong. `pointer` is a JSON Pointer (RFC 6901) into the body, or a parameter's or header's name. */
export interface Fault {
	pointer: string
	detail: string
}

/** `detail` and `errors` name places and rules, never values: values may be personal. */
export interface Refusal {
	code: RefusalCode
	detail: string
	errors?: Fault[]
	/** Name of the violated constraint, `<collection>.<property>`; with `unique_violation`. */
	constraint?: string
	/** Seconds, with 429 and 503. */
	retryAfter?: number
}

export type Outcome<T> = { ok: true; value: T } | { ok: false; refusal: Refusal }

export function accept<T>(value: T): { ok: true; value: T } {
	return { ok: true, value }
}

export function refuse(
	code: RefusalCode,
	detail: string,
	more?: Omit<Refusal, 'code' | 'detail'>,
): { ok: false; refusal: Refusal } {
	return { ok: false, refusal: { code, detail, ...more } }
}
