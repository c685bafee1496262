import type { RateState } from '../../core/contract.ts'
import { rateRefillSeconds } from '../../core/limits.ts'

/** A token bucket in memory. It is full again within ten seconds, so losing it with the instance grants nothing worth having. */
export class Rate {
	#tokens: number | null = null
	#at = 0

	/** Takes tokens if there are enough; answers the bucket's state and, when refused, the seconds to wait. */
	take(cost: number, perSecond: number, now: number): { state: RateState; retryAfter: number | null } {
		const capacity = perSecond * rateRefillSeconds
		const elapsed = Math.max(0, now - this.#at) / 1_000
		const tokens = Math.min(capacity, (this.#tokens ?? capacity) + elapsed * perSecond)
		this.#at = now
		const enough = tokens >= cost
		this.#tokens = enough ? tokens - cost : tokens
		const state = {
			limit: perSecond,
			remaining: Math.floor(this.#tokens),
			reset: Math.ceil((capacity - this.#tokens) / perSecond),
		}
		return { state, retryAfter: enough ? null : Math.max(1, Math.ceil((cost - tokens) / perSecond)) }
	}
}
