/** The tables of a report, as Markdown. The first column of each says which run a row is of. */
import { type Spread, spreadOf } from './figures.ts'
import type { GrowthResult } from './growth.ts'
import type { Priced } from './price.ts'
import type { Figures, Results, ThroughputRound, WorkloadName } from './results.ts'
import type { RightsResult } from './rights.ts'
import type { Judged } from './targets.ts'
import { type Throughput, type ThroughputName, throughputWorkloads } from './throughput.ts'

/** The letter of a run, or of the run that a workload's figures are of. */
export type Label = (of: WorkloadName | { run: string }) => string

export function workloadTables({ workloads }: Results, label: Label): string[] {
	const figures = <Name extends keyof Figures>(name: Name): Figures[Name] | undefined => workloads[name]?.figures
	return [
		throughputTable(workloads, label),
		table(
			['run', 'open loop and ETL', '', 'measured'],
			[
				...tagged(label('latency'), latencyRows(figures('latency'))),
				...tagged(label('lag'), lagRows(figures('lag'))),
				...tagged(label('etl'), etlRows(figures('etl'))),
				...tagged(label('fairness'), fairnessRows(figures('fairness'))),
			],
		),
		table(
			['run', 'queries across tenants', '', 'a second', 'p50 ms', 'p99 ms'],
			tagged(label('view'), viewRows(figures('view'))),
		),
		table(
			['run', 'rights of a tenant', 'seconds', 'MB/s', 'the runtime grew by'],
			tagged(label('rights'), rightsRows(figures('rights'))),
		),
		table(
			['run', 'growth, one request at a time', 'contestant', 'small', 'large', 'large to small'],
			[
				...tagged(label('growth-records'), growthRows(figures('growth-records'))),
				...tagged(label('growth-tenants'), growthRows(figures('growth-tenants'))),
			],
		),
		table(
			[
				'run',
				'objects not in memory, one request at a time',
				'contestant',
				'p50 ms of the first',
				'p50 ms of the next',
			],
			tagged(label('cold-starts'), coldRows(figures('cold-starts'))),
		),
		table(
			['run', 'memory of one isolate, MB', 'seconds', 'live', 'with garbage', 'buffers in it', 'the whole process'],
			tagged(label('memory'), memoryRows(figures('memory'))),
		),
		table(['run', ...priceHead], tagged(label('price'), priceRows(figures('price')))),
	]
}

export function targetTable(judged: readonly Judged[], label: Label): string {
	const rows = judged.map(({ workload, measure, measured, bound, kind, unit, met, bare }) => [
		label(workload),
		measure,
		spreadText(measured, unit),
		`${kind} ${figure(bound)} ${unit}`,
		met ? 'met' : 'not met',
		bare === null ? '' : spreadText(bare, unit),
	])
	return table(['run', 'Freehold', 'measured', 'target', '', 'the bare object'], rows)
}

export function failureTable({ failures }: Results, label: Label): string {
	const rows = failures.map(({ workload, contestant, run, reason }) => [
		label({ run }),
		workload,
		contestant ?? 'all',
		reason.replaceAll(/\s+/g, ' ').replaceAll('|', '/').slice(0, 200),
	])
	return table(['run', 'not measured', 'contestant', 'reason'], rows)
}

type Rows = readonly (readonly string[])[]

function tagged(run: string, rows: Rows): Rows {
	return rows.map((row) => [run, ...row])
}

function throughputTable(workloads: Results['workloads'], label: Label): string {
	const names = Object.keys(throughputWorkloads) as ThroughputName[]
	const head = ['run', 'closed loop', 'contestant', 'a second', 'p50 ms', 'p99 ms', 'for each CPU-second', 'failures']
	return table(
		head,
		names.flatMap((name) => tagged(label(name), throughputRows(name, workloads[name]?.figures))),
	)
}

