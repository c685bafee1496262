import type { BoundTerm, Scalar } from './query.ts'

/**
 * The one order of values that all places agree on: text by the bytes of its UTF-8, false before true, and null after
 * everything when ascending, before everything when descending.
 */
export function compareValues(a: Scalar | null, b: Scalar | null): number {
	if (a === null || b === null) return Number(a === null) - Number(b === null)
	if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
	return Number(a) - Number(b)
}

/** Compares by the bytes of UTF-8, which is the order of code points; `<` compares UTF-16 units and puts U+10000 before U+FFFF. */
export function compareText(a: string, b: string): number {
	const length = Math.min(a.length, b.length)
	for (let i = 0; i < length; i++) {
		const difference = rank(a.charCodeAt(i)) - rank(b.charCodeAt(i))
		if (difference !== 0) return difference
	}
	return a.length - b.length
}

/**
 * Whether ties are broken by descending ids: in the direction of the first term, so that one index read backwards serves
 * a descending order.
 */
export function descendingTies(order: readonly BoundTerm[]): boolean {
	return order[0]?.descending ?? false
}

/** Surrogates stand for characters above all others of the basic plane. */
function rank(unit: number): number {
	if (unit < 0xd800) return unit
	return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
