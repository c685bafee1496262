import { type Indicator, type Period, type Ratio, sumOf } from './sli.ts'

/** A service level objective, as `slo/freehold.yaml` states it. */
export interface Slo {
	name: Indicator
	displayName: string
	/** The share of good events, e.g. 0.999. */
	target: number
	/** The rolling window of the error budget. */
	windowDays: number
	/** The bound of a good event, in milliseconds; null where good is not a matter of time. */
	withinMs: number | null
}

export type Severity = 'page' | 'ticket'

/**
 * An alert fires while the budget burns faster than `factor` over both windows: the long one says that it matters, the short one
 * that it is still going on. A budget of 30 days is gone in 30 days divided by the factor.
 * @see https://sre.google/workbook/alerting-on-slos/ section 6
 */
const burnWindows = [
	{ factor: 14.4, longMinutes: 60, shortMinutes: 5, severity: 'page' },
	{ factor: 6, longMinutes: 6 * 60, shortMinutes: 30, severity: 'page' },
	{ factor: 3, longMinutes: 24 * 60, shortMinutes: 2 * 60, severity: 'ticket' },
	{ factor: 1, longMinutes: 3 * 24 * 60, shortMinutes: 6 * 60, severity: 'ticket' },
] as const satisfies { factor: number; longMinutes: number; shortMinutes: number; severity: Severity }[]

/** The longest window, which the minutes of a monitor must reach back. */
export const burnMinutesMax = Math.max(...burnWindows.map(({ longMinutes }) => longMinutes))

/** Bad events in the long window below which nothing is told: where little happens, one failure is a large share. */
const badEventsMin = 5

export interface Burn {
	factor: number
	severity: Severity
	longMinutes: number
	shortMinutes: number
	/** Times the rate at which the budget would last exactly its window; null of no events. */
	long: number | null
	short: number | null
	burning: boolean
}

export interface SloStatus {
	slo: Slo
	/** The share of good events over the window; null of no events. */
	attained: number | null
	events: Ratio
	/** The share of the error budget that is left; negative when it is overdrawn. */
	budgetLeft: number
	burns: Burn[]
}

/**
 * @param minutes periods of a minute that reach back `burnMinutesMax`
 * @param hours periods of an hour that reach back the window, the present one included
 */
export function sloStatus(slo: Slo, minutes: readonly Period[], hours: readonly Period[], now: number): SloStatus {
	const windowMs = slo.windowDays * 86_400_000
	const events = sumOf(since(hours, now - windowMs), slo.name)
	return {
		slo,
		events,
		attained: events.total === 0 ? null : events.good / events.total,
		budgetLeft: events.total === 0 ? 1 : 1 - badShare(events) / (1 - slo.target),
		burns: burnWindows.map((window) => burnOf(slo, minutes, now, window)),
	}
}

function burnOf(slo: Slo, minutes: readonly Period[], now: number, window: (typeof burnWindows)[number]): Burn {
	const observedMs = now - (minutes[0]?.at ?? now)
	const over = (length: number) => {
		const events = sumOf(since(minutes, now - length * 60_000), slo.name)
		// What came before the first observation is taken as good: a young cell has not used up a day's budget in a minute.
		const observed = Math.min(1, observedMs / (length * 60_000))
		return { events, rate: events.total === 0 ? null : (badShare(events) / (1 - slo.target)) * observed }
	}
	const long = over(window.longMinutes)
	const short = over(window.shortMinutes)
	const bad = long.events.total - long.events.good
	const burning = bad >= badEventsMin && (long.rate ?? 0) > window.factor && (short.rate ?? 0) > window.factor
	return { ...window, long: long.rate, short: short.rate, burning }
}

function badShare({ good, total }: Ratio): number {
	return (total - good) / total
}

function since(periods: readonly Period[], from: number): Period[] {
	return periods.filter(({ at }) => at > from)
}
