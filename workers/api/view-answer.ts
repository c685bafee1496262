import { parseRegion, parseTenantId, type Region, regionOf, type TenantId } from '../../core/ids.ts'
import { maxStalenessSecondsMax, positionWaitMs, staleRetrySeconds } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Freshness, ViewScope } from '../../core/view.ts'
import type { OperatorCall } from './call.ts'
import { timeOf } from './representation.ts'
import { badParameter, readInteger } from './request.ts'

const counts = {
	...{ shards: 1, shards_behind: 0, worst_lag_ms: 0, shards_rebuilding: 0, dead_letters: 0, tenants_missing: 0 },
	registry_compared_at: '2026-11-22T19:50:12.000Z',
}
export const freshnessExample = {
	...{ exact: true, complete: true, as_of: '2026-11-22T19:50:49.120Z' },
	...counts,
	regions: [{ region: 'eu', ...counts }],
}

export const viewHeaderNames = ['Freehold-View-Exact', 'Freehold-View-As-Of']

/** How far an answer of the view can be trusted, for clients that read headers only. */
export function viewHeaders({ exact, asOf }: Freshness): Record<string, string> {
	return { 'Freehold-View-Exact': String(exact), ...(asOf !== null && { 'Freehold-View-As-Of': timeOf(asOf) }) }
}

/** Waits until the view has come as far as `Freehold-Min-Position` asks: `<tenant>:<position>`, as a write answered it. */
export async function awaitPosition(call: OperatorCall): Promise<Outcome<true>> {
	const header = call.c.req.header('Freehold-Min-Position')
	if (header === undefined) return accept(true)
	const [, tenantText = '', seq = ''] = /^([a-z0-9_]{1,64}):([0-9]{1,15})$/.exec(header) ?? []
	const tenant = parseTenantId(tenantText)
	if (!tenant || !call.ports.config.regions.includes(regionOf(tenant))) {
		return badParameter('Freehold-Min-Position', 'must be <tenant id>:<position>')
	}
	return call.ports.view.reached(tenant, Number(seq), positionWaitMs)
}

/** How old an answer may be, in milliseconds; null for any age. */
export function readMaxStaleness(text: string | null | undefined): Outcome<number | null> {
	if (text == null) return accept(null)
	const seconds = readInteger('max_staleness', text, { min: 0, max: maxStalenessSecondsMax, absent: 0 })
	return seconds.ok ? accept(seconds.value * 1_000) : seconds
}

/** Judges the very snapshot that was read. What is missing as a whole is older than any bound. */
export function refuseStale({ tenantsMissing, shards, asOf, worstLagMs }: Freshness, maxMs: number | null) {
	const isWhole = tenantsMissing === 0 && (shards === 0 || asOf !== null)
	if (maxMs === null || (isWhole && worstLagMs <= maxMs)) return accept(true)
	return refuse('view_stale', 'the view may be older than max_staleness allows', { retryAfter: staleRetrySeconds })
}

/** Which regions to ask, and about which tenant. The view itself answers for a tenant that nobody has: with nothing. */
export function readScope(
	call: OperatorCall,
	regionText: string | null,
	tenantText: string | null,
): Outcome<ViewScope> {
	const { regions } = call.ports.config
	const region: Region | null = regionText === null ? null : parseRegion(regionText)
	if (regionText !== null && (!region || !regions.includes(region)))
		return badParameter('region', `must be one of ${regions.join(', ')}`)
	if (tenantText === null) return accept({ regions: region ? [region] : regions, tenant: null })
	const tenant: TenantId | null = parseTenantId(tenantText)
	if (!tenant || !regions.includes(regionOf(tenant))) return badParameter('tenant', 'must be the id of a tenant')
	if (region && region !== regionOf(tenant)) return badParameter('region', 'must be the region of the tenant')
	return accept({ regions: [regionOf(tenant)], tenant })
}
