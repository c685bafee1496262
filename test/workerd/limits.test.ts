import { env } from 'cloudflare:workers'
import { beforeAll, expect, test, vi } from 'vitest'
import * as limits from '../../core/limits.ts'
import type { Env } from '../../workers/env.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { each } from './each.ts'
import { gatherLog } from './log.ts'
import { readProblem, type Verdict, verdictOf } from './problem.ts'

const bindings = env as unknown as Env
vi.setConfig({ testTimeout: 120_000 })
gatherLog()
let tenant: NewTenant
const records = '/v1/collections/things/records'

beforeAll(async () => {
	tenant = await newTenant()
	const fields = Array.from({ length: 6 }, (_, index) => [`f${index}`, { type: 'integer', 'x-index': true }])
	const properties = { ...Object.fromEntries(fields), t: { type: 'string' } }
	expect((await send('PUT', '/v1/collections/things', tenant.secret, { schema: { properties } })).status).toBe(201)
	const unique = { properties: { u: { type: 'string', 'x-unique': true } } }
	expect((await send('PUT', '/v1/collections/unique', tenant.secret, { schema: unique })).status).toBe(201)
})

const post = (body: unknown) => send('POST', records, tenant.secret, body)
const list = (query: string) => send('GET', `${records}?${query}`, tenant.secret)
const search = (body: object) => send('POST', `${records}/search`, tenant.secret, body)
const batch = (operations: unknown[]) => send('POST', '/v1/batch', tenant.secret, { operations })
const putSchema = (schema: unknown) =>
	send('PUT', `/v1/collections/c-${crypto.randomUUID()}`, tenant.secret, { schema })
const many = <T>(length: number, make: (index: number) => T) => Array.from({ length }, (_, index) => make(index))
const object = <T>(length: number, make: (index: number) => T) =>
	Object.fromEntries(many(length, (index) => [`p${index}`, make(index)]))

/** What a request of a size is like, the most that is accepted, and what one more is answered. */
interface Limit {
	max: number
	ask(size: number): Promise<Response>
	accepted: number
	refused: Verdict
	/** The smallest size, where it is a limit, too: one less is refused alike. */
	min?: number
}

