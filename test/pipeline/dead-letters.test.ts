import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { DeadLetter, DeadLetterOrder } from '../../core/dead-letter.ts'
import type { Region } from '../../core/ids.ts'
import type { JsonObject } from '../../core/json.ts'
import { addToDigest, rowHash } from '../../core/row-hash.ts'
import type { View } from '../../core/view.ts'
import type { Database } from '../../db/neon/client.ts'
import { comparedView } from '../../db/neon/comparing.ts'
import { discardDeadLetter, noteRefused, noteReplay } from '../../db/neon/dead-letters.ts'
import { createView } from '../../db/neon/view.ts'
import { postgresStore } from '../../db/neon/writer.ts'
import { consumeChanges } from '../../workers/queue-consumer/changes.ts'
import { consume } from '../../workers/queue-consumer/consumer.ts'
import { message, sampleOf, type TestMessage, testPorts } from '../consumer-ports.ts'
import { ScriptedShard } from '../scripted-shard.ts'
import { startViewStack, type ViewStack } from './view-stack.ts'

const region = 'global' as Region
const tenantA = 'global_01k9aaaaaaaaaaaaaaaaaaaaaa'
const scope = { regions: [region], tenant: null }
const tenantB = 'global_01k9bbbbbbbbbbbbbbbbbbbbbb'

let stack: ViewStack
let database: Database
let view: View

beforeAll(async () => {
	stack = await startViewStack(['global'])
	database = stack.writer('global')
	view = createView({
		regions: [{ region, database: stack.reader('global') }],
		now: () => performance.now(),
		sleep: () => Promise.resolve(),
	})
}, 60_000)
afterAll(() => stack?.stop())
beforeEach(async () => {
	await stack.reset()
	await curePoison()
})

/** Something that Postgres takes no more of, whoever sends it. */
const poison = (table: string, condition: string) =>
	stack.sql('global', `ALTER TABLE ${table} ADD CONSTRAINT poison CHECK (${condition}) NOT VALID`)

async function curePoison(): Promise<void> {
	for (const table of ['record', 'collection', 'tenant'])
		await stack.sql('global', `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS poison`)
}

async function deliver(body: object, shards: ScriptedShard[]): Promise<TestMessage> {
	const ports = testPorts(shards, database)
	const one = message(body)
	await consumeChanges([one], ports, {
		rebuild: unexpectedRebuild,
		replay: {
			letters: {
				noteReplay: (number) => noteReplay(database, number),
				noteRefused: (number, reason) => noteRefused(database, number, reason),
				discard: (number, at) => discardDeadLetter(database, number, at),
			},
			view: postgresStore(database),
			shardOf: (tenant) => {
				const shard = shards.find((candidate) => candidate.tenant === tenant)
				if (shard === undefined) throw new Error('the object is unreachable')
				return {
					pull: (request) => shard.pull(request),
					rebuild: async () => {
						shard.rebuild()
						return { kind: 'accepted', seq: shard.head }
					},
				}
			},
			announce: ports.announce,
			sleep: ports.sleep,
			log: ports.log,
		},
	})
	for (let wakeUp = ports.announced.shift(); wakeUp !== undefined; wakeUp = ports.announced.shift())
		await consume([message(wakeUp)], ports)
	return one
}

const unexpectedRebuild = new Proxy({} as Parameters<typeof consumeChanges>[2]['rebuild'], {
	get: () => {
		throw new Error('no rebuild was expected')
	},
})

const order = (letter: DeadLetter, intent: DeadLetterOrder['intent']): DeadLetterOrder => ({
	kind: 'dead_letter',
	...{ region, number: letter.number, intent, id: '0'.repeat(26), at: 1_700_000_000_000 },
})

async function letters(state: DeadLetter['state'] | null = null) {
	const read = await view.deadLetters(scope, { state, limit: 50, after: null })
	if (!read.ok) throw new Error(read.refusal.code)
	return read.value
}

async function onlyLetter(): Promise<DeadLetter> {
	const { deadLetters } = await letters()
	const [letter] = deadLetters
	if (letter === undefined || deadLetters.length > 1) throw new Error(`there are ${deadLetters.length} letters`)
	return letter
}

function filled(tenant: string, records = 10): ScriptedShard {
	const shard = new ScriptedShard(tenant)
	shard.define('c', [{ name: 'n', type: 'integer' }])
	for (let n = 0; n < records; n++) shard.put('c', `r${n}`, { n, secret: 'personal text' })
	return shard
}

