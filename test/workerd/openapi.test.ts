import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { beforeAll, expect, test, vi } from 'vitest'
import { parseSchema, type Schema } from '../../core/schema.ts'
import { routeTable } from '../../workers/api/routes.ts'
import type { Env } from '../../workers/env.ts'
import {
	brokenRequests,
	type Document,
	type Known,
	type OperationObject,
	type Sent,
	standalone,
	validRequests,
} from '../openapi-requests.ts'
import { people } from '../shard.ts'
import { newTenant, send } from './client.ts'
import { gatherLog } from './log.ts'
import { readProblem } from './problem.ts'

const bindings = env as unknown as Env
vi.setConfig({ testTimeout: 120_000 })
gatherLog()
let document: Document

beforeAll(async () => {
	const response = await send('GET', '/openapi.json', null)
	document = await response.json<Document>()
})

test('the document is OpenAPI 3.1, and has every route and no other, each with its credential', () => {
	expect(document.openapi).toMatch(/^3\.1\./)
	expect(Object.keys(document.components.securitySchemes).sort()).toEqual(['apiKey', 'operatorToken'])
	for (const scheme of Object.values(document.components.securitySchemes))
		expect(scheme).toMatchObject({ type: 'http', scheme: 'bearer' })
	const described = Object.entries(document.paths).flatMap(([path, operations]) =>
		Object.entries(operations).map(([method, { security }]) => `${method} ${path}: ${JSON.stringify(security)}`),
	)
	const securities = { public: [], tenant: [{ apiKey: [] }], operator: [{ operatorToken: [] }] }
	const routes = routeTable.map(
		({ method, path, access }) => `${method} ${path}: ${JSON.stringify(securities[access.audience])}`,
	)
	expect(described.sort()).toEqual(routes.sort())
})

test('every operation has a name of its own, describes its parameters and shows examples that fit', () => {
	const operations = routeTable.map(({ method, path }) => operationOf(method, path))
	expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length)
	for (const { method, path, mutates } of routeTable) {
		const { parameters = [], requestBody, responses } = operationOf(method, path)
		const inPath = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => `{${name}}`)
		if (!path.startsWith('/docs')) expect(inPath, path).toEqual(path.match(/\{[a-z]+\}/g) ?? [])
		expect(
			parameters.some(({ name }) => name === 'Idempotency-Key'),
			`${method} ${path}`,
		).toBe(mutates)
		expect(
			Object.keys(responses).some((status) => status.startsWith('2')),
			path,
		).toBe(true)
		const taken = Object.entries(requestBody?.content ?? {})
		// A file has no JSON to hold against a schema.
		for (const [name, { schema, example }] of taken.filter(([name]) => name.endsWith('json')))
			expect(compile(schema).validate(example), `${method} ${path} ${name}`).toEqual([])
		for (const [status, { content = {} }] of Object.entries(responses)) {
			const shown = content['application/json'] as { schema: never; example?: unknown } | undefined
			if (shown?.example) expect(compile(shown.schema).validate(shown.example), `${path} ${status}`).toEqual([])
		}
	}
})

test('the document names every header and media type that a route honours', () => {
	const record = '/v1/collections/{collection}/records/{id}'
	const honoured: Record<string, string[]> = {
		[`get ${record}`]: ['If-None-Match'],
		[`put ${record}`]: ['If-Match', 'If-None-Match'],
		[`patch ${record}`]: ['If-Match'],
		[`delete ${record}`]: ['If-Match'],
		'get /v1/changes': ['Last-Event-ID'],
		'get /v1/collections/{collection}/records': ['Prefer'],
		'get /v1/view/records': ['Prefer', 'Freehold-Min-Position'],
	}
	const missing = Object.entries(honoured).flatMap(([route, names]) => {
		const [method = '', path = ''] = route.split(' ')
		const present = (operationOf(method, path).parameters ?? []).map(({ name }) => name)
		return names.filter((name) => !present.includes(name)).map((name) => `${route}: ${name}`)
	})
	const stream = operationOf('get', '/v1/changes').responses['200']?.content ?? {}
	if (!('text/event-stream' in stream)) missing.push('get /v1/changes: text/event-stream')
	expect(missing).toEqual([])
})

const malformed = ['invalid_json', 'unsupported_media_type']
const meaningless = ['validation_failed', 'invalid_request', 'schema_invalid', 'idempotency_mismatch']
/** Routes of which the document cannot say all: which schemas, data, operations, regions, tenants, moments, filters and addresses make sense. */
const hasMeaning =
	/\/tenant$|move$|rewind$|shards$|collections\/\{collection\}$|batch$|tenants$|search$|records(\/\{id\})?$|view|webhooks(\/\{id\})?$/

