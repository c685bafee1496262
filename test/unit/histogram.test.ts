import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
	bucketOf,
	coarseBounds,
	countWithin,
	type Histogram,
	merge,
	quantile,
	total,
	upperBound,
} from '../../core/histogram.ts'

const durations = fc.array(
	fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.double({ min: 0, max: 5_000, noNaN: true })),
)

function histogramOf(values: readonly number[]): Histogram {
	const histogram = new Map<number, number>()
	for (const ms of values) histogram.set(bucketOf(ms), (histogram.get(bucketOf(ms)) ?? 0) + 1)
	return histogram
}

test('histograms of any parts, merged in any order, are the histogram of the whole', () => {
	fc.assert(
		fc.property(fc.array(durations), (parts) => {
			const merged = merge(parts.toReversed().map(histogramOf))
			expect(new Map([...merged].sort())).toEqual(new Map([...histogramOf(parts.flat())].sort()))
			expect(total(merged)).toBe(parts.flat().length)
		}),
	)
})

test('a duration is in the bucket whose bounds enclose it', () => {
	fc.assert(
		fc.property(fc.double({ min: 1, max: 65_000, noNaN: true }), (ms) => {
			const bucket = bucketOf(ms)
			expect(ms).toBeLessThanOrEqual(upperBound(bucket) * (1 + 1e-9))
			if (bucket > 0) expect(ms).toBeGreaterThan(upperBound(bucket - 1) * (1 - 1e-9))
		}),
	)
	expect(bucketOf(0)).toBe(0)
	expect(upperBound(bucketOf(1e9))).toBe(Number.POSITIVE_INFINITY)
})

test('a quantile is off by at most 9.1 %', () => {
	const values = fc.array(fc.double({ min: 1, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 200 })
	fc.assert(
		fc.property(values, fc.constantFrom(0.5, 0.9, 0.99, 1), (all, share) => {
			const exact = all.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(all.length * share)) - 1] ?? 0
			const told = quantile(histogramOf(all), share) ?? 0
			expect(Math.max(told / exact, exact / told)).toBeLessThanOrEqual(2 ** (1 / 8) + 1e-6)
		}),
	)
	expect(quantile(new Map(), 0.5)).toBeNull()
})

test('the coarser bounds count exactly what is within them, and nothing between bounds is guessed', () => {
	fc.assert(
		fc.property(durations, (all) => {
			for (const bound of coarseBounds)
				expect(countWithin(histogramOf(all), bound)).toBe(all.filter((ms) => ms <= bound).length)
		}),
	)
	expect(() => countWithin(new Map(), 500)).toThrow('not the bound of a bucket')
})
