import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { BaseRange, PullRequest } from '../../core/contract.ts'
import type { Watermark } from '../../core/watermark.ts'
import type { Database } from '../../db/neon/client.ts'
import { postgresStore, ViewWriter } from '../../db/neon/writer.ts'
import { consume } from '../../workers/queue-consumer/consumer.ts'
import { message, sampleOf, type TestPorts, testPorts, violations, wholeOf } from '../consumer-ports.ts'
import { ScriptedShard } from '../scripted-shard.ts'
import { race } from './race.ts'
import { startViewStack, type ViewStack } from './view-stack.ts'

const tenantA = 'global_01k9aaaaaaaaaaaaaaaaaaaaaa'

let stack: ViewStack
let view: Database
let writer: ViewWriter

beforeAll(async () => {
	stack = await startViewStack(['global'])
	view = stack.writer('global')
	writer = new ViewWriter(postgresStore(view))
}, 60_000)
afterAll(() => stack?.stop())
beforeEach(() => stack.reset())

async function expectEqual(shard: ScriptedShard): Promise<void> {
	expect(await sampleOf(view, shard.tenant)).toEqual(wholeOf(shard))
}

/** Delivers a wake-up, and what the consumer itself then announces, until it announces nothing. */
async function deliver(shard: ScriptedShard, ports: TestPorts = testPorts([shard], view)): Promise<TestPorts> {
	await consume([message(shard.wakeUp())], ports)
	for (let wakeUp = ports.announced.shift(); wakeUp !== undefined; wakeUp = ports.announced.shift())
		await consume([message(wakeUp)], ports)
	return ports
}

async function watermarkOf(shard: ScriptedShard): Promise<Watermark> {
	const watermark = await writer.readWatermark(shard.wakeUp())
	if (watermark === null) throw new Error('the view does not know the shard')
	return watermark
}

function filled(records: number): ScriptedShard {
	const shard = new ScriptedShard(tenantA)
	shard.define('c', [{ name: 'n', type: 'integer' }])
	shard.define('d', [])
	for (let n = 0; n < records; n++) shard.put(n % 3 === 0 ? 'd' : 'c', `r${String(n).padStart(4, '0')}`, { n })
	return shard
}

test('[V2] bases that start while consumers race and writes flow leave no hole and nothing stale', {
	timeout: 120_000,
}, async () => {
	const shard = new ScriptedShard(tenantA)
	const collections = ['a', 'b', 'c']
	const write = (round: number) => {
		for (let n = 0; n < 5; n++) {
			const id = `r${(round * 7 + n * 3) % 17}`
			const collection = collections[(round + n) % 3] ?? 'a'
			if ((round + n) % 4 === 0) shard.delete(collection, id)
			else shard.put(collection, id, { round, n })
		}
		if (round % 3 === 0) shard.rebuild(round % 2 === 0 ? null : 'b')
		if (round % 25 === 24) shard.drop('c')
	}
	const seen = await race(shard, stack, write, ['exact', 'bounded', 'rebuilding'])
	await expectEqual(shard)
	expect(Math.min(seen.exact, seen.bounded, seen.rebuilding)).toBeGreaterThan(3)
})

test('[V2] of two pages that were read under one revision only the first is applied, whatever they are', async () => {
	const kinds = { changes: null, range: { collection: 'c', after: null, only: null } }
	for (const [older, newer] of [
		[kinds.changes, kinds.range],
		[kinds.range, kinds.changes],
		[kinds.range, kinds.range],
	] as const) {
		await stack.reset()
		const shard = filled(9)
		await deliver(shard)
		shard.rebuild()
		const read = async (watermark: Watermark, base: BaseRange | null) => {
			const about = { tenant: shard.tenant, shard: 0, epoch: 1, entriesMax: 5, bytesMax: 1e6 }
			const reply = await shard.pull({ ...about, after: watermark.appliedSeq, base })
			if (reply.kind === 'refused') throw new Error(reply.reason)
			return reply
		}
		const met = await watermarkOf(shard)
		expect(await writer.apply(met, await read(met, null))).toBe(true)
		shard.put('c', 'r0002', { n: -1 })
		const before = await watermarkOf(shard)
		const stale = await read(before, older)
		shard.delete('c', 'r0001')
		shard.put('c', 'r0002', { n: -2 })
		expect(await writer.apply(before, await read(before, newer))).toBe(true)
		expect(await writer.apply(before, stale)).toBe(false)
		expect(violations(shard, await sampleOf(view, tenantA))).toEqual([])
		await deliver(shard)
		await expectEqual(shard)
	}
})

