/** How the view is held against the shards: what the sweep notes, and what is told of it. */
import type { Region, TenantId } from './ids.ts'

/** One shard's rows against what the shard says they come to, as of one revision of its watermark. */
export interface Comparison {
	tenant: TenantId
	shard: number
	revision: number
	equal: boolean
}

/** Shards by what their last comparison said; `unknown` counts those that have had none. Times are milliseconds since 1970. */
export interface VerificationCounts {
	equal: number
	differing: number
	unknown: number
	/** Rebuilds that differences have caused, of all times. */
	repairs: number
	oldestCheckAt: number | null
	newestCheckAt: number | null
}

interface DifferingShard {
	tenant: TenantId
	shard: number
	checkedAt: number
	repairs: number
	repairedAt: number | null
}

export interface RegionVerification extends VerificationCounts {
	region: Region
	/** At most `differingShardsShown`. */
	shards: DifferingShard[]
}
