import { expect, test } from 'vitest'
import { hashSecret, parseKey } from '../../core/keys.ts'
import { accept } from '../../core/refusal.ts'
import { Edge } from '../api-ports.ts'

const body = { slug: 'acme', name: 'Acme', region: 'eu' }

function create(edge: Edge, options: { body?: object; key?: string; as?: string } = {}): Promise<Response> {
	const headers: Record<string, string> = options.key === undefined ? {} : { 'Idempotency-Key': options.key }
	return edge.fetch('POST', '/v1/tenants', { as: options.as ?? 'root-token', body: options.body ?? body, headers })
}

/** What U2 asks of the state between requests: every owner of the slug can still become active, or is. */
function owners(edge: Edge): string[] {
	return [...edge.claims]
		.filter(([name, claim]) => name.startsWith('slug/') && claim.tenant !== null)
		.map(([, claim]) => claim.tenant ?? '')
}

function active(edge: Edge): string[] {
	return [...edge.controls].filter(([, { control }]) => control.state === 'active').map(([id]) => id)
}

test('a tenant is created in its region, and its first key works', async () => {
	const edge = new Edge()
	const response = await create(edge)
	expect(response.status).toBe(201)
	const created = await response.json<{ id: string; api_key: { id: string; secret: string; scopes: string[] } }>()
	expect(created).toMatchObject({
		slug: 'acme',
		name: 'Acme',
		region: 'eu',
		status: 'active',
		created_at: '2026-11-22T00:00:00.000Z',
	})
	expect(response.headers.get('Location')).toBe(`/v1/tenants/${created.id}`)
	expect(parseKey(created.api_key.secret, ['signing-new'])).toMatchObject({
		tenant: created.id,
		keyId: created.api_key.id,
	})
	expect(created.api_key.scopes).toEqual(['read', 'write', 'schema', 'export', 'erase', 'keys'])
	expect((await edge.fetch('GET', '/v1/tenant', { as: created.api_key.secret })).status).toBe(200)
	const read = await edge.fetch('GET', `/v1/tenants/${created.id}`, { as: 'reader-token' })
	expect(await read.json()).toMatchObject({
		id: created.id,
		limits: { requests_per_second: 1_000 },
		usage: { records: 0 },
	})
	const byDefault = await create(edge, { body: { slug: 'other', name: 'Other' } })
	expect(await byDefault.json()).toMatchObject({ region: 'global' })
})

test('[U2] a slug has one owner over all regions', async () => {
	const edge = new Edge()
	expect((await create(edge)).status).toBe(201)
	const second = await create(edge, { body: { ...body, region: 'global' } })
	expect([second.status, await second.json()]).toMatchObject([409, { code: 'slug_taken' }])
	expect(active(edge).length).toBe(1)
	const both = await Promise.all([1, 2, 3, 4].map(() => create(edge, { body: { ...body, slug: 'race' } })))
	expect(both.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409])
})

test.each([
	[{ slug: 'Acme' }, '/slug'],
	[{ slug: '-a' }, '/slug'],
	[{ slug: 'a-' }, '/slug'],
	[{ slug: '' }, '/slug'],
	[{ slug: 'x'.repeat(64) }, '/slug'],
	[{ slug: 'a_b' }, '/slug'],
	[{ slug: 7 }, '/slug'],
	[{ slug: undefined }, '/slug'],
	[{ name: '' }, '/name'],
	[{ name: ' ' }, '/name'],
	[{ name: 'x'.repeat(201) }, '/name'],
	[{ region: 'mars' }, '/region'],
	[{ region: 'EU' }, '/region'],
	[{ region: null }, '/region'],
	[{ 'x/y': 1 }, '/x~1y'],
])('the input %j is 422 at %s', async (change, pointer) => {
	const edge = new Edge()
	const response = await create(edge, { body: { ...body, ...change } })
	expect(response.status).toBe(422)
	expect((await response.json<{ errors: { pointer: string }[] }>()).errors[0]?.pointer).toBe(pointer)
	expect(edge.calls).toBe(0)
})

test.each(['a', '0', 'x'.repeat(63), 'a--b'])('the slug %s is taken', async (slug) => {
	expect((await create(new Edge(), { body: { ...body, slug } })).status).toBe(201)
})

