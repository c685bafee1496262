import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Region, TenantId } from '../../core/ids.ts'
import { bodyBytesMax, viewStatementMsMax } from '../../core/limits.ts'
import type { Outcome } from '../../core/refusal.ts'
import type { View, ViewPosition, ViewRecord, ViewRecordQuery, ViewScope } from '../../core/view.ts'
import { connect, type Database, DatabaseFailure } from '../../db/neon/client.ts'
import { registryView } from '../../db/neon/registry.ts'
import { createView } from '../../db/neon/view.ts'
import { listStalled } from '../../db/neon/watermarks.ts'
import { consume } from '../../workers/queue-consumer/consumer.ts'
import { compareRegistry } from '../../workers/queue-consumer/registry.ts'
import { message, testPorts } from '../consumer-ports.ts'
import { ScriptedShard } from '../scripted-shard.ts'
import { startViewStack, type ViewStack } from './view-stack.ts'

const regions = ['eu', 'global'] as Region[]
const everything: ViewScope = { regions, tenant: null }
const tenantOf = (region: string, n: number) => `${region}_01k9${String(n).padStart(22, '0')}` as TenantId

let stack: ViewStack
let view: View

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const viewOver = (databases: Database[]) =>
	createView({
		regions: databases.map((database, i) => ({ region: regions[i] ?? ('none' as Region), database })),
		now: () => performance.now(),
		sleep,
	})

beforeAll(async () => {
	stack = await startViewStack(['eu', 'global'])
	view = viewOver(regions.map((region) => stack.reader(region)))
})
afterAll(() => stack?.stop())
beforeEach(() => stack.reset())

async function bringUp(shard: ScriptedShard): Promise<void> {
	const region = shard.tenant.split('_')[0] ?? ''
	const wakeUp = message(shard.wakeUp())
	await consume([wakeUp], testPorts([shard], stack.writer(region)))
	expect(wakeUp.settled).toBe('ack')
}

const all: ViewRecordQuery = {
	collection: 'people',
	filter: null,
	order: [],
	limit: 50,
	after: null,
	select: null,
	count: false,
}

type Accepted<T> = T extends { ok: true; value: infer V } ? V : never
type RecordPage = Accepted<Awaited<ReturnType<View['records']>>>
type CollectionPage = Accepted<Awaited<ReturnType<View['collections']>>>

function accepted<T>(outcome: Outcome<T>): T {
	if (!outcome.ok) throw new Error(`refused: ${JSON.stringify(outcome.refusal)}`)
	return outcome.value
}

/** Reads page after page, and checks that each holds as many records as it may. */
async function readAll(query: ViewRecordQuery, scope = everything): Promise<ViewRecord[]> {
	const records: ViewRecord[] = []
	let after: ViewPosition | null = null
	do {
		const page: RecordPage = accepted(await view.records(scope, { ...query, after }))
		expect(page.records.length).toBe(page.next === null ? page.records.length : query.limit)
		records.push(...page.records)
		after = page.next
	} while (after !== null)
	return records
}

/** Six tenants in two regions, whose records share ages, lack them, or hold them as another type. */
async function fillPeople(): Promise<{ tenant: TenantId; id: string; age: number | null }[]> {
	const people: { tenant: TenantId; id: string; age: number | null }[] = []
	for (const region of regions) {
		for (let n = 0; n < 3; n++) {
			const shard = new ScriptedShard(tenantOf(region, n))
			shard.define('people', [
				{ name: 'age', type: n === 0 ? 'integer' : 'number' },
				{ name: 'name', type: 'string' },
			])
			for (let i = 0; i < 7; i++) {
				const age = i === 6 ? null : (i * 5 + n) % 4
				shard.put('people', `p${i}`, { name: `n${i}`, ...(age !== null && { age }) })
				people.push({ tenant: shard.tenant, id: `p${i}`, age })
			}
			shard.put('other', 'x', { age: 1 })
			await bringUp(shard)
		}
	}
	return people
}

