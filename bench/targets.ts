/** What Freehold is to reach, as ratios inside one run: see docs/performance.md for the reasons. */
import type { ContestantName } from './contestants/all.ts'
import { type Spread, spreadOf } from './figures.ts'
import type { Results } from './results.ts'
import type { Throughput, ThroughputName } from './throughput.ts'

export interface Judged {
	measure: string
	/** Over the rounds: each compares what was measured in the same round. */
	measured: Spread
	bound: number
	kind: 'at least' | 'at most'
	unit: string
	met: boolean
}

export function judge(results: Results): Judged[] {
	return [
		...ratios(results),
		...latencies(results),
		...etls(results),
		...fairnesses(results),
		...growths(results),
		...prices(results),
	]
}

type Figure = 'perSecond' | 'perCpuSecond'

/** Freehold's figure divided by the contestant's, in the same workload and round. */
const ratioTargets: {
	workload: ThroughputName
	/** `freehold` when absent. */
	own?: ContestantName
	against: ContestantName
	figure: Figure
	bound: number
}[] = [
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

function ratios({ throughput }: Results): Judged[] {
	const judged = ratioTargets.flatMap(({ workload, own = 'freehold', against, figure, bound }) => {
		const measured = paired(
			throughput[workload]?.[own],
			throughput[workload]?.[against],
			(own, other) => own[figure] / other[figure],
		)
		const measure = `${workload}${own === 'freehold' ? '' : ' without ETL'} ${figureNames[figure]}, of ${against}`
		return measured === null ? [] : [atLeast(measure, measured, bound, '×')]
	})
	const batches = throughput.batches?.freehold
	if (batches === undefined) return judged
	const absolute = spreadOf(batches.map(({ perSecond }) => perSecond))
	return [...judged, atLeast('batches, records a second', absolute, 30_000, '/s')]
}

function paired(
	own: readonly Throughput[] | undefined,
	others: readonly Throughput[] | undefined,
	ratio: (own: Throughput, other: Throughput) => number,
): Spread | null {
	if (own === undefined || others === undefined) return null
	return spreadOf(own.flatMap((one, round) => (others[round] === undefined ? [] : [ratio(one, others[round])])))
}

function latencies({ latency, lag }: Results): Judged[] {
	const judged: Judged[] = []
	if (latency.length > 0) {
		const measured = spreadOf(latency.map(({ freehold, threeTier }) => freehold.p99 / threeTier.p99))
		judged.push(atMost("p99 of writes at half of three-tier's maximum rate, of three-tier's", measured, 1, '×'))
	}
	if (lag.length > 0)
		judged.push(
			atMost('view lag p99 at 500 writes/s over 100 tenants', spreadOf(lag.map((one) => one.lag.p99)), 1_500, 'ms'),
		)
	return judged
}

function etls({ etl }: Results): Judged[] {
	if (etl.length === 0) return []
	return [
		atLeast(
			'ETL backlog, rows a second, of a bare upsert',
			spreadOf(etl.map((one) => one.etlRowsPerSecond / one.bareRowsPerSecond)),
			0.5,
			'×',
		),
		atLeast('ETL backlog, rows a second', spreadOf(etl.map((one) => one.etlRowsPerSecond)), 20_000, '/s'),
	]
}

function fairnesses({ fairness }: Results): Judged[] {
	if (fairness.length === 0) return []
	const allowed = ({ alone, beside }: Results['fairness'][number]) => beside.p99 / (2 * alone.p99 + 1_000)
	return [
		atMost(
			`view lag p99 beside a backlog of ${fairness[0]?.changes} changes, of twice the lag without it and 1 s`,
			spreadOf(fairness.map(allowed)),
			1,
			'×',
		),
	]
}

function growths({ growth }: Results): Judged[] {
	const own = growth.filter(({ contestant }) => contestant === 'freehold')
	return own.flatMap(({ small, large, of, writes, reads }) => [
		atMost(
			`p50 of a write, ${large} ${of} to ${small}`,
			spreadOf(writes.map((one) => one.large / one.small)),
			1.25,
			'×',
		),
		atMost(`p50 of a read, ${large} ${of} to ${small}`, spreadOf(reads.map((one) => one.large / one.small)), 1.25, '×'),
	])
}

function prices({ price }: Results): Judged[] {
	if (!price) return []
	const dollars = (name: keyof PricesOf, text: string, bound: number) =>
		atMost(
			`price of a million ${text}, one unique field, 10 writes/s a tenant`,
			spreadOf([price.steady[name].total]),
			bound,
			'$',
		)
	return [dollars('keyed', 'keyed writes', 5), dollars('unkeyed', 'writes without a key', 3.8)]
}

type PricesOf = NonNullable<Results['price']>['steady']

function atLeast(measure: string, measured: Spread, bound: number, unit: string): Judged {
	return { measure, measured, bound, kind: 'at least', unit, met: measured.median >= bound }
}

function atMost(measure: string, measured: Spread, bound: number, unit: string): Judged {
	return { measure, measured, bound, kind: 'at most', unit, met: measured.median <= bound }
}
