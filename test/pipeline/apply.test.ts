import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { pageEntriesMax, pagesPerDeliveryMax } from '../../core/limits.ts'
import type { Watermark } from '../../core/watermark.ts'
import { applyPages } from '../../db/neon/apply.ts'
import { type Database, DatabaseFailure } from '../../db/neon/client.ts'
import { countTenant, eraseTenant } from '../../db/neon/erase.ts'
import { postgresStore, ViewWriter } from '../../db/neon/writer.ts'
import { consume } from '../../workers/queue-consumer/consumer.ts'
import { message, sampleOf, type TestPorts, testPorts, violations, wholeOf } from '../consumer-ports.ts'
import { ScriptedShard } from '../scripted-shard.ts'
import { race } from './race.ts'
import { startViewStack, type ViewStack } from './view-stack.ts'

const tenantA = 'global_01k9aaaaaaaaaaaaaaaaaaaaaa'
const tenantB = 'global_01k9bbbbbbbbbbbbbbbbbbbbbb'
const tenantC = 'global_01k9cccccccccccccccccccccc'

let stack: ViewStack
let view: Database
let writer: ViewWriter

beforeAll(async () => {
	stack = await startViewStack(['global'])
	view = stack.writer('global')
	writer = new ViewWriter(postgresStore(view))
}, 60_000)
afterAll(() => stack?.stop())
beforeEach(async () => {
	stack.endpoint.fault(null)
	await stack.reset()
})

async function expectEqual(shard: ScriptedShard): Promise<void> {
	expect(await sampleOf(view, shard.tenant)).toEqual(wholeOf(shard))
}

/** The watermark of a shard that the view follows from now on. */
async function followed(shard: ScriptedShard): Promise<Watermark> {
	await writer.startWatermark(shard.wakeUp())
	const watermark = await writer.readWatermark(shard.wakeUp())
	if (watermark === null) throw new Error('the watermark was not started')
	return watermark
}

/** Delivers the wake-ups that the consumer itself has sent, until it sends none. */
async function consumeAnnounced(ports: TestPorts): Promise<void> {
	for (let wakeUp = ports.announced.shift(); wakeUp !== undefined; wakeUp = ports.announced.shift()) {
		await consume([message(wakeUp)], ports)
	}
}

test('[V1] after one wake-up the view equals the shard, and the shard knows it', async () => {
	const shard = new ScriptedShard(tenantA)
	shard.define('people', [{ name: 'age', type: 'integer' }])
	shard.put('people', 'a', { age: 1, text: 'é"\\ \u2028' })
	shard.put('people', 'b', { age: 2 })
	shard.put('people', 'a', { age: 3 })
	shard.delete('people', 'b')
	shard.other()
	const wakeUp = message(shard.wakeUp())
	await consume([wakeUp], testPorts([shard], view))
	await expectEqual(shard)
	expect(wakeUp.settled).toBe('ack')
	expect(shard.acknowledged).toBe(shard.head)
	expect(await stack.sql('global', `SELECT tenant, collection, records::int FROM collection_summary`)).toEqual([
		{ tenant: 'slug-aaaa', collection: 'people', records: 1 },
	])
	expect(await stack.sql('global', `SELECT exact, changes_behind::int, lag::text FROM view_freshness`)).toEqual([
		{ exact: true, changes_behind: 0, lag: '00:00:00' },
	])
})

const change = fc.record({
	collection: fc.constantFrom('c1', 'c2'),
	id: fc.constantFrom('a', 'b', 'c'),
	kind: fc.constantFrom('put', 'put', 'delete', 'other', 'drop', 'define'),
	/** Deliver a wake-up after this change, with the head of that moment; zero loses it, two doubles it. */
	wakeUps: fc.constantFrom(0, 0, 1, 2),
	late: fc.boolean(),
})

