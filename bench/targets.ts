/** What Freehold is to reach, as ratios inside one run: see docs/performance.md for the reasons. */
import type { ContestantName } from './contestants/all.ts'
import { type Spread, spreadOf } from './figures.ts'
import type { GrowthResult } from './growth.ts'
import type { Figures, Results, ThroughputRound, WorkloadName } from './results.ts'
import type { Throughput, ThroughputName } from './throughput.ts'

export interface Judged {
	/** Whose figures it compares: those of one workload are of one run. */
	workload: WorkloadName
	measure: string
	/** Over the rounds: each compares what was measured in the same round. */
	measured: Spread
	bound: number
	kind: 'at least' | 'at most'
	unit: string
	met: boolean
	/** What the bare Worker and object, which do nothing else, come to in the same rounds; null where they were not measured. */
	bare: Spread | null
}

export function judge({ workloads }: Results): Judged[] {
	return [
		...ratioTargets.flatMap((target) => ratio(target, workloads[target.workload]?.figures)),
		...batches(workloads.batches?.figures),
		...latencies(workloads.latency?.figures),
		...lags(workloads.lag?.figures),
		...etls(workloads.etl?.figures),
		...fairnesses(workloads.fairness?.figures),
		...growths('growth-records', workloads['growth-records']?.figures),
		...growths('growth-tenants', workloads['growth-tenants']?.figures),
		...memories(workloads.memory?.figures),
		...prices(workloads.price?.figures),
	]
}

type Figure = 'perSecond' | 'perCpuSecond'

/** Freehold's figure divided by the contestant's, in the same workload and round. */
interface RatioTarget {
	workload: ThroughputName
	/** `freehold` when absent. */
	own?: ContestantName
	against: ContestantName
	figure: Figure
	bound: number
}

const ratioTargets: RatioTarget[] = [
	...(['writes', 'writes-unkeyed'] as const).flatMap((workload) => [
		{ workload, against: 'three-tier' as const, figure: 'perSecond' as const, bound: 1.2 },
		{ workload, against: 'grouped limit' as const, figure: 'perSecond' as const, bound: 0.7 },
		{ workload, against: 'three-tier' as const, figure: 'perCpuSecond' as const, bound: 2 },
		...(['three-tier', 'grouped limit'] as const).map((against) => ({
			workload,
			own: 'freehold without ETL' as const,
			against,
			figure: 'perSecond' as const,
			bound: against === 'three-tier' ? 1.2 : 0.7,
		})),
	]),
	...(['writes-hot', 'writes-hot-unkeyed'] as const).flatMap((workload) => [
		{ workload, against: 'three-tier' as const, figure: 'perSecond' as const, bound: 1.5 },
		{ workload, against: 'grouped limit' as const, figure: 'perSecond' as const, bound: 0.7 },
	]),
	...(['reads-300', 'reads-2k'] as const).flatMap((workload) => [
		{ workload, against: 'three-tier' as const, figure: 'perSecond' as const, bound: 1.2 },
		{ workload, against: 'limit' as const, figure: 'perSecond' as const, bound: 0.8 },
		{ workload, against: 'three-tier' as const, figure: 'perCpuSecond' as const, bound: 2 },
	]),
	{ workload: 'batches', against: 'three-tier', figure: 'perSecond', bound: 3 },
	{ workload: 'writes', against: 'Parse Server', figure: 'perSecond', bound: 1.3 },
	{ workload: 'reads-300', against: 'Parse Server', figure: 'perSecond', bound: 1.5 },
	{ workload: 'batches', against: 'Parse Server', figure: 'perSecond', bound: 5 },
]

const figureNames: Record<Figure, string> = { perSecond: 'a second', perCpuSecond: 'for each CPU-second' }

function ratio(
	{ workload, own = 'freehold', against, figure, bound }: RatioTarget,
	rounds: readonly ThroughputRound[] = [],
): Judged[] {
	const measuredOf = (one: ContestantName) => rounds.flatMap((round) => quotient(round[one], round[against], figure))
	const measure = `${workload}${own === 'freehold' ? '' : ' without ETL'} ${figureNames[figure]}, of ${against}`
	const limit = workload.startsWith('reads') ? 'limit' : 'grouped limit'
	return atLeast(workload, measure, measuredOf(own), bound, '×', against === limit ? [] : measuredOf(limit))
}