const table: Record<string, Limit> = {
	'the bytes of a body': {
		max: limits.bodyBytesMax,
		ask: (size) => post('{"a":1}'.padEnd(size)),
		accepted: 201,
		refused: 'payload_too_large',
	},
	'the bytes of a record, as it is stored': {
		max: limits.recordBytesMax,
		ask: (size) => post({ t: 'x'.repeat(size - '{"t":""}'.length) }),
		accepted: 201,
		refused: 'payload_too_large',
	},
	'the bytes of a record whose characters have three each': {
		max: limits.recordBytesMax,
		ask: (size) => post({ t: '€'.repeat(Math.floor((size - 8) / 3)) + 'x'.repeat((size - 8) % 3) }),
		accepted: 201,
		refused: 'payload_too_large',
	},
	'the depth of JSON': {
		max: limits.jsonDepthMax,
		ask: (size) => post(`{"v":${'['.repeat(size - 1)}${']'.repeat(size - 1)}}`),
		accepted: 201,
		refused: 'invalid_json',
	},
	'the properties of an object': {
		max: limits.jsonKeysMax,
		ask: (size) => post({ o: object(size, () => 1) }),
		accepted: 201,
		refused: 'invalid_json',
	},
	'the bytes of a name': {
		max: limits.jsonKeyBytesMax,
		ask: (size) => post({ [`${'k'.repeat(size - 2)}é`]: 1 }),
		accepted: 201,
		refused: 'invalid_json',
	},
	'the objects and arrays of a body': {
		max: limits.jsonContainersMax,
		ask: (size) => {
			// Ten operations with a list of lists each; the body, the operations and each operation have four around them.
			const inner = size - 2 - 10 * 3
			const lists = many(10, (index) => `[${'[],'.repeat(Math.floor(inner / 10) + (index < inner % 10 ? 1 : 0))}0]`)
			const data = lists.map((text) => `{"op":"create","collection":"things","data":{"v":${text}}}`)
			return send('POST', '/v1/batch', tenant.secret, `{"operations":[${data.join()}]}`)
		},
		accepted: 200,
		refused: 'invalid_json',
	},
	'the operations of a batch': {
		max: limits.batchOperationsMax,
		min: 1,
		ask: (size) => batch(many(size, () => ({ op: 'create', collection: 'things', data: {} }))),
		accepted: 200,
		refused: 'payload_too_large',
	},
	'the bytes of a schema': {
		max: limits.schemaBytesMax,
		ask: (size) => putSchema({ title: 'x'.repeat(size - '{"title":""}'.length) }),
		accepted: 201,
		refused: 'payload_too_large',
	},
	'the depth of a schema': {
		// The schema stands in a member of the body, and each level takes two of JSON.
		max: limits.jsonDepthMax,
		ask: (size) => {
			const levels = size - 2
			const opened = Math.floor(levels / 2)
			const rest = levels % 2 === 0 ? '{"type":"object"}' : '{"required":[]}'
			return send(
				'PUT',
				`/v1/collections/d-${crypto.randomUUID()}`,
				tenant.secret,
				`{"schema":${'{"allOf":['.repeat(opened)}${rest}${']}'.repeat(opened)}}`,
			)
		},
		accepted: 201,
		refused: 'invalid_json',
	},
	'the subschemas of a schema': {
		max: limits.subschemasMax,
		ask: (size) => putSchema({ allOf: many(size - 1, () => true) }),
		accepted: 201,
		refused: 'schema_invalid',
	},
	'the values of an enum': {
		max: limits.enumValuesMax,
		min: 1,
		ask: (size) => putSchema({ properties: { a: { enum: many(size, (index) => index) } } }),
		accepted: 201,
		refused: 'schema_invalid',
	},
	'the characters of a pattern in a schema': {
		max: limits.patternCharsMax,
		ask: (size) => putSchema({ properties: { a: { pattern: 'a'.repeat(size) } } }),
		accepted: 201,
		refused: 'schema_invalid',
	},
	'the patterns of a schema': {
		max: limits.patternsMax,
		ask: (size) => putSchema({ properties: object(size, (index) => ({ pattern: `^${index}$` })) }),
		accepted: 201,
		refused: 'schema_invalid',
	},
	'the unique properties of a collection': {
		max: limits.uniquePropertiesMax,
		ask: (size) => putSchema({ properties: object(size, () => ({ type: 'string', 'x-unique': true })) }),
		accepted: 201,
		refused: 'schema_invalid',
	},
	'the indexes of a collection': {
		max: limits.indexedPropertiesMax,
		ask: (size) =>
			putSchema({
				'x-index': ['created_at'],
				properties: object(size - 1, () => ({ type: 'string', 'x-index': true })),
			}),
		accepted: 201,
		refused: 'schema_invalid',
	},
	'the bytes of a unique text': {
		max: limits.uniqueTextBytesMax,
		ask: (size) => {
			const u = `${crypto.randomUUID()}é`
			return send('POST', '/v1/collections/unique/records', tenant.secret, { u: u + 'x'.repeat(size - 38) })
		},
		accepted: 201,
		refused: 'validation_failed',
	},
	'the records of a page': {
		max: limits.listLimitMax,
		min: 1,
		ask: (size) => list(`limit=${size}`),
		accepted: 200,
		refused: 'invalid_request',
	},
	'the records of a page of a search': {
		max: limits.listLimitMax,
		min: 1,
		ask: (size) => search({ limit: size }),
		accepted: 200,
		refused: 'invalid_request',
	},
	'the collections of a page': {
		max: limits.listLimitMax,
		min: 1,
		ask: (size) => send('GET', `/v1/collections?limit=${size}`, tenant.secret),
		accepted: 200,
		refused: 'invalid_request',
	},
	'the keys of a page': {
		max: limits.listLimitMax,
		min: 1,
		ask: (size) => send('GET', `/v1/keys?limit=${size}`, tenant.secret),
		accepted: 200,
		refused: 'invalid_request',
	},
	'the changes of a page': {
		max: limits.changesLimitMax,
		min: 1,
		ask: (size) => send('GET', `/v1/changes?limit=${size}`, tenant.secret),
		accepted: 200,
		refused: 'invalid_request',
	},
	'the values of an in': {
		max: limits.inValuesMax,
		ask: (size) => list(`f0=in.(${many(size, (index) => index).join()})`),
		accepted: 200,
		refused: 'invalid_filter',
	},
	'the conditions of a filter, over all parameters': {
		max: limits.filterTermsMax,
		ask: (size) => list(`f0=gte.0&or=(${many(size - 1, () => 'f1.eq.1').join()})`),
		accepted: 200,
		refused: 'invalid_filter',
	},
	'the depth of a filter': {
		max: limits.filterDepthMax,
		ask: (size) => list(`${'or=('.padEnd(4)}${'and('.repeat(size - 1)}f0.eq.1${')'.repeat(size)}`),
		accepted: 200,
		refused: 'invalid_filter',
	},
	'the characters of a parameter': {
		max: limits.filterCharsMax,
		ask: (size) => search({ t: `eq.${'x'.repeat(size - 3)}` }),
		accepted: 200,
		refused: 'invalid_request',
	},
	'the bytes of a pattern of like': {
		max: limits.patternBytesMax,
		ask: (size) => list(`t=like.${'é'.repeat(Math.floor(size / 2)) + 'x'.repeat(size % 2)}`),
		accepted: 200,
		refused: 'invalid_filter',
	},
	'the fields to order by': {
		max: limits.orderTermsMax,
		ask: (size) => list(`order=${many(size, (index) => `f${index}`).join()}`),
		accepted: 200,
		refused: 'invalid_request',
	},
	'the properties to select': {
		max: limits.selectNamesMax,
		ask: (size) => list(`select=${many(size, () => 't').join()}`),
		accepted: 200,
		refused: 'invalid_request',
	},
	'the characters of an idempotency key': {
		max: limits.idempotencyKeyCharsMax,
		ask: (size) =>
			send('POST', records, tenant.secret, {}, { 'Idempotency-Key': crypto.randomUUID().padEnd(size, 'k') }),
		accepted: 201,
		refused: 'invalid_request',
	},
	'the characters of a record id': {
		max: 128,
		ask: (size) => send('PUT', `${records}/${'i'.repeat(size)}`, tenant.secret, {}),
		accepted: 201,
		refused: 'invalid_request',
	},
	'the characters of the name of a collection': {
		max: 63,
		ask: (size) => send('PUT', `/v1/collections/${'c'.repeat(size)}`, tenant.secret, { schema: {} }),
		accepted: 201,
		refused: 'invalid_request',
	},
	'the characters of a slug': {
		max: limits.slugCharsMax,
		ask: (size) => {
			const slug = crypto.randomUUID().padEnd(size, 's')
			return send('POST', '/v1/tenants', bindings.OPERATOR_TOKEN, { slug, name: 'Tenant' })
		},
		accepted: 201,
		refused: 'validation_failed',
	},
	'the characters of the name of a tenant': {
		max: limits.nameCharsMax,
		min: 1,
		ask: (size) => send('PATCH', `/v1/tenants/${tenant.id}`, bindings.OPERATOR_TOKEN, { name: 'n'.repeat(size) }),
		accepted: 200,
		refused: 'validation_failed',
	},
	'the characters of the name of a key': {
		max: limits.nameCharsMax,
		min: 1,
		ask: (size) => send('POST', '/v1/keys', tenant.secret, { name: 'n'.repeat(size), scopes: ['read'] }),
		accepted: 201,
		refused: 'validation_failed',
	},
}

