import { env } from 'cloudflare:workers'
import { expect, test, vi } from 'vitest'
import { type Scope, scopes } from '../../core/contract.ts'
import { routeTable } from '../../workers/api/routes.ts'
import type { Env } from '../../workers/env.ts'
import { people } from '../shard.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { gatherLog } from './log.ts'
import { type Verdict, verdictOf } from './problem.ts'

const bindings = env as unknown as Env
const operators = {
	admin: bindings.OPERATOR_TOKEN,
	read: 'fho_test_reader_token',
	metrics: 'fho_test_scraper_token',
} as const
gatherLog()

/** What a call of a route needs and answers. A tenant of `prepare` stands behind each. */
interface Row {
	needs: 'nothing' | `key:${Scope}` | `operator:${keyof typeof operators}`
	/** With the tenant's own things in place of `{id}`; the route's own path by default. */
	path?: (own: Prepared) => string
	body?: (own: Prepared) => unknown
	/** For the credential that is needed. */
	allowed: Verdict
	/** For a full key of another tenant, whose own tenant has nothing; the same as `allowed` by default. */
	other?: Verdict
	/** For the tenant's own full key while the tenant is suspended. */
	suspended?: Verdict
}

const record = '/v1/collections/people/records/ada'
const hook = 'https://hooks.freehold.dev/x'
// An export is made by the queue's consumer, behind all that the other tests of this file left to it.
vi.setConfig({ testTimeout: 120_000 })
const rows: Record<string, Row> = {
	'get /': { needs: 'nothing', allowed: 200 },
	'get /docs': { needs: 'nothing', allowed: 200 },
	'get /docs/start.js': { needs: 'nothing', allowed: 200 },
	'get /docs/assets/{file}': { needs: 'nothing', path: () => '/docs/assets/none.css', allowed: 'not_found' },
	'get /console': { needs: 'nothing', allowed: 200 },
	'get /console/{page}': { needs: 'nothing', path: () => '/console/tenants', allowed: 200 },
	'get /console/{page}/{thing}': { needs: 'nothing', path: () => '/console/tenants/1', allowed: 200 },
	'get /console-files/{file}': { needs: 'nothing', path: () => '/console-files/none.css', allowed: 'not_found' },
	'get /openapi.json': { needs: 'nothing', allowed: 200 },

	'post /v1/tenants': {
		needs: 'operator:admin',
		body: () => ({ slug: `made-${crypto.randomUUID()}`, name: 'Made' }),
		allowed: 201,
	},
	'get /v1/tenants': { needs: 'operator:read', allowed: 'view_unavailable' },
	'get /v1/tenants/{id}': { needs: 'operator:read', path: ({ tenant }) => `/v1/tenants/${tenant.id}`, allowed: 200 },
	'patch /v1/tenants/{id}': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}`,
		body: () => ({ name: 'Renamed' }),
		allowed: 200,
	},
	'delete /v1/tenants/{id}': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}?grace_seconds=86400`,
		allowed: 202,
	},
	'delete /v1/tenant': {
		needs: 'key:erase',
		path: () => '/v1/tenant?grace_seconds=86400',
		body: ({ tenant }) => ({ slug: tenant.slug }),
		allowed: 202,
		other: 'validation_failed',
	},
	'get /v1/erasures/{id}': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/erasures/${tenant.id}`,
		allowed: 'not_found',
	},
	'delete /v1/erasures/{id}': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/erasures/${tenant.id}`,
		allowed: 'not_found',
	},
	'get /v1/tenants/{id}/hold': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/hold`,
		allowed: 200,
	},
	'put /v1/tenants/{id}/hold': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/hold`,
		allowed: 200,
	},
	'delete /v1/tenants/{id}/hold': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/hold`,
		allowed: 200,
	},
	'get /.well-known/jwks.json': { needs: 'nothing', allowed: 200 },
	'get /v1/view/records': {
		needs: 'operator:read',
		path: () => '/v1/view/records?collection=people',
		allowed: 'view_unavailable',
	},
	'get /v1/view/collections': { needs: 'operator:read', allowed: 'view_unavailable' },
	'get /v1/view/freshness': { needs: 'operator:read', allowed: 'view_unavailable' },
	'get /v1/view/verification': { needs: 'operator:read', allowed: 'view_unavailable' },
	'post /v1/view/rebuild': { needs: 'operator:admin', body: () => ({}), allowed: 202 },
	'get /v1/view/rebuilds': { needs: 'operator:read', allowed: 'view_unavailable' },
	'get /v1/view/rebuilds/{id}': {
		needs: 'operator:read',
		path: () => `/v1/view/rebuilds/${'0'.repeat(26)}`,
		allowed: 'not_found',
	},

	'get /v1/master-secret': { needs: 'operator:read', allowed: 200 },
	'get /v1/view/dead-letters': { needs: 'operator:read', allowed: 'view_unavailable' },
	'get /v1/view/dead-letters/{id}': {
		needs: 'operator:read',
		path: () => '/v1/view/dead-letters/eu_1',
		allowed: 'view_unavailable',
	},
	'post /v1/view/dead-letters/{id}/replay': {
		needs: 'operator:admin',
		path: () => '/v1/view/dead-letters/eu_1/replay',
		allowed: 202,
	},
	'delete /v1/view/dead-letters/{id}': {
		needs: 'operator:admin',
		path: () => '/v1/view/dead-letters/eu_1',
		allowed: 202,
	},

	'get /v1/tenants/{id}/collections': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/collections`,
		allowed: 200,
	},
	'get /v1/tenants/{id}/keys': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/keys`,
		allowed: 200,
	},
	'get /v1/tenants/{id}/exports': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/exports`,
		allowed: 200,
	},
	'get /v1/tenants/{id}/imports': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/imports`,
		allowed: 200,
	},
	'get /v1/erasures': { needs: 'operator:read', allowed: 200 },
	'get /v1/tenants/{id}/usage': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/usage`,
		allowed: 'view_unavailable',
	},
	'get /v1/operator': { needs: 'operator:read', allowed: 200 },
	'get /v1/traffic': { needs: 'operator:read', allowed: 'view_unavailable' },
	'get /v1/shards': { needs: 'operator:read', allowed: 'view_unavailable' },
	'get /v1/slo': { needs: 'operator:read', allowed: 200 },
	'get /v1/slo/report': { needs: 'operator:read', allowed: 200 },
	'get /v1/alerts': { needs: 'operator:read', allowed: 200 },
	'put /v1/alerts/{id}/acknowledgement': {
		needs: 'operator:admin',
		path: () => `/v1/alerts/eu_${'0'.repeat(26)}/acknowledgement`,
		allowed: 'not_found',
	},
	'put /v1/silences/{rule}': {
		needs: 'operator:admin',
		path: () => '/v1/silences/dead_letters',
		body: () => ({ minutes: 0 }),
		allowed: 200,
	},
	'get /v1/incidents': { needs: 'operator:read', allowed: 200 },
	'post /v1/incidents': {
		needs: 'operator:admin',
		body: () => ({ title: 'Slow', text: 'We look.' }),
		allowed: 201,
	},
	'get /v1/incidents/{id}': {
		needs: 'operator:read',
		path: () => `/v1/incidents/eu_${'0'.repeat(26)}`,
		allowed: 'not_found',
	},
	'post /v1/incidents/{id}/notes': {
		needs: 'operator:admin',
		path: () => `/v1/incidents/eu_${'0'.repeat(26)}/notes`,
		body: () => ({ status: 'resolved', text: 'Done.' }),
		allowed: 'not_found',
	},
	'get /v1/incidents/{id}/postmortem': {
		needs: 'operator:read',
		path: () => `/v1/incidents/eu_${'0'.repeat(26)}/postmortem`,
		allowed: 'not_found',
	},
	'get /status': { needs: 'nothing', allowed: 200 },
	'get /metrics': { needs: 'operator:metrics', allowed: 200 },

	'get /v1/tenant': { needs: 'key:read', allowed: 200, suspended: 200 },
	'put /v1/collections/{collection}': {
		needs: 'key:schema',
		path: () => '/v1/collections/people',
		body: () => ({ schema: { ...people, title: 'People' } }),
		allowed: 200,
		other: 201,
	},
	'get /v1/collections': { needs: 'key:read', allowed: 200 },
	'get /v1/collections/{collection}': {
		needs: 'key:read',
		path: () => '/v1/collections/people',
		allowed: 200,
		other: 'not_found',
	},
	'delete /v1/collections/{collection}': {
		needs: 'key:schema',
		path: () => '/v1/collections/people',
		allowed: 204,
		other: 'not_found',
	},
	'post /v1/collections/{collection}/records': {
		needs: 'key:write',
		path: () => '/v1/collections/people/records',
		body: () => ({ email: 'new@example.com' }),
		allowed: 201,
		other: 'not_found',
	},
	'get /v1/collections/{collection}/records/{id}': {
		needs: 'key:read',
		path: () => record,
		allowed: 200,
		other: 'not_found',
	},
	'put /v1/collections/{collection}/records/{id}': {
		needs: 'key:write',
		path: () => record,
		body: () => ({ email: 'put@example.com' }),
		allowed: 200,
		other: 'not_found',
	},
	'patch /v1/collections/{collection}/records/{id}': {
		needs: 'key:write',
		path: () => record,
		body: () => ({ age: 37 }),
		allowed: 200,
		other: 'not_found',
	},
	'delete /v1/collections/{collection}/records/{id}': {
		needs: 'key:write',
		path: () => record,
		allowed: 204,
		other: 'not_found',
	},
	'get /v1/collections/{collection}/records': {
		needs: 'key:read',
		path: () => '/v1/collections/people/records?age=gte.1',
		allowed: 200,
		other: 'not_found',
	},
	'post /v1/collections/{collection}/records/search': {
		needs: 'key:read',
		path: () => '/v1/collections/people/records/search',
		body: () => ({ age: 'gte.1' }),
		allowed: 200,
		other: 'not_found',
	},
	'post /v1/batch': {
		needs: 'key:write',
		body: () => ({ operations: [{ op: 'create', collection: 'people', data: { email: 'batch@example.com' } }] }),
		allowed: 200,
		other: 'not_found',
	},
	'get /v1/changes': { needs: 'key:read', allowed: 200 },
	'get /v1/subjects/{subject}': { needs: 'key:export', path: () => '/v1/subjects/u-1', allowed: 200 },
	'delete /v1/subjects/{subject}': { needs: 'key:erase', path: () => '/v1/subjects/u-1', allowed: 200 },
	'get /v1/subjects/{subject}/restriction': {
		needs: 'key:export',
		path: () => '/v1/subjects/u-1/restriction',
		allowed: 200,
	},
	'put /v1/subjects/{subject}/restriction': {
		needs: 'key:erase',
		path: () => '/v1/subjects/u-1/restriction',
		allowed: 200,
	},
	'delete /v1/subjects/{subject}/restriction': {
		needs: 'key:erase',
		path: () => '/v1/subjects/u-1/restriction',
		allowed: 200,
	},
	'get /v1/subject-requests': { needs: 'key:export', allowed: 200 },
	'get /v1/data-map': { needs: 'key:read', allowed: 200 },
	'get /v1/deployment/data-map': { needs: 'operator:read', allowed: 200 },
	'get /v1/audit': { needs: 'key:read', allowed: 200 },
	'get /v1/audit/verification': { needs: 'key:read', allowed: 200 },
	'post /v1/keys': { needs: 'key:keys', body: () => ({ scopes: ['keys'] }), allowed: 201 },
	// The tenant has a collection; the other one has none.
	'post /v1/imports': { needs: 'key:schema', body: () => ({}), allowed: 'tenant_not_empty', other: 201 },
	'get /v1/imports/{id}': { needs: 'key:schema', path: () => `/v1/imports/${'0'.repeat(26)}`, allowed: 'not_found' },
	'put /v1/imports/{id}/archive': {
		needs: 'key:schema',
		path: () => `/v1/imports/${'0'.repeat(26)}/archive`,
		body: () => 'PK',
		allowed: 'not_found',
	},
	'post /v1/tenants/{id}/imports': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/imports`,
		body: () => ({}),
		allowed: 'tenant_not_empty',
	},
	'get /v1/tenants/{id}/imports/{import}': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/imports/${'0'.repeat(26)}`,
		allowed: 'not_found',
	},
	'put /v1/tenants/{id}/imports/{import}/archive': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/imports/${'0'.repeat(26)}/archive`,
		allowed: 'not_found',
	},
	'get /v1/tenants/{id}/move': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/move`,
		allowed: 'not_found',
	},
	'put /v1/tenants/{id}/move': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/move`,
		body: ({ tenant }) => ({ to: tenant.id }),
		allowed: 'validation_failed',
	},
	'delete /v1/tenants/{id}/move': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/move`,
		allowed: 204,
	},
	'post /v1/tenants/{id}/move/handover': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/move/handover`,
		body: () => ({ as_of_seq: 0 }),
		allowed: 'not_found',
	},
	'post /v1/tenants/{id}/rewind': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/rewind`,
		body: () => ({ at: new Date().toISOString() }),
		// It is too young to have a history.
		allowed: 'validation_failed',
	},
	'post /v1/tenants/{id}/key-rotation': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/key-rotation`,
		// Nothing of it is encrypted.
		allowed: 'not_ready',
	},
	'get /v1/tenants/{id}/key-rotation': {
		needs: 'operator:read',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/key-rotation`,
		allowed: 'not_found',
	},
	'post /v1/exports': { needs: 'key:export', body: () => ({}), allowed: 202 },
	'get /v1/exports': { needs: 'key:export', allowed: 200 },
	'get /v1/exports/{id}': {
		needs: 'key:export',
		path: ({ exported }) => `/v1/exports/${exported}`,
		allowed: 200,
		other: 'not_found',
	},
	'get /v1/exports/{id}/archive': {
		needs: 'key:export',
		path: ({ exported }) => `/v1/exports/${exported}/archive`,
		allowed: 200,
		other: 'not_found',
	},
	'delete /v1/exports/{id}': {
		needs: 'key:export',
		path: ({ exported }) => `/v1/exports/${exported}`,
		allowed: 204,
		other: 'not_found',
	},
	'post /v1/tenants/{id}/exports': {
		needs: 'operator:admin',
		path: ({ tenant }) => `/v1/tenants/${tenant.id}/exports`,
		body: () => ({}),
		allowed: 202,
	},
	'get /v1/tenants/{id}/exports/{export}': {
		needs: 'operator:admin',
		path: ({ tenant, exported }) => `/v1/tenants/${tenant.id}/exports/${exported}`,
		allowed: 200,
	},
	'get /v1/tenants/{id}/exports/{export}/archive': {
		needs: 'operator:admin',
		path: ({ tenant, exported }) => `/v1/tenants/${tenant.id}/exports/${exported}/archive`,
		allowed: 200,
	},
	'delete /v1/tenants/{id}/exports/{export}': {
		needs: 'operator:admin',
		path: ({ tenant, exported }) => `/v1/tenants/${tenant.id}/exports/${exported}`,
		allowed: 204,
	},
	'get /v1/keys': { needs: 'key:keys', allowed: 200 },
	'delete /v1/keys/{id}': {
		needs: 'key:keys',
		path: ({ spareKey }) => `/v1/keys/${spareKey}`,
		allowed: 204,
		other: 'not_found',
	},
	'post /v1/webhooks': { needs: 'key:export', body: () => ({ url: hook }), allowed: 201 },
	'get /v1/webhooks': { needs: 'key:export', allowed: 200 },
	'get /v1/webhooks/{id}': {
		needs: 'key:export',
		path: ({ webhook }) => `/v1/webhooks/${webhook}`,
		allowed: 200,
		other: 'not_found',
	},
	'get /v1/webhooks/{id}/attempts': {
		needs: 'key:export',
		path: ({ webhook }) => `/v1/webhooks/${webhook}/attempts`,
		allowed: 200,
		other: 'not_found',
	},
	'patch /v1/webhooks/{id}': {
		needs: 'key:export',
		path: ({ webhook }) => `/v1/webhooks/${webhook}`,
		body: () => ({ description: 'Changed' }),
		allowed: 200,
		other: 'not_found',
	},
	'post /v1/webhooks/{id}/rotate-secret': {
		needs: 'key:export',
		path: ({ webhook }) => `/v1/webhooks/${webhook}/rotate-secret`,
		body: () => ({ keep_previous_seconds: 0 }),
		allowed: 200,
		other: 'not_found',
	},
	'post /v1/webhooks/{id}/test': {
		needs: 'key:export',
		path: ({ webhook }) => `/v1/webhooks/${webhook}/test`,
		allowed: 202,
		other: 'not_found',
	},
	'delete /v1/webhooks/{id}': {
		needs: 'key:export',
		path: ({ webhook }) => `/v1/webhooks/${webhook}`,
		allowed: 204,
		other: 'not_found',
	},
}

