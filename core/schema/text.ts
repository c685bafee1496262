import { formats } from './format.ts'
import type { Keyword } from './parse.ts'
import type { Pattern } from './pattern.ts'
import type { Run } from './run.ts'

/** Keywords that judge text. Lengths are counted in code points. */
export const textKeywords: Record<string, Keyword> = {
	minLength(value, site) {
		const limit = site.count(value, 'minLength')
		if (limit === null) return
		site.draft.text.push((text, run) => {
			// A code point takes one or two units, so most texts need no counting.
			if (text.length >= 2 * limit) return true
			const long = text.length >= limit && run.spend(text.length >> 6) && codePoints(text) >= limit
			return long || run.fault(`must be at least ${limit} characters long`)
		})
	},
	maxLength(value, site) {
		const limit = site.count(value, 'maxLength')
		if (limit === null) return
		site.draft.text.push((text, run) => {
			if (text.length <= limit) return true
			const short = text.length <= 2 * limit && run.spend(text.length >> 6) && codePoints(text) <= limit
			return short || run.fault(`must be at most ${limit} characters long`)
		})
	},
	pattern(value, site) {
		if (typeof value !== 'string') return site.fault('/pattern', 'must be a text')
		const pattern = site.parsing.pattern(value, `${site.place.pointer}/pattern`)
		if (pattern === null) return
		site.draft.text.push((text, run) => paidTest(pattern, text, run) || run.fault(`must match the pattern ${value}`))
	},
	format(value, site) {
		const format = typeof value === 'string' ? formats.get(value) : undefined
		if (format === undefined) return site.fault('/format', `must be one of ${[...formats.keys()].join(', ')}`)
		const detail = `must have the format ${value}`
		site.draft.text.push((text, run) => (run.spend(text.length >> 4) && format(text)) || run.fault(detail))
	},
}

/** Searches a text; a search that leaves the automaton's memory takes some 30 ns for each instruction and character. */
export function paidTest(pattern: Pattern, text: string, run: Run): boolean {
	return run.spend(1 + Math.floor((text.length * pattern.size) / 64)) && pattern.test(text)
}

function codePoints(text: string): number {
	let count = text.length
	for (let at = 0; at < text.length - 1; at++) {
		if ((text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) count -= 1
	}
	return count
}
