import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectDir } from '../dev/processes.ts'
import { type Spread, spreadOf } from './figures.ts'
import type { Priced, PriceResult } from './price.ts'
import type { Results } from './results.ts'
import { type Judged, judge } from './targets.ts'
import { type Throughput, type ThroughputName, throughputWorkloads } from './throughput.ts'

const resultsDir = join(projectDir, 'bench', 'results')

/**
 * Writes `latest.json` and `latest.md` in `bench/results/`, and the marked blocks of README.md and
 * docs/performance.md; a run of some workloads only
 * writes `partial.json` and `partial.md`. Returns the tables as text.
 */
export function writeReport(results: Results, whole: boolean): string {
	const judged = judge(results)
	const tables = [
		describe(results),
		targetTable(judged),
		throughputTable(results),
		latencyTable(results),
		viewTable(results),
		rightsTable(results),
		growthTable(results),
		priceTable(results.price),
	].filter((table) => table !== '')
	const text = tables.join('\n\n')
	mkdirSync(resultsDir, { recursive: true })
	const name = whole ? 'latest' : 'partial'
	writeFileSync(join(resultsDir, `${name}.json`), `${JSON.stringify({ ...results, judged }, null, '\t')}\n`)
	writeFileSync(join(resultsDir, `${name}.md`), `${text}\n`)
	if (whole) {
		replaceBlock(join(projectDir, 'README.md'), [describe(results), targetTable(judged)].join('\n\n'))
		replaceBlock(join(projectDir, 'docs', 'performance.md'), text)
	}
	return text
}

function replaceBlock(file: string, text: string): void {
	if (!existsSync(file)) return
	const present = readFileSync(file, 'utf8')
	const [start, end] = ['<!-- bench -->', '<!-- /bench -->']
	const [from, to] = [present.indexOf(start), present.indexOf(end)]
	if (from === -1 || to < from) return
	writeFileSync(file, `${present.slice(0, from + start.length)}\n\n${text}\n\n${present.slice(to)}`)
}