for (const [name, { max, min, ask, accepted, refused }] of Object.entries(table)) {
	test(`${name}: ${max} and one less are accepted, one more is refused`, async () => {
		const got: Verdict[] = []
		for (const size of [max - 1, max, max + 1]) got.push(await verdictOf(await ask(size)))
		// A record that was put a size before is replaced; every other answer is the same for both.
		expect(got).toEqual([accepted, accepted, refused])
		if (min === undefined) return
		expect(await verdictOf(await ask(min))).toBe(accepted)
		expect((await readProblem(await ask(min - 1))).status).toBeGreaterThanOrEqual(400)
	})
}

test('a refusal names a bounded number of places', async () => {
	const strict = await putSchema({ additionalProperties: { type: 'integer' } })
	expect(strict.status).toBe(201)
	const { name } = await strict.json<{ name: string }>()
	const path = `/v1/collections/${name}`
	const wrong = (count: number) =>
		send(
			'POST',
			`${path}/records`,
			tenant.secret,
			object(count, () => 'text'),
		)
	for (const [count, named] of [
		[limits.faultsMax - 1, limits.faultsMax - 1],
		[limits.faultsMax, limits.faultsMax],
		[limits.faultsMax + 1, limits.faultsMax],
		[5_000, limits.faultsMax],
	] as const)
		expect((await readProblem(await wrong(count))).errors).toHaveLength(named)

	const operations = many(limits.schemaOffendersMax + 5, (index) => ({
		op: 'create',
		collection: name,
		data: { n: index },
	}))
	expect((await batch(operations)).status).toBe(200)
	const narrower = await send('PUT', path, tenant.secret, { schema: { required: ['m'] } })
	const problem = await readProblem(narrower)
	expect([problem.code, problem.errors?.length]).toEqual(['schema_conflict', limits.schemaOffendersMax])
	expect(await (await send('GET', path, tenant.secret)).json()).toMatchObject({
		schema: { additionalProperties: { type: 'integer' } },
	})
})