test('[I1] a retry with the same key is answered byte for byte, and the secret rests sealed', async () => {
	const edge = new Edge()
	const first = await create(edge, { key: 'k' })
	const text = await first.text()
	const { secret } = (JSON.parse(text) as { api_key: { secret: string } }).api_key
	edge.now += 60_000
	const second = await create(edge, { key: '"k"' })
	expect([second.status, await second.text(), second.headers.get('Idempotency-Replayed')]).toEqual([201, text, 'true'])
	expect(second.headers.get('Location')).toBe(first.headers.get('Location'))
	expect(active(edge).length).toBe(1)
	const resting = JSON.stringify([...edge.claims.values()])
	expect(resting).not.toContain(secret)
	expect((await create(edge, { key: 'k', body: { ...body, name: 'Other' } })).status).toBe(422)
	const stranger = await create(edge, { key: 'k', as: 'reader-token' })
	expect(stranger.status).toBe(403)
})

test('an answer that rests under a replaced operator token stays closed', async () => {
	const edge = new Edge()
	await create(edge, { key: 'k' })
	edge.ports.config.operators = [{ name: 'root', scope: 'admin', tokenHash: hashSecret('root-token-2') }]
	const retry = await create(edge, { key: 'k', as: 'root-token-2' })
	expect([retry.status, await retry.json()]).toMatchObject([422, { code: 'idempotency_mismatch' }])
})

test('[I1] while the first request runs, a retry is 409 with Retry-After', async () => {
	const edge = new Edge()
	edge.failAt = 3
	expect((await create(edge, { key: 'k' })).status).toBe(503)
	edge.failAt = null
	const retry = await create(edge, { key: 'k' })
	expect([retry.status, retry.headers.get('Retry-After')]).toEqual([409, '30'])
	expect(await retry.json()).toMatchObject({ code: 'idempotency_in_progress' })
})

test('a taken slug is the answer of its retry, too, and changes nothing', async () => {
	const edge = new Edge()
	await create(edge)
	const first = await create(edge, { key: 'k' })
	expect([first.status, (await create(edge, { key: 'k' })).status]).toEqual([409, 409])
	expect([active(edge).length, edge.controls.size, edge.shards.size, owners(edge).length]).toEqual([1, 1, 1, 1])
})

test('[U2] [I1] a request that is lost at any step, before or after its effect, is completed by a retry with one tenant', async () => {
	const probe = new Edge()
	await create(probe, { key: 'k' })
	const steps = probe.calls
	expect(steps).toBeGreaterThanOrEqual(8)
	for (let failAt = 1; failAt <= steps + 0.5; failAt += 0.5) {
		const edge = new Edge()
		edge.failAt = failAt
		const first = await create(edge, { key: 'k' })
		// What is lost after the commit does not take the answer away.
		expect(first.status).toBeOneOf([201, 503])
		if (first.status === 503) expect(first.headers.get('Retry-After')).toBe('1')
		const answered = first.status === 201 ? await first.text() : null
		edge.failAt = null
		edge.now += 31_000
		const second = await create(edge, { key: 'k' })
		const text = await second.text()
		expect([failAt, second.status]).toEqual([failAt, 201])
		if (answered !== null) expect(text).toBe(answered)
		const { id, api_key: key } = JSON.parse(text) as { id: string; api_key: { secret: string } }
		expect(active(edge)).toEqual([id])
		expect(owners(edge)).toEqual([id])
		expect(edge.shards.size).toBe(1)
		expect((await edge.fetch('GET', '/v1/tenant', { as: key.secret })).status).toBe(200)
	}
})

test('[U2] an abandoned tenant is not revived: its shard is not made and its slug is free again', async () => {
	const edge = new Edge()
	edge.failAt = 3.5
	expect((await create(edge, { key: 'k' })).status).toBe(503)
	edge.failAt = null
	edge.now += 61_000
	// What the claim's alarm does: give the tenant up, then free the slug.
	for (const [id, { control }] of edge.controls)
		edge.controls.set(id, { control: { ...control, state: 'abandoned' }, etag: 'x' })
	for (const claim of edge.claims.values()) claim.tenant = null
	const late = await create(edge, { key: 'k' })
	expect(late.status).toBe(503)
	expect([edge.objectCalls, owners(edge), active(edge)]).toEqual([[], [], []])
	expect((await create(edge, { key: 'k2' })).status).toBe(201)
})