test('every route has a row in the table of this test and every row a route, with the access that it needs', () => {
	const routes = routeTable.map(({ method, path, access }) => [
		`${method} ${path}`,
		access.audience === 'public' ? 'nothing' : `${access.audience === 'tenant' ? 'key' : 'operator'}:${access.scope}`,
	])
	expect(Object.fromEntries(routes)).toEqual(
		Object.fromEntries(Object.entries(rows).map(([route, { needs }]) => [route, needs])),
	)
	expect(routes).toHaveLength(Object.keys(rows).length)
})

interface Prepared {
	tenant: NewTenant
	/** A key with each scope alone. */
	keys: Record<Scope, string>
	expired: string
	revoked: string
	/** The id of a key that may be deleted. */
	spareKey: string
	/** The id of a webhook that may be changed and deleted. */
	webhook: string
	/** The id of an export whose archive is there; empty for routes that name none. */
	exported: string
}

/** A tenant with a collection, a record and a key of each kind. */
async function prepare(route: string): Promise<Prepared> {
	const tenant = await newTenant()
	const made = await send('PUT', '/v1/collections/people', tenant.secret, { schema: people })
	expect(made.status).toBe(201)
	const put = await send('PUT', record, tenant.secret, { email: 'ada@example.com', age: 36, phone: '1' })
	expect(put.status).toBe(201)
	const keys = Object.fromEntries(
		await Promise.all(scopes.map(async (scope) => [scope, (await makeKey(tenant, [scope])).secret])),
	) as Record<Scope, string>
	const expired = await makeKey(tenant, scopes, new Date(Date.now() - 1).toISOString())
	const revoked = await makeKey(tenant, scopes)
	expect((await send('DELETE', `/v1/keys/${revoked.id}`, tenant.secret)).status).toBe(204)
	const { id: spareKey } = await makeKey(tenant, ['read'])
	const webhook = await makeWebhook(tenant)
	// Others need not wait for the consumer.
	const exported = route.includes('/exports/{') ? await finishedExport(tenant) : ''
	return { tenant, keys, expired: expired.secret, revoked: revoked.secret, spareKey, webhook, exported }
}

