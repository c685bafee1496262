import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readMeasures } from '../../bench/capacity.ts'
import { capacityOf, type Load } from '../../bench/capacity-model.ts'

const measures = readMeasures()
const load: Load = {
	tenants: 100_000,
	writesPerSecond: 1_000,
	readsPerSecond: 4_000,
	activeShare: 0.05,
	recordsPerTenant: 1_000,
	recordBytes: 300,
	largestShare: 0.01,
	regions: 2,
}

test('the lines of the cost add up, rows written are the largest, and limits are told in the order in which they break', () => {
	const { lines, dollars, limits } = capacityOf(load, measures)
	expect(lines.reduce((sum, line) => sum + line.dollars, 0)).toBeCloseTo(dollars, 6)
	expect(lines[0]?.line).toBe('rows written')
	expect(limits.map(({ share }) => share)).toEqual(limits.map(({ share }) => share).toSorted((a, b) => b - a))
})

test('a write costs what the bench measured, at each of the rates at which it was measured', () => {
	const rowsAt = (activeShare: number) => {
		const { lines } = capacityOf({ ...load, tenants: 1_000, activeShare }, measures)
		const dollars = lines.find(({ line }) => line === 'rows written')?.dollars ?? 0
		return dollars / 1e-6 / (load.writesPerSecond * 30 * 86_400)
	}
	const { steady, burst } = measures.price
	expect(rowsAt(0.1)).toBeCloseTo(steady.keyed.rowsWritten + steady.keyed.rowsPrunedLater, 6)
	expect(rowsAt(0.001)).toBeCloseTo(burst.keyed.rowsWritten + burst.keyed.rowsPrunedLater, 6)
	expect(capacityOf({ ...load, tenants: 1e6, activeShare: 1 }, measures).queueOperationsPerSecond).toBeCloseTo(3_000, 6)
})

test('a record takes what the pages of its object take, as measured with 2,000 records of each size', () => {
	const measured = { 300: 725, 700: 1_249, 1000: 4_932, 2000: 4_944, 3500: 4_942 }
	for (const [bytes, stored] of Object.entries(measured)) {
		const one = { ...load, tenants: 1, recordsPerTenant: 1e6, recordBytes: Number(bytes) }
		const perRecord = (capacityOf(one, measures).objectGigabytes * 1e9) / 1e6
		expect(Math.abs(perRecord - stored) / stored).toBeLessThan(0.15)
	}
})

test('more load never costs less and never leaves more room', () => {
	const size = fc.record({
		tenants: fc.integer({ min: 10, max: 1e7 }),
		writesPerSecond: fc.integer({ min: 1, max: 1e5 }),
	})
	fc.assert(
		fc.property(size, (one) => {
			const small = capacityOf({ ...load, ...one }, measures)
			const large = capacityOf(
				{ ...load, ...one, tenants: one.tenants * 2, writesPerSecond: one.writesPerSecond * 2 },
				measures,
			)
			expect(large.dollars).toBeGreaterThan(small.dollars)
			for (const { limit, share } of small.limits)
				expect(large.limits.find((other) => other.limit === limit)?.share ?? 0).toBeGreaterThanOrEqual(share)
		}),
	)
})