async function expectEqual(shard: ScriptedShard): Promise<void> {
	expect(await sampleOf(database, shard.tenant)).toEqual({
		rows: shard.stateAt(shard.head),
		appliedSeq: shard.head,
		readSeq: shard.head,
		deadLetters: 0,
		rebuilding: false,
	})
}

test('[V4] one poisoned entry holds up nothing, shows as a pointer, and a replay brings it once its cause is gone', async () => {
	const shards = [filled(tenantA), filled(tenantB)]
	const [poisoned, healthy] = shards
	if (!poisoned || !healthy) throw new Error('there are two')
	await poison('record', `tenant_id <> '${tenantA}' OR id <> 'r3'`)
	for (const shard of shards) await deliver(shard.wakeUp(), shards)
	await expectEqual(healthy)
	const expected = new Map(poisoned.stateAt(poisoned.head))
	expected.delete('c/r3')
	expect((await sampleOf(database, tenantA)).rows).toEqual(expected)
	const letter = await onlyLetter()
	expect(letter).toMatchObject({
		...{ region, tenant: tenantA, shard: 0, op: 'upsert', collection: 'c', record: 'r3', state: 'waiting' },
		...{ reason: '23514 integrity constraint violation', attempts: 1, replayingSince: null, discardedAt: null },
	})
	expect(JSON.stringify(await letters())).not.toContain('personal')

	// Too early: the letter has one more attempt, and nothing else has changed.
	const before = await sampleOf(database, tenantA)
	expect((await deliver(order(letter, 'replay'), shards)).settled).toBe('ack')
	expect(await onlyLetter()).toMatchObject({
		number: letter.number,
		attempts: 2,
		state: 'waiting',
		replayingSince: null,
	})
	expect(await sampleOf(database, tenantA)).toEqual(before)

	await curePoison()
	expect((await deliver(order(letter, 'replay'), shards)).settled).toBe('ack')
	await expectEqual(poisoned)
	expect(await view.deadLetter(letter)).toEqual({ ok: true, value: null })
	expect((await deliver(order(letter, 'replay'), shards)).settled).toBe('ack')
	expect((await deliver(order(letter, 'discard'), shards)).settled).toBe('ack')
	await expectEqual(poisoned)
})

test('[V2] what was set aside is counted by its hash, so the rest of its shard is still verified', async () => {
	const shard = filled(tenantA)
	await poison('record', "id <> 'r3'")
	await deliver(shard.wakeUp(), [shard])
	const compared = comparedView(database)
	const { head: appliedSeq } = shard
	// What the shard would say of itself, from the records that it hands out.
	const all = await shard.pull({
		...{ tenant: shard.tenant, shard: 0, epoch: 1, after: 1, entriesMax: 100, bytesMax: 1_000_000 },
	})
	if (all.kind !== 'page') throw new Error('the shard has pages')
	const rows: { c: string; i: string; v: number; t: number; u: number; d: JsonObject }[] = JSON.parse(all.page.upserts)
	let digest = 0n
	for (const { c, i, v, t, u, d } of rows)
		digest = addToDigest(digest, rowHash({ collection: c, id: i, version: v, createdAt: t, updatedAt: u }, d, []))
	const of = { tenant: shard.tenant, shard: 0, epoch: 1, appliedSeq }
	await compared.noteChecksum(of, { count: rows.length, digest: digest.toString() })
	const compare = async () =>
		(await compared.compareShards({ shardsMax: 10, rowsMax: 1_000, sinceMs: 0 })).map(({ equal }) => equal)
	expect(await compare()).toEqual([true])
	await stack.sql('global', "UPDATE record SET data = '{}' WHERE id = 'r4'")
	expect(await compare()).toEqual([false])

	// A change of schema may have changed what the absent record adds, and nobody has said to what.
	shard.define('c', [], ['n'])
	await deliver(shard.wakeUp(), [shard])
	await compared.noteChecksum({ ...of, appliedSeq: shard.head }, { count: rows.length, digest: '0' })
	expect(await compare()).toEqual([])
})

test('[V4] a replay comes through between other pages, and waits while its shard is away', async () => {
	const shard = filled(tenantA)
	await poison('record', "id <> 'r3'")
	await deliver(shard.wakeUp(), [shard])
	await curePoison()
	const letter = await onlyLetter()
	expect((await deliver(order(letter, 'replay'), [])).settled).toBeGreaterThan(0)
	expect((await onlyLetter()).replayingSince).not.toBeNull()
	let moves = 3
	shard.beforePull = async (request) => {
		if (!request.base || moves-- <= 0) return
		// Another consumer is faster each time.
		shard.put('c', 'r1', { moves })
		await consume([message(shard.wakeUp())], testPorts([shard], database))
	}
	expect((await deliver(order(letter, 'replay'), [shard])).settled).toBe('ack')
	expect(moves).toBeLessThan(0)
	await expectEqual(shard)
})