async function finishedExport({ secret }: NewTenant): Promise<string> {
	const begun = await send('POST', '/v1/exports', secret, {})
	expect(begun.status).toBe(202)
	const { id } = await begun.json<{ id: string }>()
	const status = async () => (await (await send('GET', `/v1/exports/${id}`, secret)).json<{ status: string }>()).status
	await expect.poll(status, { timeout: 100_000 }).toBe('done')
	return id
}

async function makeWebhook(tenant: NewTenant): Promise<string> {
	const made = await send('POST', '/v1/webhooks', tenant.secret, { url: hook })
	expect(made.status).toBe(201)
	return (await made.json<{ id: string }>()).id
}

async function makeKey(tenant: NewTenant, granted: readonly Scope[], expiresAt: string | null = null) {
	const made = await send('POST', '/v1/keys', tenant.secret, { scopes: granted, expires_at: expiresAt })
	expect(made.status).toBe(201)
	return made.json<{ id: string; secret: string }>()
}

/** What each wrong or right credential gets from a route that needs `needs`. */
function expectedVerdicts({ needs, allowed, other = allowed, suspended }: Row): Record<string, Verdict> {
	const [audience, scope] = needs.split(':')
	const open = audience === 'nothing'
	const byKey = (verdict: Verdict): Verdict => (open ? allowed : audience === 'key' ? verdict : 'insufficient_scope')
	const byOperator = (held: string): Verdict =>
		open || (audience === 'operator' && (held === 'admin' || held === scope)) ? allowed : 'insufficient_scope'
	const unauthorized = open ? allowed : 'unauthorized'
	return {
		'no credential': unauthorized,
		'an empty bearer': unauthorized,
		'basic authentication': unauthorized,
		'a made-up key': unauthorized,
		'a key with a broken checksum': unauthorized,
		'a key with the tenant of another': unauthorized,
		'a made-up operator token': unauthorized,
		'an expired key': byKey('unauthorized'),
		'a revoked key': byKey('unauthorized'),
		...Object.fromEntries(
			scopes.map((held) => [`a key with ${held} alone`, byKey(held === scope ? allowed : 'insufficient_scope')]),
		),
		'a full key of another tenant': byKey(other),
		'a full key of the suspended tenant': byKey(suspended ?? 'tenant_suspended'),
		...Object.fromEntries(Object.keys(operators).map((held) => [`an operator token of ${held}`, byOperator(held)])),
	}
}

