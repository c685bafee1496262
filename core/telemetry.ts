/**
 * What an isolate adds up about the requests it has served, and the message in which it tells. It holds routes, statuses,
 * durations and tenant ids: no path, no query, nothing that a client chose.
 */
import { z } from 'zod'
import { bucketOf } from './histogram.ts'
import { parseTenantId, type Region, regionOf, type TenantId } from './ids.ts'
import { telemetryTenantsMax } from './limits.ts'
import { statusByCode } from './refusal.ts'

export const statusClasses = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const
export type StatusClass = (typeof statusClasses)[number]

/** One request, when it has been answered. */
export interface Sample {
	/** Method and path pattern, e.g. `GET /v1/collections/{collection}`; `other` for what no route serves. */
	route: string
	status: number
	tenant: TenantId | null
	ms: number
}

const counted = z.int().min(0)
const routeName = z.string().max(200)
const tenantId = z.string().transform((text, context): TenantId => {
	const tenant = parseTenantId(text)
	if (tenant !== null) return tenant
	context.addIssue({ code: 'custom', message: 'no tenant id' })
	return z.NEVER
})

/**
 * One window of one isolate, for one region. `id` makes a second delivery harmless. `at` is the start of the window in
 * milliseconds; the whole window counts for that minute.
 */
export const telemetryMessage = z.object({
	id: z.string().min(1).max(64),
	at: counted,
	/** `b` counts by bucket of `core/histogram.ts`. */
	routes: z.array(
		z.object({
			r: routeName,
			c: z.enum(statusClasses),
			n: counted,
			ms: counted,
			b: z.array(z.tuple([counted, counted])),
		}),
	),
	tenants: z.array(z.object({ t: tenantId, r: routeName, c: z.enum(statusClasses), n: counted })),
})
export type TelemetryMessage = z.infer<typeof telemetryMessage>

interface RouteCount {
	requests: number
	ms: number
	buckets: Map<number, number>
}

/** Adds up one window. Counting is a few operations on maps, because it is part of every request. */
export class Tally {
	readonly #routes = new Map<string, RouteCount>()
	readonly #tenants = new Map<string, number>()

	count({ route, status, tenant, ms }: Sample): void {
		const key = `${classOf(status)} ${route}`
		let row = this.#routes.get(key)
		if (row === undefined) {
			row = { requests: 0, ms: 0, buckets: new Map() }
			this.#routes.set(key, row)
		}
		const bucket = bucketOf(ms)
		row.requests += 1
		row.ms += ms
		row.buckets.set(bucket, (row.buckets.get(bucket) ?? 0) + 1)
		if (tenant === null) return
		const tenantKey = `${tenant} ${key}`
		const before = this.#tenants.get(tenantKey)
		// A message has a size limit. Beyond it a window knows its routes exactly and no longer every tenant.
		if (before !== undefined || this.#tenants.size < telemetryTenantsMax)
			this.#tenants.set(tenantKey, (before ?? 0) + 1)
	}

	message(id: string, at: number): TelemetryMessage {
		const routes = [...this.#routes].map(([key, { requests, ms, buckets }]) => {
			const [c, r] = split(key)
			return { r, c: c as StatusClass, n: requests, ms: Math.round(ms), b: [...buckets] }
		})
		const tenants = [...this.#tenants].map(([key, n]) => {
			const [t, rest] = split(key)
			const [c, r] = split(rest)
			return { t: t as TenantId, r, c: c as StatusClass, n }
		})
		return { id, at, routes, tenants }
	}
}

/**
 * A full storage is the tenant's own and is answered as asked, like a 4xx: as a failure of ours, one tenant that goes on writing would
 * burn the error budget of all.
 */
function classOf(status: number): StatusClass {
	if (status === statusByCode.storage_full) return '4xx'
	return statusClasses[Math.floor(status / 100) - 1] ?? '5xx'
}

function split(text: string): [string, string] {
	const space = text.indexOf(' ')
	return [text.slice(0, space), text.slice(space + 1)]
}

/** Where a request is counted: with its tenant; without one in the deployment's first region. */
export function homeOf(tenant: TenantId | null, first: Region): Region {
	return tenant === null ? first : regionOf(tenant)
}
