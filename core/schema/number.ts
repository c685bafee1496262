import type { Keyword } from './parse.ts'

/** Keywords that judge numbers. */
export const numberKeywords: Record<string, Keyword> = {
	minimum: bound('minimum', 'must be at least', (value, limit) => value >= limit),
	maximum: bound('maximum', 'must be at most', (value, limit) => value <= limit),
	exclusiveMinimum: bound('exclusiveMinimum', 'must be greater than', (value, limit) => value > limit),
	exclusiveMaximum: bound('exclusiveMaximum', 'must be less than', (value, limit) => value < limit),
	multipleOf(value, site) {
		if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
			return site.fault('/multipleOf', 'must be a number greater than 0')
		site.draft.number.push((number, run) => isMultiple(number, value) || run.fault(`must be a multiple of ${value}`))
		// Exact decimal arithmetic takes a few microseconds.
		if (!Number.isSafeInteger(value)) site.draft.steps += 50
	},
}

function bound(name: string, rule: string, holds: (value: number, limit: number) => boolean): Keyword {
	return (limit, site) => {
		if (typeof limit !== 'number' || !Number.isFinite(limit)) return site.fault(`/${name}`, 'must be a number')
		const detail = `${rule} ${limit}`
		site.draft.number.push((value, run) => holds(value, limit) || run.fault(detail))
	}
}

/** Judges the decimals as they are written: 19.99 is a multiple of 0.01, although their binary quotient is not whole. */
function isMultiple(value: number, divisor: number): boolean {
	if (Number.isSafeInteger(value) && Number.isSafeInteger(divisor)) return value % divisor === 0
	const left = decimalOf(value)
	const right = decimalOf(divisor)
	const exponent = Math.min(left.exponent, right.exponent)
	const scaled = (decimal: Decimal) => decimal.digits * 10n ** BigInt(decimal.exponent - exponent)
	return scaled(left) % scaled(right) === 0n
}

/** `digits * 10 ** exponent`. */
interface Decimal {
	digits: bigint
	exponent: number
}

function decimalOf(value: number): Decimal {
	const [mantissa = '', exponent = ''] = value.toExponential().split('e')
	const [whole = '', fraction = ''] = mantissa.split('.')
	return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length }
}