function describe({ at, machine, load, rounds, secondsAPhase }: Results): string {
	const parts = Object.entries(machine).map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`)
	const phases = `${rounds} ${rounds === 1 ? 'round' : 'rounds'}, phases of ${secondsAPhase} s`
	return `Measured ${at.slice(0, 10)}: ${parts.join(', ')}; ${phases}; load of the machine ${load.before} before and ${load.after} after. Median (least to most of the rounds).`
}

function targetTable(judged: readonly Judged[]): string {
	const rows = judged.map(({ measure, measured, bound, kind, unit, met }) => [
		measure,
		spreadText(measured, unit),
		`${kind} ${figure(bound)} ${unit}`,
		met ? 'met' : 'not met',
	])
	return table(['Freehold', 'measured', 'target', ''], rows)
}

function throughputTable({ throughput }: Results): string {
	const rows = (Object.keys(throughput) as ThroughputName[]).flatMap((name) =>
		Object.entries(throughput[name] ?? {}).map(([contestant, rounds]) => [
			throughputWorkloads[name].title,
			contestant,
			column(rounds, 'perSecond'),
			column(rounds, 'p50'),
			column(rounds, 'p99'),
			column(rounds, 'perCpuSecond'),
			String(rounds.reduce((sum, { failures }) => sum + failures, 0)),
		]),
	)
	return table(['closed loop', 'contestant', 'a second', 'p50 ms', 'p99 ms', 'for each CPU-second', 'failures'], rows)
}

function column(rounds: readonly Throughput[], name: 'perSecond' | 'p50' | 'p99' | 'perCpuSecond'): string {
	return spreadText(spreadOf(rounds.map((round) => round[name])), '')
}

function latencyTable({ latency, lag, etl, fairness }: Results): string {
	const spread = (values: number[]) => spreadText(spreadOf(values), '')
	const rows: string[][] = []
	if (latency.length > 0) {
		const rate = `writes with a key at ${spread(latency.map(({ perSecond }) => perSecond))} a second, arrivals on schedule`
		for (const name of ['freehold', 'threeTier'] as const) {
			const shown = name === 'freehold' ? 'freehold' : 'three-tier'
			rows.push([
				rate,
				shown,
				`p50 ${spread(latency.map((one) => one[name].p50))} ms, p99 ${spread(latency.map((one) => one[name].p99))} ms`,
			])
		}
	}
	if (lag.length > 0) {
		const rate = `view lag at ${spread(lag.map(({ writesPerSecond }) => writesPerSecond))} writes/s over 100 tenants`
		rows.push([
			rate,
			'freehold',
			`p50 ${spread(lag.map((one) => one.lag.p50))} ms, p99 ${spread(lag.map((one) => one.lag.p99))} ms`,
		])
	}
	if (etl.length > 0) {
		const backlog = `ETL of a backlog of ${etl[0]?.records} records`
		rows.push([
			backlog,
			'freehold',
			`${spread(etl.map((one) => one.etlRowsPerSecond))} rows/s; exact ${spread(etl.map((one) => one.etlSeconds))} s after the wake-up`,
		])
		rows.push([backlog, 'bare upsert', `${spread(etl.map((one) => one.bareRowsPerSecond))} rows/s`])
	}
	if (fairness.length > 0) {
		const lagOf = (name: 'alone' | 'beside') =>
			`p50 ${spread(fairness.map((one) => one[name].p50))} ms, p99 ${spread(fairness.map((one) => one[name].p99))} ms`
		const backlog = `a backlog of ${fairness[0]?.changes} changes of another tenant`
		rows.push(
			['view lag of single fresh writes', 'without', lagOf('alone')],
			[
				`the same beside ${backlog}`,
				'beside',
				`${lagOf('beside')}; gone after ${spread(fairness.map((one) => one.drainSeconds))} s`,
			],
		)
	}
	return table(['open loop and ETL', '', 'measured'], rows)
}

function rightsTable({ rights }: Results): string {
	const [first] = rights
	if (!first) return ''
	const spread = (pick: (one: Results['rights'][number]) => number, unit = 's') =>
		spreadText(spreadOf(rights.map(pick)), unit)
	const about = `${first.records} records, ${Math.round(first.megabytes)} MB`
	return table(
		['rights of a tenant', 'seconds', 'MB/s', 'the runtime grew by'],
		[
			[
				`export of ${about}`,
				spread((one) => one.exportSeconds),
				spread((one) => one.megabytes / one.exportSeconds, ''),
				spread((one) => one.exportGrowth, 'MB'),
			],
			[
				'download of the archive',
				spread((one) => one.downloadSeconds),
				spread((one) => one.megabytes / one.downloadSeconds, ''),
				spread((one) => one.downloadGrowth, 'MB'),
			],
			['import of it', spread((one) => one.importSeconds), spread((one) => one.megabytes / one.importSeconds, ''), ''],
			['erasure with its certificate', spread((one) => one.eraseSeconds), '', ''],
		],
	)
}

function viewTable({ view }: Results): string {
	const queries = view[0] ?? []
	const rows = queries.flatMap(({ query, tenants }, place) => {
		const rounds = view.flatMap((round) => round[place] ?? [])
		const sides = { freehold: rounds, 'plain SQL': rounds.map(({ bare }) => bare) }
		return Object.entries(sides).map(([name, results]) => [
			`50 records of ${figure(tenants)} tenants: ${query}`,
			name,
			spreadText(spreadOf(results.map(({ perSecond }) => perSecond)), ''),
			spreadText(spreadOf(results.map(({ latency }) => latency.p50)), ''),
			spreadText(spreadOf(results.map(({ latency }) => latency.p99)), ''),
		])
	})
	return table(['queries across tenants', '', 'a second', 'p50 ms', 'p99 ms'], rows)
}

function growthTable({ growth }: Results): string {
	const rows = growth.flatMap(({ contestant, of, small, large, writes, reads, memory }) => {
		const sides = (pairs: typeof writes) => [
			`${figure(small)}: ${spreadText(spreadOf(pairs.map((pair) => pair.small)), '')}`,
			`${figure(large)}: ${spreadText(spreadOf(pairs.map((pair) => pair.large)), '')}`,
		]
		return [
			[`p50 of a write by ${of}, ms`, contestant, ...sides(writes)],
			[`p50 of a read by ${of}, ms`, contestant, ...sides(reads)],
			[
				`resident memory of workerd by ${of}, MB`,
				contestant,
				`0: ${figure(memory.before / 1e6)}`,
				`${figure(large)}: ${figure(memory.after / 1e6)}`,
			],
		]
	})
	return table(['growth, one request at a time', 'contestant', 'small', 'large'], rows)
}

function priceTable(price: PriceResult | undefined): string {
	if (!price) return ''
	const scenarios: [string, Priced][] = [
		['10 writes/s a tenant, with a key', price.steady.keyed],
		['10 writes/s a tenant, without a key', price.steady.unkeyed],
		['a lonely write, with a key', price.lonely.keyed],
		['a lonely write, without a key', price.lonely.unkeyed],
		['a burst, with a key', price.burst.keyed],
		['a burst, without a key', price.burst.unkeyed],
		['naive, with a key (computed)', price.naive],
	]
	const rows = scenarios.map(([name, one]) => [
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
	const head = [
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
	return table(head, rows)
}

/** Columns are padded as the formatter of this project's Markdown wants them. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	if (rows.length === 0) return ''
	const widths = head.map((name, column) => Math.max(3, name.length, ...rows.map((row) => row[column]?.length ?? 0)))
	const line = (cells: readonly string[]) =>
		`| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
	return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
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
