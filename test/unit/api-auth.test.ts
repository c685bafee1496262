import { expect, test } from 'vitest'
import { mintTenantId, type Region } from '../../core/ids.ts'
import { mintKey } from '../../core/keys.ts'
import { routeTable } from '../../workers/api/routes.ts'
import { Edge } from '../api-ports.ts'

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)

function pathOf(pattern: string, id: string): string {
	return pattern
		.replace('/v1/tenants/{id}', `/v1/tenants/${id}`)
		.replace('/v1/keys/{id}', `/v1/keys/${id.slice(-26)}`)
		.replace('{collection}', 'c')
		.replace('{id}', 'r')
		.replace('{file}', 'swagger-ui.css')
}

/** A request that nothing is wrong with but perhaps its credential. */
function call(edge: Edge, route: (typeof routeTable)[number], id: string, as?: string): Promise<Response> {
	const bodies: Record<string, object> = {
		'post /v1/tenants': { slug: 'new', name: 'New' },
		'post /v1/keys': { scopes: ['read'] },
		'put /v1/collections/{collection}': { schema: {} },
		'post /v1/batch': { operations: [{ op: 'delete', collection: 'c', id: 'r' }] },
	}
	const body =
		bodies[`${route.method} ${route.path}`] ?? (['post', 'put', 'patch'].includes(route.method) ? {} : undefined)
	const query = route.path === '/v1/view/records' ? '?collection=c' : ''
	return edge.fetch(route.method.toUpperCase(), pathOf(route.path, id) + query, {
		...(body && { body }),
		...(as !== undefined && { as }),
	})
}

const guarded = routeTable.filter(({ access }) => access.audience !== 'public')

test.each(guarded.map((route) => [route.method, route.path, route] as const))(
	'[T3] %s %s calls nothing for a missing, made-up or foreign credential',
	async (_method, _path, route) => {
		const edge = new Edge()
		const { id, key } = await edge.tenant()
		const before = edge.calls
		const forged = mintKey(id, 'not a signing secret', 0, random).secret
		const flipped = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')
		const credentials = [
			undefined,
			'',
			'x',
			'fhk_',
			forged,
			flipped,
			`${key} `.repeat(2),
			key.toUpperCase(),
			'root-token2',
			'x'.repeat(10_000),
		]
		for (const as of credentials) {
			const response = await call(edge, route, id, as)
			expect(response.status).toBe(401)
			expect(response.headers.get('WWW-Authenticate')).toContain('Bearer')
			expect(await response.json()).toMatchObject({ code: 'unauthorized' })
		}
		expect(edge.calls).toBe(before)
	},
)

test.each(guarded.map((route) => [route.method, route.path, route] as const))(
	'%s %s answers a credential of the wrong kind or scope with 403, and the right one',
	async (_method, _path, route) => {
		const edge = new Edge()
		const { id, key } = await edge.tenant()
		const before = edge.calls
		const tenantOnly = route.access.audience === 'tenant'
		const holders = {
			admin: ['root-token'],
			read: ['root-token', 'reader-token'],
			metrics: ['root-token', 'scraper-token'],
		}
		const allowed = route.access.audience === 'operator' ? holders[route.access.scope] : []
		const wrong = [...(tenantOnly ? [] : [key]), 'root-token', 'reader-token', 'scraper-token'].filter(
			(as) => !allowed.includes(as),
		)
		for (const as of wrong) {
			const response = await call(edge, route, id, as)
			expect([as, response.status]).toEqual([as, 403])
			expect(response.headers.get('WWW-Authenticate')).toContain('insufficient_scope')
		}
		expect(edge.calls).toBe(before)
		const right = tenantOnly ? [key] : allowed
		for (const as of right) expect((await call(edge, route, id, as)).status).not.toBeOneOf([401, 403])
	},
)

