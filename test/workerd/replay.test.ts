import { evictAllDurableObjects, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, test, vi } from 'vitest'
import { routeTable } from '../../workers/api/routes.ts'
import type { Env } from '../../workers/env.ts'
import { people } from '../shard.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { gatherLog } from './log.ts'
import { canary, readProblem } from './problem.ts'

const bindings = env as unknown as Env
vi.setConfig({ testTimeout: 60_000 })
gatherLog()

/** How a mutating route is called so that it changes something, and what the answer then has. */
interface Row {
	path?: (tenant: NewTenant, spare: string) => string | Promise<string>
	/** For the tenant's own slug, a function. */
	body?: object | ((tenant: NewTenant) => object | Promise<object>)
	/** Another request of the same form. */
	otherBody?: unknown
	headers?: (tag: string) => Record<string, string>
	status: number
	/** Entries of the tenant's journal that the call makes. */
	entries: number
}

const collection = '/v1/collections/people'
const record = `${collection}/records/ada`
const endpoint = { url: 'https://hooks.freehold.dev/x', events: ['collection.changed'] }

/** The path of something that the tenant makes first. */
function made(list: string, body: object, then = ''): (tenant: NewTenant) => Promise<string> {
	return async ({ secret }) => {
		const response = await send('POST', list, secret, body)
		const { id } = await response.json<{ id: string }>()
		return `${list}/${id}${then}`
	}
}

/** A tenant of the other region that may take the place of this one. */
async function successorOf({ id }: NewTenant): Promise<string> {
	const body = { slug: `moving-${id.split('_')[1]}`, name: 'Tenant', region: 'global' }
	const made = await send('POST', '/v1/tenants', bindings.OPERATOR_TOKEN, body)
	return (await made.json<{ id: string }>()).id
}

/** The place of a move that has begun; the tenant has nothing that the other would lack. */
async function movePath(tenant: NewTenant): Promise<string> {
	expect((await send('DELETE', collection, tenant.secret)).status).toBe(204)
	const path = `/v1/tenants/${tenant.id}/move`
	const begun = await send('PUT', path, bindings.OPERATOR_TOKEN, { to: await successorOf(tenant) })
	expect(begun.status).toBe(200)
	return path
}

/** `unit/rewind` and `unit/key-rotation` repeat what the local platform cannot do, and what goes on writing by itself. */
const elsewhere = ['post /v1/tenants/{id}/rewind', 'post /v1/tenants/{id}/key-rotation']

