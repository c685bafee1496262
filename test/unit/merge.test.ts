import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeParts } from '../../db/neon/merge.ts'

const compare = (a: number, b: number) => a - b
const items = fc.array(fc.array(fc.integer({ min: 0, max: 50 })), { maxLength: 4 })

test('parts that were sent whole merge into the beginning of everything in order', () => {
	fc.assert(
		fc.property(items, fc.integer({ min: 1, max: 20 }), (lists, limit) => {
			const parts = lists.map((list) => ({ items: list.toSorted(compare), more: false }))
			const all = lists.flat().toSorted(compare)
			const merged = mergeParts(parts, compare, { items: limit, bytes: Number.MAX_SAFE_INTEGER, bytesOf: () => 1 })
			expect(merged).toEqual({ items: all.slice(0, limit), more: all.length > limit })
		}),
	)
})

test('what a region has not sent never follows what another region sent', () => {
	const limits = { items: 10, bytes: 100, bytesOf: () => 1 }
	const parts = [
		{ items: [1, 4], more: true },
		{ items: [2, 3, 5, 9], more: false },
	]
	expect(mergeParts(parts, compare, limits)).toEqual({ items: [1, 2, 3, 4], more: true })
	expect(mergeParts([{ items: [], more: true }], compare, limits)).toEqual({ items: [], more: true })
})

test('a page ends before it is too large, and holds one item however large that is', () => {
	const merge = (sizes: number[]) =>
		mergeParts([{ items: sizes, more: false }], () => 0, { items: 10, bytes: 10, bytesOf: (size) => size })
	expect(merge([4, 6, 1])).toEqual({ items: [4, 6], more: true })
	expect(merge([4, 7])).toEqual({ items: [4], more: true })
	expect(merge([11])).toEqual({ items: [11], more: false })
	expect(merge([11, 1])).toEqual({ items: [11], more: true })
	expect(merge([])).toEqual({ items: [], more: false })
})