async function credentials({ tenant, keys, expired, revoked }: Prepared): Promise<Record<string, string | null>> {
	const other = await newTenant()
	const last = tenant.secret.at(-1) === '0' ? '1' : '0'
	return {
		'no credential': null,
		'an empty bearer': 'Bearer ',
		'basic authentication': `Basic ${btoa(`${tenant.id}:${tenant.secret}`)}`,
		'a made-up key': `Bearer fhk_${tenant.id}_${'0'.repeat(26)}_${'0'.repeat(32)}_${'0'.repeat(26)}`,
		'a key with a broken checksum': `Bearer ${tenant.secret.slice(0, -1)}${last}`,
		'a key with the tenant of another': `Bearer ${other.secret.replace(other.id, tenant.id)}`,
		'a made-up operator token': 'Bearer fho_made_up_operator_token',
		'an expired key': `Bearer ${expired}`,
		'a revoked key': `Bearer ${revoked}`,
		...Object.fromEntries(scopes.map((held) => [`a key with ${held} alone`, `Bearer ${keys[held]}`])),
		'a full key of another tenant': `Bearer ${other.secret}`,
		...Object.fromEntries(
			Object.entries(operators).map(([held, token]) => [`an operator token of ${held}`, `Bearer ${token}`]),
		),
	}
}

