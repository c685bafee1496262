import fc from 'fast-check'
import { expect, test } from 'vitest'
import { patternCharsMax } from '../../core/limits.ts'
import { compilePattern, type Pattern } from '../../core/schema/pattern.ts'
import { parseSchema } from '../../core/schema.ts'

function compiled(source: string): Pattern {
	const pattern = compilePattern(source)
	if (typeof pattern === 'string') throw new Error(`${source}: ${pattern}`)
	return pattern
}

/** Pieces of patterns that ECMA-262 and RE2 write differently, or could read differently. */
const atoms = [
	'a',
	'B',
	'0',
	'-',
	'_',
	' ',
	'/',
	'&',
	'~',
	',',
	':',
	'"',
	'#',
	'=',
	'!',
	'<',
	'é',
	'ß',
	'💩',
	'\u2028',
	'\u00a0',
	'\ufeff',
	'.',
	'\\d',
	'\\D',
	'\\w',
	'\\W',
	'\\s',
	'\\S',
	'\\b',
	'\\B',
	'\\f',
	'\\n',
	'\\r',
	'\\t',
	'\\v',
	'\\0',
	'\\cJ',
	'\\cz',
	'\\x41',
	'\\u0061',
	'\\u{1F4A9}',
	'\\uD83D\\uDCA9',
	'\\ud83d',
	'\\\\',
	'\\/',
	'\\.',
	'\\[',
	'\\]',
	'\\{',
	'\\}',
	'\\(',
	'\\)',
	'\\^',
	'\\$',
	'\\|',
	'\\*',
	'\\+',
	'\\?',
	'[]',
	'[^]',
	'[a-c]',
	'[^a-c]',
	'[-a]',
	'[a-]',
	'[a\\-c]',
	'[\\]]',
	'[\\^a]',
	'[a^]',
	'[\\d-]',
	'[\\s\\S]',
	'[\\S]',
	'[^\\S]',
	'[^\\s]',
	'[\\w.]',
	'[\\b]',
	'[\\cJ]',
	'[.]',
	'[$]',
	'[(]',
	'[[:alpha:\\]]',
	'[&&a]',
	'[a||b]',
	'[[a]',
	'[~~]',
	'[\\u{1F4A8}-\\u{1F4AA}]',
	'[\\uD83D\\uDCA8-\\uD83D\\uDCAA]',
	'[💨-💪]',
	'[^\\u{0}-\\u{7f}]',
	'[\\x41-\\x43]',
	'[\\0-\\x08]',
	'[\\ud800-\\udfff]',
	'\\p{L}',
	'\\P{L}',
	'\\p{Letter}',
	'\\p{gc=Lu}',
	'\\p{General_Category=Decimal_Number}',
	'\\p{Script=Greek}',
	'\\p{sc=Latin}',
	'[\\p{Lu}\\p{Nd}]',
	'[^\\p{L}]',
	'[\\P{L}a]',
	'^',
	'$',
	'(?:a)',
	'(a)',
	'(?<n>b)',
	'(?:)',
	'()',
	'a|b',
	'|',
]
const quantifiers = ['', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{0,2}', '{1,}', '{2}?', '{0}']
const chars = [
	...'aAbBcC019-_ /&.,~^$[](){}|*+?\\:#=!<"é߀ΩωДд٣💩💨💪\n\r\t\v\f\b\0\u2028\u2029\u00a0\ufeff\u180e\u200b\u3000',
]

const pattern = fc
	.array(fc.tuple(fc.constantFrom(...atoms), fc.constantFrom(...quantifiers), fc.boolean()), { maxLength: 6 })
	.map((parts) =>
		parts.map(([atom, quantifier, grouped]) => (grouped ? `(?:${atom})${quantifier}` : atom + quantifier)).join(''),
	)
	.filter((source) => isEcma(source))

function isEcma(source: string): boolean {
	try {
		new RegExp(source, 'u')
		return true
	} catch {
		return false
	}
}

/**
 * ECMA-262 tries a pattern with `u` before each character and at the end. V8's own search tries it between the two
 * halves of a surrogate pair as well, where `/\\B/u` finds something in "a💨a"; with `y` it tries where it is told to.
 */
function findsByCharacter(source: string, characters: readonly string[]): boolean {
	const expected = new RegExp(source, 'uy')
	return Array.from({ length: characters.length + 1 }, (_, at) => characters.slice(0, at).join('').length).some(
		(offset) => {
			expected.lastIndex = offset
			return expected.test(characters.join(''))
		},
	)
}

test('a pattern finds what the same pattern of JavaScript finds', () => {
	fc.assert(
		fc.property(pattern, fc.array(fc.constantFrom(...chars), { maxLength: 8 }), (source, text) => {
			expect(compiled(source).test(text.join(''))).toBe(findsByCharacter(source, text))
		}),
		{ numRuns: 3_000, examples: [['\\B', [...'a💨a']]] },
	)
})

test('each piece of a pattern finds each single character that JavaScript finds', () => {
	for (const source of atoms.map((atom) => `^(?:${atom})$`).filter(isEcma)) {
		const found = compiled(source)
		const expected = new RegExp(source, 'u')
		for (const char of chars)
			expect({ source, char, found: found.test(char) }).toEqual({ source, char, found: expected.test(char) })
	}
})

test('white space is what ECMA-262 calls so, over the whole of Unicode', () => {
	const [space, notSpace] = [compiled('^[\\s]$'), compiled('^[\\S]$')]
	const differing: number[] = []
	for (let code = 0; code <= 0xffff; code++) {
		if (code >= 0xd800 && code <= 0xdfff) continue
		const char = String.fromCharCode(code)
		if (space.test(char) !== /\s/u.test(char) || notSpace.test(char) === space.test(char)) differing.push(code)
	}
	expect(differing).toEqual([])
})

test('what a linear-time engine cannot do is refused', () => {
	for (const source of [
		'(?=a)',
		'(?!a)',
		'(?<=a)b',
		'(?<!a)b',
		'(a)\\1',
		'(?<n>a)\\k<n>',
		'(?i:a)',
		'\\p{Script_Extensions=Greek}',
	]) {
		expect(compilePattern(source)).toBeTypeOf('string')
		const parsed = parseSchema({ properties: { v: { pattern: source } } })
		expect(parsed.ok ? null : parsed.refusal.errors?.map(({ pointer }) => pointer)).toEqual(['/properties/v/pattern'])
	}
})

test('what only RE2 understands is refused', () => {
	for (const source of [
		'(?P<n>a)',
		'(?i)a',
		'\\Aa\\z',
		'\\Qa.b\\E',
		'\\pL',
		'\\x{41}',
		'a{,5}',
		'\\C',
		'\\a',
		'(',
		'a**',
		'[b-a]',
		'\\-',
	])
		expect({ source, refused: typeof compilePattern(source) }).toEqual({ source, refused: 'string' })
})

test('repetitions that multiply are refused, long ones are not', () => {
	for (const source of [
		'(a{1000}){1000}',
		'((a{100}){100}){100}',
		'a{1001}',
		'(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9})',
		'.{0,800}',
		'\\p{L}{999}',
	])
		expect({ source, refused: typeof compilePattern(source) }).toEqual({ source, refused: 'string' })
	expect(compiled('^.{0,400}$').test('💩'.repeat(400))).toBe(true)
	expect(compiled('^.{0,400}$').test('💩'.repeat(401))).toBe(false)
	expect(compilePattern('a'.repeat(patternCharsMax))).toBeTypeOf('object')
	expect(compilePattern('a'.repeat(patternCharsMax + 1))).toBeTypeOf('string')
	expect(parseSchema({ allOf: Array.from({ length: 5 }, (_, index) => ({ pattern: `${index}.{0,390}` })) }).ok).toBe(
		true,
	)
	expect(parseSchema({ allOf: Array.from({ length: 6 }, (_, index) => ({ pattern: `${index}.{0,390}` })) }).ok).toBe(
		false,
	)
})

test('[L1] patterns that make a backtracking engine hang end at once', () => {
	const text = 'a'.repeat(50_000)
	for (const source of ['(a+)+$', '^(a*)*$', '(a|aa)+$', '(.*a){12}$', '^(([a-z])+.)+[A-Z]([a-z])+$'])
		expect({ source, found: compiled(source).test(`${text}!`) }).toEqual({ source, found: false })
	const parsed = parseSchema({ properties: { v: { pattern: '^(a+)+$' } } })
	if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal))
	expect(parsed.value.validate({ v: text })).toEqual([])
	expect(parsed.value.validate({ v: `${text}!` })).toEqual([
		{ pointer: '/v', detail: 'must match the pattern ^(a+)+$' },
	])
}, 20_000)
