import { env } from 'cloudflare:workers'
import { beforeAll, expect, test } from 'vitest'
import type { Command, Provisioning } from '../../core/contract.ts'
import { parseTenantId, type TenantId } from '../../core/ids.ts'
import { parseKey } from '../../core/keys.ts'
import { type Env, shardOf } from '../../workers/env.ts'
import { people } from '../shard.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { gatherLog } from './log.ts'
import { readProblem, verdictOf } from './problem.ts'

const bindings = env as unknown as Env
gatherLog()

/** Stands in everything of the other tenant and must never be seen by the one that asks. */
const secretText = 'only-the-other-tenant-knows'
let mine: NewTenant
let other: NewTenant

beforeAll(async () => {
	mine = await newTenant()
	other = await newTenant()
	for (const tenant of [mine, other])
		expect((await send('PUT', '/v1/collections/people', tenant.secret, { schema: people })).status).toBe(201)
	for (const id of ['a', 'b', 'c']) {
		const body = { email: `${id}@${secretText}`, age: 1 }
		expect((await send('PUT', `/v1/collections/people/records/${id}`, other.secret, body)).status).toBe(201)
	}
	expect((await send('PUT', '/v1/collections/theirs', other.secret, { schema: {} })).status).toBe(201)
})

test('[T1] naming another tenant in a path, a header, a query or a body reaches nothing of it', async () => {
	const before = await positionOf(other)
	const inHeaders = {
		'X-Tenant': other.id,
		'X-Tenant-Id': other.id,
		'Freehold-Tenant': other.id,
		'Freehold-Shard': `${other.id}/0`,
		'Freehold-Command': JSON.stringify({ tenant: other.id, shard: 0 }),
		'Freehold-Min-Position': `${other.id}:1`,
		'X-Forwarded-Host': `${other.id}.freehold.test`,
		'X-Original-Url': `/v1/tenants/${other.id}`,
		Cookie: `tenant=${other.id}`,
	}
	const named = { tenant: other.id, tenant_id: other.id, shard: `${other.id}/0`, _tenant: { id: other.id } }
	const calls: [string, string, unknown?][] = [
		['GET', '/v1/tenant'],
		['GET', `/v1/tenant?tenant=${other.id}`],
		['GET', `/v1/tenant/${other.id}`],
		['GET', `/v1/tenants/${other.id}`],
		['PATCH', `/v1/tenants/${other.id}`, { status: 'suspended' }],
		['GET', `/v1/tenants/${other.id}/collections/people/records/a`],
		['GET', `/${other.id}/v1/collections/people/records/a`],
		['GET', '/v1/collections/theirs'],
		['GET', `/v1/collections/${other.id}`],
		['GET', '/v1/collections/people/records/a'],
		['GET', `/v1/collections/people/records/${other.id}`],
		['GET', `/v1/collections/people/records/..%2f..%2f${other.id}%2fpeople%2fa`],
		['GET', `/v1/collections/people%2f..%2f${other.id}/records/a`],
		['GET', `/v1/collections/people/records?tenant=eq.${other.id}`],
		['GET', `/v1/collections/people/records?tenant_id=${other.id}&limit=1`],
		['GET', '/v1/collections/people/records'],
		['POST', '/v1/collections/people/records/search', { tenant: other.id }],
		['POST', '/v1/collections/people/records/search', {}],
		['POST', '/v1/collections/people/records', { email: 'mine@example.com', ...named }],
		['PUT', '/v1/collections/people/records/a', { email: 'a@example.com', ...named }],
		['PATCH', '/v1/collections/people/records/a', named],
		['DELETE', '/v1/collections/people/records/a', undefined],
		['DELETE', '/v1/collections/theirs', undefined],
		['POST', '/v1/batch', { operations: [{ op: 'put', collection: 'people', id: 'b', data: named, ...named }] }],
		['POST', '/v1/batch', { operations: [{ op: 'delete', collection: 'people', id: 'c' }], ...named }],
		['POST', '/v1/keys', { scopes: ['read'], ...named }],
		['GET', `/v1/changes?tenant=${other.id}`],
		['GET', '/v1/changes'],
		['GET', '/v1/keys'],
		['GET', '/v1/view/records?collection=people'],
		['GET', `/v1/view/records?collection=people&tenant=${other.id}`],
	]
	for (const [method, path, body] of calls) {
		const response = await send(method, path, mine.secret, body, inHeaders)
		const text = await response.text()
		expect(response.status, `${method} ${path}`).toBeLessThan(500)
		expect(text, `${method} ${path}`).not.toContain(secretText)
		expect(text, `${method} ${path}`).not.toContain(other.slug)
	}
	expect(await positionOf(other)).toBe(before)
	const kept = await send('GET', '/v1/collections/people/records', other.secret)
	expect((await kept.json<{ records: unknown[] }>()).records).toHaveLength(3)
	expect((await send('GET', '/v1/tenant', other.secret)).status).toBe(200)
})