test('[V1] duplicates, losses and reordering of wake-ups change nothing in the end', { timeout: 120_000 }, async () => {
	let number = 0
	const scenario = async (changes: (typeof change extends fc.Arbitrary<infer T> ? T : never)[]) => {
		number += 1
		const shard = new ScriptedShard(`global_01k9${String(number).padStart(22, '0')}`)
		const ports = testPorts([shard], view)
		const late = []
		for (const { collection, id, kind, wakeUps, late: isLate } of changes) {
			if (kind === 'put') shard.put(collection, id, { n: shard.head })
			else if (kind === 'delete') shard.delete(collection, id)
			else if (kind === 'other') shard.other()
			else if (kind === 'drop') shard.drop(collection)
			else shard.define(collection, [{ name: 'n', type: 'integer' }])
			const batch = Array.from({ length: wakeUps }, () => message(shard.wakeUp()))
			if (isLate) late.push(...batch)
			else await consume(batch, ports)
			const sample = await sampleOf(view, shard.tenant)
			expect(violations(shard, sample)).toEqual([])
		}
		await consume([message(shard.wakeUp()), ...late.reverse()], ports)
		await expectEqual(shard)
	}
	await fc.assert(fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), scenario), { numRuns: 40 })
})

test('[V2] of the pages in one statement only the one whose watermark has moved is left out, with all of its rows', async () => {
	const shards = [tenantA, tenantB, tenantC].map((tenant) => new ScriptedShard(tenant))
	for (const shard of shards) shard.put('c', 'a', { n: 1 })
	const moves = await Promise.all(
		shards.map(async (shard) => {
			const watermark = await followed(shard)
			const reply = await shard.pull({
				tenant: watermark.tenant,
				shard: 0,
				epoch: 1,
				after: 0,
				entriesMax: 10,
				bytesMax: 1e6,
			})
			if (reply.kind !== 'page') throw new Error(reply.kind)
			return { watermark, page: reply.page }
		}),
	)
	const [, second] = moves
	if (!second) throw new Error('there are three')
	expect(await applyPages(view, [second])).toEqual([true])
	const stale = { ...second, page: { ...second.page, upserts: '[{"c":"c","i":"b","v":1,"t":0,"u":0,"d":{}}]' } }
	expect(await applyPages(view, [...moves.slice(0, 1), stale, ...moves.slice(2)])).toEqual([true, false, true])
	for (const shard of shards) await expectEqual(shard)
})

test('[V2] racing consumers leave every sample exact or bounded, and the end equal to the shard', {
	timeout: 120_000,
}, async () => {
	const shard = new ScriptedShard(tenantA)
	const seen = await race(shard, stack, (round) => {
		for (let n = 0; n < 5; n++) {
			const id = `r${(round * 7 + n * 3) % 11}`
			if ((round + n) % 4 === 0) shard.delete('c', id)
			else shard.put('c', id, { round, n })
		}
	})
	await expectEqual(shard)
	// A run that saw too little proves nothing.
	expect(seen.exact).toBeGreaterThan(3)
	expect(seen.bounded).toBeGreaterThan(3)
})

test('[V2] a page read before another consumer moved the watermark changes nothing', async () => {
	const shard = new ScriptedShard(tenantA)
	shard.put('c', 'a', { n: 1 })
	const slow = await followed(shard)
	const stale = await shard.pull({
		tenant: shard.tenant,
		shard: 0,
		epoch: 1,
		after: 0,
		entriesMax: 10,
		bytesMax: 1_000,
	})
	shard.put('c', 'a', { n: 2 })
	shard.delete('c', 'a')
	await consume([message(shard.wakeUp())], testPorts([shard], view))
	if (stale.kind !== 'page') throw new Error('no page')
	expect(await writer.apply(slow, stale)).toBe(false)
	await expectEqual(shard)
})

test('[V2] a page that was read before a newer page of the same range was applied changes nothing', async () => {
	const shard = new ScriptedShard(tenantA)
	shard.put('c', 'a', { n: 1 })
	shard.put('c', 'b', { n: 1 })
	const request = { tenant: shard.tenant, shard: 0, epoch: 1, after: 0, entriesMax: 1, bytesMax: 1_000 }
	const watermark = await followed(shard)
	const older = await shard.pull(request)
	shard.delete('c', 'a')
	const newer = await shard.pull(request)
	if (older.kind !== 'page' || newer.kind !== 'page') throw new Error('no page')
	expect(await writer.apply(watermark, newer)).toBe(true)
	expect(await writer.apply(watermark, older)).toBe(false)
	expect(violations(shard, await sampleOf(view, tenantA))).toEqual([])
})

