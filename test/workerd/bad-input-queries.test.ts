import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { hostileQueries, hostileSchemas } from '../corpus.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { each } from './each.ts'
import { gatherLog } from './log.ts'
import { canary, expectCalm, readProblem } from './problem.ts'

vi.setConfig({ testTimeout: 120_000 })
const log = gatherLog()
let tenant: NewTenant
const records = '/v1/collections/things/records'

beforeAll(async () => {
	tenant = await newTenant()
	const properties = {
		n: { type: 'integer', 'x-index': true },
		t: { type: 'string' },
		flag: { type: 'boolean' },
		list: { type: 'array' },
		object: { type: 'object' },
	}
	expect((await send('PUT', '/v1/collections/things', tenant.secret, { schema: { properties } })).status).toBe(201)
	const operations = Array.from({ length: 20 }, (_, n) => ({
		op: 'put',
		collection: 'things',
		id: `r${n}`,
		data: { n: Math.floor(n / 3), t: `${canary} ${n}`, flag: n % 2 === 0 },
	}))
	expect((await send('POST', '/v1/batch', tenant.secret, { operations })).status).toBe(200)
})

afterAll(() => expect(log.join('\n')).not.toContain(canary))

test('[L1] a query that cannot be understood is refused by the name of its parameter, in the address and in a body', async () => {
	await each(hostileQueries, async (query) => {
		const name = decodeURIComponent(query.split('=')[0] ?? '')
		const inAddress = await readProblem(await send('GET', `${records}?${query}`, tenant.secret))
		expect([400, 422], query.slice(0, 80)).toContain(inAddress.status)
		expect(inAddress.errors?.[0]?.pointer, query.slice(0, 80)).toBe(name.slice(0, 100))

		const body: Record<string, string | string[]> = {}
		for (const [key, value] of new URLSearchParams(query)) {
			const present = Object.hasOwn(body, key) ? [body[key] ?? []].flat() : []
			const next = present.length > 0 ? [...present, value] : value
			Object.defineProperty(body, key, { value: next, enumerable: true, configurable: true })
		}
		const response = await send('POST', `${records}/search`, tenant.secret, body)
		expect(await expectCalm(response, query.slice(0, 80))).not.toBe(200)
	})
})

test('a value in a filter is never repeated, whatever is wrong with it', async () => {
	const queries = [
		...['n', 'flag', 'version', 'created_at', 'list', 'none'].map((field) => `${field}=eq.${canary}`),
		...['or', 'and', 'not.or', 'order', 'select', 'limit', 'cursor', 't'].map((name) => `${name}=${canary}`),
		...[`n=${canary}.1`, `or=(n.${canary}.1)`, `or=(n.eq.1,${canary})`, `n=in.(${canary})`, `t=is.${canary}`],
		...[`t=like.${canary.repeat(9)}`, `order=n.${canary}`, `order=${canary}.desc`, `t=in.("${canary})`],
	]
	await each(queries, async (query) => {
		const verdict = await expectCalm(await send('GET', `${records}?${query}`, tenant.secret), query)
		expect(verdict, query).not.toBe(200)
	})
})

test('a search body of a wrong shape is refused by the name of its member', async () => {
	const bodies: [object, string][] = [
		[{ n: 1 }, '/n'],
		[{ n: null }, '/n'],
		[{ n: { eq: 1 } }, '/n'],
		[{ n: [1] }, '/n'],
		[{ n: [['eq.1']] }, '/n'],
		[{ 'a/b': 'eq.1' }, '/a~1b'],
		[{ limit: 1.5 }, '/limit'],
		[{ limit: -1 }, '/limit'],
		[{ limit: 0 }, '/limit'],
		[{ limit: 1e9 }, '/limit'],
		[{ limit: true }, '/limit'],
		[{ limit: [1, 2] }, '/limit'],
		[{ order: ['n', 't'] }, '/order'],
		[{ select: ['n', 't'] }, '/select'],
		[{ cursor: '' }, '/cursor'],
	]
	for (const [body, pointer] of bodies) {
		const problem = await readProblem(await send('POST', `${records}/search`, tenant.secret, body))
		expect([problem.status, problem.errors?.[0]?.pointer], JSON.stringify(body)).toEqual([400, pointer])
	}
})

test('a cursor with any character changed, cut, added or spelt otherwise is refused', async () => {
	const query = '?order=n.desc&limit=5'
	const first = await send('GET', records + query, tenant.secret)
	const next = /<([^>]+)>/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
	const cursor = new URL(next, 'https://x').searchParams.get('cursor') ?? ''
	const ask = (changed: string, rest = query) =>
		send('GET', `${records}${rest}&cursor=${encodeURIComponent(changed)}`, tenant.secret)
	expect((await ask(cursor)).status).toBe(200)
	const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
	const flipped = [...cursor].flatMap((char, index) =>
		[1, 8, 32].map(
			(bit) => cursor.slice(0, index) + alphabet.charAt(alphabet.indexOf(char) ^ bit) + cursor.slice(index + 1),
		),
	)
	const spelt = [`${cursor}=`, `${cursor}==`, ` ${cursor}`, `${cursor} `, `${cursor}A`, `${cursor}\n`, `.${cursor}`]
	const cut = [cursor.slice(1), cursor.slice(0, -1), cursor.slice(0, 20), cursor.slice(20), cursor + cursor, 'A']
	const changed = [...flipped, ...spelt, ...cut, '-'.repeat(100), 'null', '{}', btoa('{"values":[],"id":"r1"}')]
	expect(flipped.length).toBeGreaterThan(200)
	await each(changed, async (other) => {
		const problem = await readProblem(await ask(other))
		expect(problem.code, other).toBe('invalid_cursor')
	})
	for (const other of ['?order=n', '?order=n.desc,t', '?order=t.desc', '?order=n.desc&n=gte.0', '?limit=5'])
		expect((await readProblem(await ask(cursor, other))).code, other).toBe('invalid_cursor')
	// Neither the size of a page nor the properties in it decide what follows.
	for (const same of ['?order=n.desc', '?order=n.desc&limit=1', '?order=n.desc&select=t'])
		expect((await ask(cursor, same)).status, same).toBe(200)
})

