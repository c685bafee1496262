import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, test, vi } from 'vitest'
import type { Caller, Command, OperationName, Operations, Shard, WakeUp } from '../../core/contract.ts'
import type { ErasureCall } from '../../core/erasure.ts'
import { mintTenantId, parseRegion } from '../../core/ids.ts'
import { parseKey } from '../../core/keys.ts'
import { type Env, shardOf } from '../../workers/env.ts'
import { TenantShard, type TenantShardPorts } from '../../workers/shard-do/tenant-shard.ts'
import { shardPorts } from '../../workers/wire.ts'
import { people } from '../shard.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { gatherLog } from './log.ts'
import { verdictOf } from './problem.ts'

const bindings = env as unknown as Env
vi.setConfig({ testTimeout: 60_000 })
const log = gatherLog()
const records = '/v1/collections/people/records'
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

async function prepare(): Promise<NewTenant> {
	const tenant = await newTenant()
	expect((await send('PUT', '/v1/collections/people', tenant.secret, { schema: people })).status).toBe(201)
	return tenant
}

function stubOf({ id }: NewTenant): DurableObjectStub {
	return bindings.TENANT_SHARD.getByName(`${id}/0`)
}

/** Makes commands of the tenant's first key. */
function commandsOf({ secret }: NewTenant) {
	const key = parseKey(secret, [bindings.SIGNING_SECRET])
	if (!key) throw new Error('the key does not parse')
	const caller: Caller = { kind: 'key', id: key.keyId, secretHash: key.secretHash }
	return <N extends OperationName>(operation: { name: N } & Operations[N]['takes']): Command<N> => ({
		...{ tenant: key.tenant, shard: 0, caller, requestId: 'request', idempotency: null, operation },
	})
}

interface Entry {
	seq: number
	op: string
	id: string | null
	version: number | null
}

async function journalOf(tenant: NewTenant): Promise<Entry[]> {
	const entries: Entry[] = []
	for (;;) {
		const after = entries.at(-1)?.seq ?? 0
		const response = await send('GET', `/v1/changes?limit=1000&after=${after}`, tenant.secret)
		const { changes } = await response.json<{ changes: Entry[] }>()
		if (changes.length === 0) return entries
		entries.push(...changes)
	}
}

async function recordCount(tenant: NewTenant): Promise<{ listed: number; counted: number }> {
	const list = await send('GET', `${records}?limit=1000`, tenant.secret)
	const shown = await send('GET', '/v1/tenant', tenant.secret)
	return {
		listed: (await list.json<{ records: unknown[] }>()).records.length,
		counted: (await shown.json<{ usage: { records: number } }>()).usage.records,
	}
}

test('[D2] [J1] of writes in one turn, those that are refused or fail leave no trace, and the others stand without a gap', async () => {
	const tenant = await prepare()
	const command = commandsOf(tenant)
	const create = (data: object) => command({ name: 'record.create', collection: 'people', data: JSON.stringify(data) })
	const batch = (...emails: string[]) =>
		command({
			name: 'batch',
			operations: emails.map((email) => ({ op: 'create', collection: 'people', data: JSON.stringify({ email }) })),
		})
	const broken = command({ name: 'record.create', collection: 'people', data: '{"email":' })
	const expected: [Command, string][] = range(1, 20).flatMap((n): [Command, string][] => [
		[create({ email: `a${n}@example.com`, age: n }), 'ok'],
		[create({ email: `A${n}@example.com` }), 'unique_violation'],
		[create({ age: 'old' }), 'validation_failed'],
		[batch(`b${n}@example.com`, `c${n}@example.com`), 'ok'],
		[batch(`d${n}@example.com`, `a${n}@example.com`), 'unique_violation'],
		[broken, 'thrown'],
		[command({ name: 'record.delete', collection: 'people', id: 'none', ifMatch: null }), 'not_found'],
		[command({ name: 'collection.put', collection: 'people', schema: '{"type":"list"}' }), 'schema_invalid'],
		[create({ email: `d${n}@example.com` }), 'ok'],
	])
	// Called without waiting inside the object, they are all of one turn.
	const got = await runInDurableObject(stubOf(tenant), async (instance) => {
		const shard = instance as unknown as Shard
		const settled = await Promise.allSettled(expected.map(([asked]) => shard.execute(asked)))
		return settled.map((one) => (one.status === 'rejected' ? 'thrown' : one.value.ok ? 'ok' : one.value.refusal.code))
	})
	expect(got).toEqual(expected.map(([, verdict]) => verdict))
	const created = (await journalOf(tenant)).filter(({ op }) => op === 'create')
	expect(created.map(({ seq }) => seq)).toEqual(range(4, 3 + 20 * 4))
	expect(new Set(created.map(({ id }) => id)).size).toBe(80)
	expect(await recordCount(tenant)).toEqual({ listed: 80, counted: 80 })
	await evictDurableObject(stubOf(tenant))
	expect(await recordCount(tenant)).toEqual({ listed: 80, counted: 80 })
})

