import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BasePage, Page, SchemaPage, WakeUp } from '../../core/contract.ts'
import { parseTenantId, type TenantId } from '../../core/ids.ts'
import { nextRange, type Watermark } from '../../core/watermark.ts'
import { type Database, DatabaseFailure } from '../../db/neon/client.ts'
import { postgresStore, type ViewStore } from '../../db/neon/writer.ts'
import { sampleOf } from '../consumer-ports.ts'
import { MemoryView } from '../fault/memory-view.ts'
import { Chance } from '../fault/world.ts'
import { startViewStack, type ViewStack } from './view-stack.ts'

const tenants = ['global_01k9aaaaaaaaaaaaaaaaaaaaaa', 'global_01k9bbbbbbbbbbbbbbbbbbbbbb'].map((name) => {
	const tenant = parseTenantId(name)
	if (tenant === null) throw new Error('not a tenant')
	return tenant
})

let stack: ViewStack
let database: Database
beforeAll(async () => {
	stack = await startViewStack(['global'])
	database = stack.writer('global')
}, 60_000)
afterAll(() => stack?.stop())

test('[V2] [V3] the store in memory, which the simulator believes, answers and holds what Postgres does', async () => {
	const seen = { moved: 0, fenced: 0, refused: 0, deadLetters: 0, bases: 0 }
	for (let seed = 1; seed <= 50; seed++) {
		await stack.reset()
		const chance = new Chance(seed)
		const memory = new MemoryView()
		const postgres = postgresStore(database)
		/** Watermarks that were read once, most of them stale by now. */
		const read: Watermark[] = []
		for (let call = 0; call < 20; call++) {
			const tenant = chance.pick(tenants)
			const watermark = read.length > 0 ? (chance.happens(0.7) ? read.at(-1) : chance.pick(read)) : undefined
			const ask = callOf(chance, tenant, watermark)
			const answer = await outcomeOf(() => ask(postgres))
			expect(await outcomeOf(() => ask(memory.store)), `seed ${seed}, call ${call}`).toEqual(answer)
			if (Array.isArray(answer)) read.push(...answer.filter((one): one is Watermark => Object(one) === one))
			count(seen, answer)
			for (const one of tenants) {
				const { rows, appliedSeq, readSeq, deadLetters } = await sampleOf(database, one)
				const sample = memory.sample(one)
				seen.deadLetters += deadLetters
				const inMemory = sample.rows.map((row) => [
					`${row.collection}/${row.id}`,
					{ version: row.version, data: row.data },
				])
				expect(Object.fromEntries(inMemory), `seed ${seed}, call ${call}`).toEqual(Object.fromEntries(rows))
				seen.bases += memory.sample(one).filling ? 1 : 0
				expect([sample.appliedSeq, sample.readSeq, sample.deadLetters.length]).toEqual([
					appliedSeq,
					readSeq,
					deadLetters,
				])
			}
		}
	}
	for (const times of Object.values(seen)) expect(times).toBeGreaterThan(10)
}, 300_000)

type Asked = (store: ViewStore | MemoryView['store']) => unknown

function callOf(chance: Chance, tenant: TenantId, watermark: Watermark | undefined): Asked {
	const wakeUp: WakeUp = { tenant, shard: 0, epoch: 1 + chance.below(2), head: chance.below(20) }
	if (!watermark && chance.happens(0.5)) return (store) => store.startWatermark(wakeUp)
	if (!watermark || chance.happens(0.25)) return (store) => store.readWatermarks([wakeUp])
	if (chance.happens(0.05)) return (store) => store.startOver(watermark, watermark.epoch + 1)
	const page = pageOf(chance, watermark)
	const roll = chance.below(14)
	const range = nextRange(watermark.base)
	if (range && roll > 9) {
		const move = { watermark, page: basePageOf(chance, watermark, range) }
		return (store) => store.applyBase(move)
	}
	if (roll > 11) {
		const start = {
			collections: chance.pick([['c'], ['c', 'd'], []]),
			all: chance.happens(0.5),
			hollow: true,
			records: 3,
		}
		return (store) => store.startBase({ watermark, page: { ...page, base: start } }, start)
	}
	if (roll < 6) return (store) => store.applyPages([{ watermark, page }])
	const collection = chance.pick(['c', 'd'])
	if (roll < 8) {
		const schema: SchemaPage = chance.happens(0.7)
			? { kind: 'put', collection, fields: [], personal: chance.pick([[], ['m'], ['n', 'm']]), createdAt: 1 }
			: { kind: 'dropped', collection }
		return (store) => store.applySchema({ watermark, page }, schema)
	}
	const recordId = chance.pick(['a', 'b', null])
	const entry = {
		op: recordId ? ('upsert' as const) : ('schema' as const),
		collection,
		recordId,
		reason: '22P05',
		hash: null,
	}
	// A page that is set aside brings nothing.
	const nothing = { ...page, upserts: '[]', upsertCount: 0 }
	return (store) => store.setAside(watermark, { kind: 'page', page: nothing }, entry)
}

function pageOf(chance: Chance, { epoch, appliedSeq: from }: Watermark): Page {
	const to = from + 1 + chance.below(3)
	const places = ['a', 'b', 'e'].flatMap((i) => (chance.happens(0.5) ? [{ c: chance.pick(['c', 'd']), i }] : []))
	const [present, absent] = [places.slice(1), places.slice(0, 1)]
	const value = () => (chance.happens(0.3) ? '\u0000' : chance.below(9))
	const upserts = present.map((place) => ({ ...place, v: 1 + chance.below(3), t: 1, u: 2, d: { n: value(), m: 1 } }))
	return {
		epoch,
		from,
		to,
		head: to + chance.below(2),
		toAt: 1,
		chain: chance.pick([null, `link-${to}`]),
		tenant: { slug: 'acme', name: 'Acme', status: 'active', createdAt: 1 },
		upserts: JSON.stringify(upserts),
		upsertCount: upserts.length,
		deletes: JSON.stringify(absent),
		deleteCount: absent.length,
		schema: null,
	}
}

function basePageOf(chance: Chance, { epoch, appliedSeq }: Watermark, range: BasePage['range']): BasePage {
	const last = chance.happens(0.4) ? null : chance.pick(['b', 'e', 'z'].filter((id) => id > (range.after ?? '')))
	const ids = ['a', 'b', 'e'].filter((id) => id > (range.after ?? '') && (last === null || id <= last))
	const present = ids.filter(() => chance.happens(0.6))
	const upserts = present.map((i) => ({ c: range.collection, i, v: 1, t: 1, u: 2, d: { n: chance.below(9) } }))
	const page = { epoch, head: appliedSeq + chance.below(3), range, last, definition: null }
	return { ...page, upserts: JSON.stringify(upserts), upsertCount: upserts.length }
}

/** Watermarks as the port describes them, without what a store keeps beside. */
function plain(answer: unknown): unknown {
	if (!Array.isArray(answer)) return answer ?? null
	return answer.map((one) => (Object(one) === one ? { ...one, readSeq: undefined } : one))
}

async function outcomeOf(ask: () => unknown): Promise<unknown> {
	try {
		return plain(await ask())
	} catch (error) {
		if (error instanceof DatabaseFailure) return error.sqlstate
		throw error
	}
}

function count(seen: Record<string, number>, answer: unknown): void {
	const kind = typeof answer === 'string' ? 'refused' : [answer].flat()[0] === true ? 'moved' : 'fenced'
	seen[kind] = (seen[kind] ?? 0) + 1
}