test('[V3] neither an older nor a newer epoch than the view has reaches the rows', async () => {
	const shard = new ScriptedShard(tenantA, 2)
	shard.put('c', 'a', { n: 1 })
	await consume([message(shard.wakeUp())], testPorts([shard], view))
	const before = await sampleOf(view, tenantA)
	shard.put('c', 'b', { n: 2 })
	const old = message({ ...shard.wakeUp(), epoch: 1 })
	const ahead = message({ ...shard.wakeUp(), epoch: 3 })
	const pulls = shard.pulls
	const ports = testPorts([shard], view)
	await consume([old, ahead], ports)
	expect(old.settled).toBe('ack')
	expect(ahead.settled).toBeGreaterThan(0)
	expect(shard.pulls).toBe(pulls)
	expect(await sampleOf(view, tenantA)).toEqual(before)
	expect(ports.lines.map(({ event }) => event)).toEqual(['epoch_ahead'])
})

test('[V3] a shard of another epoch than the watermark is not applied, whatever its page says', async () => {
	const shard = new ScriptedShard(tenantA, 1)
	shard.put('c', 'a', { n: 1 })
	const watermark = await followed(shard)
	const reply = await shard.pull({
		tenant: shard.tenant,
		shard: 0,
		epoch: 1,
		after: 0,
		entriesMax: 10,
		bytesMax: 1_000,
	})
	if (reply.kind !== 'page') throw new Error('no page')
	expect(await writer.apply({ ...watermark, epoch: 2 }, reply)).toBe(false)
	const lying = message(shard.wakeUp())
	const ports = testPorts([], view, {
		shardOf: () => ({ pull: async () => ({ kind: 'page', page: { ...reply.page, epoch: 2 } }) }),
	})
	await consume([lying], ports)
	expect(lying.settled).toBeGreaterThan(0)
	expect((await sampleOf(view, tenantA)).rows.size).toBe(0)
})

test('[V4] a shard that fails and one that hangs leave the others of the batch alone', async () => {
	const good = new ScriptedShard(tenantA)
	const failing = new ScriptedShard(tenantB)
	const frozen = new ScriptedShard('global_01k9cccccccccccccccccccccc')
	for (const shard of [good, failing, frozen]) shard.put('c', 'a', { n: 1 })
	failing.beforePull = async () => {
		throw new Error('the object is broken')
	}
	frozen.beforePull = () => new Promise(() => {})
	const sleepers: (() => void)[] = []
	const sleep = (_ms: number, signal: AbortSignal) =>
		new Promise<void>((resolve) => {
			signal.addEventListener('abort', () => resolve())
			sleepers.push(resolve)
		})
	const messages = [message(frozen.wakeUp()), message(failing.wakeUp(), 3), message(good.wakeUp())]
	const ports = testPorts([good, failing, frozen], view, { sleep })
	const done = consume(messages, ports)
	await expect.poll(() => messages[2]?.settled, { timeout: 30_000 }).toBe('ack')
	await expectEqual(good)
	expect(messages[0]?.settled).toBe(null)
	for (const wake of sleepers) wake()
	await done
	expect(messages.map(({ settled }) => settled)).toEqual([2, 6, 'ack'])
	expect(ports.lines.map(({ event, fields }) => [event, fields.error])).toContainEqual([
		'delivery_failed',
		'DeadlineExceeded',
	])
})

test('[V4] a poisoned entry becomes a dead letter, and everything around it arrives', async () => {
	const shard = new ScriptedShard(tenantA)
	for (let n = 0; n < 300; n++) shard.put('c', `r${n}`, { n })
	shard.put('c', 'r7', { text: 'personal \u0000 text' })
	for (let n = 300; n < 600; n++) shard.put('c', `r${n}`, { n })
	const wakeUp = message(shard.wakeUp())
	const ports = testPorts([shard], view)
	await consume([wakeUp], ports)
	expect(wakeUp.settled).toBe('ack')
	await consumeAnnounced(ports)
	const sample = await sampleOf(view, tenantA)
	const expected = shard.stateAt(shard.head)
	expected.delete('c/r7')
	expect(sample.rows).toEqual(expected)
	expect(sample).toMatchObject({ appliedSeq: shard.head, readSeq: shard.head })
	expect(
		await stack.sql('global', 'SELECT shard, epoch::int, collection, record_id, op, reason FROM dead_letter'),
	).toContainEqual({
		shard: 0,
		epoch: 1,
		collection: 'c',
		record_id: 'r7',
		op: 'upsert',
		reason: '22P05 data exception',
	})
	expect(await stack.sql('global', 'SELECT exact FROM view_freshness')).toEqual([{ exact: false }])
	expect(JSON.stringify(ports.lines)).not.toContain('personal')
})