for (const { method, path, access } of routeTable) {
	// Each rebuild that begins asks every shard of this file for all its records, while the tests after it wait.
	const runs = { numRuns: method === 'post' && path === '/v1/view/rebuild' ? 8 : 40, endOnFailure: true }

	test(`[L1] ${method} ${path} answers what the document allows as the document says`, async () => {
		const { known, ask } = await prepare(method, path, access.audience)
		const closed = validRequests(document, path, operationOf(method, path), known, true)
		await fc.assert(
			fc.asyncProperty(closed, async (sent) => {
				const response = await ask(sent)
				const code = await check(operationOf(method, path), response)
				expect(malformed, `${code}`).not.toContain(code)
				if (!hasMeaning.test(path)) expect(meaningless, `${code}`).not.toContain(code)
			}),
			runs,
		)
		const open = validRequests(document, path, operationOf(method, path), known, false)
		await fc.assert(
			fc.asyncProperty(open, async (sent) => void (await check(operationOf(method, path), await ask(sent)))),
			runs,
		)
	})

	test(`[L1] ${method} ${path} answers what the document forbids with a status that it names`, async () => {
		const { known, ask } = await prepare(method, path, access.audience)
		const broken = brokenRequests(document, path, operationOf(method, path), known)
		await fc.assert(
			fc.asyncProperty(broken, async (sent) => {
				const response = await ask(sent)
				// A parameter that changes the path leads to another route, or to none.
				if (response.status !== 405) await check(operationOf(method, path), response, true)
			}),
			{ ...runs, numRuns: 2 * runs.numRuns },
		)
	})
}

/** A tenant with a collection and a record of its own, and the way to ask with the route's credential. */
async function prepare(method: string, path: string, audience: 'public' | 'tenant' | 'operator') {
	const tenant = await newTenant()
	expect((await send('PUT', '/v1/collections/people', tenant.secret, { schema: people })).status).toBe(201)
	const put = await send('PUT', '/v1/collections/people/records/p-7', tenant.secret, { email: 'ada@example.com' })
	expect(put.status).toBe(201)
	const made = await send('POST', '/v1/keys', tenant.secret, { scopes: ['read'] })
	const { id: key } = await made.json<{ id: string }>()
	const hook = await send('POST', '/v1/webhooks', tenant.secret, { url: 'https://hooks.freehold.dev/x' })
	const { id: webhook } = await hook.json<{ id: string }>()
	const ids: [string, string][] = [
		['/v1/keys', key],
		['/v1/webhooks', webhook],
		['/v1/tenants', tenant.id],
	]
	const id = ids.find(([prefix]) => path.startsWith(prefix))?.[1] ?? 'p-7'
	const known: Known = { collection: 'people', id, file: 'swagger-ui.css', tenant: tenant.id, region: 'eu' }
	const bearer = { public: null, tenant: tenant.secret, operator: bindings.OPERATOR_TOKEN }[audience]
	const ask = ({ path: to, headers, body }: Sent): Promise<Response> =>
		send(method.toUpperCase(), to, bearer, method === 'get' ? undefined : body, headers)
	return { known, ask }
}

/** Holds an answer to the document: no 5xx, a status of this operation, a body of its schema. Returns the code of a refusal. */
async function check(operation: OperationObject, response: Response, broken = false): Promise<string | null> {
	const { status } = response
	const documented = operation.responses[status]
	if (status >= 400) {
		const problem = await readProblem(response.clone() as unknown as Response)
		if (problem.code !== 'view_unavailable') expect(status, problem.detail).toBeLessThan(500)
		// The credential is right, or nothing that comes after it was tried.
		expect(problem.code).not.toBe('unauthorized')
		// A broken path may lead nowhere.
		if (broken && problem.detail === 'there is nothing at this path') return problem.code
	}
	expect(Object.keys(operation.responses)).toContain(String(status))
	const text = await response.text()
	const contents = Object.entries(documented?.content ?? {})
	if (contents.length === 0) {
		expect(text).toBe('')
		return null
	}
	const type = response.headers.get('Content-Type')?.split(';')[0] ?? ''
	// A document may name parameters of the type, such as the version of a text format.
	const [media = '', content] = contents.find(([name]) => name.split(';')[0] === type) ?? []
	expect(content, `${type} is not one of ${contents.map(([name]) => name)}`).toBeDefined()
	if (!content) return null
	if (!media.endsWith('json')) return null
	const body = JSON.parse(text)
	expect(compile(content.schema).validate(body)).toEqual([])
	for (const name of Object.keys(documented?.headers ?? {}))
		if (always.has(name)) expect(response.headers.has(name), name).toBe(true)
	return typeof body.code === 'string' ? body.code : null
}

/** Headers that every answer has whose description names them; the others depend on the occasion. */
const always = new Set(['X-Request-Id', 'Location', 'ETag', 'Freehold-Position'])

const compiled = new Map<unknown, Schema>()

function compile(schema: Parameters<typeof standalone>[1]): Schema {
	const present = compiled.get(schema)
	if (present) return present
	const parsed = parseSchema(standalone(document, schema))
	if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal))
	compiled.set(schema, parsed.value)
	return parsed.value
}

function operationOf(method: string, path: string): OperationObject {
	const operation = document.paths[path]?.[method]
	if (!operation) throw new Error(`${method} ${path} is not in the document`)
	return operation
}
