import { type Fault, type Refusal, type RefusalCode, statusByCode } from './refusal.ts'

/** A refusal as the client sees it: problem details (RFC 9457) with Freehold's extensions. */
export interface Problem {
	type: string
	title: string
	status: number
	detail: string
	code: RefusalCode
	request_id: string
	errors?: Fault[]
	constraint?: string
}

/** One title per code: it names the kind of problem and never changes with the occasion. */
const titleByCode: Record<RefusalCode, string> = {
	invalid_request: 'The request is not well-formed',
	invalid_json: 'The body is not acceptable JSON',
	invalid_filter: 'The filter is not well-formed',
	invalid_cursor: 'The cursor does not belong to this query',
	unknown_field: 'The query names an unknown field',
	unauthorized: 'A valid credential is required',
	insufficient_scope: 'The credential does not allow this',
	tenant_suspended: 'The tenant is suspended',
	not_found: 'Not found',
	method_not_allowed: 'The method is not allowed here',
	not_acceptable: 'None of the accepted media types is available',
	slug_taken: 'The slug is taken',
	unique_violation: 'A unique value is already in use',
	schema_conflict: 'Present records violate the new schema',
	job_running: 'A job of this kind is running',
	tenant_not_empty: 'The tenant is not empty',
	not_ready: 'It is not ready yet',
	idempotency_in_progress: 'The first request with this Idempotency-Key is still running',
	erasure_started: 'The erasure has begun and cannot be cancelled',
	move_running: 'The tenant is moving to another region',
	history_unavailable: 'The platform keeps no history here',
	position_pruned: 'The position is older than the journal',
	tenant_erased: 'The tenant was erased',
	subject_erased: 'The person was erased',
	precondition_failed: 'A precondition failed',
	payload_too_large: 'The body is too large',
	unsupported_media_type: 'The media type is not supported',
	range_not_satisfiable: 'The range lies outside',
	subject_restricted: 'The processing of this person’s records is restricted',
	tenant_restricted: 'The processing of this tenant’s records is restricted',
	validation_failed: 'The input violates its schema',
	schema_invalid: 'The schema is not acceptable',
	index_required: 'The query needs an index',
	limit_exceeded: 'A limit is exceeded',
	idempotency_mismatch: 'The Idempotency-Key belongs to another request',
	rate_limited: 'Too many requests',
	internal: 'Internal error',
	unavailable: 'Temporarily unavailable',
	view_behind: 'The view has not reached the position yet',
	view_stale: 'The view is older than the request allows',
	view_unavailable: 'The view is temporarily unavailable',
	storage_full: 'The storage of the tenant is full',
}

export function problemOf(refusal: Refusal, requestId: string): Problem {
	return {
		type: problemType(refusal.code),
		title: titleByCode[refusal.code],
		status: statusByCode[refusal.code],
		detail: refusal.detail,
		code: refusal.code,
		request_id: requestId,
		...(refusal.errors && { errors: refusal.errors }),
		...(refusal.constraint !== undefined && { constraint: refusal.constraint }),
	}
}

/** The identifier of a kind of problem. It is a name, not an address: `code` carries the same in short. */
function problemType(code: RefusalCode): string {
	return `urn:problem-type:freehold:${code}`
}