test('[U1] of concurrent writes with one unique value exactly one wins, and the others hear which constraint', async () => {
	const tenant = await prepare()
	for (const round of range(1, 5)) {
		const forms = [`same${round}@example.com`, `SAME${round}@example.com`, `Same${round}@Example.com`]
		const answers = await Promise.all(
			range(1, 21).map((n) => {
				const body = { email: forms[n % 3] }
				return n % 2
					? send('POST', records, tenant.secret, body)
					: send('PUT', `${records}/r${round}-${n}`, tenant.secret, body)
			}),
		)
		expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
		for (const refused of answers.filter(({ status }) => status !== 201))
			expect(await refused.json()).toMatchObject({ code: 'unique_violation', constraint: 'people.email' })
	}
	expect(await recordCount(tenant)).toEqual({ listed: 5, counted: 5 })
})

test('[J1] versions of one record count up without a gap under concurrent writers, and If-Match lets one win each time', async () => {
	const tenant = await prepare()
	const path = `${records}/contested`
	const put = await send('PUT', path, tenant.secret, { email: 'c@example.com', age: 0 })
	let tag = put.headers.get('ETag') ?? ''
	for (const round of range(1, 5)) {
		const answers = await Promise.all(
			range(1, 10).map((age) => send('PATCH', path, tenant.secret, { age: round * 10 + age }, { 'If-Match': tag })),
		)
		const won = answers.filter(({ status }) => status === 200)
		expect(won).toHaveLength(1)
		expect(answers.filter(({ status }) => status === 412)).toHaveLength(9)
		tag = won[0]?.headers.get('ETag') ?? ''
	}
	await Promise.all(range(1, 50).map((age) => send('PATCH', path, tenant.secret, { age })))
	const entries = (await journalOf(tenant)).filter(({ id }) => id === 'contested')
	expect(entries.map(({ version }) => version)).toEqual(range(1, 56))
	expect(entries.map(({ seq }) => seq)).toEqual(range(4, 59))
})

test('[S1] a read after an eviction or an abort answers the last write that was acknowledged', async () => {
	const tenant = await prepare()
	for (const n of range(1, 20)) {
		const written = await send('PUT', `${records}/one`, tenant.secret, { email: 'one@example.com', age: n })
		expect(written.status).toBe(n === 1 ? 201 : 200)
		if (n % 4 === 0) await abortAllDurableObjects()
		else await evictDurableObject(stubOf(tenant))
		const read = await send('GET', `${records}/one`, tenant.secret)
		expect(read.headers.get('ETag')).toBe(written.headers.get('ETag'))
		expect(await read.json()).toMatchObject({ version: n, data: { age: n } })
		const found = await send('GET', `${records}?age=eq.${n}`, tenant.secret)
		expect((await found.json<{ records: unknown[] }>()).records).toHaveLength(1)
	}
})

test('[S1] a key that was revoked, and a tenant that was suspended, stay so after an eviction', async () => {
	const tenant = await prepare()
	const made = await send('POST', '/v1/keys', tenant.secret, { scopes: ['read'] })
	const { id, secret } = await made.json<{ id: string; secret: string }>()
	expect((await send('GET', '/v1/tenant', secret)).status).toBe(200)
	expect((await send('DELETE', `/v1/keys/${id}`, tenant.secret)).status).toBe(204)
	await evictDurableObject(stubOf(tenant))
	expect(await verdictOf(await send('GET', '/v1/tenant', secret))).toBe('unauthorized')
	const suspend = { status: 'suspended' }
	await send('PATCH', `/v1/tenants/${tenant.id}`, bindings.OPERATOR_TOKEN, suspend)
	await evictDurableObject(stubOf(tenant))
	expect(await verdictOf(await send('GET', records, tenant.secret))).toBe('tenant_suspended')
})

