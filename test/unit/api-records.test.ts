import { expect, test } from 'vitest'
import { batchOperationsMax, bodyBytesMax, listLimitMax } from '../../core/limits.ts'
import { Edge } from '../api-ports.ts'

const records = '/v1/collections/people/records'

async function problemIn(response: Response) {
	expect(response.headers.get('Content-Type')).toBe('application/problem+json')
	const problem = await response.json<{
		status: number
		code: string
		request_id: string
		errors?: { pointer: string }[]
	}>()
	expect(problem.status).toBe(response.status)
	expect(problem.request_id).toBe(response.headers.get('X-Request-Id'))
	return problem
}

test('a record is created, read, replaced, patched and deleted', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const created = await edge.fetch('POST', records, { as: key, body: { name: 'Ada', tags: ['a'] } })
	expect(created.status).toBe(201)
	expect(created.headers.get('ETag')).toBe('"1-1"')
	expect(created.headers.get('Freehold-Position')).toBe('1')
	const location = created.headers.get('Location') ?? ''
	expect(location).toBe(`${records}/minted-1`)
	const text = await created.text()
	expect(JSON.parse(text)).toEqual({
		id: 'minted-1',
		version: 1,
		created_at: '2026-11-22T00:00:00.000Z',
		updated_at: '2026-11-22T00:00:00.000Z',
		data: { name: 'Ada', tags: ['a'] },
	})
	const read = await edge.fetch('GET', location, { as: key })
	expect(read.status).toBe(200)
	expect(await read.text()).toBe(text)
	expect(read.headers.get('Cache-Control')).toBe('no-store')
	const head = await edge.fetch('HEAD', location, { as: key })
	expect([head.status, await head.text(), head.headers.get('ETag')]).toEqual([200, '', '"1-1"'])
	const put = await edge.fetch('PUT', `${records}/p-1`, { as: key, body: { a: 1 } })
	expect([put.status, put.headers.get('Location')]).toEqual([201, `${records}/p-1`])
	const again = await edge.fetch('PUT', `${records}/p-1`, { as: key, body: { a: 2 } })
	expect([again.status, again.headers.get('ETag')]).toEqual([200, '"2-3"'])
	const patched = await edge.fetch('PATCH', `${records}/p-1`, { as: key, body: { a: null } })
	expect([patched.status, patched.headers.get('ETag')]).toEqual([200, '"3-4"'])
	const deleted = await edge.fetch('DELETE', `${records}/p-1`, { as: key })
	expect([deleted.status, await deleted.text()]).toEqual([204, ''])
	expect((await edge.fetch('GET', `${records}/p-1`, { as: key })).status).toBe(404)
})

test('preconditions reach the shard without their quotes, and a weak tag never matches If-Match', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const put = (headers: Record<string, string>) => edge.fetch('PUT', `${records}/p`, { as: key, body: {}, headers })
	expect((await put({ 'If-None-Match': '*' })).status).toBe(201)
	expect((await put({ 'If-None-Match': '*' })).status).toBe(412)
	expect((await put({ 'If-Match': '"9-9", "1-1"' })).status).toBe(200)
	expect((await put({ 'If-Match': 'W/"2-2"' })).status).toBe(412)
	expect(shard.commands.at(-1)?.operation).toMatchObject({ ifMatch: [], ifNoneMatch: null })
	expect((await put({ 'If-Match': '*' })).status).toBe(200)
	const get = (tag: string) => edge.fetch('GET', `${records}/p`, { as: key, headers: { 'If-None-Match': tag } })
	const unchanged = await get('W/"3-3"')
	expect([unchanged.status, unchanged.headers.get('ETag'), await unchanged.text()]).toEqual([304, '"3-3"', ''])
	expect((await get('*')).status).toBe(304)
	expect((await get('"2-2"')).status).toBe(200)
})

