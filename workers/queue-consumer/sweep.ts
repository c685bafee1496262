import type { Region } from '../../core/ids.ts'
import { rebuildForgottenMs, rebuildsSweptMax } from '../../core/limits.ts'
import type { RebuildPorts } from './rebuild.ts'

/** What the cron trigger does for one region's view every minute. */
export async function sweep(region: Region, ports: RebuildPorts): Promise<void> {
	const now = ports.clock()
	for (const { id, state, stepAt } of await ports.jobs.recent(rebuildsSweptMax)) {
		// Its message was lost, or its consumer died; a step that comes twice does no harm.
		if (state !== 'done' && stepAt + rebuildForgottenMs <= now) await ports.again({ kind: 'rebuild', region, id }, 0)
	}
}
