import { env, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import type { Control, ControlStore } from '../../core/control.ts'
import { mintTenantId, type Region, type TenantId } from '../../core/ids.ts'
import { createApp } from '../../workers/api/app.ts'
import type { ApiPorts } from '../../workers/api/ports.ts'
import { cellOf, claimOf, type Env, shardOf } from '../../workers/env.ts'
import { apiPorts } from '../../workers/wire.ts'
import { request, send } from './client.ts'

const bindings = env as unknown as Env
const create = (app: ReturnType<typeof createApp>, slug: string, key?: string) =>
	app.fetch(
		request(
			'POST',
			'/v1/tenants',
			bindings.OPERATOR_TOKEN,
			{ slug, name: 'Acme', region: 'eu' },
			key ? { 'Idempotency-Key': key } : {},
		),
		bindings,
	)

/** The application with one step of provisioning replaced. */
function appWith(change: (ports: ApiPorts) => Partial<ApiPorts>): ReturnType<typeof createApp> {
	const wired = apiPorts(bindings)
	const ports: ApiPorts = {
		...wired,
		claim: (kind, value) => {
			const claim = wired.claim(kind, value)
			if (kind === 'request') requestClaim = claim as unknown as DurableObjectStub
			return claim
		},
	}
	return createApp({ ...ports, ...change(ports) })
}

/** The claim of the idempotent request that was sent last. */
let requestClaim: DurableObjectStub | undefined

/** Makes the last idempotent request look as if it had begun a minute ago. */
async function ageRequest(): Promise<void> {
	if (!requestClaim) throw new Error('no idempotent request was sent')
	await runInDurableObject(requestClaim, (_instance, { storage }) => {
		const row = storage.kv.get<{ startedAt: number }>('request')
		if (!row) throw new Error('the request has no row')
		storage.kv.put('request', { ...row, startedAt: row.startedAt - 60_000 })
	})
}

class Crash extends Error {}

type Step = 'after claim' | 'after control object' | 'after provisioning' | 'after activation'

/** The application, dying at one step of a tenant's creation. */
function dyingAt(step: Step): ReturnType<typeof createApp> {
	const die = (): never => {
		throw new Crash()
	}
	return appWith((ports) => ({
		claim: (kind, value) => {
			const claim = ports.claim(kind, value)
			if (kind !== 'slug') return claim
			return {
				acquire: async (tenant) =>
					(await claim.acquire(tenant)) && step === 'after claim' ? die() : claim.acquire(tenant),
				confirm: (tenant) => claim.confirm(tenant),
				holder: () => claim.holder(),
				transfer: (from, to) => claim.transfer(from, to),
				release: (tenant) => claim.release(tenant),
				begin: (asked) => claim.begin(asked),
				finish: (fingerprint) => claim.finish(fingerprint),
				withdraw: (fingerprint) => claim.withdraw(fingerprint),
			}
		},
		control: (region): ControlStore => {
			const store = ports.control(region)
			return {
				read: (tenant) => store.read(tenant),
				create: async (tenant, control) =>
					(await store.create(tenant, control)) && step === 'after control object' ? die() : true,
				replace: async (tenant, control, etag) =>
					(await store.replace(tenant, control, etag)) && step === 'after activation' ? die() : true,
			}
		},
		shardOf: (tenant, number) => {
			const shard = ports.shardOf(tenant, number)
			return {
				execute: (command) => shard.execute(command),
				pull: (asked) => shard.pull(asked),
				rebuild: (asked) => shard.rebuild(asked),
				survey: (asked) => shard.survey(asked),
				job: (asked) => shard.job(asked),
				fetch: (asked) => shard.fetch(asked),
				erase: (order) => shard.erase(order),
				rewind: (order) => shard.rewind(order),
				provision: async (asked) =>
					(await shard.provision(asked)).ok && step === 'after provisioning' ? die() : shard.provision(asked),
			}
		},
	}))
}

function claimStub(slug: string): DurableObjectStub {
	return claimOf(bindings, 'slug', slug) as unknown as DurableObjectStub
}

const steps: Step[] = ['after claim', 'after control object', 'after provisioning', 'after activation']

for (const step of steps) {
	test(`[U2] a crash ${step} frees the slug or completes the tenant, by itself`, async () => {
		const slug = `crash-${step.replaceAll(' ', '-')}`
		const died = await create(dyingAt(step), slug)
		expect(died.status).toBeGreaterThanOrEqual(500)
		// Nobody else gets the name before it is settled.
		expect(
			(await send('POST', '/v1/tenants', bindings.OPERATOR_TOKEN, { slug, name: 'Other', region: 'eu' })).status,
		).toBe(409)
		await runDurableObjectAlarm(claimStub(slug))
		const next = await send('POST', '/v1/tenants', bindings.OPERATOR_TOKEN, { slug, name: 'Other', region: 'eu' })
		const completed = step === 'after activation'
		expect(next.status).toBe(completed ? 409 : 201)
	})

	test(`[U2] [I1] a retry with the same idempotency key after a crash ${step} completes the tenant it began`, async () => {
		const slug = `retry-${step.replaceAll(' ', '-')}`
		expect((await create(dyingAt(step), slug, `key-${slug}`)).status).toBeGreaterThanOrEqual(500)
		expect(
			(
				await create(
					appWith(() => ({})),
					slug,
					`key-${slug}`,
				)
			).status,
		).toBe(409)
		// The first request is given up on after its time; the retry then goes on with the values that it minted.
		const later = appWith(() => ({}))
		await ageRequest()
		const retried = await create(later, slug, `key-${slug}`)
		expect(retried.status).toBe(201)
		const first = await retried.text()
		const again = await create(later, slug, `key-${slug}`)
		expect([again.status, again.headers.get('Idempotency-Replayed')]).toEqual([201, 'true'])
		expect(await again.text()).toBe(first)
		const { api_key: key } = JSON.parse(first) as { api_key: { secret: string } }
		expect((await send('GET', '/v1/tenant', key.secret)).status).toBe(200)
	})
}

test('[I1] a request that was refused is forgotten, unless it was answered or a retry may have gone on with it', async () => {
	const begin = (claim: ReturnType<typeof claimOf>, draft: string) => claim.begin({ fingerprint: 'f', draft })
	const refused = claimOf(bindings, 'request', 'refused')
	expect(await begin(refused, 'one')).toEqual({ state: 'started', draft: 'one' })
	await refused.withdraw('other')
	expect(await begin(refused, 'two')).toEqual({ state: 'running' })
	await refused.withdraw('f')
	expect(await begin(refused, 'two')).toEqual({ state: 'started', draft: 'two' })
	requestClaim = refused as unknown as DurableObjectStub
	await ageRequest()
	await refused.withdraw('f')
	expect(await begin(refused, 'three')).toEqual({ state: 'resumed', draft: 'two' })
	await refused.finish('f')
	await refused.withdraw('f')
	expect(await begin(refused, 'three')).toEqual({ state: 'finished', draft: 'two' })
})

test('[U2] a late provisioning cannot revive a claim that was freed', async () => {
	const slug = 'late'
	const store = cellOf(bindings, 'eu' as Region).control
	let late: { tenant: TenantId; control: Control } | undefined
	const app = appWith((ports) => ({
		control: () => ({
			...ports.control('eu' as Region),
			create: async (tenant, control) => {
				// The creator stalls here, and meanwhile the claim gives up on it.
				late = { tenant, control }
				await runDurableObjectAlarm(claimStub(slug))
				return store.create(tenant, control)
			},
		}),
	}))
	expect((await create(app, slug)).status).toBe(503)
	expect(await store.create(late?.tenant as TenantId, late?.control as Control)).toBe(false)
	expect((await send('POST', '/v1/tenants', bindings.OPERATOR_TOKEN, { slug, name: 'Other' })).status).toBe(201)
	expect((await store.read(late?.tenant as TenantId))?.control.state).toBe('abandoned')
})

test('[U2] of many concurrent creations with one slug exactly one wins', async () => {
	const created = await Promise.all(
		Array.from({ length: 10 }, (_, index) =>
			send('POST', '/v1/tenants', bindings.OPERATOR_TOKEN, {
				slug: 'contested',
				name: `${index}`,
				region: index % 2 ? 'eu' : 'global',
			}),
		),
	)
	expect(created.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 9 }, () => 409)])
})

