import { z } from '@hono/zod-openapi'
import { accept, type Outcome } from '../../core/refusal.ts'
import { homeShard } from '../../core/shard-map.ts'
import type { RegionVerification, VerificationCounts } from '../../core/verification.ts'
import { authoriseTenantId } from './auth.ts'
import type { OperatorCall } from './call.ts'
import { compareDeeply, type DeepComparison } from './deep-verification.ts'
import { openListPage, pageHeaders } from './page.ts'
import { reach } from './reach.ts'
import { timeOf } from './representation.ts'
import { badParameter, readQuery } from './request.ts'
import { respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { verification, verificationQuery } from './schemas.ts'
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

const deepExample = {
	...{ position: 204, compared: 20_000, records: 64_200, done: false },
	...{ missing: [], extra: [], different: [{ collection: 'people', id: 'p-7' }], undecided: [] },
}

export const verificationRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/view/verification',
			scope: 'read',
			tag: 'View (operator)',
			summary: 'Whether the view equals the shards',
			description: [
				'Shards by what their last comparison said; one that differs is read anew, at most once an hour. `unknown` were never compared: they are never still, or new.',
				'With `tenant` and `deep=true` each record of the tenant is compared now, while writes go on. A call compares a part and tells how far it came; `Link` goes on. It names records that the view lacks (`missing`), should not have (`extra`) or has otherwise (`different`), and those that changed whenever they were looked at (`undecided`). What Postgres refused is missing too, and a dead letter.',
			].join('\n\n'),
			query: verificationQuery,
			answers: {
				200: {
					description: 'Counts per region, and the shards that differ',
					schema: verification,
					example: { ...counts, regions: [{ region: 'eu', ...counts, shards: [] }], deep: deepExample },
					headers: pageHeaders,
				},
			},
			refusals: [
				...([
					'unknown_field',
					'invalid_cursor',
					'not_found',
					'tenant_erased',
					'view_behind',
					'view_unavailable',
				] as const),
			],
		},
		async (call) => {
			const asked = readQuery(call, ['region', 'tenant', 'deep', 'cursor'])
			if (!asked.ok) return asked
			const { region, tenant, cursor } = asked.value
			const scope = readScope(call, region ?? null, tenant ?? null)
			if (!scope.ok) return scope
			const deep = readDeep(asked.value)
			if (!deep.ok) return deep
			const compared = deep.value ? await comparePart(call, tenant ?? '', cursor) : null
			if (compared && !compared.ok) return compared
			const read = await call.ports.view.verification(scope.value)
			if (!read.ok) return read
			const shown = { ...showVerification(read.value), ...(compared && { deep: compared.value.shown }) }
			return respondJson(call, 200, JSON.stringify(shown), compared?.value.link ?? {})
		},
	),
]

/** Whether each record is to be compared. */
function readDeep({
	deep = 'false',
	tenant,
	cursor,
}: {
	deep?: string
	tenant?: string
	cursor?: string
}): Outcome<boolean> {
	if (deep !== 'true' && deep !== 'false') return badParameter('deep', 'must be true or false')
	if (deep === 'true' && tenant === undefined) return badParameter('deep', 'needs a tenant')
	if (deep === 'false' && cursor !== undefined) return badParameter('cursor', 'needs deep=true')
	return accept(deep === 'true')
}

/** The place where a comparison goes on, and how many records it has behind it. */
const place = z.strictObject({ after: z.strictObject({ collection: z.string(), id: z.string() }), compared: z.int() })

interface Part {
	shown: Omit<DeepComparison, 'next'> & { done: boolean }
	link: Record<string, string>
}

async function comparePart(call: OperatorCall, tenantText: string, cursor: string | undefined): Promise<Outcome<Part>> {
	const authorised = await authoriseTenantId(call, tenantText)
	if (!authorised.ok) return authorised
	const { tenant, ports } = authorised.value
	const list = JSON.stringify(['view/verification', tenant])
	const page = openListPage(call, list, cursor === undefined ? {} : { cursor }, place)
	if (!page.ok) return page
	const { after = null, compared: before = 0 } = page.value.page.after ?? {}
	const shard = ports.shardOf(tenant, homeShard)
	const compared = await compareDeeply({ tenant, shard: homeShard }, after, {
		survey: (request) => reach(call, 'survey', () => shard.survey(request)),
		view: ports.view,
		now: ports.clock,
	})
	if (!compared.ok) return compared
	const { next, ...found } = compared.value
	const sum = before + found.compared
	const link = page.value.link(next && { after: next, compared: sum })
	return link.ok ? accept({ shown: { ...found, compared: sum, done: next === null }, link: link.value }) : link
}

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
