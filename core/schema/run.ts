import { checkDepthMax, checkStepsMax, checkStepsPerValue, faultsMax } from '../limits.ts'
import type { Fault } from '../refusal.ts'
import { pointerOf } from './json.ts'

/** Judges a value: true when it is valid, otherwise the run holds the faults (unless it is quiet). */
export type Check<T = unknown> = (value: T, run: Run) => boolean

/** What is left of the work that a caller grants; several runs may share one. */
export interface Meter {
	steps: number
}

export function newMeter(): Meter {
	return { steps: checkStepsMax }
}

/**
 * One pass over one value. It collects faults, knows where in the value it is, and counts steps, so that a schema
 * cannot make the check of a small value take for ever.
 */
export class Run {
	readonly faults: Fault[] = []
	readonly path: (string | number)[] = []
	/** Above zero inside a branch that may fail (`anyOf`, `not`, `if` …): such a failure is no fault of the value. */
	quiet = 0
	/** True when there is nothing more to find out; every check then answers false at once. */
	stopped = false
	#depth = 0
	#extended = false
	readonly #root: unknown
	readonly #meter: Meter

	constructor(root: unknown, meter: Meter) {
		this.#root = root
		this.#meter = meter
	}

	/** Opens a subschema; false when the run has to end here. */
	enter(steps: number): boolean {
		this.#depth += 1
		if (this.#depth > checkDepthMax) return this.giveUp()
		return this.spend(steps)
	}

	leave(): void {
		this.#depth -= 1
	}

	/** Pays for work whose size depends on the value; false when the run has to end here. */
	spend(steps: number): boolean {
		if (this.stopped) return false
		this.#meter.steps -= steps
		return this.#meter.steps >= 0 || this.#extend()
	}

	/** Notes a fault at the present place. Always false, so that a check can return it. */
	fault(detail: string): false {
		if (this.quiet > 0 || this.stopped) return false
		this.faults.push({ pointer: pointerOf(this.path), detail })
		if (this.faults.length === faultsMax) this.stopped = true
		return false
	}

	/** Checks a part of the value under its name or index. */
	inside<T>(key: string | number, value: T, check: Check<T>): boolean {
		this.path.push(key)
		const valid = check(value, this)
		this.path.pop()
		return valid
	}

	/** True when the value passes; a failure leaves no fault. */
	passes(value: unknown, check: Check): boolean {
		this.quiet += 1
		const valid = check(value, this)
		this.quiet -= 1
		return valid
	}

	/** True when a check need not go on after a failure. */
	get settled(): boolean {
		return this.quiet > 0 || this.stopped
	}

	/** Ends the run with a fault, also inside a branch that may fail. Always false. */
	giveUp(): false {
		if (this.stopped) return false
		this.stopped = true
		this.faults.push({ pointer: '', detail: 'is too complex to check against this schema' })
		return false
	}

	/** The size of the whole value is looked at only by the few runs that need more than everybody's allowance. */
	#extend(): boolean {
		if (!this.#extended) {
			this.#extended = true
			this.#meter.steps += checkStepsPerValue * weigh(this.#root, 0)
			if (this.#meter.steps >= 0) return true
		}
		return this.giveUp()
	}
}

/** Number of values inside a value, each 8 characters of text counted as one more. Deeper values than a run enters weigh nothing. */
function weigh(value: unknown, depth: number): number {
	if (typeof value === 'string') return 1 + (value.length >> 3)
	if (typeof value !== 'object' || value === null || depth > checkDepthMax) return 1
	let weight = 1
	for (const part of Object.values(value)) weight += weigh(part, depth + 1)
	return weight
}