test('[D1] [I1] writes that an abort cuts short are there once or not at all, and a retry settles each', async () => {
	const tenant = await prepare()
	const post = (n: number) => {
		const headers = { 'Idempotency-Key': `n${n}` }
		return send('POST', records, tenant.secret, { email: `n${n}@example.com` }, headers)
	}
	let cut = 0
	const rounds = 20
	for (const round of range(1, rounds)) {
		const numbers = range(round * 10, round * 10 + 9)
		const posting = numbers.map(post)
		// Each round leaves the writes a little more time before they are cut short.
		for (const _ of range(1, round * 5)) await Promise.resolve()
		if (round % 2 === 0) await send('GET', '/openapi.json', null)
		await abortAllDurableObjects()
		for (const [index, response] of (await Promise.all(posting)).entries()) {
			if (response.status === 201) continue
			expect(await verdictOf(response)).toBe('unavailable')
			cut++
			expect((await post(numbers[index] ?? 0)).status).toBe(201)
		}
	}
	expect(cut).toBeGreaterThan(0)
	expect(await recordCount(tenant)).toEqual({ listed: rounds * 10, counted: rounds * 10 })
	const created = (await journalOf(tenant)).filter(({ op }) => op === 'create')
	expect(created.map(({ seq }) => seq)).toEqual(range(4, 3 + rounds * 10))
})

/** Runs the alarm's code over the tenant's storage with ports of the test. */
function ringWith(tenant: NewTenant, announce: (wakeUp: WakeUp) => Promise<void>): Promise<{ armed: number | null }> {
	return runInDurableObject(stubOf(tenant), async (_instance, state) => {
		const told = async (message: WakeUp | ErasureCall) => {
			if (!('kind' in message)) await announce(message)
		}
		const ports: TenantShardPorts = { ...shardPorts(bindings), announce: told, log: () => {} }
		const shard = new TenantShard(state, bindings, ports)
		await state.storage.deleteAlarm()
		await shard.alarm()
		return { armed: await state.storage.getAlarm() }
	})
}

const pull = (tenant: NewTenant, after: number) => {
	const { tenant: id } = commandsOf(tenant)({ name: 'tenant.get' })
	return shardOf(bindings, id, 0).pull({
		tenant: id,
		shard: 0,
		epoch: 1,
		after,
		entriesMax: 1_000,
		bytesMax: 1_000_000,
	})
}

test('[V1] the alarm of a shard that the view is behind announces where its journal ends, and rings again', async () => {
	const tenant = await prepare()
	expect((await send('POST', records, tenant.secret, { email: 'a@example.com' })).status).toBe(201)
	const announced: WakeUp[] = []
	const { armed } = await ringWith(tenant, async (wakeUp) => void announced.push(wakeUp))
	expect(announced).toEqual([{ tenant: tenant.id, shard: 0, epoch: 1, head: 4 }])
	expect(JSON.stringify(announced[0]).length).toBeLessThan(150)
	expect(armed).toBeGreaterThan(Date.now() - 10_000)

	// Through the platform: as long as nobody pulls, each ring arms the next.
	for (const _ of range(1, 3)) {
		expect(await runDurableObjectAlarm(stubOf(tenant))).toBe(true)
		const next = await runInDurableObject(stubOf(tenant), (_instance, { storage }) => storage.getAlarm())
		expect(next).not.toBeNull()
	}
})

test('[V1] an alarm whose announcement fails never throws and is armed again, more often than the platform would retry', async () => {
	const tenant = await prepare()
	for (const _ of range(1, 10)) {
		const { armed } = await ringWith(tenant, async () => {
			throw new Error('the queue is away')
		})
		expect(armed).toBeGreaterThan(Date.now())
	}
	expect((await send('POST', records, tenant.secret, { email: 'a@example.com' })).status).toBe(201)
})