for (const [route, row] of Object.entries(rows)) {
	const [method = '', pattern = ''] = route.split(' ')
	test(`[T1] [T2] ${route} answers each credential as the table says`, async () => {
		const own = await prepare(route)
		const expected = expectedVerdicts(row)
		const call = async (authorization: string | null) => {
			const { path = () => pattern, body = () => undefined } = row
			const headers: Record<string, string> = authorization === null ? {} : { Authorization: authorization }
			return verdictOf(await send(method.toUpperCase(), path(own), null, body(own), headers))
		}
		const before = await journalOf(own.tenant)
		const got: Record<string, Verdict> = {}
		const given = Object.entries(await credentials(own))
		// Those that are let through come last, because they change things.
		const isRefused = ([name]: [string, unknown]) => expected[name] !== row.allowed || row.needs === 'nothing'
		for (const [name, authorization] of given.filter(isRefused)) got[name] = await call(authorization)
		await suspend(own.tenant, 'suspended')
		got['a full key of the suspended tenant'] = await call(`Bearer ${own.tenant.secret}`)
		await suspend(own.tenant, 'active')
		const after = await journalOf(own.tenant)
		// Two entries are the suspension and its end: nothing that was refused has left a trace.
		expect(after.slice(before.length).map(({ op, actor }) => `${op} ${actor}`)).toEqual([
			'tenant operator:operator',
			'tenant operator:operator',
		])
		for (const [name, authorization] of given.filter((one) => !isRefused(one))) {
			got[name] = await call(authorization)
			await restore(own)
		}
		expect(got).toEqual(expected)
	})
}