test('records of all regions come in the order of tenant and id, page by page', async () => {
	const people = await fillPeople()
	const expected = people.map(({ tenant, id }) => `${tenant}/${id}`).toSorted()
	for (const limit of [1, 4, 41, 42, 43]) {
		const records = await readAll({ ...all, limit })
		expect(records.map(({ tenant, id }) => `${tenant}/${id}`)).toEqual(expected)
	}
	const [first] = await readAll(all)
	expect(first).toEqual({
		tenant: tenantOf('eu', 0),
		id: 'p0',
		version: 1,
		createdAt: 1_700_000_000_123,
		updatedAt: 1_700_000_000_002,
		data: '{"age": 0, "name": "n0"}',
	})
})

test('an order by a property merges the regions, nulls included, and pages without gaps', async () => {
	const people = await fillPeople()
	for (const descending of [false, true]) {
		const rank = ({ age }: { age: number | null }) => age ?? Number.POSITIVE_INFINITY
		const expected = people
			.toSorted((a, b) => rank(a) - rank(b) || (`${a.tenant}/${a.id}` < `${b.tenant}/${b.id}` ? -1 : 1))
			.map(({ tenant, id }) => `${tenant}/${id}`)
		const records = await readAll({ ...all, limit: 5, order: [{ field: 'age', descending }] })
		const read = records.map(({ tenant, id }) => `${tenant}/${id}`)
		expect(read).toEqual(descending ? expected.toReversed() : expected)
	}
	const byTime = await readAll({
		...all,
		limit: 3,
		order: [
			{ field: 'updated_at', descending: true },
			{ field: 'id', descending: false },
		],
	})
	expect(new Set(byTime.map(({ tenant, id }) => `${tenant}/${id}`)).size).toBe(people.length)
})

test('filter, select, count and one tenant narrow what is answered', async () => {
	const people = await fillPeople()
	const filter = { kind: 'compare', field: 'age', op: 'gte', value: '2', pointer: 'age' } as const
	const query = { ...all, filter, limit: 3, select: ['age'], count: true }
	const wanted = people.filter(({ age }) => age !== null && age >= 2)
	const page = accepted(await view.records(everything, query))
	expect(page.count).toBe(wanted.length)
	expect(page.records).toHaveLength(3)
	for (const { data } of page.records) expect(Object.keys(JSON.parse(data))).toEqual(['age'])
	const one = { regions, tenant: tenantOf('eu', 1) }
	const narrowed = accepted(await view.records(one, { ...query, limit: 50 }))
	expect(narrowed.count).toBe(wanted.filter(({ tenant }) => tenant === one.tenant).length)
	expect(new Set(narrowed.records.map(({ tenant }) => tenant))).toEqual(new Set([one.tenant]))
	expect(narrowed.freshness.regions.map(({ region }) => region)).toEqual(['eu'])
	expect((await readAll({ ...all, limit: 2 }, one)).map(({ id }) => id)).toEqual([
		'p0',
		'p1',
		'p2',
		'p3',
		'p4',
		'p5',
		'p6',
	])
})

test('a field that tenants type differently is refused until one tenant is asked about', async () => {
	for (const [n, type] of (['integer', 'string'] as const).entries()) {
		const shard = new ScriptedShard(tenantOf(n === 0 ? 'eu' : 'global', n))
		shard.define('people', [{ name: 'age', type }])
		shard.put('people', 'a', { age: n === 0 ? 5 : 'five' })
		await bringUp(shard)
	}
	const query = { ...all, order: [{ field: 'age', descending: false }] }
	expect(await view.records(everything, query)).toMatchObject({
		ok: false,
		refusal: { code: 'invalid_filter', errors: [{ pointer: 'order', detail: expect.stringContaining('tenant=') }] },
	})
	expect(accepted(await view.records({ regions, tenant: tenantOf('eu', 0) }, query)).records).toHaveLength(1)
})

