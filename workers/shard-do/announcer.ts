import { announceAgainMs, announceAgainMsMax, announceDelayMs, announceIntervalMs } from '../../core/limits.ts'

/**
 * Decides when the shard's one alarm rings and whether it then wakes the consumer. The queue is only a hint: while the view
 * is behind, the alarm announces again and again, so every message may be lost and the view still catches up.
 */
export class Announcer {
	/** When the alarm will ring, as far as this instance knows. */
	#armedAt: number | null = null
	/** What to restore when a transaction that moved the alarm does not commit. */
	#committedAt: number | null = null
	#announced = 0
	#announceAgainAt = 0
	#waitMs = announceAgainMs

	/** When to set the alarm after a write, or null when it rings soon enough already: a burst shares one alarm. */
	afterWrite(now: number): number | null {
		if (this.#armedAt !== null && this.#armedAt > now - announceIntervalMs && this.#armedAt <= now + announceIntervalMs)
			return null
		this.#armedAt = now + announceDelayMs
		return this.#armedAt
	}

	/** When to set the alarm because a duty wants it at `at`, or null when it rings by then anyway. */
	wanted(now: number, at: number | null): number | null {
		if (at === null) return null
		if (this.#armedAt !== null && this.#armedAt > now - announceIntervalMs && this.#armedAt <= at) return null
		this.#armedAt = at
		return at
	}

	/** Armed times count only once their transaction has committed. */
	settle(committed: boolean): void {
		if (committed) this.#committedAt = this.#armedAt
		else this.#armedAt = this.#committedAt
	}

	/** What the ringing alarm has to do: announce or not, and when to ring next (null for never). */
	ring(
		now: number,
		head: number,
		acknowledged: number,
		maintenanceAt: number | null,
	): { announce: boolean; next: number | null } {
		const behind = head > acknowledged
		const fresh = behind && head > this.#announced
		const overdue = behind && !fresh && now >= this.#announceAgainAt
		if (fresh) this.#waitMs = announceAgainMs
		if (overdue) this.#waitMs = Math.min(this.#waitMs * 2, announceAgainMsMax)
		if (fresh || overdue) {
			this.#announced = head
			this.#announceAgainAt = now + this.#waitMs
		}
		const announcement = !behind ? null : fresh ? now + announceIntervalMs : this.#announceAgainAt
		const next = announcement === null ? maintenanceAt : Math.min(announcement, maintenanceAt ?? announcement)
		this.#armedAt = next
		this.#committedAt = next
		return { announce: fresh || overdue, next }
	}
}
