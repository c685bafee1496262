import type { TrafficGrain, TrafficSums } from '../../core/traffic.ts'
import type { Statement } from './client.ts'
import type { RegionAnswer } from './regions.ts'
import { numberIn, textIn } from './row.ts'

/** What a region counted from one moment up to another, in milliseconds; see `trafficSumsOf`. */
export function trafficStatements(grain: TrafficGrain, from: number, until: number): Statement[] {
	const params = [grain, new Date(from).toISOString(), new Date(until).toISOString()]
	return [sumPeriods, sumPeriodLatency, sumRoutes, sumRouteLatency].map((text) => ({ text, params }))
}

export function trafficSumsOf({
	results: [periods = [], periodLatency = [], routes = [], routeLatency = []],
}: RegionAnswer): TrafficSums {
	const counts = (row: (typeof periods)[number]) => ({
		requests: numberIn(row, 'requests'),
		failed: numberIn(row, 'failed'),
	})
	const bucket = (row: (typeof periods)[number]) => ({
		bucket: numberIn(row, 'bucket'),
		requests: numberIn(row, 'requests'),
	})
	return {
		periods: periods.map((row) => ({ at: numberIn(row, 'at_ms'), ...counts(row) })),
		periodLatency: periodLatency.map((row) => ({ at: numberIn(row, 'at_ms'), ...bucket(row) })),
		routes: routes.map((row) => ({ route: textIn(row, 'route'), ...counts(row) })),
		routeLatency: routeLatency.map((row) => ({ route: textIn(row, 'route'), ...bucket(row) })),
	}
}

const counted = "sum(requests) AS requests, coalesce(sum(requests) FILTER (WHERE class = '5xx'), 0) AS failed"
const within = 'WHERE grain = $1 AND at >= $2::timestamptz AND at < $3::timestamptz'

const sumPeriods = `
SELECT floor(extract(epoch FROM at) * 1000) AS at_ms, ${counted} FROM telemetry_request ${within} GROUP BY at`

const sumPeriodLatency = `
SELECT floor(extract(epoch FROM at) * 1000) AS at_ms, bucket, sum(requests) AS requests FROM telemetry_latency ${within} GROUP BY at, bucket`

const sumRoutes = `SELECT route, ${counted} FROM telemetry_request ${within} GROUP BY route`

const sumRouteLatency = `
SELECT route, bucket, sum(requests) AS requests FROM telemetry_latency ${within} GROUP BY route, bucket`
