import { expect, test } from 'vitest'
import { routeTable } from '../../workers/api/routes.ts'
import { Edge } from '../api-ports.ts'

const common = ['X-Content-Type-Options', 'Cache-Control']
const forBrowsers = [
	'Content-Security-Policy',
	'Referrer-Policy',
	'Strict-Transport-Security',
	'Cross-Origin-Resource-Policy',
]

test('every answer has a request id and the security headers, whatever it is', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const toBrowsers = [
		await edge.fetch('GET', '/'),
		await edge.fetch('GET', '/docs'),
		await edge.fetch('GET', '/docs/assets/swagger-ui.css'),
		await edge.fetch('GET', '/openapi.json'),
		await edge.fetch('GET', '/nowhere'),
		await edge.fetch('DELETE', '/v1/tenant'),
		await edge.fetch('OPTIONS', '/v1/tenant'),
		await edge.fetch('GET', '/v1/tenant'),
	]
	const toBearers = [
		await edge.fetch('GET', '/v1/tenant', { as: key }),
		await edge.fetch('HEAD', '/v1/tenant', { as: key }),
		await edge.fetch('DELETE', '/v1/collections/c', { as: key }),
	]
	const answers = [...toBrowsers, ...toBearers]
	const lacking = (answer: Response, names: string[]) => names.filter((name) => !answer.headers.has(name))
	for (const answer of answers) {
		expect(answer.headers.get('X-Request-Id')).toMatch(/^[0-9a-z]{26}$/)
		expect(lacking(answer, common)).toEqual([])
	}
	for (const answer of toBrowsers) expect(lacking(answer, forBrowsers)).toEqual([])
	expect(new Set(answers.map((answer) => answer.headers.get('X-Request-Id'))).size).toBe(answers.length)
})

test.each([
	['abc-1_2.3', true],
	['x'.repeat(64), true],
	['x'.repeat(65), false],
	['a b', false],
	['a"b', false],
	['', false],
])('the request id %j of a client is taken over: %s', async (id, taken) => {
	const response = await new Edge().fetch('GET', '/', { headers: { 'X-Request-Id': id } })
	expect(response.headers.get('X-Request-Id') === id).toBe(taken)
})

test('every path answers a method that it does not take with 405 and Allow', async () => {
	const edge = new Edge()
	for (const path of new Set(routeTable.map((route) => route.path))) {
		const methods = routeTable.filter((route) => route.path === path).map((route) => route.method.toUpperCase())
		const allow = [...methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])), 'OPTIONS']
		const real = path.replaceAll(/\{[a-z]+\}/g, 'x')
		for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PURGE'].filter((one) => !methods.includes(one))) {
			// A search is also a path of a record, whose methods it then takes.
			if (path.endsWith('/search')) continue
			const response = await edge.fetch(method, real)
			expect([path, method, response.status]).toEqual([path, method, 405])
			expect(response.headers.get('Allow')?.split(', ').sort()).toEqual(allow.sort())
			expect(await response.json()).toMatchObject({ code: 'method_not_allowed' })
		}
		const options = await edge.fetch('OPTIONS', real)
		expect([options.status, options.headers.get('Allow')?.includes(methods[0] ?? '')]).toEqual([204, true])
	}
})

test.each([
	'/nowhere',
	'/v1',
	'/v1/',
	'/v1/tenant/',
	'/V1/tenant',
	'//v1/tenant',
	'/v1/keys/a/b',
	'/docs/',
	'/v1/collections/a/records/b/c',
	'/%',
	'/%2',
	'/%c0%af',
	'/%00',
	'/v1%2ftenant',
	'/v1/tenant%00',
	'/v1/%2574enant',
])('the path %j is 404 as a problem', async (path) => {
	const response = await new Edge().fetch('GET', path)
	expect([response.status, response.headers.get('Content-Type')]).toEqual([404, 'application/problem+json'])
})

