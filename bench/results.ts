/** What was measured: for every workload its figures, and the run that they are of. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectDir } from '../dev/processes.ts'
import type { ColdStarts } from './cold-starts.ts'
import type { ContestantName } from './contestants/all.ts'
import type { EtlResult } from './etl.ts'
import type { FairnessResult } from './fairness.ts'
import type { Latency } from './figures.ts'
import type { GrowthResult } from './growth.ts'
import type { LagResult } from './lag.ts'
import type { MemoryResult } from './memory.ts'
import type { PriceResult } from './price.ts'
import type { RightsResult } from './rights.ts'
import type { Throughput, ThroughputName } from './throughput.ts'
import type { ViewResult } from './view.ts'

/** Of one round; a contestant that failed is absent. */
export type ThroughputRound = Partial<Record<ContestantName, Throughput>>

export interface LatencyRound {
	perSecond: number
	freehold: Latency
	threeTier: Latency
}

/** One entry a round, but for growth, which has its rounds inside, and what is counted once. */
export interface Figures extends Record<ThroughputName, ThroughputRound[]> {
	latency: LatencyRound[]
	lag: LagResult[]
	etl: EtlResult[]
	fairness: FairnessResult[]
	rights: RightsResult[]
	/** Of each round, every query. */
	view: ViewResult[][]
	/** Of each contestant. */
	'growth-records': GrowthResult[]
	'growth-tenants': GrowthResult[]
	'cold-starts': ColdStarts[]
	memory: MemoryResult
	price: PriceResult
}

export type WorkloadName = keyof Figures

/** One call of the command, and the conditions under which it measured. */
export interface Run {
	/** When it began, which is what names it. */
	at: string
	machine: Record<string, string | number>
	/** Programs that wanted a core, before and after; see `machine.ts`. */
	load: { before: number; after: number }
	rounds: number
	secondsAPhase: number
}

export interface Failure {
	workload: WorkloadName
	/** Null where the whole workload failed. */
	contestant: ContestantName | null
	run: string
	reason: string
}

export interface Results {
	/** Those that something below is of, the oldest first. */
	runs: Run[]
	workloads: { [Name in WorkloadName]?: { run: string; figures: Figures[Name] } }
	/** What could not be measured when it was last tried. */
	failures: Failure[]
}

export const resultsDir = join(projectDir, 'bench', 'results')
const latestFile = join(resultsDir, 'latest.json')

/** What was measured last of every workload; nothing where nobody has measured yet. */
export function readResults(): Results {
	if (!existsSync(latestFile)) return { runs: [], workloads: {}, failures: [] }
	const { runs, workloads, failures } = JSON.parse(readFileSync(latestFile, 'utf8')) as Results
	return { runs, workloads, failures }
}

/** The figures of a workload that replace those of any earlier run. What this run says has failed in it stays said. */
export function withFigures<Name extends WorkloadName>(
	results: Results,
	run: Run,
	workload: Name,
	figures: Figures[Name],
): Results {
	const workloads = { ...results.workloads, [workload]: { run: run.at, figures } }
	const failures = results.failures.filter((one) => one.workload !== workload || one.run === run.at)
	return withRun({ ...results, workloads, failures }, run)
}

/** The figures that the workload had before stay, and keep the run that they are of. */
export function withFailure(results: Results, run: Run, failure: Omit<Failure, 'run'>): Results {
	const { workload, contestant } = failure
	const others = results.failures.filter((one) => one.workload !== workload || one.contestant !== contestant)
	return withRun({ ...results, failures: [...others, { ...failure, run: run.at }] }, run)
}

function withRun(results: Results, run: Run): Results {
	const named = new Set([...Object.values(results.workloads), ...results.failures].map((one) => one.run))
	const runs = [...results.runs.filter(({ at }) => at !== run.at), run].filter(({ at }) => named.has(at))
	return { ...results, runs: runs.toSorted((a, b) => a.at.localeCompare(b.at)) }
}
