import type { Announcement } from '../../core/contract.ts'
import type { TenantRow } from './tenant.ts'

/** The shard as a ringing alarm finds it. */
export interface Moment {
	/** Milliseconds since 1970. */
	now: number
	/** The journal's last position. */
	head: number
	tenant: TenantRow
}

/**
 * Something besides the view that wants the shard's one alarm. Whenever the alarm rings, for whatever reason, every duty
 * is asked what to send and then when it wants the alarm next. Messages are hints: a duty sends them again until its work
 * is reported done.
 */
export interface Duty {
	ring(moment: Moment): Announcement[]
	/** Milliseconds since 1970; null for never. */
	wants(moment: Moment): number | null
}