test('an unknown field is refused, and an unknown collection is an empty list', async () => {
	await fillPeople()
	const filter = { kind: 'is', field: 'height', value: 'null', pointer: 'height' } as const
	expect(await view.records(everything, { ...all, filter })).toMatchObject({
		ok: false,
		refusal: { code: 'unknown_field' },
	})
	for (const query of [{ ...all, filter }, all]) {
		const page = accepted(await view.records(everything, { ...query, collection: 'nothing', count: true }))
		expect(page).toMatchObject({ records: [], next: null, count: 0, freshness: { shards: 6 } })
	}
})

test('a page is bounded by bytes, and the next one goes on behind it', async () => {
	const text = 'x'.repeat(900_000)
	for (const region of regions) {
		const shard = new ScriptedShard(tenantOf(region, 1))
		for (let i = 0; i < 4; i++) shard.put('people', `p${i}`, { text })
		await bringUp(shard)
	}
	const ids: string[] = []
	let after: ViewPosition | null = null
	do {
		const page: RecordPage = accepted(
			await view.records(everything, { ...all, order: [{ field: 'id', descending: false }], after }),
		)
		expect(page.records.reduce((sum, { data }) => sum + data.length, 0)).toBeLessThanOrEqual(bodyBytesMax)
		ids.push(...page.records.map(({ tenant, id }) => `${id} ${tenant.split('_')[0]}`))
		after = page.next
	} while (after !== null)
	expect(ids).toEqual(['p0 eu', 'p0 global', 'p1 eu', 'p1 global', 'p2 eu', 'p2 global', 'p3 eu', 'p3 global'])
})

test('a cursor whose values no longer fit their fields is refused', async () => {
	await fillPeople()
	const query = { ...all, order: [{ field: 'name', descending: false }] }
	const after = { values: [5], tenant: tenantOf('eu', 0), id: 'p1' }
	expect(await view.records(everything, { ...query, after })).toMatchObject({
		ok: false,
		refusal: { code: 'invalid_cursor' },
	})
})

test('collections and tenants of all regions are listed page by page', async () => {
	await fillPeople()
	const collections: string[] = []
	for (let after: { tenant: TenantId; name: string } | null = null; ; ) {
		const page: CollectionPage = accepted(await view.collections(everything, { limit: 4, after }))
		collections.push(...page.collections.map(({ tenant, name, records }) => `${tenant} ${name} ${records}`))
		after = page.next
		if (after === null) break
	}
	expect(collections).toEqual(regions.flatMap((region) => [0, 1, 2].map((n) => `${tenantOf(region, n)} people 7`)))
	const first = accepted(await view.tenants(everything, { limit: 5, after: null, search: null }))
	const rest = accepted(await view.tenants(everything, { limit: 5, after: first.next, search: null }))
	expect(rest.next).toBe(null)
	expect([...first.tenants, ...rest.tenants].map(({ id }) => id)).toEqual(
		regions.flatMap((region) => [0, 1, 2].map((n) => tenantOf(region, n))),
	)
	const found = async (search: string) =>
		accepted(await view.tenants(everything, { limit: 5, after: null, search })).tenants.map(({ id }) => id)
	const both = regions.map((region) => tenantOf(region, 2))
	expect([await found('G-0002'), await found(tenantOf('global', 2)), await found('g_0%')]).toEqual([
		both,
		[tenantOf('global', 2)],
		[],
	])
	expect(await found('A TEN')).toHaveLength(5)
	expect(rest.tenants[0]).toEqual({
		id: tenantOf('global', 2),
		slug: 'slug-0002',
		name: 'A tenant',
		status: 'active',
		createdAt: 1_700_000_000_000,
	})
})

/** Compares each region's view with a registry of these tenants, as the sweep does every minute. */
async function compareWith(tenants: TenantId[]): Promise<TenantId[]> {
	const woken: TenantId[] = []
	for (const region of regions)
		await compareRegistry({
			registry: async (after, limit) =>
				tenants
					.filter((one) => one.startsWith(`${region}_`) && (after === null || one > after))
					.sort()
					.slice(0, limit),
			control: { read: async () => ({ control: { state: 'active', epoch: 1, createdAt: 0 }, etag: '' }) },
			view: registryView(stack.writer(region)),
			announce: async ({ tenant }) => void woken.push(tenant),
			clock: Date.now,
			log: () => {},
		})
	return woken
}

