import type { Precondition, StoredRecord } from '../../core/contract.ts'
import { formatEtag, parseIfMatch, parseIfNoneMatch } from '../../core/etag.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { TenantCall } from './call.ts'
import { execute } from './reach.ts'
import { listRecords, searchRecords } from './record-list.ts'
import { recordText } from './representation.ts'
import {
	badParameter,
	readCollectionName,
	readIdempotency,
	readObject,
	readPrecondition,
	readRecordId,
} from './request.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import { collectionParams, putConditions, readConditions, record, recordParams, writeConditions } from './schemas.ts'

const tag = 'Records'
const collectionPath = '/v1/collections/{collection}/records'
const recordPath = '/v1/collections/{collection}/records/{id}'
const dataExample = { name: 'Ada Lovelace', age: 36 }
const recordExample = {
	id: '01k9zq4m3c8t5w2x7v6y0r1n4p',
	version: 1,
	created_at: '2026-11-22T19:50:49.120Z',
	updated_at: '2026-11-22T19:50:49.120Z',
	data: dataExample,
}
const dataBody = { media: 'application/json', schema: record.shape.data, example: dataExample }
const written = { schema: record, example: recordExample }
const writeRefusals = [
	'invalid_json',
	'not_found',
	'unique_violation',
	'payload_too_large',
	'validation_failed',
	'storage_full',
] as const