test('[U2] a tenant that was given up between provisioning and its commit stays given up', async () => {
	const edge = new Edge()
	const control = edge.ports.control
	edge.ports.control = (region) => ({
		...control(region),
		replace: async (tenant, wanted, etag) => {
			edge.controls.set(tenant, { control: { ...wanted, state: 'abandoned' }, etag: 'other' })
			return control(region).replace(tenant, wanted, etag)
		},
	})
	expect((await create(edge)).status).toBe(503)
	expect([active(edge), owners(edge)]).toEqual([[], []])
})

test('a tenant is renamed, suspended and limited, and nothing else is taken', async () => {
	const edge = new Edge()
	const { id, shard } = await edge.tenant()
	const patch = (change: object) => edge.fetch('PATCH', `/v1/tenants/${id}`, { as: 'root-token', body: change })
	const done = await patch({ name: 'New', status: 'suspended', limits: { requests_per_second: 5 } })
	expect([done.status, done.headers.get('Freehold-Position')]).toEqual([200, '8'])
	expect(shard.commands.at(-1)).toMatchObject({
		caller: { kind: 'operator', name: 'root' },
		operation: { name: 'tenant.update', tenantName: 'New', status: 'suspended', limits: { requests_per_second: 5 } },
	})
	for (const wrong of [
		{ status: 'gone' },
		{ limits: { requests_per_second: 0 } },
		{ limits: { x: 1 } },
		{ slug: 'b' },
		{ limits: { storage_bytes: 1.5 } },
	]) {
		expect((await patch(wrong)).status).toBe(422)
	}
})

test('tenants are listed from the view, page by page, with its freshness', async () => {
	const edge = new Edge()
	for (const slug of ['a', 'b', 'c']) await edge.tenant(slug)
	const first = await edge.fetch('GET', '/v1/tenants?limit=2', { as: 'reader-token' })
	const page = await first.json<{ tenants: unknown[]; freshness: unknown }>()
	expect(page.tenants.length).toBe(2)
	expect(page.freshness).toMatchObject({
		exact: true,
		complete: true,
		as_of: '2026-11-22T00:00:00.000Z',
		worst_lag_ms: 0,
	})
	expect([first.headers.get('Freehold-View-Exact'), first.headers.get('Freehold-View-As-Of')]).toEqual([
		'true',
		'2026-11-22T00:00:00.000Z',
	])
	const next = /^<([^>]+)>/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
	const second = await edge.fetch('GET', next, { as: 'reader-token' })
	expect([(await second.json<{ tenants: unknown[] }>()).tenants.length, second.headers.get('Link')]).toEqual([1, null])
	expect(
		(await edge.fetch('GET', next.replace('/v1/tenants', '/v1/view/collections'), { as: 'reader-token' })).status,
	).toBe(400)
	expect((await edge.fetch('GET', '/v1/tenants?slug=a', { as: 'reader-token' })).status).toBe(400)
})

