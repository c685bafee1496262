import { parseSearchBody } from '../../core/filter.ts'
import { refuse } from '../../core/refusal.ts'
import type { Handled, TenantCall } from './call.ts'
import { countHeaders, openRecordQuery, pageHeaders, type RecordQuery, readRecordQuery } from './page.ts'
import { execute } from './reach.ts'
import { recordText } from './representation.ts'
import { readCollectionName, readObject, readQuery } from './request.ts'
import { respondReply } from './respond.ts'
import { tenantRoute } from './route.ts'
import { collectionParams, cursorQuery, preferHeaders, recordList, recordQuery, searchInput } from './schemas.ts'

const tag = 'Records'
const example = {
	records: [
		{
			id: 'p-7',
			version: 3,
			created_at: '2026-11-22T19:50:49.120Z',
			updated_at: '2026-11-22T19:51:02.004Z',
			data: { name: 'Ada Lovelace', age: 36 },
		},
	],
}
const description =
	'Operators: eq neq gt gte lt lte in is like ilike, not., and=(), or=(). Only properties typed as one scalar can be filtered or ordered; ascending puts nulls last, descending first. A short page with a next link is normal.'
const answers = {
	200: {
		description: 'A page of records',
		schema: recordList,
		example,
		headers: [...pageHeaders, 'Content-Range', 'Preference-Applied'],
	},
}
const refusals = ['invalid_filter', 'invalid_cursor', 'unknown_field', 'not_found', 'index_required'] as const

export const listRecords = tenantRoute(
	{
		method: 'get',
		path: '/v1/collections/{collection}/records',
		scope: 'read',
		tag,
		summary: 'List records',
		description,
		params: collectionParams,
		query: recordQuery,
		headers: preferHeaders,
		answers,
		refusals,
	},
	async (call) => {
		const collection = readCollectionName(call)
		if (!collection.ok) return collection
		const query = readRecordQuery(call, collection.value)
		return query.ok ? answerList(call, collection.value, query.value, { inAddress: true }) : query
	},
)

export const searchRecords = tenantRoute(
	{
		method: 'post',
		path: '/v1/collections/{collection}/records/search',
		scope: 'read',
		tag,
		summary: 'List records by a query in the body, so that personal values stay out of URLs',
		description: `The body has the names and values of the query string. The next page is the same body posted to the address in Link. ${description}`,
		params: collectionParams,
		query: cursorQuery,
		headers: preferHeaders,
		body: {
			media: 'application/json',
			schema: searchInput,
			example: { name: 'eq.Ada Lovelace', order: 'created_at.desc', limit: 10 },
		},
		answers,
		refusals: [...refusals, 'invalid_json', 'payload_too_large', 'unsupported_media_type', 'validation_failed'],
	},
	async (call) => {
		const collection = readCollectionName(call)
		if (!collection.ok) return collection
		const address = readQuery(call, ['cursor'])
		if (!address.ok) return address
		const body = await readObject(call)
		if (!body.ok) return body
		const parsed = parseSearchBody(body.value.value)
		if (!parsed.ok) return parsed
		const { cursor } = address.value
		if (cursor !== undefined && parsed.value.cursor !== null) {
			return refuse('invalid_request', 'the cursor is given twice', {
				errors: [{ pointer: 'cursor', detail: 'must be in the address or in the body' }],
			})
		}
		const query = openRecordQuery(call, collection.value, { ...parsed.value, cursor: cursor ?? parsed.value.cursor })
		return query.ok ? answerList(call, collection.value, query.value, {}) : query
	},
)

async function answerList(
	call: TenantCall,
	collection: string,
	{ query, link }: RecordQuery,
	place: { inAddress?: true },
): Handled {
	const reply = await execute(call, { name: 'record.list', collection, query, ...place })
	if (!reply.ok) return reply
	const { records, next, count } = reply.value
	const counted = countHeaders(count, records.length, query.after === null)
	const linked = link(next)
	if (!linked.ok) return linked
	return respondReply(call, reply, 200, `{"records":[${records.map(recordText).join()}]}`, {
		...linked.value,
		...counted,
	})
}
