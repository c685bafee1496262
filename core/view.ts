/** What the view answers: the API reads it through this port, `db/neon/` implements it over every region's database. */
import type { JsonText, RowName, TenantStatus } from './contract.ts'
import type { DeadLetter, DeadLetterPosition, DeadLetterState } from './dead-letter.ts'
import type { Region, TenantId } from './ids.ts'
import type { ListQuery } from './query.ts'
import type { RebuildProgress } from './rebuild.ts'
import type { Outcome } from './refusal.ts'
import type { RegionVerification } from './verification.ts'

export interface ViewScope {
	/** Regions to ask; every one must answer, or the call is refused with `view_unavailable` naming the one that did not. */
	regions: readonly Region[]
	tenant: TenantId | null
}

export interface ViewRecordQuery extends Omit<ListQuery, 'after'> {
	collection: string
	after: ViewPosition | null
}

/** The keyset position over all tenants of all regions: one value per order term, then tenant and id of the last record read. */
export interface ViewPosition {
	values: (string | number | boolean | null)[]
	tenant: TenantId
	id: string
}

export interface ViewRecord {
	tenant: TenantId
	id: string
	version: number
	createdAt: number
	updatedAt: number
	/** The record without its personal properties. */
	data: JsonText
}

export interface ViewCollection {
	tenant: TenantId
	name: string
	records: number
}

export interface ViewTenant {
	id: TenantId
	slug: string
	name: string
	status: TenantStatus
	createdAt: number
}

export interface DeadLetterQuery {
	/** Null for all of them. */
	state: DeadLetterState | null
	limit: number
	after: DeadLetterPosition | null
}

export interface DeadLetterPage {
	/** The oldest first, region by region. */
	deadLetters: DeadLetter[]
	next: DeadLetterPosition | null
	/** How many there are in all of the scope. */
	waiting: number
	discarded: number
	freshness: Freshness
}

/** How far the view has come. Positions are journal positions; times are milliseconds since 1970. */
export interface Freshness {
	/** True when no tenant asked about is missing, and each of its shards is known to equal the view at its applied position. */
	exact: boolean
	/** True when no tenant is missing and the view knows of no shard that is behind. */
	complete: boolean
	/** The oldest moment up to which every shard's changes are in the view; null when there is no shard, or one may be missing. */
	asOf: number | null
	shards: number
	shardsBehind: number
	/** Milliseconds for which the shard that is furthest behind has been waiting; 0 when none is. */
	worstLagMs: number
	/** Shards that are being read anew. */
	shardsRebuilding: number
	deadLetters: number
	/** Tenants that the registry has and the view does not; null while nobody has compared the two. */
	tenantsMissing: number | null
	/** When all of the registry had been compared, the last time; of several regions the oldest, null when one never was. */
	registryComparedAt: number | null
	regions: RegionFreshness[]
}

export type RegionFreshness = { region: Region } & Pick<
	Freshness,
	| 'shards'
	| 'shardsBehind'
	| 'worstLagMs'
	| 'shardsRebuilding'
	| 'deadLetters'
	| 'tenantsMissing'
	| 'registryComparedAt'
>

export interface RowRange {
	after: RowName | null
	last: RowName | null
	limit: number
}

/** `hash` is 16 hexadecimal digits, as in `SurveyReply`. */
export type HeldRow = RowName & { hash: string }

/** The rows and the watermark of one snapshot. */
export interface HeldRows {
	rows: HeldRow[]
	epoch: number
	appliedSeq: number
	/** While it is, rows may be missing that were applied. */
	hollow: boolean
}

export interface View {
	records(
		scope: ViewScope,
		query: ViewRecordQuery,
	): Promise<Outcome<{ records: ViewRecord[]; next: ViewPosition | null; count: number | null; freshness: Freshness }>>
	collections(
		scope: ViewScope,
		page: { limit: number; after: { tenant: TenantId; name: string } | null },
	): Promise<
		Outcome<{ collections: ViewCollection[]; next: { tenant: TenantId; name: string } | null; freshness: Freshness }>
	>
	tenants(
		scope: ViewScope,
		/** `search` keeps those whose id it is, or whose slug or name contains it, whatever the case of ASCII letters. */
		page: { limit: number; after: TenantId | null; search: string | null },
	): Promise<Outcome<{ tenants: ViewTenant[]; next: TenantId | null; freshness: Freshness }>>
	freshness(scope: ViewScope): Promise<Outcome<Freshness>>
	/** What the last comparisons of the scope's shards with the view said, by region. */
	verification(scope: ViewScope): Promise<Outcome<RegionVerification[]>>
	/** The hashes of a tenant's rows in the order of their names, after one and up to another (null for both ends). */
	heldRange(tenant: TenantId, range: RowRange): Promise<Outcome<HeldRow[]>>
	/** Those of the named rows that there are, and how far the view of the home shard has come; null when it follows none. */
	heldRows(tenant: TenantId, names: readonly RowName[]): Promise<Outcome<HeldRows | null>>
	deadLetters(scope: ViewScope, query: DeadLetterQuery): Promise<Outcome<DeadLetterPage>>
	/** Null when there is none, or none any more. */
	deadLetter(position: DeadLetterPosition): Promise<Outcome<DeadLetter | null>>
	/** How far a running rebuild has come in one region. */
	rebuilt(region: Region, id: string): Promise<Outcome<RebuildProgress>>
	/** Waits until the view has applied `position` of the tenant's home shard; refused with `view_behind` after `waitMs`. */
	reached(tenant: TenantId, position: number, waitMs: number): Promise<Outcome<true>>
}