test('a bug is 500 with the request id, and the log has where it was but not what it said', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	shard.execute = () => {
		throw new TypeError('cannot read "personal value"')
	}
	const response = await edge.fetch('GET', '/v1/tenant', { as: key })
	expect(response.status).toBe(500)
	expect(await response.json()).toMatchObject({ code: 'internal', request_id: response.headers.get('X-Request-Id') })
	const line = edge.logged.find(({ event }) => event === 'uncaught')
	expect(line?.fields).toMatchObject({ request_id: response.headers.get('X-Request-Id'), error: 'TypeError' })
	expect(String(line?.fields.stack)).toContain('at ')
	expect(JSON.stringify(edge.logged)).not.toContain('personal value')
})

test('CORS is off unless it is configured, and then holds for the named origins', async () => {
	const headers = { Origin: 'https://app.example' }
	const off = await new Edge().fetch('GET', '/', { headers })
	expect(off.headers.has('Access-Control-Allow-Origin')).toBe(false)
	const named = new Edge({ corsOrigins: ['https://app.example', 'https://b.example'] })
	const allowed = await named.fetch('GET', '/', { headers })
	expect(allowed.headers.get('Access-Control-Allow-Origin')).toBe('https://app.example')
	expect(allowed.headers.get('Access-Control-Expose-Headers')).toContain('ETag')
	expect(allowed.headers.get('Vary')).toBe('Origin')
	expect(
		(await named.fetch('GET', '/', { headers: { Origin: 'https://evil.example' } })).headers.has(
			'Access-Control-Allow-Origin',
		),
	).toBe(false)
	const preflight = await named.fetch('OPTIONS', '/v1/batch', {
		headers: { ...headers, 'Access-Control-Request-Method': 'POST' },
	})
	expect([preflight.status, preflight.headers.get('Access-Control-Allow-Methods')?.includes('PATCH')]).toEqual([
		204,
		true,
	])
	expect(preflight.headers.get('Access-Control-Allow-Headers')).toContain('Idempotency-Key')
	const any = await new Edge({ corsOrigins: ['*'] }).fetch('GET', '/v1/tenant', { headers })
	expect([any.status, any.headers.get('Access-Control-Allow-Origin')]).toEqual([401, '*'])
})

test('the console is one page at all its addresses, from here alone, and its files are kept for good', async () => {
	const edge = new Edge()
	for (const path of ['/console', '/console/tenants', '/console/erasures/eu_1']) {
		const page = await edge.fetch('GET', path)
		expect(await page.text()).toBe('/* /console/index.html */')
		const policy = page.headers.get('Content-Security-Policy')
		expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
		expect(policy).not.toMatch(/unsafe|https?:/)
		expect(page.headers.get('Cache-Control')).toBe('no-store')
	}
	const script = await edge.fetch('GET', '/console-files/index-Ab_3-x.js')
	expect(await script.text()).toBe('/* /console/index-Ab_3-x.js */')
	expect(script.headers.get('Content-Type')).toBe('text/javascript; charset=utf-8')
	expect(script.headers.get('Cache-Control')).toContain('immutable')
	for (const none of ['absent.js', 'index.html', 'x.map', '__proto__', '..%2findex.js', 'a.constructor'])
		expect((await edge.fetch('GET', `/console-files/${none}`)).status, none).toBe(404)
})

test('the docs page loads everything from here and runs no inline script', async () => {
	const edge = new Edge()
	const page = await edge.fetch('GET', '/docs')
	expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'none'; script-src 'self'")
	expect(page.headers.get('Content-Security-Policy')).not.toContain('unsafe')
	const html = await page.text()
	const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
	expect(links.length).toBe(4)
	for (const link of links) expect((await edge.fetch('GET', link)).status).toBe(200)
	expect(html).not.toMatch(/<script(?![^>]* src=)/)
	expect((await edge.fetch('GET', '/docs/assets/index.html')).status).toBe(404)
	expect((await edge.fetch('GET', '/docs/assets/__proto__')).status).toBe(404)
})