function throughputRows(name: ThroughputName, rounds: readonly ThroughputRound[] = []): Rows {
	return throughputWorkloads[name].contestants.flatMap((contestant) => {
		const own = rounds.flatMap((round) => round[contestant] ?? [])
		const column = (pick: (one: Throughput) => number) => spreads(own.map(pick))
		const failures = own.reduce((sum, { failures }) => sum + failures, 0)
		if (own.length === 0) return []
		return [
			[
				throughputWorkloads[name].title,
				contestant,
				column(({ perSecond }) => perSecond),
				column(({ p50 }) => p50),
				column(({ p99 }) => p99),
				column(({ perCpuSecond }) => perCpuSecond),
				String(failures),
			],
		]
	})
}

function latencyRows(rounds: Figures['latency'] = []): Rows {
	if (rounds.length === 0) return []
	const rate = `writes with a key at ${spreads(rounds.map(({ perSecond }) => perSecond))} a second, arrivals on schedule`
	return [
		[rate, 'freehold', latencyText(rounds.map(({ freehold }) => freehold))],
		[rate, 'three-tier', latencyText(rounds.map(({ threeTier }) => threeTier))],
	]
}

function lagRows(rounds: Figures['lag'] = []): Rows {
	if (rounds.length === 0) return []
	const rate = `view lag at ${spreads(rounds.map(({ writesPerSecond }) => writesPerSecond))} writes/s over 100 tenants`
	return [[rate, 'freehold', latencyText(rounds.map(({ lag }) => lag))]]
}

function etlRows(rounds: Figures['etl'] = []): Rows {
	if (rounds.length === 0) return []
	const backlog = `ETL of a backlog of ${rounds[0]?.records} records`
	const own = spreads(rounds.map((one) => one.etlRowsPerSecond))
	const seconds = spreads(rounds.map((one) => one.etlSeconds))
	return [
		[backlog, 'freehold', `${own} rows/s; exact ${seconds} s after the wake-up`],
		[backlog, 'bare upsert', `${spreads(rounds.map((one) => one.bareRowsPerSecond))} rows/s`],
	]
}

function fairnessRows(rounds: Figures['fairness'] = []): Rows {
	if (rounds.length === 0) return []
	const gone = spreads(rounds.map((one) => one.drainSeconds))
	return [
		['view lag of single fresh writes', 'without', latencyText(rounds.map(({ alone }) => alone))],
		[
			`the same beside a backlog of ${rounds[0]?.changes} changes of another tenant`,
			'beside',
			`${latencyText(rounds.map(({ beside }) => beside))}; gone after ${gone} s`,
		],
	]
}

function viewRows(view: Figures['view'] = []): Rows {
	const queries = view[0] ?? []
	return queries.flatMap(({ query, tenants }, place) => {
		const rounds = view.flatMap((round) => round[place] ?? [])
		const sides = { freehold: rounds, 'plain SQL': rounds.map(({ bare }) => bare) }
		return Object.entries(sides).map(([name, results]) => [
			`50 records of ${figure(tenants)} tenants: ${query}`,
			name,
			spreads(results.map(({ perSecond }) => perSecond)),
			spreads(results.map(({ latency }) => latency.p50)),
			spreads(results.map(({ latency }) => latency.p99)),
		])
	})
}

function rightsRows(rights: Figures['rights'] = []): Rows {
	const [first] = rights
	if (!first) return []
	const column = (pick: (one: RightsResult) => number, unit = 's') => spreads(rights.map(pick), unit)
	const about = `${first.records} records, ${Math.round(first.megabytes)} MB`
	return [
		[
			`export of ${about}`,
			column((one) => one.exportSeconds),
			column((one) => one.megabytes / one.exportSeconds, ''),
			column((one) => one.exportGrowth, 'MB'),
		],
		[
			'download of the archive',
			column((one) => one.downloadSeconds),
			column((one) => one.megabytes / one.downloadSeconds, ''),
			column((one) => one.downloadGrowth, 'MB'),
		],
		['import of it', column((one) => one.importSeconds), column((one) => one.megabytes / one.importSeconds, ''), ''],
		['erasure with its certificate', column((one) => one.eraseSeconds), '', ''],
	]
}