async function suspend(tenant: NewTenant, status: string): Promise<void> {
	expect((await send('PATCH', `/v1/tenants/${tenant.id}`, operators.admin, { status })).status).toBe(200)
}

/** Puts back what an allowed call may have taken away. */
async function restore(own: Prepared): Promise<void> {
	await send('PUT', '/v1/collections/people', own.tenant.secret, { schema: people })
	await send('DELETE', record, own.tenant.secret)
	const list = await send('GET', '/v1/collections/people/records', own.tenant.secret)
	for (const { id } of (await list.json<{ records: { id: string }[] }>()).records)
		await send('DELETE', `/v1/collections/people/records/${id}`, own.tenant.secret)
	await send('PUT', record, own.tenant.secret, { email: 'ada@example.com', age: 36 })
	own.spareKey = (await makeKey(own.tenant, ['read'])).id
	await send('DELETE', `/v1/webhooks/${own.webhook}`, own.tenant.secret)
	own.webhook = await makeWebhook(own.tenant)
	if (own.exported && (await send('GET', `/v1/exports/${own.exported}`, own.tenant.secret)).status === 404)
		own.exported = await finishedExport(own.tenant)
}

async function journalOf(tenant: NewTenant): Promise<{ op: string; actor: string }[]> {
	const listed = await send('GET', '/v1/changes?limit=1000', tenant.secret)
	expect(listed.status).toBe(200)
	return (await listed.json<{ changes: { op: string; actor: string }[] }>()).changes
}
