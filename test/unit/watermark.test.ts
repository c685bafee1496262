import { expect, test } from 'vitest'
import type { BasePage, BaseStart, Page, Reading } from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import {
	assertFollows,
	type Base,
	movedBy,
	movedPast,
	nextRange,
	noBase,
	type Watermark,
} from '../../core/watermark.ts'

const tenant = { slug: 's', name: 'n', status: 'active', createdAt: 0 } as const

function watermark(base: Partial<Base> = {}): Watermark {
	const place = { tenant: 'eu_x' as TenantId, shard: 0, epoch: 1, revision: 7, appliedSeq: 10, chain: 'ten' }
	return { ...place, base: { ...noBase, ...base } }
}

function changes(to: number, base: BaseStart | null = null): Reading {
	const nothing = { upserts: '[]', upsertCount: 0, deletes: '[]', deleteCount: 0, schema: null }
	const page: Page = { epoch: 1, from: 10, to, head: 20, toAt: 1, tenant, ...nothing, base }
	return { kind: 'page', page }
}

function range(collection: string, after: string | null, more: Partial<BasePage> = {}): Reading {
	const nothing = { last: null, definition: null, upserts: '[]', upsertCount: 3 }
	return { kind: 'base', page: { epoch: 1, head: 20, range: { collection, after, only: null }, ...nothing, ...more } }
}

const start = (collections: string[], more: Partial<BaseStart> = {}): BaseStart => ({
	collections,
	all: false,
	hollow: false,
	records: 5,
	...more,
})

test('[V2] ranges move the base and never the position; the last range ends it', () => {
	let at = movedBy(changes(20, start(['a', 'b'], { all: true, hollow: true })), watermark())
	expect(at).toMatchObject({ revision: 8, appliedSeq: 20, base: { pending: ['a', 'b'], after: null, hollow: true } })
	at = movedBy(range('a', null, { last: 'm' }), at)
	expect(nextRange(at.base)).toEqual({ collection: 'a', after: 'm', only: null })
	at = movedBy(range('a', 'm'), at)
	expect(nextRange(at.base)).toEqual({ collection: 'b', after: null, only: null })
	expect(at.base.hollow).toBe(true)
	at = movedBy(range('b', null), at)
	expect(at).toMatchObject({ revision: 11, appliedSeq: 20 })
	expect(at.base).toEqual({ pending: [], after: null, hollow: false, done: 9, total: 5 })
	expect(nextRange(at.base)).toBeNull()
})

test('the link of the chain belongs to the position: a page of changes brings another or none, a range none', () => {
	const page = (chain?: string): Reading => {
		const reading = changes(11)
		return reading.kind === 'page' ? { ...reading, page: { ...reading.page, ...(chain && { chain }) } } : reading
	}
	expect([movedBy(page('eleven'), watermark()).chain, movedBy(page(), watermark()).chain]).toEqual(['eleven', null])
	expect(movedBy(range('a', null), watermark({ pending: ['a'] })).chain).toBe('ten')
})

test('a base that starts while another runs takes its own collections from their beginning', () => {
	const running = { pending: ['a', 'b', 'c'], after: 'm', hollow: true, done: 4, total: 9 }
	const with_ = (begun: BaseStart) => movedBy(changes(11, begun), watermark(running)).base
	expect(with_(start(['c']))).toEqual({ pending: ['a', 'b', 'c'], after: 'm', hollow: true, done: 4, total: 14 })
	expect(with_(start(['a']))).toMatchObject({ pending: ['b', 'c', 'a'], after: null })
	expect(with_(start(['z'], { all: true }))).toEqual({ pending: ['z'], after: null, hollow: true, done: 0, total: 5 })
})

test('a single record and a collection that was set aside leave the rest of a base as it was', () => {
	const running = { pending: ['a', 'b'], after: 'm' }
	const single = range('b', null, { range: { collection: 'b', after: null, only: 'x' } })
	expect(movedBy(single, watermark(running)).base).toMatchObject(running)
	expect(movedPast(changes(11), 'a', watermark(running)).base).toMatchObject({ pending: ['b'], after: null })
	expect(movedPast(changes(11), 'b', watermark(running)).base).toMatchObject({ pending: ['a'], after: 'm' })
	expect(movedPast(changes(11), null, watermark(running)).base).toMatchObject(running)
})

test('[V2] a page that does not follow the watermark, or answers another question, is a bug', () => {
	const asked = { collection: 'a', after: 'm', only: null }
	const accepts = (reading: Reading, question: typeof asked | null) => () =>
		assertFollows(reading, question, watermark({ pending: ['a'], after: 'm' }))
	expect(accepts(changes(20), null)).not.toThrow()
	expect(accepts(range('a', 'm', { last: 'n' }), asked)).not.toThrow()
	for (const wrong of [
		range('b', 'm'),
		range('a', null),
		range('a', 'm', { last: 'm' }),
		range('a', 'm', { epoch: 2 }),
	])
		expect(accepts(wrong, asked)).toThrow()
	expect(accepts(range('a', 'm'), null)).toThrow()
	expect(accepts(changes(20), asked)).toThrow()
	expect(accepts(changes(9), null)).toThrow()
})