test('[V2] a view that is empty or lost is neither exact nor complete until the registry says that nobody is missing', async () => {
	const unknown = { exact: false, complete: false, asOf: null, tenantsMissing: null, registryComparedAt: null }
	expect(accepted(await view.freshness(everything))).toMatchObject({ ...unknown, shards: 0 })
	await compareWith([])
	const nobody = accepted(await view.freshness(everything))
	expect(nobody).toMatchObject({ exact: true, complete: true, asOf: null, shards: 0, tenantsMissing: 0 })
	expect(Math.abs((nobody.registryComparedAt ?? 0) - Date.now())).toBeLessThan(60_000)

	const tenants = [tenantOf('eu', 1), tenantOf('eu', 2), tenantOf('global', 3)]
	expect(await compareWith(tenants)).toEqual(tenants)
	expect(accepted(await view.freshness(everything))).toMatchObject({
		...{ exact: false, complete: false, asOf: null, tenantsMissing: 3 },
		regions: [{ tenantsMissing: 2 }, { tenantsMissing: 1 }],
	})
	for (const tenant of tenants) {
		const shard = new ScriptedShard(tenant)
		shard.put('people', 'a', { n: 1 })
		await bringUp(shard)
	}
	expect(accepted(await view.freshness({ regions, tenant: tenantOf('eu', 1) }))).toMatchObject({
		...{ exact: true, complete: true, tenantsMissing: 0 },
	})
	expect(await compareWith(tenants)).toEqual([])
	expect(accepted(await view.freshness(everything))).toMatchObject({ exact: true, complete: true, tenantsMissing: 0 })
	await stack.sql('eu', `DELETE FROM shard WHERE tenant_id = '${tenantOf('eu', 2)}'`)
	expect(await compareWith(tenants)).toEqual([tenantOf('eu', 2)])
	await stack.reset()
	expect(accepted(await view.freshness(everything))).toMatchObject({ ...unknown, shards: 0 })
})

test('[V2] while a shard is read anew its freshness says so, and a reading that may lack records has no moment', async () => {
	const shard = new ScriptedShard(tenantOf('eu', 1))
	for (const id of ['a', 'b', 'c']) shard.put('people', id, { n: 1 })
	shard.prune()
	const first = {
		pull: async (request: Parameters<ScriptedShard['pull']>[0]) => {
			if (request.base?.after != null) throw new Error('the object is broken')
			return shard.pull({ ...request, entriesMax: 1 })
		},
	}
	await consume([message(shard.wakeUp())], testPorts([], stack.writer('eu'), { shardOf: () => first }))
	const scope = { regions, tenant: shard.tenant }
	expect(accepted(await view.freshness(scope))).toMatchObject({
		...{ exact: false, complete: false, asOf: null, shardsRebuilding: 1 },
	})
	// Its message was lost, and the sweep sends another.
	const stalled = (forMs: number) => listStalled(stack.writer('eu'), forMs, 10)
	expect([await stalled(3_600_000), await stalled(0)]).toEqual([[], [shard.wakeUp()]])
	await bringUp(shard)
	expect(await stalled(0)).toEqual([])
	expect(accepted(await view.freshness(scope))).toMatchObject({ exact: true, complete: true, shardsRebuilding: 0 })
})

