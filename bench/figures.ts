/** Milliseconds; percentiles are the values that were measured, not interpolated. */
export interface Latency {
	p50: number
	p99: number
	max: number
}

export function latencyOf(milliseconds: number[]): Latency {
	const sorted = Float64Array.from(milliseconds).sort()
	return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: quantile(sorted, 1) }
}

/** What several rounds gave. */
export interface Spread {
	median: number
	min: number
	max: number
}

export function spreadOf(values: readonly number[]): Spread {
	const sorted = Float64Array.from(values).sort()
	const [lower, upper] = [(sorted.length - 1) / 2, sorted.length / 2].map((place) => sorted[Math.floor(place)])
	const median = ((lower ?? Number.NaN) + (upper ?? Number.NaN)) / 2
	return { median, min: quantile(sorted, 0), max: quantile(sorted, 1) }
}

/** NaN when nothing was measured. */
function quantile(sorted: Float64Array, share: number): number {
	return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}
