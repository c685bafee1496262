import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import type { Region } from '../../core/ids.ts'
import { alertMessageKeptMs } from '../../core/limits.ts'
import { type DeliveryPorts, deliverMessages } from '../../workers/monitor/delivery.ts'
import { type ProbePorts, probe } from '../../workers/monitor/probe.ts'
import { MonitorStore } from '../../workers/monitor/store.ts'
import { Edge } from '../api-ports.ts'
import { nodeSql } from '../node-sql.ts'

const secret = `whsec_${Buffer.from('a secret of at least 24 bytes').toString('base64')}`

function receiver(statuses: (number | 'down')[]) {
	const store = new MonitorStore(nodeSql())
	const got: { headers: Record<string, string>; body: string }[] = []
	const ports: DeliveryPorts = {
		store,
		receiver: { url: 'https://alerts.example/hook', secret },
		post: async (_url, headers, body) => {
			got.push({ headers, body })
			const status = statuses.shift() ?? 204
			if (status === 'down') throw new TypeError('fetch failed')
			return status
		},
		random: () => 0.5,
		log: () => {},
	}
	return { store, got, ports }
}

test('an alert goes out as a signed Standard Webhook, once', async () => {
	const { store, got, ports } = receiver([])
	const now = Date.now()
	store.addMessage('msg_1', '{"type":"alert.firing"}', now)
	store.addMessage('msg_1', '{"type":"another"}', now)
	expect(await deliverMessages(ports, now)).toBeNull()
	expect(await deliverMessages(ports, now + 60_000)).toBeNull()
	expect(got).toHaveLength(1)
	expect(new Webhook(secret).verify(got[0]?.body ?? '', got[0]?.headers ?? {})).toEqual({ type: 'alert.firing' })
	expect(() => new Webhook(secret).verify('{"type":"alert.forged"}', got[0]?.headers ?? {})).toThrow()
})

test('what is not taken comes again with the same id after growing waits, and is given up after three days', async () => {
	const { store, got, ports } = receiver([500, 'down', 302, 200])
	let now = Date.now()
	store.addMessage('msg_1', '{}', now)
	const waits: number[] = []
	for (let next = await deliverMessages(ports, now); next !== null; next = await deliverMessages(ports, now)) {
		waits.push(next - now)
		now = next
	}
	expect(waits).toHaveLength(3)
	expect(waits).toEqual(waits.toSorted((a, b) => a - b))
	expect(new Set(got.map(({ headers }) => headers['webhook-id']))).toEqual(new Set(['msg_1']))

	const dead = receiver(Array.from({ length: 1_000 }, () => 'down' as const))
	const start = now
	dead.store.addMessage('msg_2', '{}', now)
	for (let next = await deliverMessages(dead.ports, now); next !== null; next = await deliverMessages(dead.ports, now))
		now = next
	expect(now - start).toBeGreaterThan(alertMessageKeptMs)
	expect(dead.got.length).toBeGreaterThan(60)
})

/** A probe whose outside is the edge over in-memory ports; what its view knows and what fails, the test says. */
function outside(edge: Edge) {
	let time = 0
	let remembered: ReturnType<ProbePorts['recall']> = null
	let ids = 0
	const asked: string[] = []
	const ports: ProbePorts & { failing: string | null; inView: boolean } = {
		url: 'http://edge.test',
		region: 'eu' as Region,
		operatorToken: 'root-token',
		failing: null,
		inView: true,
		fetch: async (url, init) => {
			const { pathname } = new URL(url)
			time += 10
			asked.push(`${init.method} ${pathname}`)
			if (ports.failing !== null && asked.at(-1)?.startsWith(ports.failing)) throw new TypeError('fetch failed')
			if (pathname === '/v1/view/records') {
				if (!ports.inView) time += 30_000
				const records = ports.inView ? [{ data: { run: new URL(url).searchParams.get('run')?.slice(3) ?? '' } }] : []
				return Response.json({ records })
			}
			const headers = Object.fromEntries(new Headers(init.headers))
			return edge.fetch(init.method ?? 'GET', pathname, { headers, ...(init.body && { body: init.body }) })
		},
		clock: () => time,
		recall: () => remembered,
		remember: (canary) => {
			remembered = canary
		},
		mintSuffix: () => `id${++ids}`,
	}
	return { ports, asked }
}

test('the probe creates its canary once, then writes, reads and waits for the view', async () => {
	const { ports, asked } = outside(new Edge())
	expect(await probe(ports)).toMatchObject({ failed: null, writeMs: 10, readMs: 10 })
	expect(await probe(ports)).toMatchObject({ failed: null })
	expect(asked.filter((one) => one === 'POST /v1/tenants')).toHaveLength(1)
})

test('the probe names the step that fails, and makes a new canary only when the old one is no more', async () => {
	const edge = new Edge()
	const { ports, asked } = outside(edge)
	ports.failing = 'POST /v1/tenants'
	expect(await probe(ports)).toMatchObject({ failed: 'tenant' })
	ports.failing = null
	expect(await probe(ports)).toMatchObject({ failed: null })
	ports.failing = 'PUT '
	expect(await probe(ports)).toMatchObject({ failed: 'write', writeMs: null })
	ports.failing = 'GET /v1/collections'
	expect(await probe(ports)).toMatchObject({ failed: 'read', writeMs: 10 })
	ports.failing = null
	ports.inView = false
	expect(await probe(ports)).toMatchObject({ failed: 'view', viewMs: null })
	ports.inView = true
	expect(asked.filter((one) => one === 'POST /v1/tenants')).toHaveLength(2)
	// Its keys are revoked.
	for (const shard of edge.shards.values()) shard.keys.clear()
	expect(await probe(ports)).toMatchObject({ failed: null })
	expect(asked.filter((one) => one === 'POST /v1/tenants')).toHaveLength(3)
})
