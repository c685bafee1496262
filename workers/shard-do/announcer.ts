import { announceAgainMs, announceAgainMsMax, announceDelayMs, announceIntervalMs } from '../../core/limits.ts'

/** What to set, in milliseconds since 1970; null where nothing has to change. */
export interface Rings {
	/** The shard's one durable alarm, in the transaction that is open. */
	alarmAt: number | null
	/** A timer in memory. */
	timerAt: number | null
}

/**
 * Decides when the shard looks at what it has to announce, and whether it then wakes the consumer. A timer in memory rings
 * soon after a write and costs nothing; behind it stands the alarm, which survives the instance and costs a written row and
 * a request, so a busy shard sets one every few seconds and not for every announcement. The queue is only a hint: while the
 * view is behind, the alarm announces again and again, so every message may be lost and the view still catches up.
 */
export class Announcer {
	/** When the alarm will ring, as far as this instance knows. */
	#alarmAt: number | null = null
	/** What to restore when a transaction that moved the alarm does not commit. */
	#committedAt: number | null = null
	#timerAt: number | null = null
	#announced = 0
	#announcedAt = Number.NEGATIVE_INFINITY
	#announceAgainAt = 0
	#waitMs = announceAgainMs

	/** A burst shares one timer and one alarm. */
	afterWrite(now: number): Rings {
		return { alarmAt: this.wanted(now, now + announceAgainMs), timerAt: this.#ringSoon(now) }
	}

	/** When to set the alarm because something wants it at `at`, or null when it rings by then anyway. */
	wanted(now: number, at: number | null): number | null {
		// An alarm that should have rung a while ago never came, or its time was forgotten with a transaction.
		const rings = this.#alarmAt !== null && this.#alarmAt > now - announceIntervalMs
		if (at === null || (rings && this.#alarmAt !== null && this.#alarmAt <= at)) return null
		this.#alarmAt = at
		return at
	}

	/** The alarm has rung and is gone, whatever the clock says. */
	alarmRang(): void {
		this.#alarmAt = null
	}

	/** Whether the timer is about to announce writes that no announcement told of yet. */
	willAnnounce(now: number, head: number): boolean {
		return head > this.#announced && this.#timerAt !== null && this.#timerAt > now
	}

	/** Armed times count only once their transaction has committed. */
	settle(committed: boolean): void {
		if (committed) this.#committedAt = this.#alarmAt
		else this.#alarmAt = this.#committedAt
	}

	/**
	 * What there is to do now that the alarm or the timer has rung: announce or not, and when to ring next. `dueAt` is when something else
	 * than the view wants the alarm.
	 */
	ring(now: number, head: number, acknowledged: number, dueAt: number | null): Rings & { announce: boolean } {
		if (this.#timerAt !== null && this.#timerAt <= now) this.#timerAt = null
		const behind = head > acknowledged
		const news = behind && head > this.#announced
		const fresh = news && now >= this.#announcedAt + announceIntervalMs
		const overdue = behind && !news && now >= this.#announceAgainAt
		if (fresh) this.#waitMs = announceAgainMs
		if (overdue) this.#waitMs = Math.min(this.#waitMs * 2, announceAgainMsMax)
		if (fresh || overdue) {
			this.#announced = head
			this.#announcedAt = now
			this.#announceAgainAt = now + this.#waitMs
		}
		const again = behind ? Math.max(this.#announceAgainAt, now + 1) : null
		const wanted = again === null ? dueAt : Math.min(again, dueAt ?? again)
		const alarmAt = this.wanted(now, wanted)
		this.#committedAt = this.#alarmAt
		// Whoever writes meanwhile finds this timer and sets none.
		return { announce: fresh || overdue, alarmAt, timerAt: news ? this.#ringSoon(now) : null }
	}

	#ringSoon(now: number): number | null {
		if (this.#timerAt !== null && this.#timerAt > now - announceIntervalMs) return null
		this.#timerAt = Math.max(now + announceDelayMs, this.#announcedAt + announceIntervalMs)
		return this.#timerAt
	}
}
