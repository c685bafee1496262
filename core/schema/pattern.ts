import { RE2Set } from 're2js'
import { patternCharsMax, patternInstructionsMax, patternMemoryBytesMax } from '../limits.ts'

/** A compiled pattern: searched, not anchored, in time linear in the text. */
export interface Pattern {
	/** Instructions of the compiled program: the worst case of a search is this times the length of the text. */
	size: number
	test(text: string): boolean
}

/**
 * Compiles an ECMA-262 pattern (flag `u`) for RE2, whose search time is linear. What RE2 cannot do (lookaround,
 * backreferences, counts over 1,000, scripts by extension) is refused.
 * @returns the pattern, or why it is refused
 */
export function compilePattern(source: string): Pattern | string {
	if (source.length > patternCharsMax) return `must be at most ${patternCharsMax} characters long`
	if (!isEcmaPattern(source)) return 'must be a regular expression of ECMA-262 with the flag u'
	const translated = new Translation(source).whole()
	if (translated === null) return 'must not use lookaround, backreferences or modifiers: patterns run in linear time'
	// A set with one member is the engine's documented way to bound the memory of its automaton.
	const set = new RE2Set(RE2Set.UNANCHORED, 0, patternMemoryBytesMax)
	try {
		set.add(translated)
		set.compile()
	} catch {
		return 'must be a pattern that the linear-time engine RE2 can run, with counts up to 1,000'
	}
	const size = set.prog.numInst()
	if (size > patternInstructionsMax)
		return `must compile to at most ${patternInstructionsMax} instructions; use maxLength for long counts`
	return { size, test: (text) => set.match(text).length > 0 }
}

/** Parses only: JavaScript compiles a pattern when it first runs, and this one never runs. */
function isEcmaPattern(source: string): boolean {
	try {
		new RegExp(source, 'u')
		return true
	} catch {
		return false
	}
}

const any = '\\x{0}-\\x{10ffff}'
/** ECMA-262's white space and line ends, and all other characters; RE2's own `\s` knows ASCII only. */
const space = '\\x{9}-\\x{d} \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}'
const notSpace =
	'\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}' +
	'\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}'
const notLineEnd = '[^\\x{a}\\x{d}\\x{2028}\\x{2029}]'
const control: Record<string, number> = { f: 12, n: 10, r: 13, t: 9, v: 11, 0: 0 }

/** RE2 knows general categories by their short names only. */
const categories = new Map(
	(
		'Letter=L Cased_Letter=LC Uppercase_Letter=Lu Lowercase_Letter=Ll Titlecase_Letter=Lt Modifier_Letter=Lm Other_Letter=Lo ' +
		'Mark=M Nonspacing_Mark=Mn Spacing_Mark=Mc Enclosing_Mark=Me Number=N Decimal_Number=Nd Letter_Number=Nl Other_Number=No ' +
		'Punctuation=P Connector_Punctuation=Pc Dash_Punctuation=Pd Open_Punctuation=Ps Close_Punctuation=Pe Initial_Punctuation=Pi ' +
		'Final_Punctuation=Pf Other_Punctuation=Po Symbol=S Math_Symbol=Sm Currency_Symbol=Sc Modifier_Symbol=Sk Other_Symbol=So ' +
		'Separator=Z Space_Separator=Zs Line_Separator=Zl Paragraph_Separator=Zp Other=C Control=Cc Format=Cf Private_Use=Co'
	)
		.split(' ')
		.map((pair) => pair.split('=') as [string, string]),
)

function hex(digits: string | undefined): number {
	return Number.parseInt(digits ?? '', 16)
}

function literal(codePoint: number): string {
	return `\\x{${codePoint.toString(16)}}`
}

/** Prints a pattern that ECMA-262 accepts in RE2's syntax. Groups no longer capture: nobody asks what they held. */
class Translation {
	readonly #source: string
	#at = 0

	constructor(source: string) {
		this.#source = source
	}