test.each([
	'',
	'3-17',
	'"3-17',
	'3-17"',
	'"a" "b"',
	'"a",b',
	'*,"a"',
	'"a",*',
	'w/"a"',
	'W/',
	'"a\u0001"',
	';',
	'"a"b',
	"'a'",
	'""x',
	',',
])('the broken If-Match %j is 400', async (tag) => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const before = shard.commands.length
	for (const method of ['PUT', 'PATCH', 'DELETE']) {
		const body = method === 'DELETE' ? {} : { body: {} }
		let response: Response
		try {
			response = await edge.fetch(method, `${records}/p`, { as: key, ...body, headers: { 'If-Match': tag } })
		} catch {
			// Not a header value at all.
			return
		}
		expect(response.status).toBe(400)
		expect((await problemIn(response)).errors?.[0]?.pointer).toBe('If-Match')
	}
	expect(shard.commands.length).toBe(before)
})

test('[I1] a retry with the same Idempotency-Key is answered byte for byte, with its status', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const create = (headers: Record<string, string>, body = '{"a":1}') =>
		edge.fetch('POST', records, { as: key, body, headers })
	const first = await create({ 'Idempotency-Key': 'k1' })
	const text = await first.text()
	const second = await create({ 'Idempotency-Key': '"k1"' }, ' {"a" : 1.0} ')
	expect([second.status, await second.text()]).toEqual([201, text])
	expect([first.headers.get('Idempotency-Replayed'), second.headers.get('Idempotency-Replayed')]).toEqual([
		null,
		'true',
	])
	for (const name of ['ETag', 'Location', 'Freehold-Position'])
		expect(second.headers.get(name)).toBe(first.headers.get(name))
	expect((await create({ 'Idempotency-Key': 'k1' }, '{"a":2}')).status).toBe(422)
	expect((await create({ 'Idempotency-Key': 'k2' })).status).toBe(201)
})

test('[I1] an idempotency key is scoped to its API key, its method and its path', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const minted = await edge.fetch('POST', '/v1/keys', { as: key, body: { scopes: ['write'] } })
	const { secret } = await minted.json<{ secret: string }>()
	const headers = { 'Idempotency-Key': 'same' }
	await edge.fetch('POST', records, { as: key, body: {}, headers })
	await edge.fetch('POST', records, { as: secret, body: {}, headers })
	await edge.fetch('PUT', `${records}/a`, { as: key, body: {}, headers })
	await edge.fetch('PUT', `${records}/b`, { as: key, body: {}, headers })
	await edge.fetch('PATCH', `${records}/b`, { as: key, body: {}, headers })
	const keys = shard.commands.slice(1).map(({ idempotency }) => idempotency?.key)
	expect(keys.length).toBe(5)
	expect(new Set(keys).size).toBe(5)
})

test.each(['', ' ', 'a b', 'é', '"open', '""', '"a\\b"', 'a\tb', 'k'.repeat(256)])(
	'the broken Idempotency-Key %j is 400',
	async (header) => {
		const edge = new Edge()
		const { key } = await edge.tenant()
		const response = await edge.fetch('DELETE', `${records}/a`, { as: key, headers: { 'Idempotency-Key': header } })
		expect(response.status).toBe(400)
		expect((await problemIn(response)).errors?.[0]?.pointer).toBe('Idempotency-Key')
	},
)

test.each(['k', '"', '~!#', 'k'.repeat(255), '"a\\"b"'].filter((key) => key !== '"'))(
	'the Idempotency-Key %j is taken',
	async (header) => {
		const edge = new Edge()
		const { key } = await edge.tenant()
		const response = await edge.fetch('POST', records, { as: key, body: {}, headers: { 'Idempotency-Key': header } })
		expect(response.status).toBe(201)
	},
)

test.each([
	['POST', records, undefined, 415],
	['POST', records, 'text/plain', 415],
	['POST', records, 'application/json; charset=latin1', 415],
	['POST', records, 'application/json, text/plain', 415],
	['POST', records, 'Application/JSON;charset=UTF-8', 201],
	['PATCH', `${records}/p`, 'application/json', 415],
	['PATCH', `${records}/p`, 'application/merge-patch+json', 404],
	['PUT', `${records}/p`, 'application/merge-patch+json', 415],
] as const)('%s %s sent as %s is %i', async (method, path, type, status) => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const body = new TextEncoder().encode('{}')
	const response = await edge.fetch(method, path, {
		as: key,
		body,
		headers: type ? { 'Content-Type': type } : { 'Content-Type': '' },
	})
	expect(response.status).toBe(status)
	if (status === 415 && method === 'PATCH')
		expect(response.headers.get('Accept-Patch')).toBe('application/merge-patch+json')
})