test('[V2] freshness says exact, behind, incomplete and unknown for what they are', async () => {
	await compareWith([])
	const calm = new ScriptedShard(tenantOf('eu', 1))
	calm.put('people', 'a', { n: 1 })
	await bringUp(calm)
	const before = Date.now()
	const current = accepted(await view.freshness(everything))
	expect(current).toMatchObject({
		exact: true,
		complete: true,
		shards: 1,
		shardsBehind: 0,
		worstLagMs: 0,
		deadLetters: 0,
	})
	expect(Math.abs((current.asOf ?? 0) - before)).toBeLessThan(60_000)
	// A page is applied and the next one cannot be read: the view knows what it lacks.
	const stuck = new ScriptedShard(tenantOf('global', 2))
	stuck.put('people', 'a', { n: 1 })
	stuck.put('people', 'b', { n: 1 })
	const halfway = {
		pull: async (request: Parameters<ScriptedShard['pull']>[0]) => {
			if (request.after === 1) throw new Error('the object is broken')
			return stuck.pull({ ...request, entriesMax: 1 })
		},
	}
	await consume([message(stuck.wakeUp())], testPorts([], stack.writer('global'), { shardOf: () => halfway }))
	const behind = accepted(await view.freshness(everything))
	expect(behind).toMatchObject({ exact: false, complete: false, asOf: 1_700_000_000_001, shards: 2, shardsBehind: 1 })
	expect(behind.worstLagMs).toBeGreaterThanOrEqual(0)
	expect(behind.regions.map(({ region, shardsBehind }) => [region, shardsBehind])).toEqual([
		['eu', 0],
		['global', 1],
	])
	expect(accepted(await view.freshness({ regions, tenant: calm.tenant }))).toMatchObject({ exact: true, shards: 1 })
	calm.put('people', 'a', { n: '\u0000' })
	await bringUp(calm)
	expect(accepted(await view.freshness({ regions, tenant: calm.tenant }))).toMatchObject({
		exact: false,
		complete: true,
		deadLetters: 1,
	})
	const unknown = { regions, tenant: tenantOf('eu', 9) }
	expect(accepted(await view.freshness(unknown))).toMatchObject({
		exact: false,
		complete: false,
		asOf: null,
		shards: 0,
	})
})

test('a region that does not answer is named, and nothing else is said about it', async () => {
	await fillPeople()
	const url = 'postgresql://someone:secret@127.0.0.1:1/nowhere'
	const half = viewOver([stack.reader('eu'), connect(url, null)])
	const refused = await half.records(everything, all)
	expect(refused).toMatchObject({
		ok: false,
		refusal: { code: 'view_unavailable', detail: expect.stringContaining('region global') },
	})
	expect(refused.ok ? 0 : refused.refusal.retryAfter).toBeGreaterThan(0)
	expect(JSON.stringify(refused)).not.toMatch(/secret|someone|nowhere|127/)
	expect(accepted(await half.records({ regions, tenant: tenantOf('eu', 0) }, all)).records).toHaveLength(7)
})

test('a query that takes too long is ended by Postgres and refused with a hint', async () => {
	const [row] =
		(
			await stack.reader('eu').read([{ text: "SELECT current_setting('statement_timeout') AS bound", params: [] }])
		)[0] ?? []
	expect(row).toEqual({ bound: `${viewStatementMsMax / 1_000}s` })
	const slow: Database = {
		query: async () => [],
		write: async () => {},
		read: async () => {
			throw new DatabaseFailure('57014')
		},
	}
	expect(await viewOver([slow, slow]).freshness(everything)).toMatchObject({
		ok: false,
		refusal: { code: 'view_unavailable', detail: expect.stringContaining('tenant=') },
	})
})

test('a reader cannot write, not even through the port', async () => {
	const write = { text: 'DELETE FROM record', params: [] }
	await expect(stack.writer('eu').read([write])).rejects.toEqual(new DatabaseFailure('25006'))
})

test('waiting for a position ends when the view has it, or when the time is over', async () => {
	const shard = new ScriptedShard(tenantOf('eu', 1))
	shard.put('people', 'a', { n: 1 })
	expect(await view.reached(shard.tenant, 1, 0)).toMatchObject({
		ok: false,
		refusal: { code: 'view_behind', retryAfter: 1 },
	})
	const waiting = view.reached(shard.tenant, 1, 20_000)
	await bringUp(shard)
	expect(await waiting).toEqual({ ok: true, value: true })
	expect(await view.reached(shard.tenant, 2, 60)).toMatchObject({ ok: false, refusal: { code: 'view_behind' } })
})
