import type { TenantId } from '../../core/ids.ts'
import { differingShardsShown } from '../../core/limits.ts'
import type { RegionVerification } from '../../core/verification.ts'
import type { Statement } from './client.ts'
import type { RegionAnswer } from './regions.ts'
import { numberIn, numberOrNull, tenantIn } from './row.ts'

/** What the last comparisons said: counts, and the shards that differ. See `verificationOf`. */
export function verificationStatements(tenant: TenantId | null): Statement[] {
	return [
		{ text: countVerified, params: [tenant] },
		{ text: listDiffering, params: [tenant, differingShardsShown] },
	]
}

export function verificationOf({ region, results: [counted = [], differing = []] }: RegionAnswer): RegionVerification {
	const row = counted[0] ?? {}
	return {
		region,
		equal: numberIn(row, 'equal'),
		differing: numberIn(row, 'differing'),
		unknown: numberIn(row, 'unknown'),
		repairs: numberIn(row, 'repairs'),
		oldestCheckAt: numberOrNull(row, 'oldest'),
		newestCheckAt: numberOrNull(row, 'newest'),
		shards: differing.map((one) => ({
			tenant: tenantIn(one),
			shard: numberIn(one, 'shard'),
			checkedAt: numberIn(one, 'verified'),
			repairs: numberIn(one, 'repairs'),
			repairedAt: numberOrNull(one, 'repaired'),
		})),
	}
}

const milliseconds = (moment: string) => `floor(extract(epoch FROM ${moment}) * 1000)`

const countVerified = `
SELECT count(*) FILTER (WHERE verified_equal) AS equal, count(*) FILTER (WHERE NOT verified_equal) AS differing,
	count(*) FILTER (WHERE verified_equal IS NULL) AS unknown, coalesce(sum(repairs), 0) AS repairs,
	${milliseconds('min(verified_at)')} AS oldest, ${milliseconds('max(verified_at)')} AS newest
FROM shard WHERE $1::text IS NULL OR tenant_id = $1`

const listDiffering = `
SELECT tenant_id, shard, ${milliseconds('verified_at')} AS verified, repairs, ${milliseconds('repaired_at')} AS repaired
FROM shard WHERE NOT verified_equal AND ($1::text IS NULL OR tenant_id = $1)
ORDER BY verified_at, tenant_id, shard LIMIT $2::int`
