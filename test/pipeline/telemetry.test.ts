import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Page } from '../../core/contract.ts'
import { bucketOf, merge } from '../../core/histogram.ts'
import type { Region, TenantId } from '../../core/ids.ts'
import { Tally, type TelemetryMessage } from '../../core/telemetry.ts'
import type { Watermark } from '../../core/watermark.ts'
import { applyPages } from '../../db/neon/apply.ts'
import { createMetrics } from '../../db/neon/metrics.ts'
import { addTelemetry, noteUsage, retireTelemetry } from '../../db/neon/telemetry.ts'
import { readWatermarks, startWatermark } from '../../db/neon/watermarks.ts'
import { startViewStack, type ViewStack } from './view-stack.ts'

let stack: ViewStack
const region = 'eu' as Region
const tenant = 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p' as TenantId
const hour = 3_600_000

beforeAll(async () => {
	stack = await startViewStack(['eu'])
})
afterAll(() => stack.stop())
beforeEach(() =>
	stack.sql(
		'eu',
		'TRUNCATE telemetry_message, telemetry_request, telemetry_latency, telemetry_tenant, telemetry_usage, shard_usage, shard, tenant, erasure',
	),
)

async function follow(head: number): Promise<Watermark> {
	const wakeUp = { tenant, shard: 0, epoch: 1, head }
	await startWatermark(stack.writer('eu'), wakeUp)
	const [watermark] = await readWatermarks(stack.writer('eu'), [wakeUp])
	if (!watermark) throw new Error('the watermark was not started')
	return watermark
}

const metrics = () => createMetrics([{ region, database: stack.reader('eu') }])

/** `count` requests of an isolate, of durations that repeat every 200. */
function window(id: string, at: number, count: number): TelemetryMessage {
	const tally = new Tally()
	for (let n = 0; n < count; n++)
		tally.count({
			route: n % 2 ? 'GET /v1/tenant' : 'POST /v1/exports',
			status: n % 5 ? 202 : 503,
			tenant,
			ms: (n % 200) * 3,
		})
	return tally.message(id, at)
}

test('messages that come twice, in any order, side by side, add up once; histograms are exact across isolates and minutes', async () => {
	const writer = stack.writer('eu')
	const start = Date.UTC(2026, 10, 22, 10, 59, 58)
	const messages = Array.from({ length: 12 }, (_, n) => window(`isolate-${n}`, start + n * 5_000, 50 + n))
	const deliveries = [messages.slice(0, 7), messages.slice(3, 9), messages.toReversed(), messages.slice(5)]
	await Promise.all(deliveries.map((delivery) => addTelemetry(writer, delivery)))
	await addTelemetry(writer, messages)
	const [read] = await metrics().read([region])
	const total = messages.length * 50 + 66
	expect(read?.measured?.requests.reduce((sum, { requests }) => sum + requests, 0)).toBe(total)
	const told = read?.measured?.latency.filter(({ route }) => route === 'GET /v1/tenant') ?? []
	const sent = merge(
		messages.flatMap(({ routes }) => routes.filter(({ r }) => r === 'GET /v1/tenant').map(({ b }) => new Map(b))),
	)
	expect(new Map(told.map(({ bucket, requests }) => [bucket, requests]))).toEqual(
		new Map([...sent].sort(([a], [b]) => a - b)),
	)
	expect(bucketOf(3)).toBe(told[0]?.bucket)
	const grains = await stack.sql(
		'eu',
		'SELECT grain, count(DISTINCT at)::int AS periods, sum(requests)::int AS requests FROM telemetry_request GROUP BY grain ORDER BY grain',
	)
	expect(grains).toEqual([
		{ grain: 'day', periods: 1, requests: total },
		{ grain: 'ever', periods: 1, requests: total },
		{ grain: 'hour', periods: 2, requests: total },
		{ grain: 'minute', periods: 2, requests: total },
	])
})

test('traffic is what was counted in whole periods of a range, by period and by route', async () => {
	const start = Date.UTC(2026, 10, 22, 10, 59)
	await addTelemetry(stack.writer('eu'), [
		window('before', start - 1, 3),
		window('one', start, 10),
		window('two', start + 90_000, 5),
	])
	const range = { from: start, until: start + 180_000 }
	const told = await metrics().traffic([region], 'minute', range)
	if (!told.ok) throw new Error('refused')
	expect(told.value.points.map(({ requests, failed }) => [requests, failed])).toEqual([
		[10, 2],
		[5, 1],
		[0, 0],
	])
	expect(told.value.routes.map(({ route, requests, failed }) => [route, requests, failed])).toEqual([
		['POST /v1/exports', 8, 2],
		['GET /v1/tenant', 7, 1],
	])
	expect(told.value.points[0]?.p99Ms).toBeGreaterThan(20)
})