function growthRows(growth: readonly GrowthResult[] = []): Rows {
	return growth.flatMap(({ contestant, of, small, large, writes, reads, memory }) => {
		const sides = (pairs: typeof writes) => [
			`${figure(small)}: ${spreads(pairs.map((pair) => pair.small))}`,
			`${figure(large)}: ${spreads(pairs.map((pair) => pair.large))}`,
			spreads(pairs.map((pair) => pair.large / pair.small)),
		]
		return [
			[`p50 of a write by ${of}, ms`, contestant, ...sides(writes)],
			[`p50 of a read by ${of}, ms`, contestant, ...sides(reads)],
			[
				`resident memory of a workerd by ${of}, MB`,
				contestant,
				`0: ${figure(memory.before / 1e6)}`,
				`${figure(memory.held)}: ${figure(memory.after / 1e6)}`,
				'',
			],
		]
	})
}

function coldRows(rounds: Figures['cold-starts'] = []): Rows {
	if (rounds.length === 0) return []
	return (['reads', 'writes'] as const).flatMap((what) =>
		(['freehold', 'limit'] as const).map((contestant) => [
			what === 'reads' ? 'a read' : 'a write',
			contestant,
			spreads(rounds.map((round) => round[contestant][what].first)),
			spreads(rounds.map((round) => round[contestant][what].next)),
		]),
	)
}

function memoryRows(memory: Figures['memory'] | undefined): Rows {
	if (!memory) return []
	const about = `${figure(memory.records)} records, ${Math.round(memory.megabytes)} MB`
	return memory.phases.map(({ what, seconds, live, total, buffers, resident }) => [
		`${about}: ${what}`,
		...[seconds, live, total, buffers, resident].map(figure),
	])
}

const priceHead = [
	'each write',
	'rows written',
	'pruned later',
	'object requests',
	'Worker requests',
	'messages',
	'active ms',
	'CPU ms',
	'a million',
]

function priceRows(price: Figures['price'] | undefined): Rows {
	if (!price) return []
	const scenarios: [string, Priced][] = [
		['10 writes/s a tenant, with a key', price.steady.keyed],
		['10 writes/s a tenant, without a key', price.steady.unkeyed],
		['a lonely write, with a key', price.lonely.keyed],
		['a lonely write, without a key', price.lonely.unkeyed],
		['a burst, with a key', price.burst.keyed],
		['a burst, without a key', price.burst.unkeyed],
		['naive, with a key (computed)', price.naive],
	]
	return scenarios.map(([name, one]) => [
		name,
		...[
			one.rowsWritten,
			one.rowsPrunedLater,
			one.objectRequests,
			one.workerRequests,
			one.messages,
			one.activeMs,
			one.cpuMs,
		].map(figure),
		`$${one.total.toFixed(2)}`,
	])
}

/** Columns are padded as the formatter of this project's Markdown wants them. */
export function table(head: readonly string[], rows: Rows): string {
	if (rows.length === 0) return ''
	const widths = head.map((name, column) => Math.max(3, name.length, ...rows.map((row) => row[column]?.length ?? 0)))
	const line = (cells: readonly string[]) =>
		`| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
	return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

function latencyText(rounds: readonly { p50: number; p99: number }[]): string {
	return `p50 ${spreads(rounds.map(({ p50 }) => p50))} ms, p99 ${spreads(rounds.map(({ p99 }) => p99))} ms`
}

function spreads(values: readonly number[], unit = ''): string {
	return spreadText(spreadOf(values), unit)
}

function spreadText({ median, min, max }: Spread, unit: string): string {
	const shown = `${figure(median)}${unit === '' ? '' : ` ${unit}`}`
	return min === max ? shown : `${shown} (${figure(min)} to ${figure(max)})`
}

/** Three significant digits and no more: the last one is already noise. */
function figure(value: number): string {
	if (!Number.isFinite(value)) return 'none'
	const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
	return Number(value.toFixed(Math.min(digits, 4))).toLocaleString('en', { maximumFractionDigits: 4 })
}