test('a request id of the client is taken over up to 64 characters', async () => {
	for (const [size, taken] of [
		[63, true],
		[64, true],
		[65, false],
	] as const) {
		const id = 'r'.repeat(size)
		const response = await send('GET', '/', null, undefined, { 'X-Request-Id': id })
		expect(response.headers.get('X-Request-Id') === id).toBe(taken)
	}
})

test('a tenant has at most so many collections, and one that is dropped makes room', async () => {
	const own = await newTenant()
	const put = (index: number) => send('PUT', `/v1/collections/c${index}`, own.secret, { schema: {} })
	await each(
		many(limits.collectionsMax - 1, (index) => index),
		async (index) => {
			expect((await put(index)).status).toBe(201)
		},
	)
	expect((await put(9_998)).status).toBe(201)
	expect(await verdictOf(await put(9_999))).toBe('limit_exceeded')
	// What is there can still be changed.
	expect((await put(0)).status).toBe(200)
	expect((await send('DELETE', '/v1/collections/c0', own.secret)).status).toBe(204)
	expect((await put(9_999)).status).toBe(201)
})

test('a tenant has at most so many keys, and one that is revoked makes room', async () => {
	const own = await newTenant()
	const make = () => send('POST', '/v1/keys', own.secret, { scopes: ['read'] })
	await each(
		many(limits.keysPerTenantMax - 2, (index) => index),
		async () => {
			expect((await make()).status).toBe(201)
		},
	)
	const last = await make()
	expect(last.status).toBe(201)
	expect(await verdictOf(await make())).toBe('limit_exceeded')
	const { id } = await last.json<{ id: string }>()
	expect((await send('DELETE', `/v1/keys/${id}`, own.secret)).status).toBe(204)
	expect((await make()).status).toBe(201)
})

