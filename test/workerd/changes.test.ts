import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, test, vi } from 'vitest'
import { changesLimitMax } from '../../core/limits.ts'
import type { Env } from '../../workers/env.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { each } from './each.ts'
import { EventClient } from './event-client.ts'
import { gatherLog } from './log.ts'
import { readProblem } from './problem.ts'

const bindings = env as unknown as Env
vi.setConfig({ testTimeout: 60_000 })
gatherLog()

interface ShownChange {
	seq: number
	op: string
	collection: string | null
	id: string | null
	version: number | null
	actor: string
	request: string | null
	at: string
}

const records = '/v1/collections/things/records'

/** A tenant whose journal has three entries: its own, its key's and the collection's. */
async function prepare(): Promise<NewTenant> {
	const tenant = await newTenant()
	expect((await send('PUT', '/v1/collections/things', tenant.secret, { schema: {} })).status).toBe(201)
	return tenant
}

async function write(tenant: NewTenant, id: string): Promise<number> {
	const response = await send('PUT', `${records}/${id}`, tenant.secret, { n: 1 })
	expect(response.status).toBeLessThan(300)
	return Number(response.headers.get('Freehold-Position'))
}

async function page(tenant: NewTenant, path: string): Promise<{ changes: ShownChange[]; next: string | null }> {
	const response = await send('GET', path, tenant.secret)
	expect(response.status).toBe(200)
	const { changes } = await response.json<{ changes: ShownChange[] }>()
	return { changes, next: /<([^>]+)>; rel="next"/.exec(response.headers.get('Link') ?? '')?.[1] ?? null }
}

