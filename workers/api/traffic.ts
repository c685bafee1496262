import { parseRegion, type Region } from '../../core/ids.ts'
import { trafficPeriodsDefault, trafficPeriodsMax } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import { grainMs, type Traffic, type TrafficGrain, trafficGrains, trafficRange } from '../../core/traffic.ts'
import type { OperatorCall } from './call.ts'
import { traffic, trafficQuery } from './operating-schemas.ts'
import { timeOf } from './representation.ts'
import { badParameter, readInteger, readQuery } from './request.ts'
import { respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'

const figures = { requests: 1_200, failed: 0, p50_ms: 9.5, p99_ms: 45.3 }
const example = {
	...{ grain: 'minute', seconds: 60, from: '2026-11-22T19:50:00.000Z', until: '2026-11-22T19:51:00.000Z' },
	points: [{ at: '2026-11-22T19:50:00.000Z', ...figures }],
	routes: [{ route: 'GET /v1/tenant', ...figures }],
}

export const trafficRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/traffic',
			scope: 'read',
			tag: 'Operating (operator)',
			summary: 'Requests over time, and by route',
			description:
				'Whole periods that are over, the oldest first; `seconds` is the length of one. `failed` counts answers of status 5xx. Quantiles are off by at most 9 %, and `null` where nothing was asked.',
			query: trafficQuery,
			answers: { 200: { description: 'The last periods', schema: traffic, example } },
			refusals: ['unknown_field', 'view_unavailable'],
		},
		async (call) => {
			const asked = readQuery(call, ['region', 'grain', 'limit'])
			if (!asked.ok) return asked
			const regions = readRegions(call, asked.value.region)
			if (!regions.ok) return regions
			const grain = readGrain(asked.value.grain)
			if (!grain.ok) return grain
			const limits = { min: 1, max: trafficPeriodsMax, absent: trafficPeriodsDefault }
			const limit = readInteger('limit', asked.value.limit, limits)
			if (!limit.ok) return limit
			const range = trafficRange(grain.value, limit.value, call.ports.clock())
			const read = await call.ports.metrics.traffic(regions.value, grain.value, range)
			return read.ok ? respondJson(call, 200, JSON.stringify(showTraffic(grain.value, read.value))) : read
		},
	),
]

function readRegions(call: OperatorCall, text: string | undefined): Outcome<readonly Region[]> {
	const { regions } = call.ports.config
	if (text === undefined) return accept(regions)
	const region = parseRegion(text)
	if (region !== null && regions.includes(region)) return accept([region])
	return badParameter('region', `must be one of ${regions.join(', ')}`)
}

function readGrain(text = 'minute'): Outcome<TrafficGrain> {
	const grain = trafficGrains.find((one) => one === text)
	return grain === undefined ? badParameter('grain', `must be one of ${trafficGrains.join(', ')}`) : accept(grain)
}

function showTraffic(grain: TrafficGrain, { from, until, points, routes }: Traffic) {
	return {
		...{ grain, seconds: grainMs[grain] / 1_000, from: timeOf(from), until: timeOf(until) },
		points: points.map(({ at, ...counted }) => ({ at: timeOf(at), ...showFigures(counted) })),
		routes: routes.map(({ route, ...counted }) => ({ route, ...showFigures(counted) })),
	}
}

function showFigures({ requests, failed, p50Ms, p99Ms }: Omit<Traffic['points'][number], 'at'>) {
	return { requests, failed, p50_ms: p50Ms, p99_ms: p99Ms }
}
