import { closeSync, openSync, writeSync } from 'node:fs'
import { until } from '../../stack-client.ts'
import type { Attempt, Journal, ViewSample } from '../history.ts'
import { isWrite } from './requests.ts'

/** The system must get on in this time, whatever is broken on the way to the view. */
const progressMsMax = 60_000

/** Keeps a run in memory for the checker, and as JSON lines in a file for whoever looks into one that failed. */
export class Recorder {
	readonly attempts: Attempt[] = []
	readonly samples: ViewSample[] = []
	/** How often something was counted so far, by the names that the checker uses. */
	readonly counts: Record<string, number> = {}
	readonly #file: number
	#acknowledged = 0

	constructor(file: string) {
		this.#file = openSync(file, 'w', 0o600)
	}

	/** Takes an attempt that has returned. */
	attempt(attempt: Attempt): void {
		this.attempts.push(attempt)
		if (attempt.outcome === 'ok' && isWrite(attempt.operation)) this.#acknowledged += 1
		this.#count(attempt.outcome === 'fail' ? `fail.${attempt.code}` : `${attempt.outcome}.${attempt.operation.op}`)
		this.#write({ attempt })
	}

	sample(sample: ViewSample): void {
		this.samples.push(sample)
		this.#count(sample.exact ? 'sample.exact' : 'sample.bounded')
		this.#write({ sample })
	}

	journal(journal: Journal): void {
		this.#write({ journal })
	}

	close(): void {
		closeSync(this.#file)
	}

	/** Waits until so many further writes were acknowledged. */
	async acknowledged(more: number): Promise<void> {
		const wanted = this.#acknowledged + more
		await until('writes to be acknowledged', async () => this.#acknowledged >= wanted, progressMsMax)
	}

	#count(name: string): void {
		this.counts[name] = (this.counts[name] ?? 0) + 1
	}

	#write(line: object): void {
		writeSync(this.#file, `${JSON.stringify(line)}\n`)
	}
}