test('a schema that promises what nobody checks, or costs too much, is refused by the place in it', async () => {
	await each(Object.entries(hostileSchemas), async ([name, schema]) => {
		const response = await send('PUT', '/v1/collections/hostile', tenant.secret, { schema })
		const problem = await readProblem(response)
		expect([problem.code, typeof problem.errors?.[0]?.pointer], name).toEqual(['schema_invalid', 'string'])
	})
	expect((await send('GET', '/v1/collections/hostile', tenant.secret)).status).toBe(404)
})

/** Milliseconds that a single write may take on a busy machine; those below would take hours with a naive engine. */
const patient = 5_000

test('[L1] patterns that make other engines backtrack for ever are judged in linear time', async () => {
	const patterns = [
		'^(a+)+$',
		'^(a|a)*$',
		'^(a|aa)+$',
		'^([a-z]+)*$',
		'(.*a){8}',
		'^(([a-z])+.)+[A-Z]([a-z])+$',
		'(x+x+)+y',
	]
	await each(patterns, async (pattern, index) => {
		const path = `/v1/collections/patterns-${index}`
		const schema = { properties: { text: { type: 'string', pattern } } }
		expect((await send('PUT', path, tenant.secret, { schema })).status, pattern).toBe(201)
		const began = Date.now()
		for (const text of [`${'a'.repeat(200_000)}!`, `${'x'.repeat(200_000)}!`]) {
			const verdict = await expectCalm(await send('POST', `${path}/records`, tenant.secret, { text }), pattern)
			expect([201, 'validation_failed'], pattern).toContain(verdict)
		}
		expect(Date.now() - began, pattern).toBeLessThan(patient)
	})
})

test('[L1] a schema whose branches double at each level is stopped, and says that it was too much', async () => {
	const doubling = (keyword: string, depth: number) => ({
		$defs: Object.fromEntries(
			Array.from({ length: depth }, (_, level) => [
				`d${level}`,
				level === 0
					? { type: 'object' }
					: { [keyword]: [{ $ref: `#/$defs/d${level - 1}` }, { $ref: `#/$defs/d${level - 1}` }] },
			]),
		),
		$ref: `#/$defs/d${depth - 1}`,
	})
	for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
		const path = `/v1/collections/doubling-${keyword.toLowerCase()}`
		const put = await send('PUT', path, tenant.secret, { schema: doubling(keyword, 40) })
		const verdict = await expectCalm(put, keyword)
		expect([201, 'schema_invalid'], keyword).toContain(verdict)
		const began = Date.now()
		const written = await send('POST', `${path}/records`, tenant.secret, { a: 1 })
		expect(await expectCalm(written, keyword), keyword).toBeTypeOf(keyword === 'anyOf' ? 'number' : 'string')
		expect(Date.now() - began, keyword).toBeLessThan(patient)
	}
})

test('large enums, wide objects and long lists of unique items are judged in time', async () => {
	const values = Array.from({ length: 1_000 }, (_, index) => ({ a: [index], b: { c: `${index}` } }))
	const schema = { properties: { one: { enum: values }, many: { type: 'array', uniqueItems: true } } }
	expect((await send('PUT', '/v1/collections/wide', tenant.secret, { schema })).status).toBe(201)
	const write = (data: object) => send('POST', '/v1/collections/wide/records', tenant.secret, data)
	const began = Date.now()
	expect((await write({ one: values[999] })).status).toBe(201)
	expect(await expectCalm(await write({ one: { a: [1], b: { c: canary } } }), 'enum')).toBe('validation_failed')
	const items = Array.from({ length: 20_000 }, (_, index) => [index])
	expect((await write({ many: items })).status).toBe(201)
	expect(await expectCalm(await write({ many: [...items, [7]] }), 'items')).toBe('validation_failed')
	expect(Date.now() - began).toBeLessThan(patient)
})

test('data that a schema refuses is named by its place, and its values are not repeated', async () => {
	const schema = {
		properties: {
			[`${canary}s`]: false,
			type: { type: 'integer' },
			const: { const: 1 },
			enum: { enum: [1] },
			pattern: { pattern: '^[0-9]$' },
			format: { format: 'date-time' },
			length: { maxLength: 1 },
			nested: { items: { properties: { 'a/b~c': { type: 'null' } } } },
			names: { additionalProperties: false },
			not: { not: { type: 'string' } },
		},
		required: ['needed'],
	}
	expect((await send('PUT', '/v1/collections/strict', tenant.secret, { schema })).status).toBe(201)
	const names = ['type', 'const', 'enum', 'pattern', 'format', 'length', 'not']
	const data = {
		...Object.fromEntries(names.map((name) => [name, canary])),
		nested: [{}, { 'a/b~c': canary }],
	}
	const problem = await readProblem(await send('POST', '/v1/collections/strict/records', tenant.secret, data))
	expect(problem.errors?.map(({ pointer }) => pointer).sort()).toEqual(
		['', '/nested/1/a~1b~0c', ...names.map((name) => `/${name}`)].sort(),
	)
	expect(JSON.stringify(problem)).not.toContain(canary)
})
