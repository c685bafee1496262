import { expect, test } from 'vitest'
import { bucketOf } from '../../core/histogram.ts'
import type { Region, TenantId } from '../../core/ids.ts'
import { grainMs, trafficOf, trafficRange } from '../../core/traffic.ts'
import { Edge } from '../api-ports.ts'

const tenant = 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p' as TenantId
const start = Date.UTC(2026, 10, 22, 10)

test('a range holds whole periods that are over, whenever it is asked for', () => {
	for (const [grain, ms] of Object.entries(grainMs)) {
		for (const late of [0, 1, ms - 1]) {
			const range = trafficRange(grain as keyof typeof grainMs, 3, start - (start % ms) + late)
			expect(range).toEqual({ from: start - (start % ms) - 3 * ms, until: start - (start % ms) })
		}
	}
})

test('regions add up: requests by period and route, and quantiles from their merged histograms', () => {
	const region = (requests: number, ms: number) => ({
		periods: [{ at: start, requests, failed: 1 }],
		periodLatency: [{ at: start, bucket: bucketOf(ms), requests }],
		routes: [{ route: 'GET /v1/tenant', requests, failed: 1 }],
		routeLatency: [{ route: 'GET /v1/tenant', bucket: bucketOf(ms), requests }],
	})
	const other = { ...region(5, 8), routes: [{ route: 'POST /v1/batch', requests: 5, failed: 0 }], routeLatency: [] }
	const range = { from: start, until: start + 2 * grainMs.minute }
	const { points, routes } = trafficOf([region(97, 10), region(3, 1_000), other], 'minute', range)
	expect(points).toMatchObject([
		{ at: start, requests: 105, failed: 3 },
		{ at: start + grainMs.minute, requests: 0, failed: 0, p50Ms: null, p99Ms: null },
	])
	expect(Math.abs((points[0]?.p50Ms ?? 0) - 10)).toBeLessThan(1)
	expect(Math.abs((points[0]?.p99Ms ?? 0) - 1_000)).toBeLessThan(100)
	expect(routes).toMatchObject([
		{ route: 'GET /v1/tenant', requests: 100, failed: 2 },
		{ route: 'POST /v1/batch', requests: 5, failed: 0, p50Ms: null },
	])
})

test('GET /v1/traffic answers a point for each period and refuses what it does not know', async () => {
	const edge = new Edge()
	edge.now = start + 30_000
	edge.trafficSums.periods.push({ at: start - grainMs.minute, requests: 6, failed: 0 })
	const answer = await edge.fetch('GET', '/v1/traffic?limit=2', { as: 'reader-token' })
	expect(await answer.json()).toMatchObject({
		grain: 'minute',
		seconds: 60,
		until: '2026-11-22T10:00:00.000Z',
		points: [
			{ at: '2026-11-22T09:58:00.000Z', requests: 0, p99_ms: null },
			{ at: '2026-11-22T09:59:00.000Z', requests: 6 },
		],
	})
	for (const query of ['grain=second', 'limit=0', 'limit=401', 'region=mars', 'tenant=x'])
		expect((await edge.fetch('GET', `/v1/traffic?${query}`, { as: 'reader-token' })).status, query).toBe(400)
})

test('GET /v1/shards sums the regions up and says of a shard without a report that nothing is known', async () => {
	const edge = new Edge()
	const sums = { tenants: 1, shards: 2, records: 10, sizeBytes: 4_096 }
	const state = { tenant, slug: 'acme', shard: 0, head: 9, applied: 8, lagMs: 20, exact: false, deadLetters: 0 }
	edge.shardList = {
		regions: [
			{ region: 'eu' as Region, ...sums },
			{ region: 'global' as Region, ...sums },
		],
		shards: [
			{ ...state, rebuilding: { done: 1, total: 3 }, held: null },
			{ ...state, rebuilding: null, held: { records: 10, keys: 1, sizeBytes: 4_096, reportedAt: start } },
		],
	}
	const answer = await edge.fetch('GET', '/v1/shards', { as: 'reader-token' })
	expect(await answer.json()).toMatchObject({
		totals: { tenants: 2, shards: 4, records: 20, size_bytes: 8_192 },
		shards: [
			{ slug: 'acme', lag_ms: 20, rebuilding: { done: 1, total: 3 }, records: null, reported_at: null },
			{ rebuilding: null, records: 10, size_bytes: 4_096, reported_at: '2026-11-22T10:00:00.000Z' },
		],
	})
	for (const query of ['limit=0', 'limit=1001', 'region=mars', 'tenant=x', 'order=size'])
		expect((await edge.fetch('GET', `/v1/shards?${query}`, { as: 'reader-token' })).status, query).toBe(400)
})

test('GET /v1/operator tells a token its own name and scope', async () => {
	const edge = new Edge()
	const asked = async (as: string) => (await edge.fetch('GET', '/v1/operator', { as })).json()
	expect(await asked('reader-token')).toMatchObject({ name: 'reader', scope: 'read', regions: ['global', 'eu'] })
	expect(await asked('root-token')).toMatchObject({ name: 'root', scope: 'admin' })
	expect(await asked('scraper-token')).toMatchObject({ code: 'insufficient_scope' })
})