test('a rebuild brings back what was lost, altered, outdated or added by hand, and leaves equal rows alone', async () => {
	const shard = filled(60)
	shard.put('c', 'r0004', { n: 'new' })
	await deliver(shard)
	const sql = (text: string) => stack.sql('global', text)
	const untouched = await sql(`SELECT xmin::text FROM record WHERE id = 'r0010'`)
	await sql(`DELETE FROM record WHERE id IN ('r0001', 'r0002')`)
	await sql(`UPDATE record SET data = '{"n": 7000}' WHERE id = 'r0007'`)
	await sql(`UPDATE record SET version = 1, data = '{"n": 4}' WHERE id = 'r0004'`)
	await sql(`DELETE FROM collection WHERE name = 'd'`)
	for (const place of [`'c', 'stray'`, `'d', 'r0000a'`, `'never', 'r1'`]) {
		await sql(`INSERT INTO record VALUES ('${tenantA}', ${place}, 1, '{}', now(), now())`)
	}
	await sql(`INSERT INTO collection VALUES ('${tenantA}', 'never', '[]', now())`)
	await sql(`UPDATE tenant SET name = 'Somebody else'`)
	shard.rebuild()
	await deliver(shard)
	await expectEqual(shard)
	expect(await sql('SELECT name FROM collection ORDER BY name')).toEqual([{ name: 'c' }, { name: 'd' }])
	expect(await sql('SELECT name FROM tenant')).toEqual([{ name: 'A tenant' }])
	expect(await sql(`SELECT xmin::text FROM record WHERE id = 'r0010'`)).toEqual(untouched)
	expect(await sql('SELECT base_done::int, base_total::int, base_finished_at IS NOT NULL AS ended FROM shard')).toEqual(
		[{ base_done: 60, base_total: 60, ended: true }],
	)
})

test('a view that is lost starts anew from what the shard has, also when its journal is pruned', async () => {
	const shard = filled(60)
	shard.delete('c', 'r0001')
	await deliver(shard)
	shard.prune()
	await stack.reset()
	shard.put('c', 'r0061', { n: 61 })
	const few = {
		pull: (request: PullRequest) => shard.pull({ ...request, entriesMax: Math.min(request.entriesMax, 2) }),
	}
	const ports = testPorts([shard], view, { shardOf: () => few })
	await consume([message(shard.wakeUp())], ports)
	// Until the base has ended, rows are missing, and the view says so.
	expect(await stack.sql('global', 'SELECT base_hollow, applied_seq::int FROM shard')).toEqual([
		{ base_hollow: true, applied_seq: shard.head },
	])
	shard.put('c', 'r0002', { n: 'changed meanwhile' })
	await deliver(shard, ports)
	await expectEqual(shard)
	expect(await stack.sql('global', 'SELECT base_hollow FROM shard')).toEqual([{ base_hollow: false }])
})

test('[V3] after a lost view a late wake-up of an older epoch starts no watermark', async () => {
	const shard = new ScriptedShard(tenantA, 2)
	shard.put('c', 'a', { n: 1 })
	const late = message({ ...shard.wakeUp(), epoch: 1 })
	await consume([late], testPorts([shard], view))
	expect(late.settled).toBe('ack')
	expect(await stack.sql('global', 'SELECT 1 AS one FROM shard')).toEqual([])
	await deliver(shard)
	await expectEqual(shard)
})

test('a wake-up that its shard refuses leaves nothing behind that would count as behind', async () => {
	const wakeUp = message(new ScriptedShard(tenantA).wakeUp())
	const ports = testPorts([], view)
	await consume([wakeUp], ports)
	expect(wakeUp.settled).toBe('ack')
	expect(ports.lines.map(({ event, fields }) => [event, fields.reason])).toEqual([['pull_refused', 'unknown_shard']])
	expect(await stack.sql('global', 'SELECT 1 AS one FROM shard')).toEqual([])
})

test('[V4] a record that Postgres cannot take becomes one dead letter of a base, however often it is read', async () => {
	const shard = filled(60)
	shard.put('c', 'r0070', { text: '\u0000' })
	await deliver(shard)
	for (let n = 0; n < 2; n++) {
		shard.rebuild()
		await deliver(shard)
	}
	const expected = shard.stateAt(shard.head)
	expected.delete('c/r0070')
	expect(await sampleOf(view, tenantA)).toMatchObject({ rows: expected, deadLetters: 1, rebuilding: false })
	expect(await stack.sql('global', 'SELECT record_id, attempts FROM dead_letter')).toEqual([
		{ record_id: 'r0070', attempts: 3 },
	])
	shard.put('c', 'r0070', { n: 7 })
	shard.rebuild('c')
	await deliver(shard)
	await expectEqual(shard)
})
