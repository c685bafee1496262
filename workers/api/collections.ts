import { schemaBytesMax } from '../../core/limits.ts'
import { refuse } from '../../core/refusal.ts'
import type { Handled, TenantCall } from './call.ts'
import { pageHeaders, readPage } from './page.ts'
import { execute } from './reach.ts'
import { collectionText } from './representation.ts'
import { readCollectionName, readIdempotency, readShape } from './request.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import { collection, collectionInput, collectionList, collectionParams, pageQuery } from './schemas.ts'

const tag = 'Collections'
const path = '/v1/collections/{collection}'
const schemaExample = {
	type: 'object',
	properties: {
		name: { type: 'string', 'x-personal': true },
		email: { type: 'string', 'x-unique': 'ci' },
		age: { type: 'integer' },
	},
	required: ['name'],
}
export const collectionExample = {
	name: 'people',
	schema: schemaExample,
	records: 0,
	created_at: '2026-11-22T19:50:49.120Z',
	updated_at: '2026-11-22T19:50:49.120Z',
	change: null,
	encryption: null,
}
const shown = { schema: collection, example: collectionExample }

export const collectionRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'put',
			path,
			scope: 'schema',
			tag,
			summary: 'Create a collection or change its schema',
			description:
				'The schema is a subset of JSON Schema draft 2020-12 with the annotations x-unique, x-index, x-personal (true, or "encrypted" for a property that rests under the tenant\'s own key and is found by equality only) and x-subject on properties, and x-index and x-retention-days at the root. A change that present records violate is refused, naming the first of them. In a large collection the change runs as a job, which the collection shows.',
			params: collectionParams,
			body: { media: 'application/json', schema: collectionInput, example: { schema: schemaExample } },
			answers: {
				200: { description: 'Changed', ...shown, headers: ['Freehold-Position'] },
				201: { description: 'Created', ...shown, headers: ['Location', 'Freehold-Position'] },
				202: { description: 'The change goes on as a job', ...shown, headers: ['Freehold-Position'] },
			},
			refusals: [
				'invalid_json',
				'schema_conflict',
				'payload_too_large',
				'unsupported_media_type',
				'validation_failed',
				'schema_invalid',
				'limit_exceeded',
				'storage_full',
			],
			mutates: true,
		},
		async (call) => {
			const name = readCollectionName(call)
			if (!name.ok) return name
			const body = await readShape(call, collectionInput)
			if (!body.ok) return body
			const schema = JSON.stringify(body.value.value.schema)
			if (Buffer.byteLength(schema) > schemaBytesMax)
				return refuse('payload_too_large', `a schema has at most ${schemaBytesMax} bytes`)
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const reply = await execute(call, { name: 'collection.put', collection: name.value, schema }, idempotency.value)
			if (!reply.ok) return reply
			const { collection: put, created, position } = reply.value
			const headers = { 'Freehold-Position': String(position) }
			if (created)
				return respondReply(call, reply, 201, collectionText(put, call.ports.retention()), {
					...headers,
					Location: `/v1/collections/${name.value}`,
				})
			return respondReply(
				call,
				reply,
				put.change?.status === 'running' ? 202 : 200,
				collectionText(put, call.ports.retention()),
				headers,
			)
		},
	),
	tenantRoute(
		{
			method: 'get',
			path: '/v1/collections',
			scope: 'read',
			tag,
			summary: 'List the collections in the order of their names',
			query: pageQuery,
			answers: {
				200: {
					description: 'A page of collections',
					schema: collectionList,
					example: { collections: [collectionExample] },
					headers: pageHeaders,
				},
			},
			refusals: ['invalid_cursor', 'unknown_field'],
		},
		listCollections,
	),
	tenantRoute(
		{
			method: 'get',
			path,
			scope: 'read',
			tag,
			summary: 'Read a collection: its schema, its size and the state of a change',
			params: collectionParams,
			answers: { 200: { description: 'The collection', ...shown } },
			refusals: ['not_found'],
		},
		async (call) => {
			const name = readCollectionName(call)
			if (!name.ok) return name
			const reply = await execute(call, { name: 'collection.get', collection: name.value })
			return reply.ok
				? respondReply(call, reply, 200, collectionText(reply.value.collection, call.ports.retention()))
				: reply
		},
	),
	tenantRoute(
		{
			method: 'delete',
			path,
			scope: 'schema',
			tag,
			summary: 'Drop a collection with all its records',
			params: collectionParams,
			answers: { 204: { description: 'Dropped', headers: ['Freehold-Position'] } },
			refusals: ['not_found', 'schema_conflict', 'subject_restricted'],
			mutates: true,
		},
		async (call) => {
			const name = readCollectionName(call)
			if (!name.ok) return name
			const idempotency = readIdempotency(call, '')
			if (!idempotency.ok) return idempotency
			const reply = await execute(call, { name: 'collection.delete', collection: name.value }, idempotency.value)
			if (!reply.ok) return reply
			return respondReply(call, reply, 204, null, { 'Freehold-Position': String(reply.value.position) })
		},
	),
]

export async function listCollections(call: TenantCall): Handled {
	const page = readPage(call, 'collections')
	if (!page.ok) return page
	const reply = await execute(call, { name: 'collection.list', ...page.value.page })
	if (!reply.ok) return reply
	const { collections, next } = reply.value
	const link = page.value.link(next)
	if (!link.ok) return link
	const shown = collections.map((one) => collectionText(one, call.ports.retention()))
	return respondReply(call, reply, 200, `{"collections":[${shown.join()}]}`, link.value)
}