test('[S1] a claim survives the eviction of its object', async () => {
	const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
	const mine = mintTenantId('eu' as Region, Date.now(), random)
	const claim = claimOf(bindings, 'slug', 'evicted')
	expect(await claim.acquire(mine)).toBe(true)
	await evictDurableObject(claimStub('evicted'))
	expect(await claimOf(bindings, 'slug', 'evicted').acquire(mintTenantId('eu' as Region, Date.now(), random))).toBe(
		false,
	)
	expect(await claimOf(bindings, 'slug', 'evicted').acquire(mine)).toBe(true)
})

test('[U2] a name that is given to another tenant has one owner at every moment, and keeps it over an eviction', async () => {
	const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
	const [from, to, other] = [1, 2, 3].map((n) => mintTenantId('eu' as Region, Date.now() + n, random)) as [
		TenantId,
		TenantId,
		TenantId,
	]
	const claim = claimOf(bindings, 'slug', 'handed-over')
	expect([await claim.transfer(from, to), await claim.holder()]).toEqual([false, null])
	await claim.acquire(from)
	expect([await claim.transfer(other, to), await claim.holder()]).toEqual([false, from])
	const [given, taken] = await Promise.all([claim.transfer(from, to), claim.acquire(other)])
	expect([given, taken, await claim.holder()]).toEqual([true, false, to])
	// Whoever had it before frees nothing, a retry changes nothing, and nobody has to confirm it.
	await claim.release(from)
	expect([await claim.transfer(from, to), await claim.holder()]).toEqual([true, to])
	expect(await runDurableObjectAlarm(claimStub('handed-over'))).toBe(false)
	await evictDurableObject(claimStub('handed-over'))
	expect(await claimOf(bindings, 'slug', 'handed-over').holder()).toBe(to)
})

test('an unprovisioned shard answers nobody', async () => {
	const tenant = mintTenantId('eu' as Region, Date.now(), (bytes) => crypto.getRandomValues(bytes))
	const pulled = await shardOf(bindings, tenant, 0).pull({
		tenant,
		shard: 0,
		epoch: 1,
		after: 0,
		entriesMax: 1,
		bytesMax: 1,
	})
	expect(pulled).toEqual({ kind: 'refused', reason: 'unknown_shard' })
})