test('the view is read with its own parameters, filters, cursors and positions', async () => {
	const edge = new Edge()
	const { id } = await edge.tenant()
	const get = (query: string, headers: Record<string, string> = {}) =>
		edge.fetch('GET', `/v1/view/${query}`, { as: 'reader-token', headers })
	const first = await get(`records?collection=c&tenant=${id}&limit=2&n=gte.1`)
	expect(await first.json()).toMatchObject({
		records: [{ tenant: id, id: 'r1', version: 1, data: { n: 1 } }, { id: 'r2' }],
		freshness: { exact: true },
	})
	const next = /^<\/v1\/view\/([^>]+)>/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
	expect((await (await get(next)).json<{ records: unknown[] }>()).records.length).toBe(1)
	expect((await get(next.replace(`tenant=${id}&`, ''))).status).toBe(400)
	for (const wrong of [
		'records',
		'records?collection=C',
		'records?collection=c&tenant=x',
		`records?collection=c&collection=d`,
		'records?collection=c&region=mars',
		`records?collection=c&tenant=${id}&region=global`,
		'collections?x=1',
		'collections?tenant=x',
		'freshness?limit=1',
	]) {
		expect([wrong, (await get(wrong)).status]).toEqual([wrong, 400])
	}
	expect((await get('collections')).status).toBe(200)
	expect((await get('freshness?region=eu')).status).toBe(200)
	expect((await get('freshness', { 'Freehold-Min-Position': `${id}:100` })).status).toBe(200)
	const behind = await get('freshness', { 'Freehold-Min-Position': `${id}:101` })
	expect([behind.status, behind.headers.get('Retry-After')]).toEqual([503, '1'])
	const stale = { ...edge.freshness, shardsBehind: 1, worstLagMs: 2_500 }
	for (const [freshness, answered] of [
		[edge.freshness, [200, 200, 200]],
		[stale, [503, 503, 200]],
		// What is missing as a whole has no age.
		[{ ...edge.freshness, tenantsMissing: 1 }, [503, 503, 503]],
		[{ ...edge.freshness, tenantsMissing: null }, [503, 503, 503]],
		[{ ...edge.freshness, asOf: null }, [503, 503, 503]],
		[{ ...edge.freshness, asOf: null, shards: 0 }, [200, 200, 200]],
	] as const) {
		edge.freshness = freshness
		for (const path of [
			'view/records?collection=c&',
			'view/collections?',
			'view/freshness?',
			'view/dead-letters?',
			'tenants?',
		]) {
			const answers = [0, 2, 3].map((seconds) =>
				edge.fetch('GET', `/v1/${path}max_staleness=${seconds}`, { as: 'reader-token' }),
			)
			expect([path, (await Promise.all(answers)).map(({ status }) => status)]).toEqual([path, answered])
		}
		expect((await get('freshness')).status).toBe(200)
	}
	edge.freshness = { ...stale }
	const refused = await get('freshness?max_staleness=1')
	expect(await refused.json()).toMatchObject({ code: 'view_stale', status: 503 })
	expect(refused.headers.get('Retry-After')).toBe('5')
	for (const wrong of ['', '-1', '1.5', '1e3', 'x', '99999999999', '1&max_staleness=2'])
		for (const path of ['records?collection=c&', 'collections?', 'freshness?', 'dead-letters?'])
			expect([wrong, (await get(`${path}max_staleness=${wrong}`)).status]).toEqual([wrong, 400])
	for (const wrong of ['', id, `${id}:`, `${id}:-1`, `${id}:1e3`, `us_${id.slice(3)}:1`, `${id}:${'9'.repeat(16)}`]) {
		expect((await get('freshness', { 'Freehold-Min-Position': wrong })).status).toBe(400)
	}
})

test('[T3] the records of a tenant are compared when an operator asks for it, and of nobody else', async () => {
	const edge = new Edge()
	const { id } = await edge.tenant()
	const get = (query: string) => edge.fetch('GET', `/v1/view/verification?${query}`, { as: 'reader-token' })
	expect(await (await get(`tenant=${id}&deep=true`)).json()).toMatchObject({
		deep: { position: 2, compared: 1, records: 1, done: true, missing: [], extra: [], different: [], undecided: [] },
	})
	expect(await (await get(`tenant=${id}`)).json()).not.toHaveProperty('deep')
	edge.objectCalls.length = 0
	const stranger = `${id.slice(0, -4)}zzzz`
	for (const [wrong, status] of [
		['deep=true', 400],
		[`tenant=${id}&deep=yes`, 400],
		[`tenant=${id}&deep=true&deep=true`, 400],
		[`tenant=${id}&cursor=x`, 400],
		[`tenant=${id}&deep=true&cursor=x`, 400],
		[`tenant=${stranger}&deep=true`, 404],
	] as const)
		expect([wrong, (await get(wrong)).status]).toEqual([wrong, status])
	expect(edge.objectCalls).toEqual([])
})

test('a search is handed to the view, its cursor belongs to it, and what could be no name is refused', async () => {
	const edge = new Edge()
	const asked: (string | null)[] = []
	const { id } = await edge.tenant('acme')
	edge.view.tenants = async (_scope, { search, after }) => {
		asked.push(search)
		return accept({ tenants: [], next: after === null ? id : null, freshness: edge.freshness })
	}
	const list = (query: string) => edge.fetch('GET', `/v1/tenants?${query}`, { as: 'reader-token' })
	const first = await list('search=ac')
	const [, next = ''] = /<[^?]*\?([^>]*)>/.exec(first.headers.get('Link') ?? '') ?? []
	expect((await list(next)).status).toBe(200)
	expect(asked).toEqual(['ac', 'ac'])
	const cursor = new URLSearchParams(next).get('cursor') ?? ''
	expect((await list(`cursor=${cursor}`)).status).toBe(400)
	for (const bad of ['search=', `search=${'a'.repeat(10_000)}`, 'search=%00', 'search=a&search=b'])
		expect((await list(bad)).status, bad.slice(0, 20)).toBe(400)
})
