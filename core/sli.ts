/** Service level indicators: how many events of a period were good, and of how many. Counts only, so periods add up. */
export const indicators = [
	'availability',
	'latency',
	'accuracy',
	'freshness',
	'probe-availability',
	'probe-freshness',
] as const
export type Indicator = (typeof indicators)[number]

export interface Ratio {
	good: number
	total: number
}

/** What is known of one period; an indicator without events is absent. */
export type Counts = Partial<Record<Indicator, Ratio>>

export interface Period {
	/** Its start, milliseconds since 1970. */
	at: number
	counts: Counts
}

export function sumOf(periods: Iterable<Period>, indicator: Indicator): Ratio {
	let good = 0
	let total = 0
	for (const { counts } of periods) {
		good += counts[indicator]?.good ?? 0
		total += counts[indicator]?.total ?? 0
	}
	return { good, total }
}

/** All indicators of several periods as those of one. */
export function combine(periods: readonly Period[]): Counts {
	const counts: Counts = {}
	for (const indicator of indicators) {
		const sum = sumOf(periods, indicator)
		if (sum.total > 0) counts[indicator] = sum
	}
	return counts
}
