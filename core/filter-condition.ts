import { filterTermsMax, inValuesMax, patternBytesMax } from './limits.ts'
import { parsePattern, printGlob, printLike } from './pattern.ts'
import type { CompareOp, RawFilter } from './query.ts'
import { accept, type Outcome, refuse } from './refusal.ts'

/** Text that is being read, from `at` on. `terms` is shared by all parameters of a request. */
export interface Reader {
	text: string
	at: number
	pointer: string
	terms: { left: number }
}

/** `field.in.(…)`; counts as one term. */
export function oneOf(name: string, values: string[], { pointer, terms }: Reader): Outcome<RawFilter> {
	if (terms.left-- <= 0) return tooManyTerms(pointer)
	if (values.length > inValuesMax) return fault(pointer, `may list ${inValuesMax} values`)
	return accept({ kind: 'in', field: name, values, pointer })
}

/** One comparison of a field with a text; counts as one term. */
export function comparison(name: string, op: string, value: string, { pointer, terms }: Reader): Outcome<RawFilter> {
	if (terms.left-- <= 0) return tooManyTerms(pointer)
	if (compareOps.has(op)) return accept({ kind: 'compare', field: name, op: op as CompareOp, value, pointer })
	if (op === 'is') {
		const wanted = isValues.find((known) => known === value.toLowerCase())
		if (!wanted) return fault(pointer, `is takes one of ${isValues.join(', ')}`)
		return accept({ kind: 'is', field: name, value: wanted, pointer })
	}
	if (op === 'like' || op === 'ilike') {
		const tokens = parsePattern(value)
		if (!tokens) return fault(pointer, 'ends in a backslash that escapes nothing')
		const fold = op === 'ilike'
		// What SQLite gets is longer than what was written where wildcards are escaped.
		const printed = fold ? printLike(tokens) : printGlob(tokens)
		if (Buffer.byteLength(value) > patternBytesMax || Buffer.byteLength(printed) > patternBytesMax) {
			return fault(pointer, `a pattern has at most ${patternBytesMax} bytes, escapes included`)
		}
		return accept({ kind: 'like', field: name, pattern: value, fold, pointer })
	}
	return fault(pointer, 'has an unknown operator: eq, neq, gt, gte, lt, lte, in, is, like and ilike are known')
}

const compareOps = new Set<string>(['eq', 'neq', 'gt', 'gte', 'lt', 'lte'] satisfies CompareOp[])
const isValues = ['null', 'not_null', 'true', 'false', 'unknown'] as const

function tooManyTerms(pointer: string) {
	return fault(pointer, `a query has at most ${filterTermsMax} conditions`)
}

/** The place is a parameter; what it holds may be personal and is never repeated. */
export function fault(pointer: string, detail: string) {
	return refuse('invalid_filter', 'the filter is not well-formed', { errors: [{ pointer, detail }] })
}
