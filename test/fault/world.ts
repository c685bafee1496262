import { seeded } from '../shard.ts'

/** How likely each fault is where it could happen, from 0 to 1. */
export type FaultRates = Partial<Record<Fault, number>>

/** Everything that the simulator breaks. */
export const faultNames = [
	'request_lost',
	'reply_lost',
	'client_gives_up',
	'object_crashes',
	'object_evicted',
	'commit_fails',
	'commit_unknown',
	'turn_fails',
	'statement_fails',
	'object_frozen',
	'send_fails',
	'message_lost',
	'message_doubled',
	'message_delayed',
	'message_of_old_epoch',
	'message_of_next_epoch',
	'pull_fails',
	'consumer_dies',
	'database_refuses',
	'answer_lost',
	'clock_jumps',
	'clock_back',
	'day_passes',
	'year_passes',
	'poison',
	'tenant_erased',
	'rebuild_asked',
	'view_lost',
] as const
export type Fault = (typeof faultNames)[number]

/** Random choices, all from one seed. */
export class Chance {
	readonly #next: () => number
	readonly bytes: (bytes: Uint8Array) => Uint8Array

	constructor(seed: number) {
		// Seeds that follow each other must not begin alike.
		const mixed = Math.imul((seed ^ (seed >>> 16)) + 0x9e3779b9, 0x85ebca6b)
		const random = seeded((mixed ^ (mixed >>> 13)) >>> 0)
		for (let warm = 0; warm < 8; warm++) random()
		this.#next = random
		this.bytes = random
	}

	/** From 0 up to, not including, 1. */
	fraction(): number {
		return this.#next()
	}

	/** A whole number from 0 up to, not including, `end`. */
	below(end: number): number {
		return Math.floor(this.#next() * end)
	}

	pick<T>(from: readonly T[]): T {
		const one = from[this.below(from.length)]
		if (one === undefined) throw new Error('nothing to choose from')
		return one
	}

	happens(probability: number): boolean {
		return probability > 0 && this.#next() < probability
	}
}

/** Something that could go on now. Which of all such things does is the scheduler's choice. */
export interface Candidate {
	name: string
	run(): void
}

/**
 * Time and order of one simulated run. Whoever waits does so here: a step goes on when the scheduler picks it, a timer when
 * the simulated clock has come so far. Nothing else may take time, so a run depends on its seed alone.
 */
export class World {
	readonly chance: Chance
	/** Milliseconds since 1970, as every machine of this world sees it. */
	now = Date.UTC(2026, 0, 1)
	rates: FaultRates
	/** How often each fault was made. */
	readonly faults: Record<string, number> = {}
	readonly violations: string[] = []
	/** The last events, for whoever looks into a seed. */
	readonly trace: string[] = []
	/** What else could go on, besides steps and timers. */
	readonly sources: (() => Candidate[])[] = []
	/** When something else will be able to go on, in milliseconds; infinite for never. */
	readonly alarms: (() => number)[] = []
	#ticks = 0
	#ready: Candidate[] = []
	#timers: { at: number; run(): void }[] = []

	constructor(seed: number, rates: FaultRates) {
		this.chance = new Chance(seed)
		this.rates = rates
	}

	get ticks(): number {
		return this.#ticks
	}

	/** A time that never comes twice and never goes back, for histories. */
	tick(): number {
		return ++this.#ticks
	}

	step(name: string): Promise<void> {
		return new Promise((resolve) => this.#ready.push({ name, run: resolve }))
	}

	/** Resolves `ms` later, or at once when the signal aborts. */
	timer(ms: number, signal?: AbortSignal): Promise<void> {
		return new Promise((resolve) => {
			const timer = { at: this.now + ms, run: resolve }
			this.#timers.push(timer)
			signal?.addEventListener('abort', () => {
				this.#timers = this.#timers.filter((one) => one !== timer)
				resolve()
			})
		})
	}

	happens(fault: Fault): boolean {
		if (!this.chance.happens(this.rates[fault] ?? 0)) return false
		this.made(fault)
		return true
	}

	made(fault: Fault): void {
		this.faults[fault] = (this.faults[fault] ?? 0) + 1
		this.note(`fault ${fault}`)
	}

	note(event: string): void {
		this.trace.push(`${this.#ticks} ${event}`)
	}

	violated(what: string): void {
		this.violations.push(what)
		this.note(`VIOLATED ${what}`)
	}

	/** Goes on until `done`, or until nothing can go on any more; answers whether it is done. */
	async run(done: () => boolean, stepsMax: number): Promise<boolean> {
		for (let steps = 0; steps < stepsMax; steps++) {
			await settled()
			if (done()) return true
			if (!this.#advance()) return false
		}
		return false
	}

	#advance(): boolean {
		const others = this.sources.flatMap((source) => source())
		const all = this.#ready.length + others.length
		const next = Math.min(...this.#timers.map(({ at }) => at), ...this.alarms.map((alarm) => alarm()))
		if (next <= this.now || all === 0 || this.chance.happens(0.02)) {
			if (next < Number.POSITIVE_INFINITY) return this.#ring(next)
			if (all === 0) return false
		}
		this.now += this.chance.below(20)
		this.#ticks++
		const index = this.chance.below(all)
		const candidate = this.#ready[index]
		if (candidate) {
			this.#ready.splice(index, 1)
			candidate.run()
		} else others[index - this.#ready.length]?.run()
		return true
	}

	#ring(at: number): boolean {
		this.now = Math.max(this.now, at)
		const due = this.#timers.filter((timer) => timer.at <= this.now)
		this.#timers = this.#timers.filter((timer) => timer.at > this.now)
		for (const timer of due) timer.run()
		return true
	}
}

/** Everything that does not wait for the world has run when this resolves. */
function settled(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve))
}
