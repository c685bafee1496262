import type { Region, TenantId } from '../../core/ids.ts'
import type { Freshness, RegionFreshness } from '../../core/view.ts'
import type { Row, Statement } from './client.ts'
import type { RegionAnswer } from './regions.ts'
import { numberIn, numberOrNull } from './row.ts'

/** Put last among the statements of a read, so that it tells of the same snapshot; see `freshnessOf`. */
export function freshnessStatement(tenant: TenantId | null): Statement {
	return { text: measure, params: [tenant] }
}

/**
 * Joins what the regions' last statements measured. A tenant that the view has never heard of is neither exact nor
 * complete: it may exist, and its first changes may be on their way. Of all tenants together only the registry knows.
 */
export function freshnessOf(answers: readonly RegionAnswer[], tenant: TenantId | null): Freshness {
	const measured = answers.map(({ region, results }) => ({ region, row: results.at(-1)?.[0] ?? {} }))
	const regions = measured.map(({ region, row }) => regionOf(region, row, tenant))
	const total = (pick: (region: RegionFreshness) => number) => regions.reduce((sum, region) => sum + pick(region), 0)
	const missing = regions.map(({ tenantsMissing }) => tenantsMissing).filter((one) => one !== null)
	const compared = regions.map(({ registryComparedAt }) => registryComparedAt).filter((one) => one !== null)
	const tenantsMissing = missing.length < regions.length ? null : missing.reduce((sum, one) => sum + one, 0)
	const shardsBehind = total((region) => region.shardsBehind)
	const deadLetters = total((region) => region.deadLetters)
	const known = tenantsMissing === 0
	return {
		exact: known && deadLetters === 0 && measured.every(({ row }) => numberIn(row, 'shards_inexact') === 0),
		complete: known && shardsBehind === 0 && measured.every(({ row }) => numberIn(row, 'shards_hollow') === 0),
		asOf: known ? oldest(measured.map(({ row }) => row)) : null,
		shards: total((region) => region.shards),
		shardsBehind,
		worstLagMs: Math.max(0, ...regions.map((region) => region.worstLagMs)),
		shardsRebuilding: total((region) => region.shardsRebuilding),
		deadLetters,
		tenantsMissing,
		registryComparedAt: compared.length < regions.length ? null : Math.min(...compared),
		regions,
	}
}

function regionOf(region: Region, row: Row, tenant: TenantId | null): RegionFreshness {
	const shards = numberIn(row, 'shards')
	const missing = numberOrNull(row, 'tenants_missing')
	return {
		region,
		shards,
		shardsBehind: numberIn(row, 'shards_behind'),
		worstLagMs: numberIn(row, 'worst_lag_ms'),
		shardsRebuilding: numberIn(row, 'shards_rebuilding'),
		deadLetters: numberIn(row, 'dead_letters'),
		tenantsMissing: tenant === null ? missing : shards > 0 ? 0 : null,
		registryComparedAt: numberOrNull(row, 'registry_compared'),
	}
}

/** Null also when a shard has changes of which none, or nobody knows which, has arrived yet: then no moment is known. */
function oldest(rows: readonly Row[]): number | null {
	const asked = rows.filter((row) => numberIn(row, 'shards') > 0)
	if (asked.length === 0 || asked.some((row) => numberIn(row, 'shards_empty') > 0)) return null
	return Math.min(...asked.map((row) => numberIn(row, 'as_of')))
}

// A shard that is not behind has told of nothing that is missing: as far as the view knows, it is of this very moment.
const measure = `
SELECT
	count(*) AS shards,
	count(*) FILTER (WHERE behind_since IS NOT NULL) AS shards_behind,
	count(*) FILTER (WHERE base_hollow) AS shards_hollow,
	count(*) FILTER (WHERE base_pending IS NOT NULL) AS shards_rebuilding,
	count(*) FILTER (WHERE base_hollow OR (behind_since IS NOT NULL AND change_at IS NULL)) AS shards_empty,
	count(*) FILTER (WHERE applied_seq <> read_seq OR base_pending IS NOT NULL) AS shards_inexact,
	coalesce(floor(extract(epoch FROM max(greatest(now() - behind_since, interval '0'))) * 1000), 0) AS worst_lag_ms,
	floor(extract(epoch FROM min(CASE WHEN behind_since IS NULL THEN now() ELSE change_at END)) * 1000) AS as_of,
	(SELECT count(*) FROM dead_letter d WHERE $1::text IS NULL OR d.tenant_id = $1) AS dead_letters,
	(SELECT greatest(r.last_missing, r.missing) FROM registry_sweep r WHERE r.last_at IS NOT NULL) AS tenants_missing,
	(SELECT floor(extract(epoch FROM r.last_at) * 1000) FROM registry_sweep r) AS registry_compared
FROM shard
WHERE $1::text IS NULL OR tenant_id = $1`