test('[V4] a later good state of a poisoned record makes the view exact again', async () => {
	const shard = new ScriptedShard(tenantA)
	const ports = testPorts([shard], view)
	shard.put('c', 'a', { n: 1 })
	await consume([message(shard.wakeUp())], ports)
	shard.put('c', 'a', { n: '\u0000' })
	await consume([message(shard.wakeUp())], ports)
	// The older state would now be older than the watermark, so it is gone.
	expect(await sampleOf(view, tenantA)).toMatchObject({ rows: new Map(), appliedSeq: 2, deadLetters: 1 })
	shard.put('c', 'a', { n: 3 })
	await consume([message(shard.wakeUp())], ports)
	await expectEqual(shard)
})

test('[V4] the last of a full page is found within one delivery', () => {
	expect(Math.ceil(Math.log2(pageEntriesMax)) + 1).toBeLessThan(pagesPerDeliveryMax)
})

test('[V4] a shard with more pages than its turn allows announces itself again', async () => {
	const shard = new ScriptedShard(tenantA)
	for (let n = 0; n < 2 * pagesPerDeliveryMax + 5; n++) shard.put('c', `r${n}`, { n })
	const onePerPage = {
		pull: (request: Parameters<ScriptedShard['pull']>[0]) => shard.pull({ ...request, entriesMax: 1 }),
	}
	const ports = testPorts([shard], view, { shardOf: () => onePerPage })
	const first = message(shard.wakeUp())
	await consume([first], ports)
	expect(first.settled).toBe('ack')
	expect((await sampleOf(view, tenantA)).appliedSeq).toBe(pagesPerDeliveryMax)
	expect(ports.announced).toEqual([shard.wakeUp()])
	await consumeAnnounced(ports)
	await expectEqual(shard)
})

test('[V2] a timeout after the statement ran is harmless: the retry finds it done', async () => {
	const shard = new ScriptedShard(tenantA)
	shard.put('c', 'a', { n: 1 })
	await followed(shard)
	// The answer to the first page's statement is lost, which is the second request of the delivery.
	const asked: string[] = []
	const cutting: Database = {
		...view,
		query: async (statement) => {
			asked.push(statement.text)
			stack.endpoint.fault(asked.length === 2 ? { kind: 'timeout_after_execution' } : null)
			return view.query(statement)
		},
	}
	const first = message(shard.wakeUp())
	await consume([first], testPorts([shard], cutting))
	stack.endpoint.fault(null)
	expect(first.settled).toBeGreaterThan(0)
	expect((await sampleOf(view, tenantA)).appliedSeq).toBe(1)
	shard.delete('c', 'a')
	shard.put('c', 'a', { n: 2 })
	await consume([message(shard.wakeUp(), 2)], testPorts([shard], view))
	await expectEqual(shard)
	expect(await stack.sql('global', 'SELECT revision::int FROM shard')).toEqual([{ revision: 2 }])
})

test('a database that answers with an error, or not at all, is asked again later', async () => {
	const shard = new ScriptedShard(tenantA)
	shard.put('c', 'a', { n: 1 })
	for (const status of [429, 500, 503]) {
		stack.endpoint.fault({ kind: 'status', status })
		const wakeUp = message(shard.wakeUp(), 20)
		const ports = testPorts([shard], view)
		await consume([wakeUp], ports)
		expect(wakeUp.settled).toBe(225)
		expect(ports.lines).toEqual([
			{
				level: 'error',
				event: 'delivery_failed',
				fields: { tenant: tenantA, shard: 0, epoch: 1, error: 'DatabaseFailure', sqlstate: null },
			},
		])
	}
	stack.endpoint.fault(null)
	await expect(view.query({ text: 'SELECT 1/0', params: [] })).rejects.toEqual(new DatabaseFailure('22012'))
})

