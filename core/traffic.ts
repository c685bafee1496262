/** Requests over time, as the operator's pages show them: put together from the sums of telemetry. */
import { merge, quantile } from './histogram.ts'

export const trafficGrains = ['minute', 'hour', 'day'] as const
export type TrafficGrain = (typeof trafficGrains)[number]

export const grainMs: Record<TrafficGrain, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

/** One region's sums over a range of time. Times are milliseconds since 1970, buckets those of `core/histogram.ts`. */
export interface TrafficSums {
	periods: { at: number; requests: number; failed: number }[]
	periodLatency: { at: number; bucket: number; requests: number }[]
	routes: { route: string; requests: number; failed: number }[]
	routeLatency: { route: string; bucket: number; requests: number }[]
}

/** `failed` counts answers of status 5xx. Quantiles are in milliseconds, and null where nothing was asked. */
interface Figures {
	requests: number
	failed: number
	p50Ms: number | null
	p99Ms: number | null
}

export interface Traffic {
	/** The start of the range and its end, which is not included: whole periods that are over. */
	from: number
	until: number
	/** One a period, the oldest first, also for those in which nothing was asked. */
	points: (Figures & { at: number })[]
	/** The busiest first. */
	routes: (Figures & { route: string })[]
}

/** The last `periods` whole periods before now. */
export function trafficRange(grain: TrafficGrain, periods: number, now: number): { from: number; until: number } {
	const ms = grainMs[grain]
	const until = Math.floor(now / ms) * ms
	return { from: until - periods * ms, until }
}

/** Joins what the regions counted. */
export function trafficOf(
	regions: readonly TrafficSums[],
	grain: TrafficGrain,
	{ from, until }: { from: number; until: number },
): Traffic {
	const byAt = Map.groupBy(
		regions.flatMap(({ periods }) => periods),
		({ at }) => at,
	)
	const latencyByAt = Map.groupBy(
		regions.flatMap(({ periodLatency }) => periodLatency),
		({ at }) => at,
	)
	const byRoute = Map.groupBy(
		regions.flatMap(({ routes }) => routes),
		({ route }) => route,
	)
	const latencyByRoute = Map.groupBy(
		regions.flatMap(({ routeLatency }) => routeLatency),
		({ route }) => route,
	)
	const starts = Array.from(
		{ length: Math.round((until - from) / grainMs[grain]) },
		(_, n) => from + n * grainMs[grain],
	)
	return {
		from,
		until,
		points: starts.map((at) => ({ at, ...figuresOf(byAt.get(at), latencyByAt.get(at)) })),
		routes: [...byRoute]
			.map(([route, counts]) => ({ route, ...figuresOf(counts, latencyByRoute.get(route)) }))
			.sort((a, b) => b.requests - a.requests || (a.route < b.route ? -1 : 1)),
	}
}

function figuresOf(
	counts: readonly { requests: number; failed: number }[] = [],
	latency: readonly { bucket: number; requests: number }[] = [],
): Figures {
	const histogram = merge(latency.map(({ bucket, requests }) => new Map([[bucket, requests]])))
	return {
		requests: counts.reduce((sum, { requests }) => sum + requests, 0),
		failed: counts.reduce((sum, { failed }) => sum + failed, 0),
		p50Ms: quantile(histogram, 0.5),
		p99Ms: quantile(histogram, 0.99),
	}
}