const rows: Record<string, Row> = {
	'post /v1/tenants': {
		body: { slug: 'replayed', name: 'Replayed', region: 'eu' },
		otherBody: { slug: 'replayed', name: 'Other', region: 'eu' },
		status: 201,
		entries: 0,
	},
	'patch /v1/tenants/{id}': {
		path: ({ id }) => `/v1/tenants/${id}`,
		body: { name: 'Renamed' },
		otherBody: { name: 'Other' },
		status: 200,
		entries: 1,
	},
	'delete /v1/tenants/{id}': {
		path: ({ id }) => `/v1/tenants/${id}?grace_seconds=86400`,
		status: 202,
		entries: 1,
	},
	'delete /v1/tenant': {
		path: () => '/v1/tenant?grace_seconds=86400',
		body: ({ slug }) => ({ slug }),
		otherBody: { slug: 'other' },
		status: 202,
		entries: 1,
	},
	'delete /v1/subjects/{subject}': { path: () => '/v1/subjects/u-1', status: 200, entries: 1 },
	'put /v1/subjects/{subject}/restriction': { path: () => '/v1/subjects/u-1/restriction', status: 200, entries: 1 },
	'delete /v1/subjects/{subject}/restriction': { path: () => '/v1/subjects/u-1/restriction', status: 200, entries: 1 },
	'delete /v1/erasures/{id}': {
		path: async ({ id }) => {
			const asked = await send('DELETE', `/v1/tenants/${id}?grace_seconds=86400`, bindings.OPERATOR_TOKEN)
			return asked.headers.get('Location') ?? ''
		},
		status: 200,
		entries: 1,
	},
	'put /v1/tenants/{id}/hold': { path: ({ id }) => `/v1/tenants/${id}/hold`, status: 200, entries: 1 },
	'delete /v1/tenants/{id}/hold': { path: ({ id }) => `/v1/tenants/${id}/hold`, status: 200, entries: 1 },
	// Of the other region: a rebuild enters itself, by a message, in every journal of its own, which the tests count entries of.
	'post /v1/view/rebuild': {
		body: { region: 'global' },
		otherBody: { region: 'eu' },
		status: 202,
		entries: 0,
	},
	'post /v1/incidents': {
		body: { region: 'eu', title: 'Slow', text: 'We look.' },
		otherBody: { region: 'eu', title: 'Fast', text: 'We look.' },
		status: 201,
		entries: 0,
	},
	'post /v1/incidents/{id}/notes': {
		path: async () => {
			const opened = await send('POST', '/v1/incidents', bindings.OPERATOR_TOKEN, { title: 'Slow', text: 'We look.' })
			return `${opened.headers.get('Location')}/notes`
		},
		body: { status: 'identified', text: 'Found.' },
		otherBody: { status: 'resolved', text: 'Gone.' },
		status: 201,
		entries: 0,
	},
	'post /v1/view/dead-letters/{id}/replay': {
		path: () => '/v1/view/dead-letters/eu_1/replay',
		status: 202,
		entries: 0,
	},
	'delete /v1/view/dead-letters/{id}': { path: () => '/v1/view/dead-letters/eu_1', status: 202, entries: 0 },
	'put /v1/collections/{collection}': {
		path: () => '/v1/collections/more',
		body: { schema: people },
		otherBody: { schema: {} },
		status: 201,
		entries: 1,
	},
	'delete /v1/collections/{collection}': { path: () => collection, status: 204, entries: 1 },
	'post /v1/collections/{collection}/records': {
		path: () => `${collection}/records`,
		body: { email: 'new@example.com', note: canary },
		otherBody: { email: 'other@example.com' },
		status: 201,
		entries: 1,
	},
	'put /v1/collections/{collection}/records/{id}': {
		path: () => record,
		body: { email: 'put@example.com', note: canary },
		otherBody: { email: 'other@example.com' },
		headers: (tag) => ({ 'If-Match': tag }),
		status: 200,
		entries: 1,
	},
	'patch /v1/collections/{collection}/records/{id}': {
		path: () => record,
		body: { age: 37, phone: null },
		otherBody: { age: 38 },
		headers: (tag) => ({ 'If-Match': tag }),
		status: 200,
		entries: 1,
	},
	'delete /v1/collections/{collection}/records/{id}': {
		path: () => record,
		headers: (tag) => ({ 'If-Match': tag }),
		status: 204,
		entries: 1,
	},
	'post /v1/batch': {
		body: {
			operations: [
				{ op: 'create', collection: 'people', data: { email: 'one@example.com', note: canary } },
				{ op: 'patch', collection: 'people', id: 'ada', data: { age: 40 } },
				{ op: 'delete', collection: 'people', id: 'bob' },
			],
		},
		otherBody: { operations: [{ op: 'delete', collection: 'people', id: 'ada' }] },
		status: 200,
		entries: 3,
	},
	'post /v1/keys': {
		body: { name: 'minted', scopes: ['read'] },
		otherBody: { name: 'minted', scopes: ['write'] },
		status: 201,
		entries: 1,
	},
	'delete /v1/keys/{id}': { path: (_, spare) => `/v1/keys/${spare}`, status: 204, entries: 1 },
	'post /v1/webhooks': { body: endpoint, otherBody: { ...endpoint, description: 'another' }, status: 201, entries: 1 },
	'patch /v1/webhooks/{id}': {
		path: made('/v1/webhooks', endpoint),
		body: { description: 'changed' },
		otherBody: { description: 'otherwise' },
		status: 200,
		entries: 1,
	},
	'post /v1/webhooks/{id}/rotate-secret': {
		path: made('/v1/webhooks', endpoint, '/rotate-secret'),
		body: { keep_previous_seconds: 60 },
		otherBody: { keep_previous_seconds: 61 },
		status: 200,
		entries: 1,
	},
	'post /v1/webhooks/{id}/test': { path: made('/v1/webhooks', endpoint, '/test'), status: 202, entries: 0 },
	'delete /v1/webhooks/{id}': { path: made('/v1/webhooks', endpoint), status: 204, entries: 1 },
	'post /v1/imports': {
		path: async (tenant) => {
			// An import goes into an empty tenant.
			expect((await send('DELETE', collection, tenant.secret)).status).toBe(204)
			return '/v1/imports'
		},
		body: { parts: 1 },
		otherBody: { parts: 2 },
		status: 201,
		entries: 1,
	},
	'post /v1/tenants/{id}/imports': {
		path: async ({ id, secret }) => {
			expect((await send('DELETE', collection, secret)).status).toBe(204)
			return `/v1/tenants/${id}/imports`
		},
		body: { parts: 1 },
		otherBody: { parts: 2 },
		status: 201,
		entries: 1,
	},
	'put /v1/tenants/{id}/move': {
		path: ({ id }) => `/v1/tenants/${id}/move`,
		body: async (tenant) => ({ to: await successorOf(tenant) }),
		otherBody: { to: `global_${'0'.repeat(26)}` },
		status: 200,
		entries: 1,
	},
	'delete /v1/tenants/{id}/move': { path: (tenant) => movePath(tenant), status: 204, entries: 1 },
	'post /v1/tenants/{id}/move/handover': {
		path: async (tenant) => `${await movePath(tenant)}/handover`,
		body: async (tenant) => ({ as_of_seq: await positionOf(tenant) }),
		otherBody: { as_of_seq: 0 },
		status: 200,
		entries: 1,
	},
	'post /v1/exports': { body: { csv: true }, otherBody: { csv: false }, status: 202, entries: 1 },
	'delete /v1/exports/{id}': { path: made('/v1/exports', {}), status: 204, entries: 1 },
	'post /v1/tenants/{id}/exports': {
		path: ({ id }) => `/v1/tenants/${id}/exports`,
		body: { csv: true },
		otherBody: { csv: false },
		status: 202,
		entries: 1,
	},
	'delete /v1/tenants/{id}/exports/{export}': {
		path: async (tenant) => `/v1/tenants/${tenant.id}${(await made('/v1/exports', {})(tenant)).slice('/v1'.length)}`,
		status: 204,
		entries: 1,
	},
}

