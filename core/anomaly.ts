/** A robust comparison of a value with its own history: medians, so that one odd day neither alarms nor hides another. */

/** Fewer values say nothing about what is usual. */
const historyMin = 5
/** Deviations of a normal distribution, estimated from the median deviation, beyond which a value is odd. */
const deviationsMax = 6
/** A value within this share of the median is usual, however steady history was. */
const shareMin = 0.5
/** Differences below this are chance. */
const differenceMin = 100

export interface Anomaly {
	value: number
	usual: number
}

/** @param history the same measurement at comparable times */
export function anomalyOf(value: number, history: readonly number[]): Anomaly | null {
	if (history.length < historyMin) return null
	const usual = median(history)
	const deviation = median(history.map((one) => Math.abs(one - usual)))
	const allowed = Math.max(deviation * 1.4826 * deviationsMax, usual * shareMin, differenceMin)
	return Math.abs(value - usual) > allowed ? { value, usual } : null
}

function median(values: readonly number[]): number {
	const sorted = values.toSorted((a, b) => a - b)
	const middle = Math.floor(sorted.length / 2)
	const upper = sorted[middle] ?? 0
	return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2
}
