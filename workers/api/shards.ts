import { shardsShownDefault, shardsShownMax } from '../../core/limits.ts'
import type { ShardList, ShardState } from '../../core/metrics.ts'
import { shardList, shardQuery } from './operating-schemas.ts'
import { timeOf } from './representation.ts'
import { readInteger, readQuery } from './request.ts'
import { respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { readScope } from './view-answer.ts'

const sums = { tenants: 1, shards: 1, records: 250, size_bytes: 400_000 }
const example = {
	totals: sums,
	regions: [{ region: 'eu', ...sums }],
	shards: [
		{
			...{ tenant: 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p', slug: 'analytical-engines', shard: 0, head: 204, applied: 204 },
			...{ lag_ms: 0, exact: true, dead_letters: 0, rebuilding: null },
			...{ records: 250, active_keys: 2, size_bytes: 400_000, reported_at: '2026-11-22T19:50:49.120Z' },
		},
	],
}

export const shardRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/shards',
			scope: 'read',
			tag: 'Operating (operator)',
			summary: 'How each shard stands with the view, and its size',
			description:
				'Those that are furthest behind first, then the largest; the sums are over all of them. Sizes and counts are what a shard last reported with its changes, `null` before.',
			query: shardQuery,
			answers: { 200: { description: 'Sums per region, and shards', schema: shardList, example } },
			refusals: ['unknown_field', 'view_unavailable'],
		},
		async (call) => {
			const asked = readQuery(call, ['region', 'tenant', 'limit'])
			if (!asked.ok) return asked
			const scope = readScope(call, asked.value.region ?? null, asked.value.tenant ?? null)
			if (!scope.ok) return scope
			const limits = { min: 1, max: shardsShownMax, absent: shardsShownDefault }
			const limit = readInteger('limit', asked.value.limit, limits)
			if (!limit.ok) return limit
			const read = await call.ports.metrics.shards(scope.value, limit.value)
			return read.ok ? respondJson(call, 200, JSON.stringify(showShards(read.value))) : read
		},
	),
]

function showShards({ regions, shards }: ShardList) {
	const total = (pick: (region: ShardList['regions'][number]) => number) =>
		regions.reduce((sum, region) => sum + pick(region), 0)
	return {
		totals: showSums({
			tenants: total(({ tenants }) => tenants),
			shards: total((region) => region.shards),
			records: total(({ records }) => records),
			sizeBytes: total(({ sizeBytes }) => sizeBytes),
		}),
		regions: regions.map(({ region, ...sums }) => ({ region, ...showSums(sums) })),
		shards: shards.map(showShard),
	}
}

function showSums({ tenants, shards, records, sizeBytes }: Omit<ShardList['regions'][number], 'region'>) {
	return { tenants, shards, records, size_bytes: sizeBytes }
}

function showShard({ tenant, slug, shard, head, applied, lagMs, exact, deadLetters, rebuilding, held }: ShardState) {
	return {
		...{ tenant, slug, shard, head, applied, lag_ms: lagMs, exact, dead_letters: deadLetters, rebuilding },
		records: held?.records ?? null,
		active_keys: held?.keys ?? null,
		size_bytes: held?.sizeBytes ?? null,
		reported_at: held === null ? null : timeOf(held.reportedAt),
	}
}
