import { type Bucket, clearPrefix } from '../../../core/bucket.ts'
import type { Shard } from '../../../core/contract.ts'
import { type Region, regionOf, type TenantId } from '../../../core/ids.ts'
import { type JobCallName, type JobCalls, type JobReply, type JobWakeUp, jobPrefix } from '../../../core/job.ts'
import { pullMsMax } from '../../../core/limits.ts'
import { within } from '../deadline.ts'
import { stepExport } from './export.ts'
import { stepImport } from './import.ts'

export interface JobPorts {
	bucket(region: Region): Bucket
	shardOf(tenant: TenantId, shard: number): Pick<Shard, 'job'>
	sleep(ms: number, signal: AbortSignal): Promise<void>
	mint(): string
}

/** What a step of a job works with. */
export interface JobContext {
	bucket: Bucket
	/** Asks the job's shard, or reports to it. */
	call<N extends JobCallName>(call: { name: N } & JobCalls[N]['takes']): Promise<JobReply<N>>
	/** A key in the bucket that nobody else writes, so that whoever comes late overwrites nothing. */
	newKey(): string
}

/**
 * Takes steps of a job until it is finished, somebody else is at it, or `goesOn` says that the turn is over; one step is taken
 * in any case. True when there is more to do.
 * @throws whatever the shard or the bucket throws; what was reported until then stays done
 */
export async function runJob(wakeUp: JobWakeUp, ports: JobPorts, goesOn: () => boolean): Promise<boolean> {
	const context = contextOf(wakeUp, ports)
	do {
		const opened = await context.call({ name: 'open' })
		if (!opened.ok || opened.value.work === 'none') return false
		if (opened.value.work === 'clear') {
			await clearPrefix(context.bucket, jobPrefix(wakeUp))
			await context.call({ name: 'cleared' })
			return false
		}
		const job = opened.value
		const unfinished = job.work === 'export' ? await stepExport(job, context) : await stepImport(job, context)
		if (!unfinished) return false
	} while (goesOn())
	return true
}

function contextOf(wakeUp: JobWakeUp, ports: JobPorts): JobContext {
	const { tenant, shard, epoch, job } = wakeUp
	const prefix = jobPrefix(wakeUp)
	const bucket = ports.bucket(regionOf(tenant))
	/** Keys of the step that is under way, which nobody has heard of. */
	const unheard: string[] = []
	return {
		bucket,
		call: async (call) => {
			const reply = await within(
				pullMsMax,
				ports.shardOf(tenant, shard).job({ tenant, shard, epoch, job, call }),
				ports.sleep,
			)
			// Of a job that was deleted meanwhile, or whose tenant is being erased, nobody would ever find them.
			if (!reply.ok && unheard.length > 0) await bucket.delete(unheard)
			if (!reply.ok || call.name === 'export.report') unheard.length = 0
			return reply
		},
		newKey: () => {
			const key = prefix + ports.mint()
			unheard.push(key)
			return key
		},
	}
}