export const recordRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'post',
			path: collectionPath,
			scope: 'write',
			tag,
			summary: 'Create a record under a new id',
			params: collectionParams,
			body: dataBody,
			answers: { 201: { description: 'Created', ...written, headers: ['Location', 'ETag', 'Freehold-Position'] } },
			refusals: [...writeRefusals, 'unsupported_media_type'],
			mutates: true,
		},
		async (call) => {
			const collection = readCollectionName(call)
			if (!collection.ok) return collection
			const body = await readObject(call)
			if (!body.ok) return body
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const operation = { name: 'record.create', collection: collection.value, data: body.value.text } as const
			const reply = await execute(call, operation, idempotency.value)
			if (!reply.ok) return reply
			const { record: created, position } = reply.value
			const location = `/v1/collections/${collection.value}/records/${created.id}`
			return respondReply(call, reply, 201, recordText(created), {
				...writeHeaders(created, position),
				Location: location,
			})
		},
	),
	tenantRoute(
		{
			method: 'get',
			path: recordPath,
			scope: 'read',
			tag,
			summary: 'Read a record',
			params: recordParams,
			headers: readConditions,
			answers: {
				200: { description: 'The record', ...written, headers: ['ETag'] },
				304: { description: 'The record still has an entity tag of If-None-Match', headers: ['ETag'] },
			},
			refusals: ['not_found'],
		},
		async (call) => {
			const place = readPlace(call)
			if (!place.ok) return place
			const ifNoneMatch = readPrecondition(call, 'If-None-Match', parseIfNoneMatch)
			if (!ifNoneMatch.ok) return ifNoneMatch
			const reply = await execute(call, { name: 'record.get', ...place.value })
			if (!reply.ok) return reply
			const found = reply.value.record
			const headers = { ETag: formatEtag(found) }
			if (matches(ifNoneMatch.value, found)) return respondReply(call, reply, 304, null, headers)
			return respondReply(call, reply, 200, recordText(found), headers)
		},
	),
	tenantRoute(
		{
			method: 'put',
			path: recordPath,
			scope: 'write',
			tag,
			summary: 'Create or replace a record under a chosen id',
			params: recordParams,
			headers: putConditions,
			body: dataBody,
			answers: {
				200: { description: 'Replaced', ...written, headers: ['ETag', 'Freehold-Position'] },
				201: { description: 'Created', ...written, headers: ['Location', 'ETag', 'Freehold-Position'] },
			},
			refusals: [...writeRefusals, 'precondition_failed', 'unsupported_media_type', 'subject_erased'],
			mutates: true,
		},
		async (call) => {
			const place = readPlace(call)
			if (!place.ok) return place
			const ifMatch = readPrecondition(call, 'If-Match', parseIfMatch)
			if (!ifMatch.ok) return ifMatch
			const ifNoneMatch = readPrecondition(call, 'If-None-Match', parseIfNoneMatch)
			if (!ifNoneMatch.ok) return ifNoneMatch
			const body = await readObject(call)
			if (!body.ok) return body
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const conditions = { ifMatch: ifMatch.value, ifNoneMatch: ifNoneMatch.value }
			const operation = { name: 'record.put', ...place.value, data: body.value.text, ...conditions } as const
			const reply = await execute(call, operation, idempotency.value)
			if (!reply.ok) return reply
			const { record: put, created, position } = reply.value
			const headers = writeHeaders(put, position)
			if (!created) return respondReply(call, reply, 200, recordText(put), headers)
			const { collection, id } = place.value
			return respondReply(call, reply, 201, recordText(put), {
				...headers,
				Location: `/v1/collections/${collection}/records/${id}`,
			})
		},
	),
	tenantRoute(
		{
			method: 'patch',
			path: recordPath,
			scope: 'write',
			tag,
			summary: 'Change parts of a record',
			description: 'A JSON merge patch (RFC 7396): members replace those of the record, and null removes one.',
			params: recordParams,
			headers: writeConditions,
			body: { media: 'application/merge-patch+json', schema: record.shape.data, example: { age: 37 } },
			answers: { 200: { description: 'Changed', ...written, headers: ['ETag', 'Freehold-Position'] } },
			refusals: [...writeRefusals, 'precondition_failed', 'unsupported_media_type', 'subject_erased'],
			mutates: true,
		},
		async (call) => {
			const place = readPlace(call)
			if (!place.ok) return place
			const ifMatch = readIfMatchOnly(call)
			if (!ifMatch.ok) return ifMatch
			const body = await readObject(call, 'application/merge-patch+json')
			if (!body.ok) return body
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const operation = {
				name: 'record.patch',
				...place.value,
				patch: body.value.text,
				ifMatch: ifMatch.value,
			} as const
			const reply = await execute(call, operation, idempotency.value)
			if (!reply.ok) return reply
			const { record: patched, position } = reply.value
			return respondReply(call, reply, 200, recordText(patched), writeHeaders(patched, position))
		},
	),
	tenantRoute(
		{
			method: 'delete',
			path: recordPath,
			scope: 'write',
			tag,
			summary: 'Delete a record',
			params: recordParams,
			headers: writeConditions,
			answers: { 204: { description: 'Deleted', headers: ['Freehold-Position'] } },
			refusals: ['not_found', 'precondition_failed', 'subject_restricted'],
			mutates: true,
		},
		async (call) => {
			const place = readPlace(call)
			if (!place.ok) return place
			const ifMatch = readIfMatchOnly(call)
			if (!ifMatch.ok) return ifMatch
			const idempotency = readIdempotency(call, '')
			if (!idempotency.ok) return idempotency
			const operation = { name: 'record.delete', ...place.value, ifMatch: ifMatch.value } as const
			const reply = await execute(call, operation, idempotency.value)
			if (!reply.ok) return reply
			return respondReply(call, reply, 204, null, { 'Freehold-Position': String(reply.value.position) })
		},
	),
	listRecords,
	searchRecords,
]

function readPlace(call: TenantCall): Outcome<{ collection: string; id: string }> {
	const collection = readCollectionName(call)
	if (!collection.ok) return collection
	const id = readRecordId(call)
	return id.ok ? accept({ collection: collection.value, id: id.value }) : id
}

/** A precondition that is not understood must not be passed over: the client relies on it. */
function readIfMatchOnly(call: TenantCall): Outcome<Precondition | null> {
	if (call.c.req.header('If-None-Match') !== undefined)
		return badParameter('If-None-Match', 'is not supported by this call')
	return readPrecondition(call, 'If-Match', parseIfMatch)
}

function matches(condition: Precondition | null, found: StoredRecord): boolean {
	return condition !== null && (condition === '*' || condition.includes(formatEtag(found).slice(1, -1)))
}

function writeHeaders(written: StoredRecord, position: number): { ETag: string; 'Freehold-Position': string } {
	return { ETag: formatEtag(written), 'Freehold-Position': String(position) }
}
