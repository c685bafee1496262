/** Writes down what was measured: as JSON, and as tables where people look. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectDir } from '../dev/processes.ts'
import { type Results, type Run, resultsDir } from './results.ts'
import { failureTable, type Label, table, targetTable, workloadTables } from './tables.ts'
import { judge } from './targets.ts'

/** Writes `latest.json` and `latest.md` in `bench/results/`, and the marked blocks of README.md and docs/performance.md. Returns the tables. */
export function writeReport(results: Results): string {
	const judged = judge(results)
	const label = labels(results)
	const short = [describe(results, label), failureTable(results, label), targetTable(judged, label)]
	const long = [...short, ...workloadTables(results, label)]
	const text = joined(long)
	mkdirSync(resultsDir, { recursive: true })
	writeFileSync(join(resultsDir, 'latest.json'), `${JSON.stringify({ ...results, judged }, null, '\t')}\n`)
	writeFileSync(join(resultsDir, 'latest.md'), `${text}\n`)
	replaceBlock(join(projectDir, 'README.md'), joined(short))
	replaceBlock(join(projectDir, 'docs', 'performance.md'), text)
	return text
}

function labels({ runs, workloads }: Results): Label {
	const letters = new Map(runs.map(({ at }, place) => [at, String.fromCharCode('A'.charCodeAt(0) + place)]))
	return (of) => letters.get(typeof of === 'string' ? (workloads[of]?.run ?? '') : of.run) ?? ''
}

function joined(parts: readonly string[]): string {
	return parts.filter((part) => part !== '').join('\n\n')
}

function replaceBlock(file: string, text: string): void {
	if (!existsSync(file)) return
	const present = readFileSync(file, 'utf8')
	const [start, end] = ['<!-- bench -->', '<!-- /bench -->']
	const [from, to] = [present.indexOf(start), present.indexOf(end)]
	if (from === -1 || to < from) return
	writeFileSync(file, `${present.slice(0, from + start.length)}\n\n${text}\n\n${present.slice(to)}`)
}

function describe({ runs, workloads }: Results, label: Label): string {
	const measuredBy = (run: Run) =>
		Object.entries(workloads).flatMap(([name, { run: at }]) => (at === run.at ? [name] : []))
	const rows = runs.map((run) => [
		label({ run: run.at }),
		`${run.at.slice(0, 10)} ${run.at.slice(11, 16)}`,
		String(run.rounds),
		`${run.secondsAPhase} s`,
		`${run.load.before}, ${run.load.after}`,
		measuredBy(run).join(', '),
	])
	const machines = runs.map(
		(run) =>
			`${label({ run: run.at })}: ${Object.entries(run.machine)
				.map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`)
				.join(', ')}.`,
	)
	const about =
		'Median (least to most of the rounds). Every row says by its letter which run it is of; a ratio compares figures of one run only.'
	const head = ['run', 'began, UTC', 'rounds', 'phases', 'load of the machine before, after', 'measured']
	return joined([`${about} ${sameOrAll(machines)}`, table(head, rows)])
}

/** One sentence where all say the same but for their letter. */
function sameOrAll(machines: readonly string[]): string {
	const said = new Set(machines.map((text) => text.slice(text.indexOf(':') + 2)))
	const [only = ''] = said
	return said.size === 1 ? `The machine: ${only}` : machines.join(' ')
}
