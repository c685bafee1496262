import type { Hosts } from './hosts.ts'
import { describeMachine, loadOfMachine } from './machine.ts'
import { writeReport } from './report.ts'
import {
	type Figures,
	type Results,
	type Run,
	readResults,
	type WorkloadName,
	withFailure,
	withFigures,
} from './results.ts'
import { throughputWorkloads } from './throughput.ts'
import { type Bench, workloads } from './workloads.ts'

export interface MeasuringOptions {
	workloads: readonly WorkloadName[]
	rounds: number
	quick: boolean
	/** Of one measured phase. */
	seconds: number
}

/** One run: what it measures is written down at once, so that nothing that comes later can lose it. */
export class Measuring {
	/** What could not be measured, with the reason. */
	readonly failed: string[] = []
	readonly #hosts: Hosts
	readonly #options: MeasuringOptions
	#run: Run
	#results: Results = readResults()
	#stopped = false

	constructor(hosts: Hosts, options: MeasuringOptions) {
		this.#hosts = hosts
		this.#options = options
		const load = loadOfMachine()
		const { rounds, seconds: secondsAPhase } = options
		const at = new Date().toISOString()
		this.#run = { at, machine: describeMachine(), load: { before: load, after: load }, rounds, secondsAPhase }
	}

	async all(): Promise<void> {
		const { workloads: names, rounds } = this.#options
		await this.#startAll()
		for (let round = 1; round <= rounds; round++) {
			for (const name of names) if (workloads[name].each === 'round') await this.#measure(name, `${round}/${rounds}`)
		}
		for (const name of names) if (workloads[name].each === 'run') await this.#measure(name, 'run')
	}

	/** From here on nothing is measured or written down, for what fails now fails because somebody ended the run; `all` rejects. */
	stop(): void {
		this.#stopped = true
	}

	/** Writes down all that is known so far, and returns it as tables. */
	report(): string {
		this.#run = { ...this.#run, load: { ...this.#run.load, after: loadOfMachine() } }
		const runs = this.#results.runs.map((run) => (run.at === this.#run.at ? this.#run : run))
		return writeReport({ ...this.#results, runs })
	}

	/** All start before anything is measured, so that every round finds the same processes. */
	async #startAll(): Promise<void> {
		const compared = Object.entries(throughputWorkloads).flatMap(([name, { contestants }]) =>
			this.#options.workloads.some((one) => one === name) ? contestants : [],
		)
		// One that does not start says so again when it is its turn.
		for (const name of new Set(compared)) await this.#hosts.populated(name, async () => {}).catch(() => {})
	}

	async #measure<Name extends WorkloadName>(name: Name, round: string): Promise<void> {
		const own = <Other extends WorkloadName>(other: Other): Figures[Other] | undefined => {
			const present = this.#results.workloads[other]
			return present?.run === this.#run.at ? present.figures : undefined
		}
		const fail = (contestant: Parameters<Bench['failed']>[0] | null, error: unknown) => {
			if (this.#stopped) return
			const reason = error instanceof Error ? error.message : String(error)
			this.failed.push(`${name}${contestant === null ? '' : `, ${contestant}`}: ${reason}`)
			this.#results = withFailure(this.#results, this.#run, { workload: name, contestant, reason })
			say(`${round}  ${name.padEnd(20)} failed: ${reason}`)
		}
		const { quick, rounds, seconds } = this.#options
		say(`${round}  ${name}`)
		try {
			const figures = await workloads[name].measure(
				{
					hosts: this.#hosts,
					...{ quick, rounds, seconds },
					writes: () => own('writes') ?? [],
					say: (line) => say(`${round}  ${name.padEnd(20)} ${line}`),
					failed: fail,
				},
				own(name),
			)
			if (figures !== null && !this.#stopped) this.#results = withFigures(this.#results, this.#run, name, figures)
		} catch (error) {
			fail(null, error)
		}
		if (this.#stopped) throw new Error('the run was ended; what it had measured is written down')
		this.report()
	}
}

function say(line: string): void {
	console.log(line)
}
