/** A rebuild of the view, of one tenant or of a region: a job whose object lies in the region's bucket. */
import type { Region, TenantId } from './ids.ts'

/**
 * `listing` goes through the registry and asks every shard for a base, `running` waits until the bases have ended. A rebuild
 * that was asked of several regions is one job in each, of the same id.
 */
export interface RebuildJob {
	/** Time-ordered, as `mintId` makes it. */
	id: string
	region: Region
	/** Null for all tenants of the region. */
	tenant: TenantId | null
	state: 'listing' | 'running' | 'done'
	/** The last tenant that was asked; null at the start of the registry. */
	cursor: TenantId | null
	/** Milliseconds since 1970, as all times here: when it was asked for, listed, worked on last, and done. */
	startedAt: number
	listedAt: number | null
	stepAt: number
	finishedAt: number | null
	/** What it came to; null until it is done. */
	outcome: RebuildProgress | null
}

export interface RebuildProgress {
	shards: { done: number; total: number }
	records: { done: number; total: number }
}

/** The jobs of one region's bucket. `etag` names the version that was read, for the next conditional put. */
export interface RebuildStore {
	read(id: string): Promise<{ job: RebuildJob; etag: string } | null>
	/** False when the job already exists. */
	create(job: RebuildJob): Promise<boolean>
	/** False when somebody changed the job since it was read. */
	replace(job: RebuildJob, etag: string): Promise<boolean>
	/** The last ones, newest first. */
	recent(limit: number): Promise<RebuildJob[]>
}

/** Travels through the region's queue and says that a job has to go on. Harmless when lost, doubled or late. */
export interface RebuildStep {
	kind: 'rebuild'
	region: Region
	id: string
}

export function newRebuild(id: string, region: Region, tenant: TenantId | null, now: number): RebuildJob {
	return {
		...{ id, region, tenant, state: 'listing', cursor: null },
		...{ startedAt: now, listedAt: null, stepAt: now, finishedAt: null, outcome: null },
	}
}
