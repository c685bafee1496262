import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, test, vi } from 'vitest'
import type { Caller, Command } from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import { parseKey } from '../../core/keys.ts'
import { cellOf, type Env, regionsOf } from '../../workers/env.ts'
import { remainsOf } from '../../workers/shard-do/erasure.ts'
import { objectSql } from '../../workers/shard-do/object-sql.ts'
import { TenantShard } from '../../workers/shard-do/tenant-shard.ts'
import { shardPorts } from '../../workers/wire.ts'
import { people } from '../shard.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { gatherLog } from './log.ts'
import { verdictOf } from './problem.ts'

const bindings = env as unknown as Env
gatherLog()

async function prepare(): Promise<NewTenant> {
	const tenant = await newTenant()
	expect((await send('PUT', '/v1/collections/people', tenant.secret, { schema: people })).status).toBe(201)
	const body = { email: 'ada@example.com' }
	expect((await send('POST', '/v1/collections/people/records', tenant.secret, body)).status).toBe(201)
	return tenant
}

const stubOf = ({ id }: NewTenant): DurableObjectStub => bindings.TENANT_SHARD.getByName(`${id}/0`)

function readOf({ secret }: NewTenant): Command<'tenant.get'> {
	const key = parseKey(secret, [bindings.SIGNING_SECRET])
	if (!key) throw new Error('the key does not parse')
	const caller: Caller = { kind: 'key', id: key.keyId, secretHash: key.secretHash }
	return { tenant: key.tenant, shard: 0, caller, requestId: 'r', idempotency: null, operation: { name: 'tenant.get' } }
}

/** Puts something else into the tenant's control object, behind everybody's back. */
async function rewrite({ secret }: NewTenant, change: (control: Control) => Control): Promise<void> {
	const key = parseKey(secret, [bindings.SIGNING_SECRET])
	const region = regionsOf(bindings).find((one) => key?.tenant.startsWith(`${one}_`))
	if (!key || !region) throw new Error('no tenant')
	const { control } = cellOf(bindings, region)
	const found = await control.read(key.tenant)
	if (!found) throw new Error('no control object')
	expect(await control.replace(key.tenant, change(found.control), found.etag)).toBe(true)
}

test('the first encrypted property gives its tenant a key; without it a shard says so, and nothing is given in its place', async () => {
	const tenant = await newTenant()
	const schema = { properties: { note: { type: 'string', 'x-personal': 'encrypted' } } }
	const put = () => send('PUT', '/v1/collections/notes', tenant.secret, { schema })
	expect((await put()).status).toBe(201)
	const path = '/v1/collections/notes/records/n'
	expect((await send('PUT', path, tenant.secret, { note: 'private' })).status).toBe(201)
	await evictDurableObject(stubOf(tenant))
	expect(await (await send('GET', path, tenant.secret)).json()).toMatchObject({ data: { note: 'private' } })

	let keys: Control['keys']
	await rewrite(tenant, ({ keys: present, ...control }) => {
		keys = present
		return control
	})
	expect(keys).toMatchObject([{ version: 1 }])
	await evictDurableObject(stubOf(tenant))
	const unread = await send('GET', path, tenant.secret)
	expect([unread.status, unread.headers.get('Retry-After')]).toEqual([503, '5'])
	await rewrite(tenant, (control) => {
		expect(control.keys).toBeUndefined()
		return { ...control, keys }
	})
	expect(await (await send('GET', path, tenant.secret)).json()).toMatchObject({ data: { note: 'private' } })
})

test("a tenant's own key is replaced by a new one in the control object, and what it sealed opens as before", async () => {
	const tenant = await newTenant()
	const note = { type: 'string', 'x-personal': 'encrypted', 'x-unique': true }
	expect((await send('PUT', '/v1/collections/notes', tenant.secret, { schema: { properties: { note } } })).status).toBe(
		201,
	)
	const path = '/v1/collections/notes/records/n'
	expect((await send('PUT', path, tenant.secret, { note: 'private' })).status).toBe(201)
	const rotation = `/v1/tenants/${tenant.id}/key-rotation`
	const begun = await send('POST', rotation, bindings.OPERATOR_TOKEN)
	expect(begun.status).toBe(202)
	expect(await begun.json()).toMatchObject({ version: 2, status: 'running', records_total: 1, history_until: null })
	await vi.waitFor(
		async () => {
			const shown = await send('GET', rotation, bindings.OPERATOR_TOKEN)
			expect(await shown.json()).toMatchObject({ status: 'done', records_done: 1, history_until: expect.any(String) })
		},
		{ timeout: 30_000, interval: 100 },
	)
	await rewrite(tenant, (control) => {
		expect(control).toMatchObject({ keys: [{ version: 2 }], keysSince: expect.any(Number) })
		return { ...control }
	})
	await evictDurableObject(stubOf(tenant))
	expect(await (await send('GET', path, tenant.secret)).json()).toMatchObject({ data: { note: 'private' } })
	const clash = await send('POST', '/v1/collections/notes/records', tenant.secret, { note: 'private' })
	expect(await verdictOf(clash)).toBe('unique_violation')
})

