import { env } from 'cloudflare:workers'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { ruleNames } from '../../core/alert.ts'
import { createApp } from '../../workers/api/app.ts'
import { routeTable } from '../../workers/api/routes.ts'
import type { Env } from '../../workers/env.ts'
import { apiPorts } from '../../workers/wire.ts'
import { brokenEntityTags, brokenNumbers, brokenUtf8, refusedJson, strangeSegments, strangeTexts } from '../corpus.ts'
import { type NewTenant, newTenant, request, send } from './client.ts'
import { each } from './each.ts'
import { gatherLog } from './log.ts'
import { canary, expectCalm, readProblem } from './problem.ts'

const bindings = env as unknown as Env
vi.setConfig({ testTimeout: 120_000 })
const log = gatherLog()
let tenant: NewTenant

beforeAll(async () => {
	tenant = await newTenant()
	expect((await send('PUT', '/v1/collections/things', tenant.secret, { schema: {} })).status).toBe(201)
	expect((await send('PUT', '/v1/collections/things/records/x', tenant.secret, { n: 1 })).status).toBe(201)
})

afterAll(() => {
	expect(log.length).toBeGreaterThan(1_000)
	expect(log.join('\n')).not.toContain(canary)
})

interface Target {
	name: string
	method: string
	path: string
	bearer: string | null
	/** A body that would be accepted. */
	body: object | undefined
}

const example: Record<string, string> = { collection: 'things', file: 'swagger-ui.css', rule: ruleNames[0] }
const bodies: Record<string, object> = {
	'post /v1/tenants': { slug: 'never-made', name: 'Never' },
	'patch /v1/tenants/{id}': { name: 'Tenant' },
	'post /v1/view/rebuild': { region: 'eu' },
	'delete /v1/tenant': { slug: 'another' },
	'put /v1/silences/{rule}': { minutes: 0 },
	'post /v1/incidents': { title: 'Slow', text: 'We look.' },
	'post /v1/incidents/{id}/notes': { status: 'resolved', text: 'Gone.' },
	'put /v1/collections/{collection}': { schema: {} },
	'post /v1/collections/{collection}/records': { n: 1 },
	'put /v1/collections/{collection}/records/{id}': { n: 1 },
	'patch /v1/collections/{collection}/records/{id}': { n: 1 },
	'post /v1/collections/{collection}/records/search': {},
	'post /v1/batch': { operations: [{ op: 'put', collection: 'things', id: 'x', data: {} }] },
	'post /v1/keys': { scopes: ['read'] },
	'post /v1/webhooks': { url: 'https://hooks.freehold.dev/x' },
	'patch /v1/webhooks/{id}': { description: null },
	'post /v1/webhooks/{id}/rotate-secret': { keep_previous_seconds: 1 },
	'post /v1/exports': { csv: true },
	'post /v1/imports': { parts: 2 },
	'post /v1/tenants/{id}/exports': {},
	'post /v1/tenants/{id}/imports': {},
	'put /v1/tenants/{id}/move': { to: `eu_${'0'.repeat(26)}` },
	'post /v1/tenants/{id}/rewind': { at: '2020-01-01T00:00:00Z' },
	'post /v1/tenants/{id}/move/handover': { as_of_seq: 1 },
}

const queries: Record<string, string> = {
	'get /v1/view/records': '?collection=things',
	// The tenant of this file lives on.
	'delete /v1/tenants/{id}': '?grace_seconds=86400',
	'delete /v1/tenant': '?grace_seconds=86400',
}

/** Every route with parameters that exist and the credential that it wants; `fill` puts something else in a parameter's place. */
function targets(fill?: string): Target[] {
	return routeTable.map(({ method, path, access }) => {
		const name = `${method} ${path}`
		const own = path.startsWith('/v1/tenants') ? tenant.id : /^\/v1\/(keys|webhooks)/.test(path) ? '0'.repeat(26) : 'x'
		const filled = path.replaceAll(/\{([a-z]+)\}/g, (_, parameter) => fill ?? example[parameter] ?? own)
		const query = queries[name] ?? ''
		const bearers = { public: null, tenant: tenant.secret, operator: bindings.OPERATOR_TOKEN }
		const bearer = bearers[access.audience]
		return { name, method: method.toUpperCase(), path: filled + query, bearer, body: bodies[name] }
	})
}