function stub(tenant: NewTenant): DurableObjectStub {
	return bindings.TENANT_SHARD.getByName(`${tenant.id}/0`)
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const seqs = (events: ({ id: string | null } | null)[]) => events.map((event) => Number(event?.id))

test('[J1] pages of the journal join without a gap, and name each write once in the order of its position', async () => {
	const tenant = await prepare()
	const written = new Map<number, string>()
	await each(range(1, 40), async (n) => {
		written.set(await write(tenant, `r${n}`), `r${n}`)
		// What is refused in between leaves no gap (D2).
		expect((await send('PUT', `${records}/r${n}`, tenant.secret, {}, { 'If-None-Match': '*' })).status).toBe(412)
	})
	for (const limit of [1, 7, 43, 44, changesLimitMax]) {
		const all: ShownChange[] = []
		let next: string | null = `/v1/changes?limit=${limit}`
		while (next !== null) {
			const { changes, next: following } = await page(tenant, next)
			expect(changes.length).toBeLessThanOrEqual(limit)
			expect(changes.length).toBeGreaterThan(0)
			all.push(...changes)
			next = following
		}
		expect(all.map(({ seq }) => seq)).toEqual(range(1, 43))
		for (const { seq, op, id, version } of all.slice(3))
			expect([op, id, version]).toEqual(['create', written.get(seq), 1])
	}
	expect((await page(tenant, '/v1/changes?after=43')).changes).toEqual([])
	expect((await page(tenant, '/v1/changes?after=9007199254740991')).changes).toEqual([])
	expect((await page(tenant, '/v1/changes?after=42')).changes.map(({ seq }) => seq)).toEqual([43])
})

test('entries point at what changed, say who did it, and hold nothing of a record', async () => {
	const tenant = await prepare()
	await write(tenant, 'a')
	await send('PATCH', `${records}/a`, tenant.secret, { secretive: 'body' })
	await send('DELETE', `${records}/a`, tenant.secret, undefined, { 'X-Request-Id': 'named-by-the-client' })
	await send('PATCH', `/v1/tenants/${tenant.id}`, bindings.OPERATOR_TOKEN, { name: 'Other' })
	const { changes } = await page(tenant, '/v1/changes')
	const key = `key:${tenant.secret.split('_')[3]}`
	// What a client asked and never heard of again is found in the journal by the name that it gave its request.
	expect(changes.filter(({ request }) => request === 'named-by-the-client').map(({ op }) => op)).toEqual(['delete'])
	const shown = changes.map(({ op, collection, id, version, actor }) => [op, collection, id, version, actor])
	expect(shown).toEqual([
		['tenant', null, null, 1, 'operator:operator'],
		['key', null, key.slice(4), 1, 'operator:operator'],
		['schema', 'things', null, 1, key],
		['create', 'things', 'a', 1, key],
		['update', 'things', 'a', 2, key],
		['delete', 'things', 'a', 3, key],
		['tenant', null, null, null, 'operator:operator'],
	])
	expect(JSON.stringify(changes)).not.toContain('secretive')
})

test('a stream brings what is there and then each write, as it happens, without being asked', async () => {
	const tenant = await prepare()
	const stream = await EventClient.open(tenant.secret)
	expect(stream.response.headers.get('Content-Type')).toBe('text/event-stream')
	expect(stream.response.headers.get('Cache-Control')).toContain('no-store')
	expect(seqs(await stream.take(3))).toEqual([1, 2, 3])
	for (const n of range(1, 5)) {
		const seq = await write(tenant, `live${n}`)
		const event = await stream.next()
		expect(event).toMatchObject({ id: String(seq), type: 'change' })
		expect(JSON.parse(event?.data ?? '')).toMatchObject({ seq, op: 'create', collection: 'things', id: `live${n}` })
	}
	await each(range(1, 60), async (n) => void (await write(tenant, `burst${n}`)))
	expect(seqs(await stream.take(60))).toEqual(range(9, 68))
	await stream.close()
	expect((await send('GET', '/v1/tenant', tenant.secret)).status).toBe(200)
})

test('a stream resumes after Last-Event-ID exactly, which wins over the address', async () => {
	const tenant = await prepare()
	for (const n of range(1, 6)) await write(tenant, `r${n}`)
	const cases: [string, number | undefined, number][] = [
		['', undefined, 1],
		['?after=4', undefined, 5],
		['', 4, 5],
		['?after=1', 7, 8],
		['?after=9', 0, 1],
		['?after=8&limit=1', undefined, 9],
	]
	for (const [query, lastEventId, first] of cases) {
		const stream = await EventClient.open(tenant.secret, query, lastEventId)
		expect(seqs(await stream.take(10 - first)), `${query} ${lastEventId}`).toEqual(range(first, 9))
		await stream.close()
	}
	for (const lastEventId of ['x', '-1', '1.5', '9'.repeat(20)]) {
		const headers = { Accept: 'text/event-stream', 'Last-Event-ID': lastEventId }
		const problem = await readProblem(await send('GET', '/v1/changes', tenant.secret, undefined, headers))
		expect(problem.errors).toMatchObject([{ pointer: 'Last-Event-ID' }])
	}
})

test('a stream that begins far behind brings every entry, page after page', async () => {
	const tenant = await prepare()
	for (const batch of range(1, 3)) {
		const operations = range(1, 900).map((n) => ({ op: 'put', collection: 'things', id: `b${batch}-${n}`, data: {} }))
		expect((await send('POST', '/v1/batch', tenant.secret, { operations })).status).toBe(200)
	}
	const stream = await EventClient.open(tenant.secret)
	expect(seqs(await stream.take(2_703))).toEqual(range(1, 2_703))
	await write(tenant, 'live')
	expect(await stream.next()).toMatchObject({ id: '2704' })
	await stream.close()
})

test('many streams of one tenant each get every entry, and those of another tenant none of them', async () => {
	const [tenant, other] = [await prepare(), await prepare()]
	const streams = await Promise.all(range(1, 8).map(() => EventClient.open(tenant.secret, '?after=3')))
	const foreign = await EventClient.open(other.secret, '?after=3')
	await each(range(1, 20), async (n) => void (await write(tenant, `r${n}`)))
	for (const stream of streams) expect(seqs(await stream.take(20))).toEqual(range(4, 23))
	await write(other, 'own')
	expect(JSON.parse((await foreign.next())?.data ?? '')).toMatchObject({ seq: 4, id: 'own' })
	for (const stream of [...streams, foreign]) await stream.close()
})

/** Follows the journal through ends of the stream, as a browser does: it connects again with the last id that it saw. */
async function follow(tenant: NewTenant, count: number, seen: number[], ends: () => void): Promise<void> {
	let last = 3
	while (seen.length < count) {
		const stream = await EventClient.open(tenant.secret, '', last)
		for (;;) {
			const event = await stream.next()
			if (event === null) break
			expect(event.type, event.data).toBe('change')
			last = Number(event.id)
			seen.push(last)
			if (seen.length === count) break
		}
		await stream.close()
		if (seen.length < count) ends()
	}
}

test('a follower sees each position once and in order, also while its shard hibernates again and again', async () => {
	const tenant = await prepare()
	const seen: number[] = []
	const following = follow(tenant, 40, seen, () => {})
	for (const n of range(1, 40)) {
		await write(tenant, `r${n}`)
		if (n % 8 === 0) await evictDurableObject(stub(tenant))
	}
	await following
	expect(seen).toEqual(range(4, 43))
})

test('a follower sees each position once and in order, also while all objects are aborted', async () => {
	const tenant = await prepare()
	const seen: number[] = []
	let reconnects = 0
	const following = follow(tenant, 30, seen, () => reconnects++)
	for (const n of range(1, 30)) {
		// A write whose object is aborted may or may not have happened; putting it again settles it without a second entry.
		for (;;) {
			const headers = { 'Idempotency-Key': `write-${n}` }
			const response = await send('PUT', `${records}/r${n}`, tenant.secret, { n }, headers)
			if (response.status === 201) break
			expect(response.status).toBe(503)
		}
		if (n % 10 === 0) await abortAllDurableObjects()
	}
	await following
	expect(seen).toEqual(range(4, 33))
	expect(reconnects).toBeGreaterThan(0)
})

test('a stream ends when its key is revoked, its tenant suspended or its key expires, saying why', async () => {
	const tenant = await prepare()
	const make = async (expiresAt: string | null = null) => {
		const made = await send('POST', '/v1/keys', tenant.secret, { scopes: ['read'], expires_at: expiresAt })
		return made.json<{ id: string; secret: string }>()
	}
	const revoked = await make()
	const cut = await EventClient.open(revoked.secret, '?after=4')
	expect((await send('DELETE', `/v1/keys/${revoked.id}`, tenant.secret)).status).toBe(204)
	expect(await cut.take(10)).toMatchObject([{ type: 'problem', data: expect.stringContaining('"unauthorized"') }])

	// An expiry is no write: the stream ends by itself.
	const expiring = await make(new Date(Date.now() + 5_000).toISOString())
	const short = await EventClient.open(expiring.secret, '?after=6')
	expect(await short.take(10)).toMatchObject([{ type: 'problem', data: expect.stringContaining('"unauthorized"') }])

	const open = await EventClient.open(tenant.secret, '?after=6')
	const suspend = { status: 'suspended' }
	expect((await send('PATCH', `/v1/tenants/${tenant.id}`, bindings.OPERATOR_TOKEN, suspend)).status).toBe(200)
	const events = await open.take(10)
	expect(events.at(-1)).toMatchObject({ type: 'problem', data: expect.stringContaining('"tenant_suspended"') })
	const headers = { Accept: 'text/event-stream' }
	for (const [secret, status] of [
		[tenant.secret, 403],
		[revoked.secret, 401],
	] as const)
		expect((await send('GET', '/v1/changes', secret, undefined, headers)).status).toBe(status)
})

test('a position before the retention is 410 for a page and for a stream, and what is kept can be read', async () => {
	const tenant = await prepare()
	for (const n of range(1, 5)) await write(tenant, `r${n}`)
	// The state that pruning leaves after 400 days.
	await runInDurableObject(stub(tenant), (_instance, { storage }) => {
		storage.sql.exec('DELETE FROM journal WHERE seq <= 4')
	})
	for (const headers of [{}, { Accept: 'text/event-stream' }]) {
		for (const after of [0, 3]) {
			const response = await send('GET', `/v1/changes?after=${after}`, tenant.secret, undefined, headers)
			expect((await readProblem(response)).code, `${after} ${JSON.stringify(headers)}`).toBe('position_pruned')
		}
	}
	expect((await page(tenant, '/v1/changes?after=4')).changes.map(({ seq }) => seq)).toEqual([5, 6, 7, 8])
	const stream = await EventClient.open(tenant.secret, '', 4)
	expect(seqs(await stream.take(4))).toEqual([5, 6, 7, 8])
	await stream.close()
})

test('HEAD and a stream that nobody reads hold nothing up', async () => {
	const tenant = await prepare()
	const head = await send('HEAD', '/v1/changes', tenant.secret, undefined, { Accept: 'text/event-stream' })
	expect([head.status, head.headers.get('Content-Type')]).toEqual([200, 'application/json'])
	const idle = await EventClient.open(tenant.secret)
	await each(range(1, 100), async (n) => void (await write(tenant, `r${n}`)))
	expect(seqs(await idle.take(103))).toEqual(range(1, 103))
	await idle.close()
})

test('a follower hears at once of what the shard deletes by itself', async () => {
	const tenant = await prepare()
	expect(await write(tenant, 'old')).toBe(4)
	await runInDurableObject(stub(tenant), (_instance, { storage }) => {
		storage.sql.exec("UPDATE c_1 SET created_at = created_at - 2 * 86400000 WHERE id = 'old'")
	})
	const follower = await EventClient.open(tenant.secret, '?after=4')
	const kept = { schema: { 'x-retention-days': 1 } }
	expect((await send('PUT', '/v1/collections/things', tenant.secret, kept)).status).toBe(200)
	const events = await follower.take(2)
	expect(seqs(events)).toEqual([5, 6])
	expect(JSON.parse(events[1]?.data ?? '')).toMatchObject({ op: 'delete', id: 'old', actor: 'system:retention' })
	await follower.close()
})