test('every route that changes something has a row here', () => {
	const mutating = routeTable.filter(({ mutates }) => mutates).map(({ method, path }) => `${method} ${path}`)
	expect([...Object.keys(rows), ...elsewhere].sort()).toEqual(mutating.sort())
})

for (const [route, row] of Object.entries(rows)) {
	const [method = '', pattern = ''] = route.split(' ')
	const verb = method.toUpperCase()
	const isOperators = /^\/v1\/(tenants|erasures|view|incidents)/.test(pattern)

	const bodyOf = (tenant: NewTenant) => (typeof row.body === 'function' ? row.body(tenant) : row.body)

	test(`[I1] ${route}: a retry has one effect and the first answer, byte for byte`, async () => {
		const { tenant, spare, tag } = await prepare()
		const bearer = isOperators ? bindings.OPERATOR_TOKEN : tenant.secret
		const path = (await row.path?.(tenant, spare)) ?? pattern
		const own = await bodyOf(tenant)
		const ask = (body: unknown = own, key = 'first') =>
			send(verb, path, bearer, body, { ...row.headers?.(tag), 'Idempotency-Key': key })

		const before = await positionOf(tenant)
		// Sent twelve times at once: which one is first does not matter.
		const together = await Promise.all(Array.from({ length: 12 }, () => ask()))
		const answered = together.filter(({ status }) => status !== 409)
		for (const response of together.filter(({ status }) => status === 409))
			expect((await readProblem(response)).code).toBe('idempotency_in_progress')
		const [first, ...others] = await Promise.all(answered.map(shown))
		expect(first?.status, first?.text).toBe(row.status)
		for (const other of others) expect(other).toEqual(first)
		expect(answered.filter(({ headers }) => !headers.has('Idempotency-Replayed'))).toHaveLength(1)
		expect(await positionOf(tenant)).toBe(before + row.entries)

		// Later, when what was written has changed and the object has been elsewhere.
		await disturb(tenant)
		await evictAllDurableObjects()
		const settled = await positionOf(tenant)
		const retried = await ask()
		expect(retried.headers.get('Idempotency-Replayed')).toBe('true')
		expect(await shown(retried)).toEqual(first)
		expect(await positionOf(tenant)).toBe(settled)

		// The same request, written differently, is the same request.
		if (row.body !== undefined) {
			const spaced = await ask(JSON.stringify(own, null, 3).replace('"', '\n"'))
			expect(await shown(spaced)).toEqual(first)
		}
		const quoted = await send(verb, path, bearer, own, {
			...row.headers?.(tag),
			'Idempotency-Key': '"first"',
		})
		expect(await shown(quoted)).toEqual(first)
	})

	test(`[I1] ${route}: a key belongs to one request, and to one caller and path`, async () => {
		const { tenant, spare, tag } = await prepare()
		const bearer = isOperators ? bindings.OPERATOR_TOKEN : tenant.secret
		const path = (await row.path?.(tenant, spare)) ?? pattern
		const slug = `mismatch-${crypto.randomUUID()}`
		const named = (body: unknown) => (pattern === '/v1/tenants' ? { ...(body as object), slug } : body)
		const key = { 'Idempotency-Key': `key-${slug}` }
		const own = await bodyOf(tenant)
		const first = await send(verb, path, bearer, named(own), { ...row.headers?.(tag), ...key })
		expect(first.status).toBe(row.status)
		const before = await positionOf(tenant)
		const other =
			row.otherBody === undefined
				? await send(verb, path, bearer, undefined, { 'If-Match': '"9-9"', ...key })
				: await send(verb, path, bearer, named(row.otherBody), { ...row.headers?.(tag), ...key })
		const problem = await readProblem(other)
		expect(problem).toMatchObject({ code: 'idempotency_mismatch', errors: [{ pointer: 'Idempotency-Key' }] })
		expect(await positionOf(tenant)).toBe(before)

		if (isOperators) return
		// Another key of the same tenant, and the same key at another path, are other requests.
		const made = await send('POST', '/v1/keys', tenant.secret, { scopes: ['read', 'write', 'schema', 'keys'] })
		const { secret } = await made.json<{ secret: string }>()
		const byOther = await send(verb, path, secret, own, { ...row.headers?.(tag), ...key })
		expect(byOther.headers.has('Idempotency-Replayed')).toBe(false)
		const elsewhere = await send('PUT', '/v1/collections/elsewhere', tenant.secret, { schema: {} }, key)
		expect([elsewhere.status, elsewhere.headers.get('Idempotency-Replayed')]).toEqual([201, null])
	})
}