test('[T1] a cursor that another tenant was given is refused, in every list', async () => {
	for (const path of ['/v1/collections/people/records?limit=1', '/v1/collections?limit=1', '/v1/keys?limit=1']) {
		if (path.startsWith('/v1/keys'))
			expect((await send('POST', '/v1/keys', other.secret, { scopes: ['read'] })).status).toBe(201)
		const page = await send('GET', path, other.secret)
		const next = /<([^>]+)>; rel="next"/.exec(page.headers.get('Link') ?? '')?.[1] ?? ''
		expect(next, path).toContain('cursor=')
		expect((await send('GET', next, other.secret)).status).toBe(200)
		expect(await verdictOf(await send('GET', next, mine.secret)), path).toBe('invalid_cursor')
	}
})

test('[T1] an idempotency key of another tenant is another key', async () => {
	const body = { email: 'idempotent@example.com' }
	const path = '/v1/collections/people/records'
	const headers = { 'Idempotency-Key': 'the-same' }
	const [first, second] = [
		await send('POST', path, other.secret, body, headers),
		await send('POST', path, mine.secret, body, headers),
	]
	expect([first.status, second.status]).toEqual([201, 201])
	expect(second.headers.get('Idempotency-Replayed')).toBeNull()
	expect(second.headers.get('Location')).not.toBe(first.headers.get('Location'))
})

test('[T1] a key id of another tenant cannot be revoked', async () => {
	const made = await send('POST', '/v1/keys', other.secret, { scopes: ['read'] })
	const { id, secret } = await made.json<{ id: string; secret: string }>()
	expect(await verdictOf(await send('DELETE', `/v1/keys/${id}`, mine.secret))).toBe('not_found')
	expect((await send('GET', '/v1/tenant', secret)).status).toBe(200)
})

test('[T1] a tenant id with anything added, changed or encoded is unknown to the operator', async () => {
	const forms = [
		`${mine.id}/0`,
		`${mine.id}%2f0`,
		`${mine.id}%00`,
		`${mine.id}%20`,
		`%20${mine.id}`,
		`${mine.id}.json`,
		`../control/${mine.id}`,
		`..%2fcontrol%2f${mine.id}`,
		mine.id.toUpperCase(),
		mine.id.replace('eu_', 'global_'),
		mine.id.replace('eu_', 'us_'),
		mine.id.replace('eu_', ''),
		mine.id.slice(0, -1),
		`${mine.id}0`,
		'control',
		'*',
	]
	for (const form of forms)
		expect(await verdictOf(await send('GET', `/v1/tenants/${form}`, bindings.OPERATOR_TOKEN)), form).toBe('not_found')
	// A fully encoded id is the same id.
	const encoded = [...mine.id].map((char) => `%${char.charCodeAt(0).toString(16)}`).join('')
	const found = await send('GET', `/v1/tenants/${encoded}`, bindings.OPERATOR_TOKEN)
	expect(await found.json()).toMatchObject({ id: mine.id })
})

/** A command of the tenant's own key, as the edge makes it. */
function command(tenant: NewTenant, change: Partial<Command<'record.get'>> = {}): Command<'record.get'> {
	const key = parseKey(tenant.secret, [bindings.SIGNING_SECRET])
	if (!key) throw new Error('the key does not parse')
	return {
		tenant: key.tenant,
		shard: 0,
		caller: { kind: 'key', id: key.keyId, secretHash: key.secretHash },
		requestId: 'request',
		idempotency: null,
		operation: { name: 'record.get', collection: 'people', id: 'b' },
		...change,
	}
}