test.each(['[]', 'null', '1', '"a"', 'true'])('a record that is %s is 422', async (body) => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	expect((await edge.fetch('POST', records, { as: key, body })).status).toBe(422)
	expect((await edge.fetch('PATCH', `${records}/p`, { as: key, body })).status).toBe(422)
})

test('a faulty value is named by its place', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const response = await edge.fetch('POST', records, { as: key, body: '{"a":[1,{"b":"secret\\u0000"}]}' })
	const problem = await problemIn(response)
	expect([response.status, problem.code, problem.errors?.[0]?.pointer]).toEqual([400, 'invalid_json', '/a/1/b'])
	expect(JSON.stringify(problem)).not.toContain('secret')
})

test('a body over the limit is 413, whether it declares its length or not', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const before = shard.commands.length
	const long = new TextEncoder().encode(`{"a":"${'x'.repeat(bodyBytesMax)}"}`)
	expect((await edge.fetch('POST', records, { as: key, body: long })).status).toBe(413)
	expect((await edge.fetch('POST', records, { as: key, body: long, headers: { 'Content-Length': '10' } })).status).toBe(
		413,
	)
	expect(
		(
			await edge.fetch('POST', records, {
				as: key,
				body: '{}',
				headers: { 'Content-Length': String(bodyBytesMax + 1) },
			})
		).status,
	).toBe(413)
	let sent = 0
	const endless = new ReadableStream({
		pull: (controller) => {
			sent += 65_536
			controller.enqueue(new Uint8Array(65_536).fill(0x20))
		},
	})
	expect((await edge.fetch('POST', records, { as: key, body: endless })).status).toBe(413)
	expect(sent).toBeLessThan(bodyBytesMax + 1_000_000)
	expect(shard.commands.length).toBe(before)
	const exact = `${' '.repeat(bodyBytesMax - 2)}{}`
	expect((await edge.fetch('POST', records, { as: key, body: exact })).status).toBe(201)
})

test('a body that breaks off is 400', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const broken = new ReadableStream({ pull: (controller) => controller.error(new TypeError('gone')) })
	expect((await edge.fetch('POST', records, { as: key, body: broken })).status).toBe(400)
})

test.each([
	'People',
	'1a',
	'a b',
	'a%20b',
	'a%2Fb',
	'a%00',
	'x'.repeat(64),
	'%2e%2e%2e',
	'é',
	'%ff',
	'%',
	'%zz',
	'__proto__',
])('the collection name %s is 4xx and reaches no shard', async (name) => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const before = shard.commands.length
	for (const [method, rest] of [
		['GET', '/records/a'],
		['GET', '/records'],
		['GET', ''],
		['DELETE', ''],
	] as const) {
		expect((await edge.fetch(method, `/v1/collections/${name}${rest}`, { as: key })).status).toBe(400)
	}
	expect(shard.commands.length).toBe(before)
})

test.each([
	['a', 200],
	['A-Z_a.z~0', 200],
	['x'.repeat(128), 200],
	['a%2Db', 200],
	['x'.repeat(129), 400],
	['a%2Fb', 400],
	['a%252Fb', 400],
	['%252e', 400],
	['a%20b', 400],
	['a%00b', 400],
	['%E0%A4%A', 400],
	['caf%C3%A9', 400],
	['a:b', 400],
	["a'b", 400],
	['..', 404],
	['%2e%2e', 404],
])('the record id %s is %i', async (id, status) => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	for (const known of ['a', 'A-Z_a.z~0', 'x'.repeat(128), 'a-b']) {
		await edge.fetch('PUT', `${records}/${known}`, { as: key, body: {} })
	}
	expect(shard.records.size).toBe(4)
	expect((await edge.fetch('GET', `${records}/${id}`, { as: key })).status).toBe(status)
})