test('a field that becomes personal leaves the rows with the schema entry, not later', async () => {
	const shard = new ScriptedShard(tenantA)
	const ports = testPorts([shard], view)
	shard.define('people', [
		{ name: 'age', type: 'integer' },
		{ name: 'email', type: 'string' },
	])
	shard.define('other', [])
	shard.put('people', 'a', { age: 1, email: 'a@example.org' })
	shard.put('other', 'a', { email: 'b@example.org' })
	await consume([message(shard.wakeUp())], ports)
	shard.define('people', [{ name: 'age', type: 'integer' }], ['email', 'phone'])
	await consume([message(shard.wakeUp())], ports)
	await expectEqual(shard)
	expect(await stack.sql('global', 'SELECT field, type FROM collection_field')).toEqual([
		{ field: 'age', type: 'integer' },
	])
	shard.put('people', 'b', { age: 2, email: 'c@example.org' })
	await consume([message(shard.wakeUp())], ports)
	await expectEqual(shard)
})

test('a dropped collection takes its rows, its description and its dead letters with it', async () => {
	const shard = new ScriptedShard(tenantA)
	const ports = testPorts([shard], view)
	shard.define('c', [])
	shard.put('c', 'a', { n: 1 })
	shard.put('c', 'b', { n: '\u0000' })
	shard.put('d', 'a', { n: 1 })
	await consume([message(shard.wakeUp())], ports)
	expect((await sampleOf(view, tenantA)).deadLetters).toBe(1)
	shard.drop('c')
	shard.put('c', 'a', { n: 2 })
	await consume([message(shard.wakeUp())], ports)
	await expectEqual(shard)
	expect(await stack.sql('global', 'SELECT name FROM collection')).toEqual([])
})

test('the reading role reads everything and writes nothing', async () => {
	const reader = stack.reader('global')
	for (const table of [
		'tenant',
		'shard',
		'collection',
		'record',
		'dead_letter',
		'live_record',
		'collection_field',
		'collection_summary',
		'view_freshness',
	]) {
		expect(await reader.query({ text: `SELECT count(*) AS n FROM ${table}`, params: [] })).toEqual([{ n: '0' }])
	}
	await expect(reader.query({ text: 'DELETE FROM record', params: [] })).rejects.toThrow(DatabaseFailure)
	const grants = await stack.sql(
		'global',
		`SELECT DISTINCT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'freehold_read'`,
	)
	expect(grants).toEqual([{ privilege_type: 'SELECT' }])
})

test('[V3] for an erased tenant no watermark is made, and no page that was read before gets in, whoever made one by hand', async () => {
	const shard = new ScriptedShard(tenantA)
	shard.put('c', 'a', { n: 1 })
	const first = await followed(shard)
	const pull = { tenant: shard.tenant, shard: 0, epoch: 1, after: 0, entriesMax: 10, bytesMax: 1_000 }
	const reply = await shard.pull(pull)
	if (reply.kind !== 'page') throw new Error('no page')
	await eraseTenant(view, shard.tenant, 2)
	expect(await writer.apply(first, reply)).toBe(false)
	expect(await writer.readWatermark(shard.wakeUp())).toBeNull()
	await consume([message(shard.wakeUp())], testPorts([shard], view))
	await stack.sql(
		'global',
		`INSERT INTO shard (tenant_id, shard, epoch, revision, applied_seq, read_seq, head_seq) VALUES ('${tenantA}', 0, 1, 0, 0, 0, 0)`,
	)
	expect(await writer.apply(first, reply)).toBe(false)
	expect(
		await writer.setAside(first, reply, { op: 'upsert', collection: 'c', recordId: 'a', reason: 'x', hash: null }),
	).toBe(false)
	await consume([message(shard.wakeUp())], testPorts([shard], view))
	expect((await sampleOf(view, tenantA)).rows.size).toBe(0)
	await eraseTenant(view, shard.tenant, 2)
	expect((await countTenant(view, shard.tenant)).every(({ count }) => count === 0)).toBe(true)
})