const withBody = () => targets().filter(({ body }) => body !== undefined)
const add = (path: string, query: string) => path + (path.includes('?') ? '&' : '?') + query

test('every route that takes a body is tried with broken ones', () => {
	const taking = routeTable.filter(({ takesBody }) => takesBody)
	expect(withBody().map(({ name }) => name)).toEqual(taking.map(({ method, path }) => `${method} ${path}`))
})

test('[L1] a body that is no JSON is refused by every route, and nothing of it is repeated', async () => {
	for (const { name, method, path, bearer } of withBody()) {
		await each(Object.entries(refusedJson), async ([kind, text]) => {
			const response = await send(method, path, bearer, text.replaceAll('"a', `"${canary}`))
			expect(await expectCalm(response, `${name}: ${kind}`)).toMatch(/^(invalid_json|validation_failed)$/)
		})
		await each(Object.values(brokenUtf8), async (bytes) => {
			const body = new Uint8Array([0x7b, 0x22, ...bytes, 0x22, 0x7d])
			const response = await appFetch(new Request(request(method, path, bearer, '{}'), { body }))
			expect(await expectCalm(response, name)).toBe('invalid_json')
		})
	}
})

test('[L1] nesting from two levels to a hundred thousand is taken or refused by every route, and stops nothing', async () => {
	const nests: [string, string][] = [
		['[', ']'],
		['{"a":', '}'],
		['[{"a":', '}]'],
		['[', ''],
		['{"a":', ''],
		['', ']'],
	]
	for (const { name, method, path, bearer } of withBody()) {
		for (const [open, close] of nests) {
			for (const depth of [2, 32, 63, 64, 65, 500, 5_000, 20_000, 100_000]) {
				const inner = open.repeat(depth) + (close === '' ? '' : '1') + close.repeat(depth)
				for (const text of [inner, `{"v":${inner}}`]) {
					const verdict = await expectCalm(await send(method, path, bearer, text), `${name}: ${depth} ${open}`)
					if (depth > 65) expect(verdict, `${name}: ${depth} ${open}`).toBe('invalid_json')
				}
			}
		}
	}
})

test('[L1] a body of the wrong shape is refused by every route, naming the place', async () => {
	const scalars = ['null', 'true', '0', '""', '[]', '[{}]', `"${canary}"`, `["${canary}"]`, `[["${canary}"]]`]
	const values = [null, true, 0, -1, 1.5, canary, [], [canary], {}, { a: canary }, [[[]]]]
	for (const { name, method, path, bearer, body = {} } of withBody()) {
		await each(scalars, async (text) => {
			const verdict = await expectCalm(await send(method, path, bearer, text), `${name}: ${text}`)
			expect(verdict, `${name}: ${text}`).toBe('validation_failed')
		})
		// Each known member in turn with each kind of value, then without it, then beside one that nobody knows.
		const members = [...Object.keys(body), 'id', 'region', 'limits', 'expires_at', 'name', 'status', canary]
		const mutants = members.flatMap((member) => [
			...values.map((value) => ({ ...body, [member]: value })),
			Object.fromEntries(Object.entries(body).filter(([other]) => other !== member)),
		])
		await each(mutants, async (mutant) => {
			const named = JSON.stringify(mutant).includes(`"${canary}":`)
			const response = await send(method, path, bearer, mutant)
			if (!named) await expectCalm(response, `${name}: ${JSON.stringify(mutant)}`)
			else expect(response.status, name).toBeLessThan(500)
		})
	}
})