test('a list is paged by a sealed cursor that belongs to its query, its collection and its tenant', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const other = await edge.tenant('other')
	for (const id of ['a', 'b', 'c']) await edge.fetch('PUT', `${records}/${id}`, { as: key, body: { id } })
	const ids = async (response: Response) =>
		(await response.json<{ records: { id: string }[] }>()).records.map(({ id }) => id)
	const first = await edge.fetch('GET', `${records}?limit=2&order=id`, { as: key })
	const next = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
	expect(await ids(first)).toEqual(['a', 'b'])
	expect(next.startsWith(`${records}?limit=2&order=id&cursor=`)).toBe(true)
	const second = await edge.fetch('GET', next, { as: key })
	expect([await ids(second), second.headers.get('Link')]).toEqual([['c'], null])
	const codeOf = async (path: string, as: string) => (await problemIn(await edge.fetch('GET', path, { as }))).code
	expect(await codeOf(next, other.key)).toBe('invalid_cursor')
	expect(await codeOf(next.replace('order=id', 'order=id.desc'), key)).toBe('invalid_cursor')
	expect(await codeOf(next.replace('people', 'places'), key)).toBe('invalid_cursor')
	const cursor = new URL(next, 'http://edge.test').searchParams.get('cursor') ?? ''
	for (let i = 0; i < cursor.length; i++) {
		const flipped = cursor.slice(0, i) + (cursor[i] === 'A' ? 'B' : 'A') + cursor.slice(i + 1)
		expect(await codeOf(`${records}?limit=2&order=id&cursor=${flipped}`, key)).toBe('invalid_cursor')
	}
})

test('a search takes its query in the body and pages by the cursor in Link', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	for (const id of ['a', 'b', 'c']) await edge.fetch('PUT', `${records}/${id}`, { as: key, body: { id } })
	const body = { name: 'eq.Ada', limit: 2 }
	const first = await edge.fetch('POST', `${records}/search`, {
		as: key,
		body,
		headers: { Prefer: 'return=minimal, count=exact' },
	})
	expect(first.status).toBe(200)
	expect([first.headers.get('Content-Range'), first.headers.get('Preference-Applied')]).toEqual([
		'0-1/3',
		'count=exact',
	])
	expect(shard.commands.at(-1)?.operation).toMatchObject({
		query: { filter: { kind: 'compare', field: 'name', op: 'eq', value: 'Ada' }, limit: 2 },
	})
	const next = /^<([^>]+)>/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
	expect(next).not.toContain('Ada')
	const second = await edge.fetch('POST', next, { as: key, body })
	expect((await second.json<{ records: unknown[] }>()).records.length).toBe(1)
	const cursor = new URL(next, 'http://edge.test').searchParams.get('cursor')
	const inBody = await edge.fetch('POST', `${records}/search`, { as: key, body: { ...body, cursor } })
	expect((await inBody.json<{ records: unknown[] }>()).records.length).toBe(1)
	expect((await edge.fetch('POST', next, { as: key, body: { ...body, cursor } })).status).toBe(400)
})

test.each([
	'limit=-1',
	'limit=0',
	'limit=1e9',
	'limit=NaN',
	'limit=',
	`limit=${listLimitMax + 1}`,
	'limit=1&limit=2',
	'cursor=',
	'cursor=x',
	'age=18',
	'age=huh.1',
	'order=',
	'select=',
	'%ff=eq.1',
	'a b=eq.1',
])('the list query %s is 400', async (query) => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	expect((await edge.fetch('GET', `${records}?${query}`, { as: key })).status).toBe(400)
})

