/**
 * Two hands break things side by side, one the Worker, the other the way to the view, each by a schedule that the seed
 * decides: all faults of its list in a shuffled order, with pauses between them, and again from the start.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { RandomBytes } from '../../../core/ids.ts'

export type Random = RandomBytes & (() => number)

export interface Fault {
	name: string
	/** How often it comes in one round of the list; 1 when absent. */
	times?: number
	/**
	 * Makes it, keeps it up for as long as it likes, and heals it. Answers whether there was anything to break.
	 * @throws when the system does not come back
	 */
	run(random: Random): Promise<boolean>
}

export interface Strike {
	fault: string
	/** Milliseconds since the start of the run. */
	from: number
	to: number
}

const gapMs = { min: 200, max: 1_200 }

export class Nemesis {
	readonly strikes: Strike[] = []
	readonly #now: () => number

	constructor(now: () => number) {
		this.#now = now
	}

	/** Works through the faults until told to stop, and returns when the last of them has healed. */
	async run(faults: readonly Fault[], random: Random, stopped: () => boolean): Promise<void> {
		while (!stopped()) {
			for (const fault of shuffled(faults, random)) {
				const gap = gapMs.min + random() * (gapMs.max - gapMs.min)
				await pause(gap)
				if (stopped()) return
				const from = this.#now()
				if (await fault.run(random)) this.strikes.push({ fault: fault.name, from, to: this.#now() })
			}
		}
	}

	/** How often each fault came so far. */
	counts(): Record<string, number> {
		const counts: Record<string, number> = {}
		for (const { fault } of this.strikes) counts[fault] = (counts[fault] ?? 0) + 1
		return counts
	}
}

function shuffled(faults: readonly Fault[], random: Random): Fault[] {
	const deck = faults.flatMap((fault) => Array.from({ length: fault.times ?? 1 }, () => fault))
	for (let last = deck.length - 1; last > 0; last--) {
		const other = Math.floor(random() * (last + 1))
		const [a, b] = [deck[last], deck[other]]
		if (a && b) [deck[last], deck[other]] = [b, a]
	}
	return deck
}