test('[E1] what is known about a person needs the control object and a page of keys at a cold start, and is gone with its key', async () => {
	const tenant = await newTenant('global')
	const properties = {
		note: { type: 'string', 'x-personal': 'encrypted' },
		person: { type: 'string', 'x-subject': true },
	}
	expect((await send('PUT', '/v1/collections/notes', tenant.secret, { schema: { properties } })).status).toBe(201)
	const path = '/v1/collections/notes/records/n'
	expect((await send('PUT', path, tenant.secret, { note: 'private', person: 'ada' })).status).toBe(201)
	await evictDurableObject(stubOf(tenant))
	expect(await (await send('GET', path, tenant.secret)).json()).toMatchObject({ data: { note: 'private' } })

	const { BUCKET: bucket } = env as unknown as { BUCKET: R2Bucket }
	const page = `keys/${tenant.id}/0.json`
	const kept = await (await bucket.get(page))?.text()
	if (kept === undefined) throw new Error('no page of keys')
	await evictDurableObject(stubOf(tenant))
	await bucket.delete(page)
	const unread = await send('GET', path, tenant.secret)
	expect([unread.status, unread.headers.get('Retry-After')]).toEqual([503, '5'])
	await bucket.put(page, kept)
	expect((await send('GET', path, tenant.secret)).status).toBe(200)

	const erased = await send('DELETE', '/v1/subjects/ada', tenant.secret)
	expect(await erased.json()).toMatchObject({ records: 1, key_destroyed_at: expect.any(String) })
	expect(await (await bucket.get(page))?.text()).not.toBe(kept)
	expect((await send('GET', path, tenant.secret)).status).toBe(404)
	await evictDurableObject(stubOf(tenant))
	expect((await send('PUT', path, tenant.secret, { note: 'again', person: 'ada' })).status).toBe(201)
})

test('a shard reads its control object once a cold start, however many requests come at once', async () => {
	const tenant = await prepare()
	const command = readOf(tenant)
	const seen = await runInDurableObject(stubOf(tenant), async (_instance, state) => {
		let reads = 0
		const { readControl } = shardPorts(bindings)
		const counting = (id: typeof command.tenant) => {
			reads++
			return readControl(id)
		}
		const shard = new TenantShard(state, bindings, { ...shardPorts(bindings), readControl: counting })
		const together = await Promise.all(Array.from({ length: 10 }, () => shard.execute(command)))
		const later = await shard.execute(command)
		return { reads, ok: [...together, later].every((reply) => reply.ok) }
	})
	expect(seen).toEqual({ reads: 1, ok: true })
})

test('while the control object cannot be read, a cold shard answers 503 with Retry-After, and its alarm rings again', async () => {
	const tenant = await prepare()
	const command = readOf(tenant)
	const replies = await runInDurableObject(stubOf(tenant), async (_instance, state) => {
		let away = true
		const { readControl, ...ports } = shardPorts(bindings)
		const shard = new TenantShard(state, bindings, {
			...ports,
			readControl: (id) => (away ? Promise.reject(new Error('the bucket is away')) : readControl(id)),
		})
		const first = await shard.execute(command)
		const pulled = await shard.pull({
			...{ tenant: command.tenant, shard: 0, epoch: 1, after: 0, entriesMax: 10, bytesMax: 1_000 },
		})
		await state.storage.deleteAlarm()
		await shard.alarm()
		const armed = await state.storage.getAlarm()
		away = false
		return { first, pulled: pulled.kind, armed: armed !== null, afterwards: (await shard.execute(command)).ok }
	})
	expect(replies).toMatchObject({
		first: { ok: false, refusal: { code: 'unavailable', retryAfter: 1 } },
		pulled: 'refused',
		armed: true,
		afterwards: true,
	})
})

test('[E1] a shard with all of its data whose control object says erased buries itself before its first answer', async () => {
	const tenant = await prepare()
	await rewrite(tenant, (control) => ({ ...control, state: 'erased', epoch: control.epoch + 1 }))
	await evictDurableObject(stubOf(tenant))
	for (const path of ['/v1/tenant', '/v1/collections/people/records', '/v1/changes'])
		expect(await verdictOf(await send('GET', path, tenant.secret)), path).toBe('tenant_erased')
	const remains = await runInDurableObject(stubOf(tenant), (_instance, { storage }) =>
		remainsOf(objectSql(storage, { rowsWritten: 0, rowsRead: 0 })),
	)
	expect(remains).toEqual({ tables: 0, records: 0, keys: 0, buried: true })
})

test('[E1] a shard whose control object says erasing is fenced, and one of an older epoch does not answer', async () => {
	const erasing = await prepare()
	await rewrite(erasing, (control) => ({ ...control, state: 'erasing', epoch: control.epoch + 1 }))
	await evictDurableObject(stubOf(erasing))
	expect(await verdictOf(await send('GET', '/v1/tenant', erasing.secret))).toBe('tenant_erased')
	const kept = await runInDurableObject(stubOf(erasing), (_instance, { storage }) =>
		remainsOf(objectSql(storage, { rowsWritten: 0, rowsRead: 0 })),
	)
	expect(kept).toMatchObject({ records: 1, keys: 0, buried: false })

	const moved = await prepare()
	await rewrite(moved, (control) => ({ ...control, epoch: control.epoch + 1 }))
	await evictDurableObject(stubOf(moved))
	expect(await verdictOf(await send('GET', '/v1/tenant', moved.secret))).toBe('unavailable')
})

test('[S1] a shard that diverged from the view goes on under the epoch that began for it, warm and after a cold start', async () => {
	const tenant = await prepare()
	await rewrite(tenant, (control) => ({ ...control, epoch: control.epoch + 1, diverged: control.epoch + 1 }))
	const { tenant: id } = readOf(tenant)
	const pulled = await runInDurableObject(stubOf(tenant), (instance) =>
		(instance as TenantShard<Env>).pull({
			...{ tenant: id, shard: 0, epoch: 2, after: 0, base: null, anew: true, entriesMax: 10, bytesMax: 1_000 },
		}),
	)
	expect(pulled).toMatchObject({ kind: 'page', page: { epoch: 2, base: { all: true, hollow: true } } })
	await evictDurableObject(stubOf(tenant))
	expect((await send('GET', '/v1/tenant', tenant.secret)).status).toBe(200)
})
