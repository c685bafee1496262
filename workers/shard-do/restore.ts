import type { WakeUp } from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import type { JobCallName, JobRequest } from '../../core/job.ts'
import type { Outcome } from '../../core/refusal.ts'

export interface RestorePorts {
	/** Begins another epoch in the control object, which the shard goes on under; null for a tenant that nobody registered. */
	begin(epoch: number): Promise<Control | null>
	announce(wakeUp: WakeUp): Promise<void>
	/** Takes over what the control object says now. */
	reconsider(): Promise<Outcome<unknown>>
}

/**
 * Begins another epoch for a tenant whose collections an archive is about to replace, so that nothing of before enters the view
 * any more; answers the report as one of that epoch. A crash after it leaves the tenant as it was, and the view reads it anew for
 * nothing; the job is announced again. @throws when the outcome is unknown
 */
export async function beginRestored<N extends JobCallName>(
	request: JobRequest<N>,
	{ begin, announce, reconsider }: RestorePorts,
): Promise<JobRequest<N>> {
	const { tenant, shard } = request
	const control = await begin(request.epoch)
	if (control?.state !== 'active') return request
	const { epoch } = control
	// If the restore comes to nothing, no change of the shard's would tell the view to leave the old epoch.
	await announce({ tenant, shard, epoch, head: 0 })
	await reconsider()
	return { ...request, epoch }
}
