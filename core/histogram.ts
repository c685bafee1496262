/**
 * Latency histograms of fixed exponential buckets. Only counts are kept, so any number of histograms merge exactly, by adding.
 * Bucket n holds durations over base^(n-1) and up to base^n milliseconds, with base = 2^(1/4): a quantile, read as the geometric
 * middle of its bucket, is off by at most a factor of 2^(1/8), 9.1 %. Every fourth bound is a power of two.
 */

/** Buckets to each doubling of the duration. */
const bucketsPerDoubling = 4
/** The last bucket with an upper bound, 65.5 s; the one after it holds whatever took longer. */
const bucketMax = 64

/** Counts by bucket; buckets that are empty are absent. */
export type Histogram = ReadonlyMap<number, number>

/** @param ms from 0 up; what takes less than a millisecond is in bucket 0 */
export function bucketOf(ms: number): number {
	if (ms <= 1) return 0
	// A bound itself belongs to the bucket below it, however its logarithm was rounded.
	return Math.min(Math.ceil(Math.log2(ms) * bucketsPerDoubling - 1e-9), bucketMax + 1)
}

/** In milliseconds; infinite for the last bucket. */
export function upperBound(bucket: number): number {
	return bucket > bucketMax ? Number.POSITIVE_INFINITY : 2 ** (bucket / bucketsPerDoubling)
}

export function merge(histograms: Iterable<Histogram>): Histogram {
	const merged = new Map<number, number>()
	for (const histogram of histograms)
		for (const [bucket, count] of histogram) merged.set(bucket, (merged.get(bucket) ?? 0) + count)
	return merged
}

export function total(histogram: Histogram): number {
	let sum = 0
	for (const count of histogram.values()) sum += count
	return sum
}

/** How many took at most `ms`, which must be the bound of a bucket: anything else could only be guessed. */
export function countWithin(histogram: Histogram, ms: number): number {
	const last = bucketOf(ms)
	if (Math.abs(upperBound(last) - ms) > 1e-6) throw new Error(`${ms} ms is not the bound of a bucket`)
	let sum = 0
	for (const [bucket, count] of histogram) if (bucket <= last) sum += count
	return sum
}

/** In milliseconds; null of nothing. @param share from 0 to 1, e.g. 0.99 */
export function quantile(histogram: Histogram, share: number): number | null {
	const wanted = Math.max(1, Math.ceil(total(histogram) * share))
	let seen = 0
	for (const bucket of [...histogram.keys()].sort((a, b) => a - b)) {
		seen += histogram.get(bucket) ?? 0
		if (seen >= wanted) return bucket === 0 ? 1 : 2 ** ((Math.min(bucket, bucketMax) - 0.5) / bucketsPerDoubling)
	}
	return null
}

/** The bounds that are powers of two, in milliseconds: a coarser histogram that is exact as well. */
export const coarseBounds: readonly number[] = Array.from(
	{ length: bucketMax / bucketsPerDoubling + 1 },
	(_, power) => 2 ** power,
)
