import type { RegionVerification, VerificationCounts } from '../../core/verification.ts'
import { timeOf } from './representation.ts'
import { readQuery } from './request.ts'
import { respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { verification, viewQuery } from './schemas.ts'
import { readScope } from './view-answer.ts'

const counts = {
	checked: 4,
	equal: 4,
	differing: 0,
	unknown: 0,
	repairs: 0,
	oldest_check_at: '2026-11-22T19:49:51.004Z',
	newest_check_at: '2026-11-22T19:50:49.120Z',
}

export const verificationRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/view/verification',
			scope: 'read',
			tag: 'View (operator)',
			summary: 'Whether the view equals the shards',
			description:
				'Shards by what their last comparison said; one that differs is read anew, at most once an hour. `unknown` were never compared: they are never still, or new.',
			query: viewQuery,
			answers: {
				200: {
					description: 'Counts per region, and the shards that differ',
					schema: verification,
					example: { ...counts, regions: [{ region: 'eu', ...counts, shards: [] }] },
				},
			},
			refusals: ['unknown_field', 'view_unavailable'],
		},
		async (call) => {
			const asked = readQuery(call, ['region', 'tenant'])
			if (!asked.ok) return asked
			const scope = readScope(call, asked.value.region ?? null, asked.value.tenant ?? null)
			if (!scope.ok) return scope
			const read = await call.ports.view.verification(scope.value)
			return read.ok ? respondJson(call, 200, JSON.stringify(showVerification(read.value))) : read
		},
	),
]

function showVerification(regions: readonly RegionVerification[]) {
	const total = (pick: (counts: VerificationCounts) => number) => regions.reduce((sum, one) => sum + pick(one), 0)
	const moments = (pick: (counts: VerificationCounts) => number | null) =>
		regions.map(pick).filter((moment) => moment !== null)
	const oldest = moments(({ oldestCheckAt }) => oldestCheckAt)
	const newest = moments(({ newestCheckAt }) => newestCheckAt)
	return {
		...showCounts({
			equal: total(({ equal }) => equal),
			differing: total(({ differing }) => differing),
			unknown: total(({ unknown }) => unknown),
			repairs: total(({ repairs }) => repairs),
			oldestCheckAt: oldest.length === 0 ? null : Math.min(...oldest),
			newestCheckAt: newest.length === 0 ? null : Math.max(...newest),
		}),
		regions: regions.map((one) => ({
			region: one.region,
			...showCounts(one),
			shards: one.shards.map(({ tenant, shard, checkedAt, repairs, repairedAt }) => ({
				...{ tenant, shard, checked_at: timeOf(checkedAt), repairs },
				repaired_at: timeOrNull(repairedAt),
			})),
		})),
	}
}

function showCounts({ equal, differing, unknown, repairs, oldestCheckAt, newestCheckAt }: VerificationCounts) {
	return {
		checked: equal + differing,
		...{ equal, differing, unknown, repairs },
		oldest_check_at: timeOrNull(oldestCheckAt),
		newest_check_at: timeOrNull(newestCheckAt),
	}
}

function timeOrNull(at: number | null): string | null {
	return at === null ? null : timeOf(at)
}