test('[J2] once the view has pulled everything, the alarm announces nothing more and rests until a write', async () => {
	const tenant = await prepare()
	let after = 0
	for (;;) {
		const reply = await pull(tenant, after)
		if (reply.kind !== 'page') throw new Error(reply.kind)
		expect(reply.page.from).toBe(after)
		if (reply.page.to === after) break
		after = reply.page.to
	}
	expect(after).toBe(3)
	await runDurableObjectAlarm(stubOf(tenant))
	const resting = () => runInDurableObject(stubOf(tenant), (_instance, { storage }) => storage.getAlarm())
	// What is left to do is maintenance: closing the journal's segment, weeks ahead.
	expect((await resting()) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(Date.now() + 25 * 86_400_000)
	await evictDurableObject(stubOf(tenant))
	expect((await send('GET', '/v1/tenant', tenant.secret)).status).toBe(200)
	expect((await resting()) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(Date.now() + 25 * 86_400_000)
	expect((await send('POST', records, tenant.secret, { email: 'a@example.com' })).status).toBe(201)
	expect(await resting()).toBeLessThan(Date.now() + 10_000)
})

test('[V1] an object that starts while the view is behind arms its alarm by itself', async () => {
	const tenant = await prepare()
	await runInDurableObject(stubOf(tenant), (_instance, { storage }) => storage.deleteAlarm())
	await evictDurableObject(stubOf(tenant))
	expect((await send('GET', '/v1/tenant', tenant.secret)).status).toBe(200)
	const armed = await runInDurableObject(stubOf(tenant), (_instance, { storage }) => storage.getAlarm())
	expect(armed).not.toBeNull()
})

test('[T3] [U2] an object that was never provisioned creates nothing, whatever it is asked', async () => {
	const region = parseRegion('eu')
	if (!region) throw new Error('not a region')
	const id = mintTenantId(region, Date.now(), (bytes) => crypto.getRandomValues(bytes))
	const shard = shardOf(bindings, id, 0)
	const command = commandsOf(await newTenant())
	const asked = { tenant: id, shard: 0, epoch: 1, after: 0, entriesMax: 1, bytesMax: 1 }
	const operations = [
		command({ name: 'tenant.get' }),
		command({ name: 'record.create', collection: 'people', data: '{}' }),
		{ ...command({ name: 'tenant.update', tenantName: 'x' }), caller: { kind: 'operator', name: 'operator' } as const },
	]
	for (const operation of operations) {
		const reply = await shard.execute({ ...operation, tenant: id })
		expect(reply.ok ? 'accepted' : reply.refusal.code).toBe('unauthorized')
	}
	expect(await shard.pull(asked)).toEqual({ kind: 'refused', reason: 'unknown_shard' })
	const found = await runInDurableObject(
		bindings.TENANT_SHARD.getByName(`${id}/0`),
		async (_instance, { storage }) => ({
			tables: storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT GLOB '_cf_*'").toArray(),
			alarm: await storage.getAlarm(),
		}),
	)
	expect(found).toEqual({ tables: [], alarm: null })
})

test('nothing that a record holds is in the log', async () => {
	const tenant = await prepare()
	await send('POST', records, tenant.secret, { email: 'logged@example.com', phone: '555-0199' })
	await send('POST', records, tenant.secret, { email: 'logged@example.com', phone: '555-0199' })
	await send('GET', `${records}?email=eq.logged@example.com`, tenant.secret)
	const lines = log.join('\n')
	expect(log.length).toBeGreaterThan(100)
	for (const part of ['logged@', '555-0199', tenant.secret, bindings.OPERATOR_TOKEN, tenant.slug])
		expect(lines).not.toContain(part)
})

test('where the platform keeps no history a rewind is refused, and the tenant goes on under its epoch', async () => {
	const tenant = await prepare()
	const { tenant: id } = commandsOf(tenant)({ name: 'tenant.get' })
	const request = { id: 'request', key: 'key', fingerprint: '' }
	const refused = await shardOf(bindings, id, 0).rewind({ request, to: Date.now(), by: 'operator:operator' })
	expect(refused).toMatchObject({ ok: false, refusal: { code: 'history_unavailable' } })
	expect((await send('POST', records, tenant.secret, { email: 'a@example.com' })).status).toBe(201)
	const control = await shardPorts(bindings).readControl(id)
	expect([control?.epoch, control?.rewound]).toEqual([1, undefined])
})
