import { globSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Period } from '../../core/sli.ts'
import { nodeSql } from '../../test/node-sql.ts'
import { MonitorStore } from '../../workers/monitor/store.ts'
import type { Stack } from '../stack.ts'

const canaryShape = z.object({ slug: z.string() })

/**
 * Writes a past into the storage of a region's monitor, because windows of days cannot be waited for. Only while the stack is
 * stopped. What the monitor has seen itself stays as it is; before that, `past` says it, up to the given time.
 * @param past is told when the first minute began that the monitor saw, in milliseconds since 1970
 */
export function writePast({ stateDir }: Stack, region: string, past: (until: number) => Period[]): void {
	for (const file of globSync(join(stateDir, 'v3', 'do', '*Monitor*', '*.sqlite'))) {
		if (file.endsWith('metadata.sqlite')) continue
		const sql = nodeSql(file)
		try {
			const store = new MonitorStore(sql)
			// Objects are named by hashes, so their own rows say whose they are.
			if (!store.recall('canary', canaryShape)?.slug.startsWith(`canary-${region}-`)) continue
			const [first] = store.periods('minute', 0, Number.MAX_SAFE_INTEGER)
			if (first === undefined) throw new Error('the monitor has seen nothing yet')
			store.transaction(() => store.addMinutes(past(first.at)))
			return
		} finally {
			sql.close()
		}
	}
	throw new Error(`the monitor of ${region} has no file`)
}

/** A time in which everything was well but some requests. */
export function pastPeriod(at: number, requests: number, failed = 0): Period {
	const all = (total: number) => ({ good: total, total })
	const availability = { good: requests - failed, total: requests }
	const ofShards = { accuracy: all(5), freshness: all(5) }
	return {
		at,
		counts: {
			availability,
			latency: all(requests),
			...ofShards,
			'probe-availability': all(1),
			'probe-freshness': all(1),
		},
	}
}
