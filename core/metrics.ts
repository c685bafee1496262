/** What the operator's metrics are made of: `db/neon/` reads it from the regions' databases, the edge prints it. */
import type { Region, TenantId } from './ids.ts'
import type { Outcome } from './refusal.ts'
import type { StatusClass } from './telemetry.ts'
import type { Traffic, TrafficGrain } from './traffic.ts'
import type { ViewScope } from './view.ts'

/** One region's sums and gauges; null where its database does not answer. */
export interface RegionMetrics {
	region: Region
	measured: Measured | null
}

export interface Measured {
	/** Of all times. */
	requests: { route: string; class: StatusClass; requests: number; durationMs: number }[]
	/** Of all times, in the buckets of `core/histogram.ts`. */
	latency: { route: string; bucket: number; requests: number }[]
	view: { shards: number; shardsBehind: number; worstLagMs: number; deadLetters: number }
	/** At most `metricsShardsMax`: those that are furthest behind, then the largest. */
	shards: ShardMetrics[]
}

export interface ShardMetrics {
	tenant: TenantId
	shard: number
	/** The last journal position that the view has heard of. */
	head: number
	lagMs: number
	sizeBytes: number
	records: number
	keys: number
	/** Journal entries in the view. */
	changes: number
	rowsWritten: number
	rowsRead: number
	messages: number
}

/** How a shard stands with the view, and what it last said of itself. */
export interface ShardState {
	tenant: TenantId
	/** Null until the view has heard of the tenant itself. */
	slug: string | null
	shard: number
	/** The last journal position that the view has heard of, and the last that it has applied. */
	head: number
	applied: number
	lagMs: number
	/** Whether the view equals the shard at the applied position. */
	exact: boolean
	deadLetters: number
	/** Records of the running rebuild; null when none runs. */
	rebuilding: { done: number; total: number } | null
	/** Null until the shard's first report. */
	held: { records: number; keys: number; sizeBytes: number; reportedAt: number } | null
}

export interface ShardList {
	/** Sums over all shards of each region, as far as they have reported. */
	regions: { region: Region; tenants: number; shards: number; records: number; sizeBytes: number }[]
	/** Those that are furthest behind first, then the largest. */
	shards: ShardState[]
}

export const usageGrains = ['hour', 'day'] as const
export type UsageGrain = (typeof usageGrains)[number]

/** What a tenant did in one hour or day, and what it held at the end of it; null where its shards said nothing in that time. */
export interface Usage {
	/** Start of the period, milliseconds since 1970. */
	at: number
	held: { records: number; keys: number; sizeBytes: number } | null
	requests: number
	/** Changes of the journal. */
	writes: number
	/** Accepted requests for an export, and for the erasure of a subject or of the tenant itself. */
	exports: number
	erasures: number
	rowsWritten: number
	rowsRead: number
	messages: number
}

export interface Metrics {
	/** Never refuses: a region that does not answer is itself a measurement. */
	read(regions: readonly Region[]): Promise<RegionMetrics[]>
	/** The last periods of one tenant, newest first. */
	usage(tenant: TenantId, grain: UsageGrain, limit: number): Promise<Outcome<Usage[]>>
	shards(scope: ViewScope, limit: number): Promise<Outcome<ShardList>>
	/** Requests from one moment up to another, milliseconds since 1970. */
	traffic(
		regions: readonly Region[],
		grain: TrafficGrain,
		range: { from: number; until: number },
	): Promise<Outcome<Traffic>>
}