test('[I1] [D2] what was refused is not kept: the same key may try again', async () => {
	const { tenant } = await prepare()
	const key = { 'Idempotency-Key': 'again' }
	const body = { email: 'ADA@example.com' }
	const refused = await send('POST', `${collection}/records`, tenant.secret, body, key)
	expect((await readProblem(refused)).code).toBe('unique_violation')
	expect((await send('DELETE', record, tenant.secret)).status).toBe(204)
	const accepted = await send('POST', `${collection}/records`, tenant.secret, body, key)
	expect([accepted.status, accepted.headers.get('Idempotency-Replayed')]).toEqual([201, null])
})

test('a kept answer holds no secret in the clear and none of the data of the request', async () => {
	const { tenant } = await prepare()
	const key = { 'Idempotency-Key': 'kept' }
	const made = await send('POST', '/v1/keys', tenant.secret, { scopes: ['read'] }, key)
	const { secret } = await made.json<{ secret: string }>()
	const body = { email: `${canary}@example.com`, note: canary }
	expect((await send('POST', `${collection}/records`, tenant.secret, body, key)).status).toBe(201)
	const put = await send('PUT', `${collection}/records/kept`, tenant.secret, { email: `x${canary}@example.com` }, key)
	expect(put.status).toBe(201)
	const operations = [{ op: 'create', collection: 'people', data: { email: `y${canary}@example.com` } }]
	expect((await send('POST', '/v1/batch', tenant.secret, { operations }, key)).status).toBe(200)
	const kept = await runInDurableObject(
		bindings.TENANT_SHARD.getByName(`${tenant.id}/0`),
		(_instance, { storage: { sql } }) => {
			const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE name GLOB 'idempotency_*'")
			return tables.toArray().flatMap(({ name }) => sql.exec(`SELECT * FROM ${name}`).toArray())
		},
	)
	expect(kept).toHaveLength(4)
	for (const part of [canary, secret, secret.split('_')[4] ?? '']) expect(JSON.stringify(kept)).not.toContain(part)
})

async function prepare(): Promise<{ tenant: NewTenant; spare: string; tag: string }> {
	const tenant = await newTenant()
	expect((await send('PUT', collection, tenant.secret, { schema: people })).status).toBe(201)
	const put = await send('PUT', record, tenant.secret, { email: 'ada@example.com', age: 36, phone: '1' })
	const bob = await send('PUT', `${collection}/records/bob`, tenant.secret, { email: 'bob@example.com' })
	expect([put.status, bob.status]).toEqual([201, 201])
	const made = await send('POST', '/v1/keys', tenant.secret, { scopes: ['read'] })
	const { id: spare } = await made.json<{ id: string }>()
	return { tenant, spare, tag: put.headers.get('ETag') ?? '' }
}

/** Changes whatever a first request may have written. */
async function disturb(tenant: NewTenant): Promise<void> {
	await send('PUT', record, tenant.secret, { email: 'later@example.com' })
	await send('DELETE', '/v1/collections/more', tenant.secret)
	await send('PATCH', `/v1/tenants/${tenant.id}`, bindings.OPERATOR_TOKEN, { name: 'Later' })
}

/** What of an answer must be the same each time. */
async function shown(response: Response) {
	const names = ['Content-Type', 'ETag', 'Location', 'Freehold-Position']
	const headers = Object.fromEntries(names.map((name) => [name, response.headers.get(name)]))
	return { status: response.status, headers, text: await response.text() }
}

async function positionOf(tenant: NewTenant): Promise<number> {
	const response = await send('GET', '/v1/tenant', tenant.secret)
	return (await response.json<{ usage: { position: number } }>()).usage.position
}
