import type { Finding } from './alert.ts'
import { anomalyOf } from './anomaly.ts'
import { shardFullShare } from './limits.ts'
import type { Period } from './sli.ts'
import { sumOf } from './sli.ts'
import type { SloStatus } from './slo.ts'

/** What the database says about a cell's shards at one moment. */
export interface ShardCensus {
	shards: number
	/** Changes have waited longer than the SLO allows. */
	late: number
	/** Changes have waited longer than `stalledMs`. */
	stalled: number
	worstLagMs: number
	/** Their rows were not equal to what the shard said of itself, when that was last compared. */
	differing: number
	/** Shards that differ or have a dead letter, and the dead letters that nobody has discarded. */
	incomplete: number
	deadLetters: number
	/** Size of the largest shard. */
	largestBytes: number
}

/** A shard whose changes have waited for so long is not catching up by itself. */
export const stalledMs = 5 * 60_000

/** Everything that an evaluation looks at. */
export interface Situation {
	/** Null when the database did not answer. */
	census: ShardCensus | null
	/** Null where no probe runs. */
	probe: { ok: boolean; failed: string | null } | null
	/** Erasures of tenants that were due too long ago and are not done. */
	erasuresOverdue: number
	slos: readonly SloStatus[]
	/** Periods of a quarter of an hour, two weeks back. */
	quarters: readonly Period[]
	/** What a shard may hold in this deployment. */
	shardBytesMax: number
	now: number
}

/** What is wrong now. */
export function findingsOf(situation: Situation): Finding[] {
	const { census, probe, slos, erasuresOverdue, shardBytesMax } = situation
	return [
		...slos.flatMap(burnsOf),
		...(census === null
			? [finding('database_unreachable', "The region's database does not answer the monitor.")]
			: shardFindings(census, shardBytesMax)),
		...(probe?.ok === false ? [finding('probe_failing', `The probe fails at: ${probe.failed ?? 'unknown'}.`)] : []),
		...(erasuresOverdue > 0
			? [finding('erasure_overdue', `${erasuresOverdue} erasures are past their due date.`)]
			: []),
		...trafficFindings(situation),
	]
}

function burnsOf({ slo, burns }: SloStatus): Finding[] {
	const findingFor = (severity: 'page' | 'ticket', rule: 'slo_burn_fast' | 'slo_burn_slow') => {
		const burn = burns.find((one) => one.severity === severity && one.burning)
		if (!burn) return []
		const times = (burn.long ?? 0).toFixed(1)
		const summary = `${slo.displayName}: the error budget burns ${times} times too fast over ${burn.longMinutes} minutes.`
		return [{ rule, subject: slo.name, summary }]
	}
	const fast = findingFor('page', 'slo_burn_fast')
	return fast.length > 0 ? fast : findingFor('ticket', 'slo_burn_slow')
}

function shardFindings(census: ShardCensus, shardBytesMax: number): Finding[] {
	const { stalled, worstLagMs, differing, deadLetters, largestBytes } = census
	const share = largestBytes / shardBytesMax
	const percent = `The largest shard is at ${Math.floor(share * 100)} % of its limit.`
	const findings: (Finding | false)[] = [
		stalled > 0 &&
			finding('shard_stalled', `${stalled} shards are behind, the furthest by ${Math.round(worstLagMs / 1_000)} s.`),
		differing > 0 && finding('view_difference', `The view differs from ${differing} shards.`),
		deadLetters > 0 && finding('dead_letters', `The view has set ${deadLetters} entries aside.`),
		share >= shardFullShare && finding('shard_size_90', percent),
		share >= 0.7 && share < shardFullShare && finding('shard_size_70', percent),
	]
	return findings.filter((one) => one !== false)
}

const quarterMs = 15 * 60_000
const dayMs = 86_400_000

/** Compares the last whole quarter of an hour with the same one of the days before. */
function trafficFindings({ quarters, census, now }: Situation): Finding[] {
	// Without the database, no requests are known of.
	if (census === null) return []
	const last = Math.floor(now / quarterMs) * quarterMs - quarterMs
	const requestsAt = (at: number) =>
		sumOf(
			quarters.filter((quarter) => quarter.at === at),
			'availability',
		).total
	const first = Math.min(...quarters.map(({ at }) => at))
	const history: number[] = []
	for (let at = last - dayMs; at >= first; at -= dayMs) history.push(requestsAt(at))
	const anomaly = anomalyOf(requestsAt(last), history)
	if (anomaly === null) return []
	return [finding('traffic_anomaly', `${anomaly.value} requests in a quarter of an hour, usually ${anomaly.usual}.`)]
}

function finding(rule: Finding['rule'], summary: string): Finding {
	return { rule, subject: null, summary }
}
