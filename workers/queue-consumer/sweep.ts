import type { WakeUp } from '../../core/contract.ts'
import type { Region } from '../../core/ids.ts'
import { basesResumedMax, rebuildForgottenMs, rebuildsSweptMax } from '../../core/limits.ts'
import type { RebuildPorts } from './rebuild.ts'

/** What the cron trigger does for one region's view every minute. */
export async function sweep(region: Region, ports: RebuildPorts): Promise<void> {
	const now = ports.clock()
	for (const { id, state, stepAt } of await ports.jobs.recent(rebuildsSweptMax)) {
		// Its message was lost, or its consumer died; a step that comes twice does no harm.
		if (state !== 'done' && stepAt + rebuildForgottenMs <= now) await ports.again({ kind: 'rebuild', region, id }, 0)
	}
}

export interface BasePorts {
	/** Shards whose base has not moved for so long, the longest first. */
	listStalled(stalledMs: number, limit: number): Promise<WakeUp[]>
	announce(message: WakeUp): Promise<void>
}

/**
 * Goes on with bases whose message was lost. A shard announces only what the view has yet to apply, and a base is more than
 * that; one that begins another history may even announce under an epoch that the view has left.
 */
export async function resumeBases({ listStalled, announce }: BasePorts): Promise<void> {
	for (const wakeUp of await listStalled(rebuildForgottenMs, basesResumedMax)) await announce(wakeUp)
}