test("a shard's meters add up over its instances, and a page that comes twice counts once", async () => {
	const writer = stack.writer('eu')
	const apply = async (to: number, instance: string, rowsWritten: number) => {
		const watermark = await follow(to)
		const move = { watermark, page: pageTo(watermark.appliedSeq, to, instance, rowsWritten) }
		expect(await applyPages(writer, [move])).toEqual([true])
		expect(await applyPages(writer, [move])).toEqual([false])
	}
	await apply(2, 'first', 10)
	await apply(5, 'first', 25)
	await apply(6, 'second', 4)
	const [read] = await metrics().read([region])
	expect(read?.measured?.shards).toMatchObject([
		{ tenant, head: 6, changes: 6, rowsWritten: 29, rowsRead: 58, messages: 3, sizeBytes: 8_192, records: 6, keys: 2 },
	])
	const listed = await metrics().shards({ regions: [region], tenant: null }, 10)
	expect(listed).toMatchObject({
		ok: true,
		value: {
			regions: [{ region, tenants: 1, shards: 1, records: 6, sizeBytes: 8_192 }],
			shards: [
				{ tenant, slug: 's', head: 6, applied: 6, lagMs: 0, exact: true, rebuilding: null, held: { records: 6 } },
			],
		},
	})
	const elsewhere = 'eu_01k9zq4m3c8t5w2x7v6y0r1n4q' as TenantId
	expect(await metrics().shards({ regions: [region], tenant: elsewhere }, 10)).toMatchObject({
		value: { regions: [{ shards: 0, records: 0 }], shards: [] },
	})
})

test('usage is what each period did, with requests beside it, and only of the tenant that is asked about', async () => {
	const writer = stack.writer('eu')
	const watermark = await follow(7)
	await applyPages(writer, [{ watermark, page: pageTo(0, 7, 'only', 30) }])
	await noteUsage(writer)
	await noteUsage(writer)
	// What was noted becomes an hour old, and the tenant goes on.
	await stack.sql(
		'eu',
		"UPDATE telemetry_usage SET at = at - interval '1 hour', changes = 5, rows_written = 20 WHERE grain = 'hour'",
	)
	await noteUsage(writer)
	await addTelemetry(writer, [window('one', Date.now(), 10)])
	const usage = await metrics().usage(tenant, 'hour', 2)
	if (!usage.ok) throw new Error('refused')
	const [now, before] = usage.value
	expect(now).toMatchObject({ writes: 2, rowsWritten: 10, requests: 10, exports: 4, held: { records: 7, keys: 2 } })
	expect(before).toMatchObject({ writes: 5, rowsWritten: 20, requests: 0, at: (now?.at ?? 0) - hour })
	const other = await metrics().usage('eu_01k9zq4m3c8t5w2x7v6y0r1n4q' as TenantId, 'hour', 2)
	expect(other).toEqual({ ok: true, value: [] })
})

test('[E1] what arrives late about a tenant that was erased is counted by route, and no longer by tenant', async () => {
	const writer = stack.writer('eu')
	await stack.sql('eu', `INSERT INTO erasure (tenant_id, epoch, erased_at) VALUES ('${tenant}', 2, now())`)
	await addTelemetry(writer, [window('late', Date.now(), 10)])
	expect(await stack.sql('eu', 'SELECT 1 AS one FROM telemetry_tenant')).toEqual([])
	expect(await stack.sql('eu', "SELECT sum(requests)::int AS n FROM telemetry_request WHERE grain = 'ever'")).toEqual([
		{ n: 10 },
	])
})

test('sums leave when their time is over, and that of all times never does', async () => {
	const writer = stack.writer('eu')
	const day = 24 * hour
	const ages = [1, 3, 36, 401].map((days) => window(`age-${days}`, Date.now() - days * day, 3))
	await addTelemetry(writer, ages)
	await retireTelemetry(writer, 10_000)
	const left = await stack.sql(
		'eu',
		`SELECT grain, count(DISTINCT at)::int AS periods FROM telemetry_latency GROUP BY grain ORDER BY grain`,
	)
	expect(left).toEqual([
		{ grain: 'day', periods: 3 },
		{ grain: 'ever', periods: 1 },
		{ grain: 'hour', periods: 2 },
		{ grain: 'minute', periods: 1 },
	])
})

function pageTo(from: number, to: number, instance: string, rowsWritten: number): Page {
	return {
		epoch: 1,
		from,
		to,
		head: to,
		toAt: Date.now(),
		tenant: { slug: 's', name: 'n', status: 'active', createdAt: 0 },
		upserts: '[]',
		upsertCount: 0,
		deletes: '[]',
		deleteCount: 0,
		schema: null,
		report: {
			sizeBytes: 8_192,
			records: to,
			keys: 2,
			meter: { instance, rowsWritten, rowsRead: rowsWritten * 2, messages: instance === 'first' ? 2 : 1 },
		},
	}
}