test('public routes take no credential', async () => {
	const edge = new Edge()
	for (const route of routeTable.filter(({ access }) => access.audience === 'public')) {
		expect((await call(edge, route, 'x')).status).toBe(200)
	}
})

test('[T1] the key decides the tenant: nothing in a request can name another', async () => {
	const edge = new Edge()
	const mine = await edge.tenant('mine')
	const theirs = await edge.tenant('theirs')
	const before = theirs.shard.commands.length
	const names = [theirs.id, `${theirs.id}/0`, `../${theirs.id}`, `..%2f${theirs.id}`]
	for (const name of names) {
		await edge.fetch('GET', `/v1/tenant?tenant=${name}`, { as: mine.key, headers: { 'X-Tenant': theirs.id } })
		await edge.fetch('GET', `/v1/collections/${name}/records/a`, { as: mine.key })
		await edge.fetch('POST', '/v1/collections/c/records', { as: mine.key, body: { tenant: theirs.id } })
		await edge.fetch('POST', '/v1/keys', { as: mine.key, body: { scopes: ['read'], tenant: theirs.id } })
		await edge.fetch('GET', `/v1/tenants/${name}`, { as: mine.key })
	}
	expect(theirs.shard.commands.length).toBe(before)
	expect(mine.shard.commands.every(({ tenant }) => tenant === mine.id)).toBe(true)
	expect(edge.objectCalls.filter((name) => name.startsWith(theirs.id))).toEqual([`${theirs.id}/0 provision`])
})

test('[T3] a made-up tenant id ends at the control object', async () => {
	const edge = new Edge()
	const { id } = await edge.tenant()
	const before = edge.objectCalls.length
	const madeUp = mintTenantId('eu' as Region, 0, random)
	const elsewhere = id.replace('eu_', 'us_')
	for (const name of [madeUp, elsewhere, id.replace('eu_', 'global_'), 'x', id.toUpperCase(), `${id}0`]) {
		expect((await edge.fetch('GET', `/v1/tenants/${name}`, { as: 'root-token' })).status).toBe(404)
		expect((await edge.fetch('PATCH', `/v1/tenants/${name}`, { as: 'root-token', body: {} })).status).toBe(404)
	}
	edge.controls.set(madeUp, { control: { state: 'provisioning', epoch: 1, createdAt: 0 }, etag: '1' })
	expect((await edge.fetch('GET', `/v1/tenants/${madeUp}`, { as: 'root-token' })).status).toBe(404)
	expect(edge.objectCalls.length).toBe(before)
	expect((await edge.fetch('GET', `/v1/tenants/${id}`, { as: 'root-token' })).status).toBe(200)
})

test('a key that the shard does not know any more is 401 with a challenge', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	shard.keys.clear()
	const response = await edge.fetch('GET', '/v1/tenant', { as: key })
	expect([response.status, response.headers.get('WWW-Authenticate')]).toEqual([
		401,
		'Bearer realm="freehold", error="invalid_token"',
	])
})

test('a request without a credential is not told of an error', async () => {
	const response = await new Edge().fetch('GET', '/v1/tenant')
	expect(response.headers.get('WWW-Authenticate')).toBe('Bearer realm="freehold"')
})

test('the log of a refused request names its route and tenant, and holds nothing of path, query or body', async () => {
	const edge = new Edge()
	const { id, key } = await edge.tenant()
	await edge.fetch('PUT', '/v1/collections/c/records/person-7?secret=query', {
		as: key,
		body: { secret: 'body' },
		headers: { 'X-Request-Id': 'mine-1', 'If-Match': 'secret' },
	})
	const line = edge.logged.at(-1)
	expect(line).toEqual({
		level: 'info',
		event: 'request',
		fields: {
			request_id: 'mine-1',
			tenant: id,
			method: 'PUT',
			route: '/v1/collections/{collection}/records/{id}',
			status: 400,
			ms: 0,
		},
	})
	expect(JSON.stringify(edge.logged)).not.toMatch(/person-7|secret|fhk_/)
})