test('[V4] a discarded letter is counted apart, and its shard is not exact until a later change brings the record', async () => {
	const shard = filled(tenantA)
	await poison('record', "id <> 'r3'")
	await deliver(shard.wakeUp(), [shard])
	const letter = await onlyLetter()
	await deliver(order(letter, 'discard'), [shard])
	await deliver({ ...order(letter, 'discard'), at: 1_800_000_000_000 }, [shard])
	expect(await letters('waiting')).toMatchObject({ deadLetters: [], waiting: 0, discarded: 1 })
	expect(await letters('discarded')).toMatchObject({
		deadLetters: [{ state: 'discarded', discardedAt: 1_700_000_000_000 }],
		freshness: { exact: false },
	})
	// What is refused again waits again, whoever had given it up.
	shard.put('c', 'r3', { n: 33 })
	await deliver(shard.wakeUp(), [shard])
	expect(await onlyLetter()).toMatchObject({ number: letter.number, state: 'waiting', attempts: 2 })
	await deliver(order(letter, 'discard'), [shard])
	await curePoison()
	shard.put('c', 'r3', { n: 34 })
	await deliver(shard.wakeUp(), [shard])
	await expectEqual(shard)
	expect(await letters()).toMatchObject({ deadLetters: [], waiting: 0, discarded: 0 })
	const { tenant } = shard
	expect(await view.freshness({ ...scope, tenant })).toMatchObject({ ok: true, value: { exact: true } })
})

test('[V4] replaying a refused schema reads the whole collection anew, and only once its cause is gone', async () => {
	const shard = filled(tenantA, 7)
	shard.define('d', [])
	shard.put('d', 'x', { n: 1 })
	await deliver(shard.wakeUp(), [shard])
	await poison('collection', "name <> 'c'")
	shard.define('c', [{ name: 'n', type: 'number' }])
	await deliver(shard.wakeUp(), [shard])
	const letter = await onlyLetter()
	expect(letter).toMatchObject({ op: 'schema', collection: 'c', record: null })
	expect([...(await sampleOf(database, tenantA)).rows.keys()]).toEqual(['d/x'])
	await deliver(order(letter, 'replay'), [shard])
	expect(await onlyLetter()).toMatchObject({ number: letter.number, attempts: 2 })
	await curePoison()
	await deliver(order(letter, 'replay'), [shard])
	await expectEqual(shard)
	expect(await stack.sql('global', 'SELECT name, fields FROM collection ORDER BY name')).toEqual([
		{ name: 'c', fields: [{ name: 'n', type: 'number' }] },
		{ name: 'd', fields: [] },
	])
})

test('[V4] replaying an entry about no record asks the shard for everything', async () => {
	const shard = filled(tenantA, 2)
	await deliver(shard.wakeUp(), [shard])
	await stack.sql('global', "UPDATE tenant SET slug = 'older'")
	await poison('tenant', "slug = 'older'")
	shard.other()
	await deliver(shard.wakeUp(), [shard])
	const letter = await onlyLetter()
	expect(letter).toMatchObject({ op: 'none', collection: null, record: null })
	await curePoison()
	await deliver(order(letter, 'replay'), [shard])
	await deliver(shard.wakeUp(), [shard])
	await expectEqual(shard)
	expect(await stack.sql('global', 'SELECT slug FROM tenant')).toEqual([{ slug: 'slug-aaaa' }])
})

test('letters come page by page, by tenant and by state', async () => {
	const shards = [filled(tenantA, 4), filled(tenantB, 3)]
	await poison('record', "collection <> 'c'")
	for (const shard of shards) await deliver(shard.wakeUp(), shards)
	const { deadLetters, waiting } = await letters()
	expect(waiting).toBe(7)
	const found: number[] = []
	for (let after: { region: Region; number: number } | null = null; ; ) {
		const read = await view.deadLetters(scope, { state: 'waiting', limit: 3, after })
		if (!read.ok) throw new Error(read.refusal.code)
		found.push(...read.value.deadLetters.map(({ number }) => number))
		after = read.value.next
		if (after === null) break
	}
	expect(found).toEqual(deadLetters.map(({ number }) => number))
	expect(found).toEqual([...found].sort((a, b) => a - b))
	const ofB = await view.deadLetters(
		{ ...scope, tenant: filled(tenantB).tenant },
		{ state: null, limit: 9, after: null },
	)
	expect(ofB).toMatchObject({ ok: true, value: { waiting: 3, next: null } })
})