test('a batch passes its operations on and names the places of its faults', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const post = (operations: unknown) => edge.fetch('POST', '/v1/batch', { as: key, body: { operations } })
	const done = await post([
		{ op: 'create', collection: 'c', data: { b: 1, a: -0 } },
		{ op: 'put', collection: 'c', id: 'x', data: {}, if_match: '*' },
		{ op: 'patch', collection: 'c', id: 'x', data: { a: null }, if_match: '"1-2", W/"3-4"' },
		{ op: 'delete', collection: 'c', id: 'x' },
	])
	expect([done.status, done.headers.get('Freehold-Position')]).toEqual([200, '7'])
	expect(shard.commands.at(-1)?.operation).toEqual({
		name: 'batch',
		operations: [
			{ op: 'create', collection: 'c', data: '{"b":1,"a":0}' },
			{ op: 'put', collection: 'c', id: 'x', data: '{}', ifMatch: '*' },
			{ op: 'patch', collection: 'c', id: 'x', data: '{"a":null}', ifMatch: ['1-2'] },
			{ op: 'delete', collection: 'c', id: 'x' },
		],
	})
	const faults: [unknown, string][] = [
		[1, '/operations/1'],
		[{ op: 'upsert' }, '/operations/1/op'],
		[{ op: 'create', collection: 'C', data: {} }, '/operations/1/collection'],
		[{ op: 'put', collection: 'c', data: {} }, '/operations/1/id'],
		[{ op: 'put', collection: 'c', id: '..', data: {} }, '/operations/1/id'],
		[{ op: 'put', collection: 'c', id: 'a', data: [] }, '/operations/1/data'],
		[{ op: 'delete', collection: 'c', id: 'a', if_match: 'x' }, '/operations/1/if_match'],
		[{ op: 'delete', collection: 'c', id: 'a', if_match: 1 }, '/operations/1/if_match'],
		[{ op: 'create', collection: 'c', id: 'a', data: {} }, '/operations/1/id'],
		[{ op: 'delete', collection: 'c', id: 'a', 'x/y': 1 }, '/operations/1/x~1y'],
	]
	for (const [operation, pointer] of faults) {
		const response = await post([{ op: 'delete', collection: 'c', id: 'x' }, operation])
		expect(response.status).toBe(422)
		expect((await problemIn(response)).errors?.[0]?.pointer).toBe(pointer)
	}
	const deletes = (length: number) => Array.from({ length }, () => ({ op: 'delete', collection: 'c', id: 'x' }))
	expect((await post(deletes(batchOperationsMax))).status).toBe(200)
	expect((await post(deletes(batchOperationsMax + 1))).status).toBe(413)
	for (const operations of [[], {}, null, undefined, 'x']) expect((await post(operations)).status).toBe(422)
})

test('the rate is told when the shard tells it, and Retry-After with a refusal', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	shard.rate = null
	expect((await edge.fetch('GET', `${records}/none`, { as: key })).headers.has('RateLimit')).toBe(false)
	shard.rate = { limit: 100, remaining: 41.7, reset: 3.2 }
	const response = await edge.fetch('GET', `${records}/none`, { as: key })
	expect(response.headers.get('RateLimit')).toBe('"default";r=41;t=4')
	expect(response.headers.get('RateLimit-Policy')).toBe('"default";q=1000;w=10')
	shard.refusal = { code: 'rate_limited', detail: 'too many', retryAfter: 0.2 }
	const limited = await edge.fetch('GET', `${records}/none`, { as: key })
	expect([limited.status, limited.headers.get('Retry-After')]).toEqual([429, '1'])
})

test('[L1] a shard that cannot be reached is 503 with Retry-After, and nothing of the error goes out or into the log', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	edge.failAt = edge.calls + 1
	const response = await edge.fetch('POST', records, { as: key, body: { secret: 'value' } })
	const problem = await problemIn(response)
	expect([response.status, problem.code, response.headers.get('Retry-After')]).toEqual([503, 'unavailable', '1'])
	expect(JSON.stringify(problem)).not.toContain('connection')
	expect(JSON.stringify(edge.logged)).not.toContain('connection lost')
})

test('[L1] long headers of spaces and commas are read in linear time', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const spaces = ' \t'.repeat(30_000)
	const startedAt = performance.now()
	for (const value of [
		`"a"${spaces}x`,
		`,${spaces}x`,
		`"a",${`${spaces},`.repeat(3)}x`,
		`application/json;${spaces}x`,
		`count${spaces}=${spaces}x`,
	]) {
		for (const name of ['If-Match', 'If-None-Match', 'Content-Type', 'Prefer', 'Idempotency-Key', 'Accept']) {
			await edge.fetch('PUT', `${records}/p`, { as: key, body: {}, headers: { [name]: value } })
			await edge.fetch('GET', records, { as: key, headers: { [name]: value } })
		}
	}
	expect(performance.now() - startedAt).toBeLessThan(5_000)
})
