import type { Attempt } from './history.ts'

/** What was known when: the real-time order that strict serialisability must respect. */
export class Horizon {
	/** By the time of return: the furthest position that anybody had been told. */
	readonly #known: { at: number; seq: number }[]
	/** By the time of invocation, backwards: the least position of what began later. */
	readonly #unborn: { at: number; seq: number }[]

	constructor(attempts: Attempt[], effectOf: (attempt: Attempt) => number | null) {
		const told = attempts.filter(({ outcome }) => outcome === 'ok').toSorted((a, b) => a.returnedAt - b.returnedAt)
		let furthest = 0
		this.#known = told.map((attempt) => {
			const seen = (attempt.answer?.records ?? []).map(({ seq }) => seq ?? 0)
			furthest = Math.max(furthest, attempt.answer?.position ?? 0, ...seen)
			return { at: attempt.returnedAt, seq: furthest }
		})
		let least = Number.POSITIVE_INFINITY
		this.#unborn = attempts
			.flatMap((attempt) => {
				const seq = effectOf(attempt)
				return seq === null ? [] : [{ at: attempt.invokedAt, seq }]
			})
			.toSorted((a, b) => b.at - a.at)
			.map(({ at, seq }) => {
				least = Math.min(least, seq)
				return { at, seq: least }
			})
	}

	/** The last position that somebody had been told before the attempt began. */
	knownBefore({ invokedAt }: Attempt): number {
		return lastWhile(this.#known, ({ at }) => at < invokedAt)?.seq ?? 0
	}

	/** The first position of what began only after the attempt had returned. */
	unbornAfter({ returnedAt }: Attempt): number {
		return lastWhile(this.#unborn, ({ at }) => at > returnedAt)?.seq ?? Number.POSITIVE_INFINITY
	}
}

function lastWhile<T>(sorted: T[], holds: (one: T) => boolean): T | undefined {
	let low = 0
	let high = sorted.length
	while (low < high) {
		const middle = (low + high) >> 1
		const one = sorted[middle]
		if (one !== undefined && holds(one)) low = middle + 1
		else high = middle
	}
	return sorted[low - 1]
}
