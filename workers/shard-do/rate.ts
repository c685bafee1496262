import type { RateState } from '../../core/contract.ts'
import { rateRefillSeconds } from '../../core/limits.ts'

const plenty = { state: null, retryAfter: null }

/** A token bucket in memory. It is full again within ten seconds, so losing it with the instance grants nothing worth having. */
export class Rate {
	#tokens: number | null = null
	#at = 0

	/**
	 * Takes tokens if there are enough; answers, when refused, the seconds to wait, and the bucket's state from the moment when it
	 * can matter: once less than half of it is left.
	 */
	take(cost: number, perSecond: number, now: number): { state: RateState | null; retryAfter: number | null } {
		const capacity = perSecond * rateRefillSeconds
		const elapsed = Math.max(0, now - this.#at) / 1_000
		const tokens = Math.min(capacity, (this.#tokens ?? capacity) + elapsed * perSecond)
		this.#at = now
		const enough = tokens >= cost
		this.#tokens = enough ? tokens - cost : tokens
		if (enough && this.#tokens * 2 >= capacity) return plenty
		const state = {
			limit: perSecond,
			remaining: Math.floor(this.#tokens),
			reset: Math.ceil((capacity - this.#tokens) / perSecond),
		}
		return { state, retryAfter: enough ? null : Math.max(1, Math.ceil((cost - tokens) / perSecond)) }
	}
}
