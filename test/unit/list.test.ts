import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bindQuery } from '../../core/bind.ts'
import type { PagePosition, StoredRecord } from '../../core/contract.ts'
import { listRecords } from '../../db/shard/list.ts'
import {
	expectedIds,
	fields,
	indexable,
	type ModelQuery,
	openCollection,
	patternQueries,
	patternRecords,
	queries,
	records,
	uniqueColumns,
} from './list-model.ts'

test('the pages of a list, put together, are what filtering and sorting in JavaScript gives', () => {
	const setting = fc.record({
		all: records,
		indexed: fc.subarray(indexable),
		isUnique: fc.boolean(),
		query: queries,
		limit: fc.integer({ min: 1, max: 7 }),
		scanRowsMax: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(50_000)),
		bytesMax: fc.constantFrom(1, 100, 4_000_000),
	})
	let shortPages = 0
	let refused = 0
	fc.assert(
		fc.property(setting, ({ all, indexed, isUnique, query, limit, scanRowsMax, bytesMax }) => {
			const { sql, close } = openCollection(all, indexed)
			const table = {
				number: 1,
				count: all.length,
				indexed: new Set(indexed),
				unique: isUnique ? uniqueColumns : new Map(),
			}
			const limits = { scanRowsMax, bytesMax }
			try {
				const found: StoredRecord[] = []
				let after: PagePosition | null = null
				for (let pages = 0; ; pages++) {
					expect(pages).toBeLessThanOrEqual(all.length + 1)
					const listed = listRecords(sql, table, bound(query, limit, after), limits)
					if (!listed.ok) {
						expect(listed.refusal.code).toBe('index_required')
						expect(all.length).toBeGreaterThan(scanRowsMax)
						refused++
						return
					}
					found.push(...listed.value.rows)
					expect(listed.value.rows.length).toBeLessThanOrEqual(limit)
					// What comes back to the shard has travelled as JSON.
					after = JSON.parse(JSON.stringify(listed.value.next))
					if (after === null) break
					if (listed.value.rows.length < limit) shortPages++
				}
				const expected = expectedIds(all, query)
				const ids = found.map((record) => record.id)
				// Without an order the shard may choose one.
				if (query.order.length === 0) expect(ids.toSorted()).toEqual(expected.toSorted())
				else expect(ids).toEqual(expected)
				for (const row of found) expect({ ...row }).toEqual(all.find((record) => record.id === row.id))
				const counted = listRecords(sql, table, { ...bound(query, limit, null), count: true }, limits)
				if (counted.ok) expect(counted.value.count).toBe(expected.length)
				else expect(all.length).toBeGreaterThan(scanRowsMax)
			} finally {
				close()
			}
		}),
		{ numRuns: 800 },
	)
	// A run in which nothing was cut short or refused would have proven little.
	expect(shortPages).toBeGreaterThan(50)
	expect(refused).toBeGreaterThan(10)
})

test('a pattern means the same to SQLite and to a regular expression, with and without an index', () => {
	for (const indexed of [['name'], []]) {
		const { sql, close } = openCollection(patternRecords, indexed)
		const table = { number: 1, count: patternRecords.length, indexed: new Set(indexed), unique: new Map() }
		for (const query of patternQueries) {
			const listed = listRecords(sql, table, bound(query, 1_000, null), { scanRowsMax: 50_000 })
			const ids = listed.ok ? listed.value.rows.map((row) => row.id) : null
			expect(ids, fc.stringify(query.filter)).toEqual(expectedIds(patternRecords, query))
		}
		close()
	}
})

function bound(query: ModelQuery, limit: number, after: PagePosition | null) {
	const outcome = bindQuery({ ...query, limit, after, select: null, count: false }, fields)
	if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal))
	return outcome.value
}
