import type { BatchOperation } from '../../core/contract.ts'
import { parseIfMatch } from '../../core/etag.ts'
import { recordIdPattern } from '../../core/ids.ts'
import { isJsonObject, type JsonObject, type JsonValue, pointerStep, readJson } from '../../core/json.ts'
import { batchOperationsMax } from '../../core/limits.ts'
import { accept, type Fault, type Outcome, refuse } from '../../core/refusal.ts'
import { execute } from './reach.ts'
import { collectionNamePattern, expectMedia, isRecordId, readBody, readIdempotency } from './request.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import { batchAnswer, batchInput } from './schemas.ts'

export const batchRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'post',
			path: '/v1/batch',
			scope: 'write',
			tag: 'Records',
			summary: 'Write many records, all or none',
			description:
				'All operations are one transaction of the tenant. A refusal names the operation that caused it by its pointer.',
			body: {
				media: 'application/json',
				schema: batchInput,
				example: {
					operations: [
						{ op: 'create', collection: 'people', data: { name: 'Ada Lovelace' } },
						{ op: 'patch', collection: 'people', id: 'p-7', data: { age: 37 }, if_match: '"3-17"' },
						{ op: 'delete', collection: 'people', id: 'p-9' },
					],
				},
			},
			answers: {
				200: {
					description: 'All operations are done',
					schema: batchAnswer,
					example: { results: [{ id: 'p-7', version: 4, etag: '"4-21"' }] },
					headers: ['Freehold-Position'],
				},
			},
			refusals: [
				'invalid_json',
				'not_found',
				'unique_violation',
				'precondition_failed',
				'subject_restricted',
				'payload_too_large',
				'unsupported_media_type',
				'validation_failed',
				'storage_full',
			],
			mutates: true,
		},
		async (call) => {
			const expected = expectMedia(call, 'application/json')
			if (!expected.ok) return expected
			const body = await readBody(call)
			if (!body.ok) return body
			const parsed = readJson(body.value)
			if (!parsed.ok) return parsed
			const operations = readOperations(parsed.value)
			if (!operations.ok) return operations
			const asked = call.c.req.header('Idempotency-Key') === undefined ? '' : JSON.stringify(operations.value)
			const idempotency = readIdempotency(call, asked)
			if (!idempotency.ok) return idempotency
			const reply = await execute(call, { name: 'batch', operations: operations.value }, idempotency.value)
			if (!reply.ok) return reply
			const { results, position } = reply.value
			return respondReply(call, reply, 200, JSON.stringify({ results }), { 'Freehold-Position': String(position) })
		},
	),
]

/**
 * Checked by hand: a schema library would copy the records, and each of them must be kept as it is.
 */
function readOperations(body: JsonValue): Outcome<BatchOperation[]> {
	if (!isJsonObject(body)) return invalid([{ pointer: '', detail: 'must be an object' }])
	const unknown = Object.keys(body).filter((name) => name !== 'operations')
	if (unknown.length > 0)
		return invalid(unknown.map((name) => ({ pointer: pointerStep(name), detail: 'is not a property of this input' })))
	const list = body.operations
	if (!Array.isArray(list)) return invalid([{ pointer: '/operations', detail: 'must be an array' }])
	if (list.length === 0) return invalid([{ pointer: '/operations', detail: 'must not be empty' }])
	if (list.length > batchOperationsMax) {
		return refuse('payload_too_large', `a batch has at most ${batchOperationsMax} operations`, {
			errors: [{ pointer: '/operations', detail: `must have at most ${batchOperationsMax} elements` }],
		})
	}
	const operations: BatchOperation[] = []
	for (const [index, item] of list.entries()) {
		const read = readOperation(item)
		if ('faults' in read)
			return invalid(read.faults.map(({ pointer, detail }) => ({ pointer: `/operations/${index}${pointer}`, detail })))
		operations.push(read)
	}
	return accept(operations)
}

function readOperation(item: JsonValue): BatchOperation | { faults: Fault[] } {
	if (!isJsonObject(item)) return { faults: [{ pointer: '', detail: 'must be an object' }] }
	const { op, collection, id, data, if_match: ifMatch } = item
	if (op !== 'create' && op !== 'put' && op !== 'patch' && op !== 'delete') {
		return { faults: [{ pointer: '/op', detail: 'must be one of create, put, patch, delete' }] }
	}
	const condition = typeof ifMatch === 'string' ? parseIfMatch(ifMatch) : null
	const faults = [
		...faultsInNames(item, op),
		...fault(
			typeof collection === 'string' && collectionNamePattern.test(collection),
			'/collection',
			`must match ${collectionNamePattern.source}`,
		),
		...fault(
			op === 'create' || (typeof id === 'string' && isRecordId(id)),
			'/id',
			`must match ${recordIdPattern.source}`,
		),
		...fault(op === 'delete' || isJsonObject(data), '/data', 'must be an object'),
		...fault(
			ifMatch === undefined || condition?.ok === true,
			'/if_match',
			'must be * or a list of entity tags in double quotes',
		),
	]
	if (faults.length > 0 || typeof collection !== 'string') return { faults }
	return {
		op,
		collection,
		...(typeof id === 'string' && { id }),
		...(data !== undefined && { data: JSON.stringify(data) }),
		...(condition?.ok && { ifMatch: condition.value }),
	}
}

const namesByOp = {
	create: ['op', 'collection', 'data'],
	put: ['op', 'collection', 'id', 'data', 'if_match'],
	patch: ['op', 'collection', 'id', 'data', 'if_match'],
	delete: ['op', 'collection', 'id', 'if_match'],
}

function faultsInNames(item: JsonObject, op: keyof typeof namesByOp): Fault[] {
	const unknown = Object.keys(item).filter((name) => !namesByOp[op].includes(name))
	return unknown.map((name) => ({ pointer: pointerStep(name), detail: `is not a property of ${op}` }))
}

function fault(holds: boolean, pointer: string, detail: string): Fault[] {
	return holds ? [] : [{ pointer, detail }]
}

function invalid(errors: Fault[]): Outcome<never> {
	return refuse('validation_failed', 'the input violates its schema', { errors })
}