test('the operations of a batch are refused one by one, naming the operation', async () => {
	const good = { op: 'put', collection: 'things', id: 'x', data: { n: 1 } }
	const wrong: [unknown, string][] = [
		[null, ''],
		[[], ''],
		['put', ''],
		[{}, '/op'],
		[{ ...good, op: 'PUT' }, '/op'],
		[{ ...good, op: canary }, '/op'],
		[{ ...good, op: ['put'] }, '/op'],
		[{ ...good, collection: canary.toUpperCase() }, '/collection'],
		[{ ...good, collection: 1 }, '/collection'],
		[{ ...good, id: `${canary}/` }, '/id'],
		[{ ...good, id: '' }, '/id'],
		[{ ...good, id: '..' }, '/id'],
		[{ ...good, id: 7 }, '/id'],
		[{ ...good, id: 'a'.repeat(129) }, '/id'],
		[{ ...good, data: canary }, '/data'],
		[{ ...good, data: [canary] }, '/data'],
		[{ ...good, data: null }, '/data'],
		[{ op: 'put', collection: 'things', id: 'x' }, '/data'],
		[{ op: 'delete', collection: 'things', id: 'x', data: {} }, '/data'],
		[{ op: 'create', collection: 'things', id: 'x', data: {} }, '/id'],
		[{ op: 'create', collection: 'things', data: {}, if_match: '"1-1"' }, '/if_match'],
		[{ ...good, if_match: 1 }, '/if_match'],
		...brokenEntityTags.map((tag): [unknown, string] => [{ ...good, if_match: tag }, '/if_match']),
	]
	const before = await tagOf('/v1/collections/things/records/x')
	await each(wrong, async ([operation, place]) => {
		const response = await send('POST', '/v1/batch', tenant.secret, { operations: [good, operation] })
		const problem = await readProblem(response)
		expect(problem, JSON.stringify(operation)).toMatchObject({
			status: 422,
			errors: expect.arrayContaining([{ pointer: `/operations/1${place}`, detail: expect.any(String) }]),
		})
		expect(JSON.stringify(problem)).not.toContain(canary)
	})
	expect(await tagOf('/v1/collections/things/records/x')).toBe(before)
})

test('a media type that is not taken is 415, saying which one is', async () => {
	const wrong = [
		...['', 'text/plain', 'text/json', 'application/xml', 'application/x-www-form-urlencoded', 'multipart/form-data'],
		...['application/json; charset=iso-8859-1', 'application/json; charset=utf-16', 'application/json, text/plain'],
		...['application/jsonx', 'json', '*/*', 'application/*', 'application/json; a="', canary],
	]
	for (const { name, method, path, bearer, body } of withBody()) {
		const media = name.startsWith('patch /v1/collections') ? 'application/merge-patch+json' : 'application/json'
		const other = media === 'application/json' ? 'application/merge-patch+json' : 'application/json'
		for (const type of [...wrong, other]) {
			const response = await send(method, path, bearer, body, { 'Content-Type': type })
			const problem = await readProblem(response)
			expect(problem.code, `${name}: ${type}`).toBe('unsupported_media_type')
			expect(problem.detail).toContain(media)
			expect(JSON.stringify(problem)).not.toContain(canary)
		}
		for (const type of [media.toUpperCase(), `${media};charset=UTF-8`, `${media} ; charset="utf-8"`])
			expect(
				await expectCalm(await send(method, path, bearer, '[]', { 'Content-Type': type }), `${name}: ${type}`),
			).toBe('validation_failed')
	}
})

test('[L1] a strange segment in the place of any parameter is a plain 4xx, or another route', async () => {
	await each(strangeSegments, async (segment) => {
		for (const { name, method, path, bearer, body } of targets(segment)) {
			if (!name.includes('{')) continue
			const response = await send(method, path, bearer, body)
			expect(response.headers.has('X-Injected'), name).toBe(false)
			await expectCalm(response, `${method} ${path}`)
		}
	})
})

test('broken and repeated parameters of the query are refused by name, on every route', async () => {
	const queries = [
		'%',
		'%ff=%ff',
		'%00=1',
		'a[]=1&a[b]=2',
		'__proto__=1',
		'constructor=1',
		`${canary.repeat(3)}=1`,
		'limit=1&limit=2',
		'cursor=',
		`cursor=${canary}`,
		`cursor=${'A'.repeat(10_000)}`,
		`region=${canary}`,
		`tenant=${canary}`,
		`tenant=${tenant.id}&region=global`,
		`after=${canary}`,
		Array.from({ length: 3_000 }, (_, index) => `p${index}=1`).join('&'),
		...brokenNumbers.flatMap((number) => [
			`limit=${encodeURIComponent(number)}`,
			`after=${encodeURIComponent(number)}`,
		]),
		'limit=0',
		'limit=1001',
	]
	for (const { name, method, path, bearer, body } of targets()) {
		if (name.startsWith('delete') || name === 'post /v1/tenants') continue
		await each(queries, async (query) => {
			const response = await send(method, add(path, query), bearer, body)
			if (query.includes(canary.repeat(3))) expect(response.status).toBeLessThan(504)
			else await expectCalm(response, `${name} ${query.slice(0, 60)}`)
		})
	}
	for (const list of ['/v1/collections', '/v1/keys', '/v1/webhooks', '/v1/changes', '/v1/collections/things/records']) {
		for (const limit of [...brokenNumbers, '0', '1001']) {
			const response = await send('GET', `${list}?limit=${encodeURIComponent(limit)}`, tenant.secret)
			const problem = await readProblem(response)
			expect(problem, `${list} limit=${limit}`).toMatchObject({ status: 400, errors: [{ pointer: 'limit' }] })
		}
	}
})