test('[L1] a tenant that asks too often is told to wait, and no other tenant notices', async () => {
	const [busy, calm] = [await newTenant(), await newTenant()]
	const limited = { limits: { requests_per_second: 1 } }
	const patched = await send('PATCH', `/v1/tenants/${busy.id}`, bindings.OPERATOR_TOKEN, limited)
	expect(patched.status).toBe(200)
	const answers = await Promise.all(many(40, () => send('GET', '/v1/tenant', busy.secret)))
	const refused = answers.filter(({ status }) => status === 429)
	// A full bucket holds ten seconds' worth; a slow machine may have refilled some of it meanwhile.
	expect(refused.length).toBeGreaterThanOrEqual(15)
	for (const response of refused) {
		expect(Number(response.headers.get('Retry-After'))).toBeGreaterThanOrEqual(1)
		expect(response.headers.get('RateLimit')).toMatch(/^"default";r=0;t=[0-9]+$/)
		expect(response.headers.get('RateLimit-Policy')).toBe('"default";q=10;w=10')
		expect((await readProblem(response)).code).toBe('rate_limited')
	}
	expect((await send('GET', '/v1/tenant', calm.secret)).status).toBe(200)
	// Operators are not held up, or they could not lift the limit.
	expect((await send('GET', `/v1/tenants/${busy.id}`, bindings.OPERATOR_TOKEN)).status).toBe(200)
})

/** A tenant whose records a and b fill the storage that it may use. */
async function fullTenant(): Promise<NewTenant> {
	const own = await newTenant()
	expect((await send('PUT', '/v1/collections/things', own.secret, { schema: {} })).status).toBe(201)
	for (const id of ['a', 'b'])
		expect((await send('PUT', `${records}/${id}`, own.secret, { text: 'x'.repeat(900_000) })).status).toBe(201)
	await allowStorage(own, 1_000_000)
	return own
}

async function allowStorage(own: NewTenant, bytes: number): Promise<void> {
	const patch = { limits: { storage_bytes: bytes } }
	expect((await send('PATCH', `/v1/tenants/${own.id}`, bindings.OPERATOR_TOKEN, patch)).status).toBe(200)
}

test('a tenant whose storage is full may still delete and read, and write again afterwards', async () => {
	const own = await fullTenant()
	const growth: [string, string, object][] = [
		['POST', records, {}],
		['PUT', `${records}/a`, {}],
		['PUT', `${records}/c`, {}],
		['PATCH', `${records}/a`, { more: 1 }],
		['POST', '/v1/batch', { operations: [{ op: 'create', collection: 'things', data: {} }] }],
	]
	for (const [method, to, body] of growth)
		expect(await verdictOf(await send(method, to, own.secret, body)), `${method} ${to}`).toBe('storage_full')
	expect((await send('GET', `${records}/a`, own.secret)).status).toBe(200)
	for (const id of ['a', 'b']) expect((await send('DELETE', `${records}/${id}`, own.secret)).status).toBe(204)
	await allowStorage(own, 1_000_000_000)
	expect((await send('POST', records, own.secret, {})).status).toBe(201)
})

test('a tenant whose storage is full gets no new collection, index or key, but may drop a collection', async () => {
	const own = await fullTenant()
	const indexed = { properties: { text: { type: 'string', 'x-index': true } } }
	const growth: [string, string, object][] = [
		['PUT', '/v1/collections/more', { schema: {} }],
		['PUT', '/v1/collections/things', { schema: indexed }],
		['POST', '/v1/keys', { scopes: ['read'] }],
	]
	const got: Record<string, Verdict> = {}
	for (const [method, to, body] of growth)
		got[`${method} ${to}`] = await verdictOf(await send(method, to, own.secret, body))
	expect(Object.values(got), JSON.stringify(got)).toEqual(growth.map(() => 'storage_full'))
	expect((await send('DELETE', '/v1/collections/things', own.secret)).status).toBe(204)
})