	/** Null when the pattern uses what RE2 has no counterpart for. */
	whole(): string | null {
		let result = ''
		while (this.#at < this.#source.length) {
			const part = this.#part()
			if (part === null) return null
			result += part
		}
		return result
	}

	#part(): string | null {
		const char = this.#source.charAt(this.#at)
		switch (char) {
			case '\\':
				return this.#escape(false)
			case '[':
				return this.#class()
			case '(':
				return this.#group()
			case '{':
				return this.#through('}')
			case '.':
				this.#at += 1
				return notLineEnd
			case '^':
			case '$':
			case '|':
			case ')':
			case '*':
			case '+':
			case '?':
				this.#at += 1
				return char
			default:
				return literal(this.#codePoint())
		}
	}

	#group(): string | null {
		const opening = /^\((?:\?:|\?<(?![=!])[^>]*>|(?!\?))/.exec(this.#source.slice(this.#at))
		if (opening === null) return null
		this.#at += opening[0].length
		return '(?:'
	}

	#class(): string | null {
		this.#at += 1
		const negated = this.#source.charAt(this.#at) === '^'
		if (negated) this.#at += 1
		let items = ''
		while (this.#source.charAt(this.#at) !== ']') {
			const item = this.#classAtom()
			if (item === null) return null
			items += item
			// A hyphen between two characters makes a range; before the end it is a character.
			if (this.#source.charAt(this.#at) === '-' && this.#source.charAt(this.#at + 1) !== ']') {
				this.#at += 1
				const last = this.#classAtom()
				if (last === null) return null
				items += `-${last}`
			}
		}
		this.#at += 1
		if (items === '') return negated ? `[${any}]` : `[^${any}]`
		return `[${negated ? '^' : ''}${items}]`
	}

	#classAtom(): string | null {
		return this.#source.charAt(this.#at) === '\\' ? this.#escape(true) : literal(this.#codePoint())
	}

	#escape(inClass: boolean): string | null {
		this.#at += 1
		const kind = this.#source.charAt(this.#at)
		if (/[1-9k]/.test(kind)) return null
		if (/[pP]/.test(kind)) return this.#property()
		if (/[xu]/.test(kind)) return literal(this.#hex())
		if (kind === 'c') {
			this.#at += 2
			return literal(this.#source.charCodeAt(this.#at - 1) % 32)
		}
		if (/[dDwWbBsSfnrtv0]/.test(kind)) {
			this.#at += 1
			if (kind === 's') return inClass ? space : `[${space}]`
			if (kind === 'S') return inClass ? notSpace : `[${notSpace}]`
			if (kind === 'b' && inClass) return literal(8)
			const code = control[kind]
			return code === undefined ? `\\${kind}` : literal(code)
		}
		return literal(this.#codePoint())
	}

	#property(): string {
		const [whole = '', sign = '', name = ''] = /^([pP])\{([^}]*)\}/.exec(this.#source.slice(this.#at)) ?? []
		this.#at += whole.length
		const value = name.replace(/^(?:General_Category|gc|Script|sc)=/, '')
		return `\\${sign}{${categories.get(value) ?? value}}`
	}

	/** Reads `xHH`, `uHHHH`, `u{H…}` and a surrogate pair written as two `\u`. */
	#hex(): number {
		const rest = this.#source.slice(this.#at)
		const pair = /^u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})/i.exec(rest)
		const single = /^(?:x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]+)\})/i.exec(rest)
		this.#at += (pair ?? single ?? [''])[0].length
		if (pair !== null) return String.fromCharCode(hex(pair[1]), hex(pair[2])).codePointAt(0) ?? 0
		return hex(single?.[1] ?? single?.[2] ?? single?.[3])
	}

	#codePoint(): number {
		const codePoint = this.#source.codePointAt(this.#at) ?? 0
		this.#at += codePoint > 0xffff ? 2 : 1
		return codePoint
	}

	#through(end: string): string {
		const from = this.#at
		this.#at = this.#source.indexOf(end, from) + 1
		return this.#source.slice(from, this.#at)
	}
}