test('preconditions that are not well-formed are refused, wherever they could decide something', async () => {
	const record = '/v1/collections/things/records/conditional'
	const put = await send('PUT', record, tenant.secret, { n: 1 })
	const tag = put.headers.get('ETag') ?? ''
	expect(tag).toMatch(/^"1-[0-9]+"$/)
	const cases: [string, string][] = [
		['PUT', 'If-Match'],
		['PUT', 'If-None-Match'],
		['PATCH', 'If-Match'],
		['DELETE', 'If-Match'],
		['GET', 'If-None-Match'],
	]
	for (const [method, header] of cases) {
		for (const value of brokenEntityTags) {
			const body = method === 'GET' || method === 'DELETE' ? undefined : { n: 2 }
			const response = await send(method, record, tenant.secret, body, { [header]: value })
			const problem = await readProblem(response)
			expect(problem, `${method} ${header}: ${value}`).toMatchObject({ status: 400, errors: [{ pointer: header }] })
		}
	}
	const inside = tag.slice(1, -1)
	const stale = ['"9-9"', '"1-1"', '""', `W/${tag}`, '"a", "b"', `"${inside}x"`, `"${inside}0"`, `"0${inside}"`]
	for (const value of stale)
		expect((await send('PUT', record, tenant.secret, { n: 2 }, { 'If-Match': value })).status, value).toBe(412)
	expect(await tagOf(record)).toBe(tag)
})

test('[L1] headers with anything in them change nothing but what they are for', async () => {
	const isHeader = (text: string) => /^[\x20-\x7e]+$/.test(text) && text.length < 4_000
	const values = [...strangeTexts.filter(isHeader), 'x'.repeat(4_000), ',,,', 'a=b;c="d', '"', '\\"']
	const names = ['X-Request-Id', 'Prefer', 'Accept', 'Range', 'Cookie', 'Origin', 'Content-Encoding', 'Accept-Encoding']
	const read = targets().filter((target) => target.method === 'GET')
	for (const [turn, { name, method, path, bearer }] of read.entries()) {
		// Each route takes every eighth value, and its neighbour the next ones, so that each value meets several routes.
		const share = values.filter((_, index) => index % 8 === turn % 8)
		await each(share, async (value) => {
			const response = await send(method, path, bearer, undefined, Object.fromEntries(names.map((one) => [one, value])))
			expect(response.headers.get('X-Request-Id'), value).toMatch(/^[A-Za-z0-9._-]{1,64}$/)
			const verdict = await expectCalm(response, `${name}: ${value}`)
			expect([200, 'not_found', 'view_unavailable'], `${name}: ${value}`).toContain(verdict)
		})
	}
})

test('an idempotency key that is not one is refused by every route that takes it', async () => {
	const keys = ['', ' ', 'a b', '"', '""', '"open', '"a"b"', '"a\\b"', 'a\tb', 'x'.repeat(256)]
	const taking = routeTable.filter(({ mutates }) => mutates).map(({ method, path }) => `${method} ${path}`)
	const tried = targets().filter(({ name }) => taking.includes(name))
	expect(tried.length).toBeGreaterThan(8)
	for (const { name, method, path, bearer, body } of tried) {
		for (const key of keys) {
			const response = await send(method, path, bearer, body, { 'Idempotency-Key': key })
			const problem = await readProblem(response)
			expect(problem, `${name}: ${key}`).toMatchObject({ status: 400, errors: [{ pointer: 'Idempotency-Key' }] })
		}
	}
})