test('[T2] a shard refuses a command for another tenant or shard, and a key that is not its own', async () => {
	const shard = shardOf(bindings, idOf(other), 0)
	expect((await shard.execute(command(other))).ok).toBe(true)
	const theirs = command(other)
	const wrong: Record<string, Command<'record.get'>> = {
		'another tenant with its own key': command(mine),
		'another tenant with the right key': { ...theirs, tenant: idOf(mine) },
		'the right tenant with a key of another': { ...command(mine), tenant: idOf(other) },
		'another shard': { ...theirs, shard: 1 },
		'a wrong secret': {
			...theirs,
			caller: { ...theirs.caller, kind: 'key', id: keyIdOf(theirs), secretHash: 'A'.repeat(43) },
		},
		'an empty secret': { ...theirs, caller: { kind: 'key', id: keyIdOf(theirs), secretHash: '' } },
		'no key id': { ...theirs, caller: { kind: 'key', id: '', secretHash: '' } },
	}
	for (const [name, asked] of Object.entries(wrong)) {
		const reply = await shard.execute(asked)
		expect(reply.ok ? 'accepted' : reply.refusal.code, name).toBe('unauthorized')
	}
	const operator = await shard.execute({ ...theirs, caller: { kind: 'operator', name: 'operator' } })
	expect(operator.ok ? 'accepted' : operator.refusal.code).toBe('insufficient_scope')
})

test('[T2] a shard opens no feed, gives no page and takes no provisioning for another tenant', async () => {
	const shard = shardOf(bindings, idOf(other), 0)
	const feed = await shard.fetch(
		new Request('https://shard/changes', {
			headers: {
				Upgrade: 'websocket',
				'Freehold-Command': JSON.stringify(
					command(mine, { operation: { name: 'changes.list', after: 0, limit: 1 } as never }),
				),
			},
		}),
	)
	expect(feed.webSocket ?? null).toBeNull()
	expect(await feed.json()).toMatchObject({ refusal: { code: 'unauthorized' } })

	const asked = { tenant: idOf(mine), shard: 0, epoch: 1, after: 0, entriesMax: 100, bytesMax: 1_000_000 }
	for (const wrong of [asked, { ...asked, tenant: idOf(other), shard: 1 }])
		expect(await shard.pull(wrong)).toEqual({ kind: 'refused', reason: 'unknown_shard' })
	expect(await shard.pull({ ...asked, tenant: idOf(other), epoch: 2 })).toEqual({ kind: 'refused', reason: 'epoch' })

	const start: Provisioning = {
		tenant: idOf(mine),
		shard: 0,
		epoch: 1,
		slug: 'stolen',
		name: 'Stolen',
		createdAt: 0,
		key: { id: 'k', secretHash: 'h' },
		actor: 'operator:operator',
	}
	for (const wrong of [start, { ...start, tenant: idOf(other) }, { ...start, tenant: idOf(other), shard: 1 }])
		expect((await shard.provision(wrong)).ok).toBe(false)
	expect((await send('GET', '/v1/tenant', other.secret)).status).toBe(200)
})

test('a key can hand on only the scopes that it has', async () => {
	const made = await send('POST', '/v1/keys', mine.secret, { scopes: ['keys', 'read'] })
	const { secret } = await made.json<{ secret: string }>()
	expect((await send('POST', '/v1/keys', secret, { scopes: ['read', 'keys'] })).status).toBe(201)
	for (const scope of ['write', 'schema', 'export', 'erase']) {
		const problem = await readProblem(await send('POST', '/v1/keys', secret, { scopes: ['read', scope] }))
		expect(problem.code).toBe('insufficient_scope')
	}
})

function idOf({ id }: NewTenant): TenantId {
	const parsed = parseTenantId(id)
	if (!parsed) throw new Error('not a tenant id')
	return parsed
}

function keyIdOf({ caller }: Command): string {
	return caller.kind === 'key' ? caller.id : ''
}

async function positionOf(tenant: NewTenant): Promise<number> {
	const shown = await send('GET', '/v1/tenant', tenant.secret)
	return (await shown.json<{ usage: { position: number } }>()).usage.position
}
