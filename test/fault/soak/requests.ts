/** A client's operation as the HTTP request that asks it, and the answer as the checker reads it. */
import type { Answer } from '../../stack-client.ts'
import type { Answered, ClientOperation, Condition, Data, RecordOperation, SeenRecord } from '../history.ts'

export interface Request {
	method: string
	path: string
	body?: Data
	headers: Record<string, string>
}

export function isWrite({ op }: ClientOperation): boolean {
	return op !== 'get' && op !== 'list'
}

export function requestOf(operation: ClientOperation): Request {
	if (operation.op === 'batch')
		return { method: 'POST', path: '/v1/batch', body: { operations: operation.operations.map(inBatch) }, headers: {} }
	const collection = `/v1/collections/${operation.collection}`
	switch (operation.op) {
		case 'define':
			return { method: 'PUT', path: collection, body: { schema: operation.schema }, headers: {} }
		case 'drop':
			return { method: 'DELETE', path: collection, headers: {} }
		case 'list':
			return { method: 'GET', path: `${collection}/records?limit=1000`, headers: {} }
		case 'get':
			return { method: 'GET', path: `${collection}/records/${operation.id}`, headers: {} }
		case 'create':
			return { method: 'POST', path: `${collection}/records`, body: operation.data, headers: {} }
		case 'put': {
			const headers = {
				...condition('If-Match', operation.ifMatch),
				...condition('If-None-Match', operation.ifNoneMatch),
			}
			return { method: 'PUT', path: `${collection}/records/${operation.id}`, body: operation.data, headers }
		}
		case 'patch': {
			const headers = condition('If-Match', operation.ifMatch)
			return { method: 'PATCH', path: `${collection}/records/${operation.id}`, body: operation.patch, headers }
		}
		case 'delete': {
			const headers = condition('If-Match', operation.ifMatch)
			return { method: 'DELETE', path: `${collection}/records/${operation.id}`, headers }
		}
	}
}

/** What a successful answer says. */
export function readAnswer(operation: ClientOperation, { headers, body }: Answer): Answered {
	const position = headers.has('Freehold-Position') ? Number(headers.get('Freehold-Position')) : null
	return { position, records: recordsIn(operation, body, headers.get('ETag')) }
}

// biome-ignore lint/suspicious/noExplicitAny: what the answer must look like is for the checker to say
function recordsIn(operation: ClientOperation, body: any, etag: string | null): SeenRecord[] {
	switch (operation.op) {
		case 'define':
		case 'drop':
		case 'delete':
			return []
		case 'list':
			return body.records.map((record: SeenRecord & { updated_at: string }) => ({
				...seen(record, null),
				updatedAt: record.updated_at,
			}))
		case 'batch':
			return body.results.map((result: SeenRecord & { etag: string }, index: number) =>
				seen(result, operation.operations[index]?.op === 'delete' ? null : result.etag),
			)
		default:
			return [seen(body, etag)]
	}
}

function seen({ id, version, data }: SeenRecord, etag: string | null): SeenRecord {
	const position = /-(\d+)"$/.exec(etag ?? '')?.[1]
	return { id, version, seq: position === undefined ? null : Number(position), data: data ?? null }
}

function condition(header: string, tags: Condition | undefined): Record<string, string> {
	return tags === undefined ? {} : { [header]: headerOf(tags) }
}

function headerOf(tags: Condition): string {
	return tags === '*' ? '*' : tags.map((tag) => `"${tag}"`).join()
}

function inBatch(write: RecordOperation): Data {
	const { op, collection } = write
	if (op === 'create') return { op, collection, data: write.data }
	const { id, ifMatch } = write
	const place = { op, collection, id, ...(ifMatch !== undefined && { if_match: headerOf(ifMatch) }) }
	if (op === 'delete') return place
	return { ...place, data: op === 'patch' ? write.patch : write.data }
}
