import { costOf } from '../../core/cost.ts'
import { counter, durations, expositionMedia, gauge, type Labels } from '../../core/exposition.ts'
import { usagePeriodsDefault, usagePeriodsMax } from '../../core/limits.ts'
import {
	type Measured,
	type RegionMetrics,
	type ShardMetrics,
	type Usage,
	type UsageGrain,
	usageGrains,
} from '../../core/metrics.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import { authoriseTenantId } from './auth.ts'
import { exposition, usageList, usageQuery } from './operating-schemas.ts'
import { timeOf } from './representation.ts'
import { badParameter, readInteger, readQuery } from './request.ts'
import { respond, respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { tenantParams } from './schemas.ts'

const tag = 'Operating (operator)'

export const metricsRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/metrics',
			scope: 'metrics',
			tag,
			summary: "All regions' metrics, for Prometheus",
			description:
				'Text format 0.0.4. A region whose database does not answer is `freehold_database_up 0` and has no other series.',
			answers: {
				200: {
					description: 'Metrics',
					media: expositionMedia,
					schema: exposition,
					example: '# TYPE freehold_database_up gauge\nfreehold_database_up{region="eu"} 1\n',
				},
			},
			refusals: [],
		},
		async (call) => {
			const { config, metrics } = call.ports
			const text = print(await metrics.read(config.regions))
			return respond(call, 200, text, { 'Content-Type': expositionMedia })
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/tenants/{id}/usage',
			scope: 'read',
			tag,
			summary: 'What a tenant used, by hour or day, and what that costs',
			description:
				'Newest first. Rows, requests and messages are metered; the cost is at list price and does not include the time in which objects work.',
			params: tenantParams,
			query: usageQuery,
			answers: {
				200: { description: 'The last periods', schema: usageList, example: { grain: 'day', usage: [usageExample()] } },
			},
			refusals: ['not_found', 'unknown_field', 'view_unavailable'],
		},
		async (call) => {
			const authorised = await authoriseTenantId(call, call.c.req.param('id') ?? '')
			if (!authorised.ok) return authorised
			const asked = readQuery(call, ['grain', 'limit'])
			if (!asked.ok) return asked
			const grain = readGrain(asked.value.grain)
			if (!grain.ok) return grain
			const range = { min: 1, max: usagePeriodsMax, absent: usagePeriodsDefault }
			const limit = readInteger('limit', asked.value.limit, range)
			if (!limit.ok) return limit
			const read = await call.ports.metrics.usage(authorised.value.tenant, grain.value, limit.value)
			return read.ok
				? respondJson(call, 200, JSON.stringify({ grain: grain.value, usage: read.value.map(showUsage) }))
				: read
		},
	),
]

function readGrain(text = 'day'): Outcome<UsageGrain> {
	const grain = usageGrains.find((one) => one === text)
	return grain === undefined ? badParameter('grain', `must be one of ${usageGrains.join(', ')}`) : accept(grain)
}

function showUsage(used: Usage) {
	const { held, requests, writes, exports, erasures, rowsWritten, rowsRead, messages } = used
	return {
		at: timeOf(used.at),
		records: held?.records ?? null,
		active_keys: held?.keys ?? null,
		storage_bytes: held?.sizeBytes ?? null,
		...{ requests, writes, exports, erasures },
		rows_written: rowsWritten,
		rows_read: rowsRead,
		messages,
		cost_dollars: costOf(used),
	}
}

function usageExample() {
	const counted = {
		requests: 1_200,
		writes: 300,
		exports: 1,
		erasures: 0,
		rowsWritten: 1_500,
		rowsRead: 9_000,
		messages: 40,
	}
	return showUsage({ at: Date.UTC(2026, 10, 22), held: { records: 250, keys: 2, sizeBytes: 400_000 }, ...counted })
}

type RegionSeries = readonly (readonly [Labels, number])[]

/** Families in the order of their names' importance; each is printed once, with the series of all regions. */
function print(regions: readonly RegionMetrics[]): string {
	const up = regions.map(({ region, measured }) => [{ region }, measured ? 1 : 0] as const)
	const answered = regions.flatMap(({ region, measured }) => (measured ? [{ region, measured }] : []))
	const ofView = (pick: (view: Measured['view']) => number): RegionSeries =>
		answered.map(({ region, measured }) => [{ region }, pick(measured.view)])
	const ofShards = (pick: (shard: ShardMetrics) => number): RegionSeries =>
		answered.flatMap(({ region, measured }) =>
			measured.shards.map((one) => [{ region, tenant: one.tenant, shard: String(one.shard) }, pick(one)] as const),
		)
	const requests = answered.flatMap(({ region, measured }) =>
		measured.requests.map(({ route, class: c, requests: n }) => [{ region, route, class: c }, n] as const),
	)
	return [
		gauge('freehold_database_up', "Whether the region's database answered.", up),
		counter('freehold_requests_total', 'Requests answered, by route and status class.', requests),
		durations('freehold_request_duration_seconds', 'Time from request to response.', answered.flatMap(durationsOf)),
		gauge(
			'freehold_shards',
			'Shards that the view knows.',
			ofView(({ shards }) => shards),
		),
		gauge(
			'freehold_shards_behind',
			'Shards with changes that the view lacks.',
			ofView(({ shardsBehind }) => shardsBehind),
		),
		gauge(
			'freehold_view_lag_seconds',
			'Longest time that a known change has waited for the view.',
			ofView(({ worstLagMs }) => worstLagMs / 1_000),
		),
		gauge(
			'freehold_dead_letters',
			'Entries that the view has set aside.',
			ofView(({ deadLetters }) => deadLetters),
		),
		gauge(
			'freehold_shard_lag_seconds',
			"Time that a shard's known changes have waited for the view.",
			ofShards(({ lagMs }) => lagMs / 1_000),
		),
		gauge(
			'freehold_shard_journal_head',
			"Last position of a shard's journal.",
			ofShards(({ head }) => head),
		),
		gauge(
			'freehold_shard_size_bytes',
			"Size of a shard's database.",
			ofShards(({ sizeBytes }) => sizeBytes),
		),
		gauge(
			'freehold_shard_records',
			'Records in a shard.',
			ofShards(({ records }) => records),
		),
		gauge(
			'freehold_shard_active_keys',
			'API keys of a shard that are valid.',
			ofShards(({ keys }) => keys),
		),
		counter(
			'freehold_shard_changes_total',
			'Changes of a shard in the view.',
			ofShards(({ changes }) => changes),
		),
		counter(
			'freehold_shard_rows_written_total',
			'Rows that a shard has written.',
			ofShards(({ rowsWritten }) => rowsWritten),
		),
		counter(
			'freehold_shard_rows_read_total',
			'Rows that a shard has read.',
			ofShards(({ rowsRead }) => rowsRead),
		),
		counter(
			'freehold_shard_messages_total',
			'Messages that a shard has sent.',
			ofShards(({ messages }) => messages),
		),
	].join('')
}

function durationsOf({ region, measured }: { region: string; measured: Measured }) {
	const byRoute = Map.groupBy(measured.latency, ({ route }) => route)
	return [...byRoute].map(([route, buckets]) => ({
		labels: { region, route },
		histogram: new Map(buckets.map(({ bucket, requests }) => [bucket, requests])),
		sumMs: measured.requests.reduce((sum, one) => sum + (one.route === route ? one.durationMs : 0), 0),
	}))
}