test('a broken Authorization is 401 everywhere, and nothing of it is repeated', async () => {
	const forms = [
		...['Bearer', 'Bearer  ', 'bearer x', `Token ${canary}`, canary, `Bearer ${canary} ${canary}`, 'Bearer "x"'],
		...[`Bearer ${'x'.repeat(513)}`, `Bearer ${'x'.repeat(20_000)}`, 'Bearer fhk_', `Bearer fhk_${canary}`],
		...[`Bearer ${tenant.secret}x`, `Bearer ${tenant.secret.toUpperCase()}`, `Bearer x${tenant.secret}`],
		...[`Bearer ${tenant.secret}, Bearer ${tenant.secret}`, `Basic ${tenant.secret}`, 'Bearer fhk____'],
		...[`Bearer ${tenant.secret.replace(/_[^_]+$/, '')}`, `Bearer ${tenant.secret.replaceAll('_', '-')}`],
	]
	for (const { name, method, path, bearer, body } of targets()) {
		if (bearer === null) continue
		await each(forms, async (form) => {
			const response = await send(method, path, null, body, { Authorization: form })
			expect(response.headers.get('WWW-Authenticate'), name).toContain('Bearer')
			expect(await expectCalm(response, `${name}: ${form}`), `${name}: ${form}`).toBe('unauthorized')
		})
	}
})

test('other methods are 405 with what is allowed, HEAD is GET without a body, OPTIONS answers everywhere', async () => {
	for (const { name, path, method, bearer } of targets()) {
		for (const other of ['PROPFIND', 'PURGE', 'QUERY']) {
			const response = await appFetch(request(other, path, bearer))
			const problem = await readProblem(response)
			expect(problem.code, `${other} ${name}`).toBe('method_not_allowed')
			expect(response.headers.get('Allow'), name).toContain(method)
		}
		const options = await send('OPTIONS', path, null)
		expect([options.status, await options.text()], name).toEqual([204, ''])
		expect(options.headers.get('Allow'), name).toContain(method)
		if (method !== 'GET') continue
		const [head, get] = [await send('HEAD', path, bearer), await send('GET', path, bearer)]
		expect([head.status, await head.text()], name).toEqual([get.status, ''])
		await get.body?.cancel()
	}
	for (const path of ['/v1', '/v1/', '/v2/tenant', '/v1/tenant/', '//v1/tenant', '/v1//tenant', '/V1/tenant', '/%'])
		expect((await readProblem(await send('GET', path, tenant.secret))).code, path).toBe('not_found')
})

test('[L1] a body whose length is unknown, wrong or a lie is read to its end or refused', async () => {
	const path = '/v1/collections/things/records'
	const bytes = new TextEncoder().encode(JSON.stringify({ text: canary }))
	const inPieces = (pieces: number[], end: 'close' | 'error') =>
		new ReadableStream<Uint8Array>({
			async start(controller) {
				for (const piece of pieces) controller.enqueue(bytes.slice(piece, piece + 1))
				if (end === 'close') controller.close()
				else controller.error(new Error('the client went away'))
			},
		})
	const post = (body: BodyInit, headers: Record<string, string> = {}) => {
		const asked = request('POST', path, tenant.secret, '{}', headers)
		return appFetch(new Request(asked.url, { method: 'POST', headers: asked.headers, body }))
	}
	const all = [...bytes.keys()]
	expect((await post(inPieces(all, 'close'))).status).toBe(201)
	expect(await expectCalm(await post(inPieces(all.slice(0, -1), 'close')), 'cut')).toBe('invalid_json')
	expect(await expectCalm(await post(inPieces(all.slice(0, -1), 'error')), 'broken off')).toBe('invalid_request')
	expect((await readProblem(await post(bytes, { 'Content-Length': '4000001' }))).code).toBe('payload_too_large')
	expect((await readProblem(await post(bytes, { 'Content-Length': '9'.repeat(30) }))).code).toBe('payload_too_large')
	for (const length of ['0', '1', '100000', '-1', 'NaN', '1e3', '', '0x10', `${bytes.length}, ${bytes.length}`])
		expect((await post(bytes, { 'Content-Length': length })).status, length).toBeLessThan(500)
})

async function tagOf(record: string): Promise<string | null> {
	return (await send('GET', record, tenant.secret)).headers.get('ETag')
}

/** The application itself, for requests that no client of the platform would send. */
async function appFetch(asked: Request): Promise<Response> {
	return createApp(apiPorts(bindings)).fetch(asked, bindings)
}