function quotient(own: Throughput | undefined, other: Throughput | undefined, figure: Figure): number[] {
	return own === undefined || other === undefined ? [] : [own[figure] / other[figure]]
}

function batches(rounds: Figures['batches'] = []): Judged[] {
	const absolute = rounds.flatMap(({ freehold }) => (freehold === undefined ? [] : [freehold.perSecond]))
	return atLeast('batches', 'batches, records a second', absolute, 30_000, '/s')
}

function latencies(rounds: Figures['latency'] = []): Judged[] {
	const measured = rounds.map(({ freehold, threeTier }) => freehold.p99 / threeTier.p99)
	return atMost('latency', "p99 of writes at half of three-tier's maximum rate, of three-tier's", measured, 1, '×')
}

function lags(rounds: Figures['lag'] = []): Judged[] {
	const measured = rounds.map(({ lag }) => lag.p99)
	return atMost('lag', 'view lag p99 at 500 writes/s over 100 tenants', measured, 1_500, 'ms')
}

function etls(rounds: Figures['etl'] = []): Judged[] {
	const share = rounds.map((one) => one.etlRowsPerSecond / one.bareRowsPerSecond)
	const absolute = rounds.map((one) => one.etlRowsPerSecond)
	return [
		...atLeast('etl', 'ETL backlog, rows a second, of a bare upsert', share, 0.5, '×'),
		...atLeast('etl', 'ETL backlog, rows a second', absolute, 20_000, '/s'),
	]
}

function fairnesses(rounds: Figures['fairness'] = []): Judged[] {
	const measure = `view lag p99 beside a backlog of ${rounds[0]?.changes} changes, of twice the lag without it and 1 s`
	const measured = rounds.map(({ alone, beside }) => beside.p99 / (2 * alone.p99 + 1_000))
	return atMost('fairness', measure, measured, 1, '×')
}

function growths(workload: 'growth-records' | 'growth-tenants', contestants: GrowthResult[] = []): Judged[] {
	const ratios = (name: GrowthResult['contestant'], what: 'writes' | 'reads') =>
		contestants
			.filter(({ contestant }) => contestant === name)
			.flatMap((result) => result[what].map((one) => one.large / one.small))
	const [{ small, large, of } = { small: 0, large: 0, of: '' }] = contestants
	return (['writes', 'reads'] as const).flatMap((what) => {
		const measure = `p50 of a ${what.slice(0, -1)}, ${large} ${of} to ${small}`
		return atMost(workload, measure, ratios('freehold', what), 1.25, '×', ratios('limit', what))
	})
}

function memories(memory: Figures['memory'] | undefined): Judged[] {
	if (!memory) return []
	const { records, heapMegabytesMax } = memory
	return memory.phases.flatMap(({ what, total }) => {
		const measure = `memory of an isolate, ${records} records of a tenant ${what}`
		return atMost('memory', measure, [total], heapMegabytesMax, 'MB')
	})
}

function prices(price: Figures['price'] | undefined): Judged[] {
	if (!price) return []
	const dollars = (name: 'keyed' | 'unkeyed', text: string, bound: number) => {
		const measure = `price of a million ${text}, one unique field, 10 writes/s a tenant`
		return atMost('price', measure, [price.steady[name].total], bound, '$')
	}
	return [...dollars('keyed', 'keyed writes', 5), ...dollars('unkeyed', 'writes without a key', 3.8)]
}

type Judge = (
	workload: WorkloadName,
	measure: string,
	/** Nothing is judged where it is empty. */
	rounds: readonly number[],
	bound: number,
	unit: string,
	/** The rounds of the bare object. */
	bare?: readonly number[],
) => Judged[]

const atLeast = judgeBy('at least', (value, bound) => value >= bound)
const atMost = judgeBy('at most', (value, bound) => value <= bound)

function judgeBy(kind: Judged['kind'], holds: (value: number, bound: number) => boolean): Judge {
	return (workload, measure, rounds, bound, unit, bareRounds = []) => {
		if (rounds.length === 0) return []
		const measured = spreadOf(rounds)
		const met = holds(measured.median, bound)
		const bare = bareRounds.length === 0 ? null : spreadOf(bareRounds)
		return [{ workload, measure, measured, bound, kind, unit, met, bare }]
	}
}
