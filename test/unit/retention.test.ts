import { expect, test } from 'vitest'
import { addToDigest, rowHash } from '../../core/row-hash.ts'
import { Jobs } from '../jobs.ts'
import { ShardFixture } from '../shard.ts'

const dayMs = 86_400_000
const notes = { type: 'object', properties: { text: { type: 'string' } }, 'x-retention-days': 10 }

/** Rings the timer or the alarm as often as it is due now; answers how many records each ring left. */
async function ringAll(fixture: ShardFixture): Promise<number[]> {
	const counts: number[] = []
	for (let rings = 0; rings < 20; rings++) {
		await fixture.shard.alarm()
		counts.push(await countOf(fixture))
		if (fixture.alarmAt === null || fixture.alarmAt > fixture.now + 1) return counts
		fixture.now = fixture.alarmAt
	}
	throw new Error('the alarm rings without end')
}

async function countOf(fixture: ShardFixture, collection = 'notes'): Promise<number> {
	return (await fixture.ask({ name: 'collection.get', collection })).collection.records
}

/** As the view does: says that everything up to the head is applied; answers what the view should then come to. */
function pullAll(fixture: ShardFixture) {
	const request = { tenant: fixture.tenant, shard: 0, epoch: 1, entriesMax: 5_000, bytesMax: 1_000_000 }
	const head = fixture.shard.position()
	fixture.shard.pull({ ...request, after: head })
	const reply = fixture.shard.pull({ ...request, after: head - 1, applied: head })
	if (reply.kind !== 'page') throw new Error(`no page: ${JSON.stringify(reply)}`)
	return reply.page.checksum
}

function recomputed(fixture: ShardFixture, tables: string[]): { count: number; digest: string } {
	let count = 0
	let digest = 0n
	for (const [index, collection] of tables.entries())
		for (const { data, ...row } of fixture.sql.all<{
			id: string
			version: number
			createdAt: number
			updatedAt: number
			data: string
		}>(`SELECT id, version, created_at AS createdAt, updated_at AS updatedAt, data FROM c_${index + 1}`)) {
			digest = addToDigest(digest, rowHash({ ...row, collection }, JSON.parse(data), []))
			count += 1
		}
	return { count, digest: digest.toString() }
}

async function fill(fixture: ShardFixture, collection: string, records: number): Promise<void> {
	const data = JSON.stringify({ text: 'x' })
	for (let done = 0; done < records; done += 100) {
		const operations = Array.from({ length: Math.min(100, records - done) }, () => ({
			...{ op: 'create' as const, collection, data },
		}))
		await fixture.ask({ name: 'batch', operations })
	}
}

test('records go when they are as old as their collection allows, each by an entry, and others stay', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('notes', notes)
	await fixture.collection('things', { type: 'object' })
	const begun = fixture.now
	await fill(fixture, 'notes', 2)
	await fill(fixture, 'things', 3)
	fixture.now += dayMs
	await fill(fixture, 'notes', 1)
	await ringAll(fixture)
	pullAll(fixture)
	fixture.now += 1
	await ringAll(fixture)
	expect(await countOf(fixture)).toBe(3)
	const position = fixture.shard.position()
	fixture.now = begun + 10 * dayMs - 1
	await fixture.shard.look()
	expect([await countOf(fixture), fixture.shard.position()]).toEqual([3, position])
	fixture.now += 1
	await ringAll(fixture)
	expect([await countOf(fixture), await countOf(fixture, 'things')]).toEqual([1, 3])
	const filter = { actor: 'system:retention' }
	const { entries } = await fixture.ask({ name: 'audit.list', filter, limit: 100, after: 0 })
	expect(entries.map(({ op, collection, request }) => [op, collection, request])).toEqual([
		['delete', 'notes', null],
		['delete', 'notes', null],
	])
	expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: null })
	expect(pullAll(fixture)).toEqual(recomputed(fixture, ['notes', 'things']))
})

test('the alarm rings when the oldest record is due, and before that no ring asks storage for old records', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('notes', notes)
	const begun = fixture.now
	await fill(fixture, 'notes', 1)
	pullAll(fixture)
	for (const after of [1, 2_000, 60_000]) {
		fixture.now = begun + after
		fixture.alarmAt = null
		await fixture.shard.alarm()
	}
	expect(fixture.alarmAt).toBe(begun + 10 * dayMs)
	fixture.restart()
	fixture.alarmAt = null
	await fixture.shard.alarm()
	expect(fixture.alarmAt).toBe(begun + 10 * dayMs)
	const asked: string[] = []
	const all = fixture.sql.all.bind(fixture.sql)
	fixture.sql.all = (text, ...values) => {
		asked.push(text)
		return all(text, ...values)
	}
	await fixture.shard.alarm()
	expect(asked.filter((text) => /retention|created_at <=/.test(text))).toEqual([])
})

test('many old records go in steps of a thousand, and the next step is due at once', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('notes', notes)
	await fixture.collection('drafts', notes)
	await fill(fixture, 'notes', 1_500)
	await fill(fixture, 'drafts', 600)
	await ringAll(fixture)
	pullAll(fixture)
	fixture.now += 10 * dayMs
	const left = () =>
		fixture.sql.all<{ n: number }>('SELECT (SELECT count(*) FROM c_1) + (SELECT count(*) FROM c_2) n')[0]?.n
	const steps: (number | undefined)[] = []
	while (left() !== 0 && steps.length < 10) {
		await fixture.shard.alarm()
		steps.push(left())
		fixture.now += 1
	}
	expect(steps).toEqual([1_100, 100, 0])
})

test('a shorter time applies to records that are there, a schema without one keeps them', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('notes', notes)
	await fill(fixture, 'notes', 2)
	await ringAll(fixture)
	fixture.now += 5 * dayMs
	await ringAll(fixture)
	expect(await countOf(fixture)).toBe(2)
	await fixture.collection('notes', { type: 'object' })
	fixture.now += 20 * dayMs
	await ringAll(fixture)
	expect(await countOf(fixture)).toBe(2)
	await fixture.collection('notes', { ...notes, 'x-retention-days': 24 })
	await ringAll(fixture)
	expect(await countOf(fixture)).toBe(0)
})

test('records that came by an import keep their age, and go when it is time', async () => {
	const from = new ShardFixture()
	await from.collection('notes', notes)
	const begun = from.now
	await fill(from, 'notes', 3)
	const out = new Jobs(from)
	const { export: made } = await from.ask({ name: 'export.create', csv: false })
	await out.run(made.id)

	const to = new ShardFixture()
	to.now = begun + dayMs
	// This instance has found that nothing here ever expires.
	await to.shard.alarm()
	const into = new Jobs(to)
	const { import: begins } = await to.ask({ name: 'import.create', parts: 1 })
	await into.upload(begins.id, await out.archive(made.id))
	await into.run(begins.id)
	await to.shard.alarm()
	expect(pullAll(to)).toEqual(recomputed(to, ['notes']))
	to.now = begun + 10 * dayMs - 1
	await to.shard.alarm()
	expect(await countOf(to)).toBe(3)
	to.now += 1
	await to.shard.alarm()
	expect(await countOf(to)).toBe(0)
})
