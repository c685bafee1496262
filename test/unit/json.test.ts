import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type JsonValue, parseJson, pointerStep, readJson } from '../../core/json.ts'
import { jsonContainersMax, jsonDepthMax, jsonKeyBytesMax, jsonKeysMax } from '../../core/limits.ts'

function nested(depth: number): string {
	return '['.repeat(depth) + ']'.repeat(depth)
}

function refusalOf(input: Uint8Array | string) {
	const parsed = parseJson(input)
	return parsed.ok ? null : parsed.refusal
}

test('an accepted value comes back as the same value and as text that is accepted as itself', () => {
	fc.assert(
		fc.property(fc.jsonValue(), (value) => {
			const parsed = parseJson(JSON.stringify(value))
			if (!parsed.ok) return
			expect(parsed.value.text).toBe(JSON.stringify(parsed.value.value))
			const again = parseJson(parsed.value.text)
			expect(again).toEqual(parsed)
		}),
	)
})

test('values written differently give the same text', () => {
	const written = parseJson(' {"a" : 1.0 , "b":"\\u0041" , "c":[1e2]} ')
	expect(written.ok && written.value.text).toBe('{"a":1,"b":"A","c":[100]}')
})

test('nesting is accepted up to the limit and refused beyond it', () => {
	expect(refusalOf(nested(jsonDepthMax - 1))).toBeNull()
	expect(refusalOf(nested(jsonDepthMax))).toBeNull()
	const refusal = refusalOf(nested(jsonDepthMax + 1))
	expect(refusal?.code).toBe('invalid_json')
	expect(refusal?.errors?.[0]?.pointer).toBe('/0'.repeat(jsonDepthMax))
})

test.each([1_000, 10_000, 100_000, 2_000_000])('%i brackets are refused without overflowing the stack', (depth) => {
	expect(refusalOf(nested(depth))?.code).toBe('invalid_json')
	expect(refusalOf('['.repeat(depth))?.code).toBe('invalid_json')
	expect(refusalOf(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)?.code).toBe('invalid_json')
})

test('more objects and arrays than an isolate has room for are refused before they are built', () => {
	expect(refusalOf(`[${'[],'.repeat(jsonContainersMax)}[]]`)?.code).toBe('invalid_json')
	expect(refusalOf(`[${'[],'.repeat(jsonContainersMax - 2)}[]]`)).toBeNull()
	// Brackets inside text do not count.
	expect(refusalOf(JSON.stringify('[{\\"'.repeat(jsonContainersMax)))).toBeNull()
})

test('an object has at most so many properties', () => {
	const object = (keys: number) => `{${Array.from({ length: keys }, (_, i) => `"k${i}":0`).join()}}`
	expect(refusalOf(object(jsonKeysMax))).toBeNull()
	expect(refusalOf(`{"a":${object(jsonKeysMax + 1)}}`)?.errors).toEqual([
		{ pointer: '/a', detail: `an object has at most ${jsonKeysMax} properties` },
	])
})

test('the name of a property has at most so many bytes, counted in UTF-8', () => {
	expect(refusalOf(JSON.stringify({ ['k'.repeat(jsonKeyBytesMax)]: 0 }))).toBeNull()
	expect(refusalOf(JSON.stringify({ ['k'.repeat(jsonKeyBytesMax + 1)]: 0 }))?.code).toBe('invalid_json')
	expect(refusalOf(JSON.stringify({ ['é'.repeat(jsonKeyBytesMax / 2)]: 0 }))).toBeNull()
	expect(refusalOf(JSON.stringify({ ['é'.repeat(jsonKeyBytesMax / 2 + 1)]: 0 }))?.code).toBe('invalid_json')
})

test.each([
	['9007199254740991', true],
	['-9007199254740991', true],
	['9007199254740992', false],
	['9007199254740993', false],
	['-9007199254740992', false],
	['9007199254740993.0', false],
	['1e16', false],
	['1e20', false],
	['999999999999999999999', false],
	['1000000000000000000000', false],
	['-12345678901234567890123456789', false],
	['9'.repeat(400), false],
	['1e21', true],
	['1e308', true],
	['-1e308', true],
	['1e309', false],
	['-1e309', false],
	['1E400', false],
	['5e-324', true],
	['1e-400', true],
	['0.1234567890123456789012345', true],
	['1234567890123456789012345.5', true],
])('the number %s is accepted: %s', (literal, accepted) => {
	const refusal = refusalOf(`{"a":[0,${literal}]}`)
	expect(refusal === null).toBe(accepted)
	if (refusal) expect(refusal.errors?.[0]?.pointer).toBe('/a/1')
	// Digits inside text are no number.
	expect(refusalOf(JSON.stringify({ a: literal }))).toBeNull()
})

test('a refusal names the place and never repeats a value', () => {
	const refusal = refusalOf('{"a":{"b/c~d":["x","secret\\u0000"]}}')
	expect(refusal?.errors).toEqual([{ pointer: '/a/b~1c~0d/1', detail: 'text must not contain U+0000' }])
	expect(JSON.stringify(refusal)).not.toContain('secret')
	expect(JSON.stringify(refusalOf('{"secret'))).not.toContain('secret')
})

test('minus zero becomes zero, in the value and in the text', () => {
	const parsed = parseJson('{"a":-0,"b":[-0.0,-0e5],"c":"-0"}')
	if (!parsed.ok) throw new Error('refused')
	expect(parsed.value.text).toBe('{"a":0,"b":[0,0],"c":"-0"}')
	const { a, b } = parsed.value.value as { a: number; b: number[] }
	for (const zero of [a, ...b]) expect(Object.is(zero, 0)).toBe(true)
})

test('of duplicate keys the last wins', () => {
	expect(parseJson('{"a":1,"a":2,"\\u0061":3}')).toEqual({ ok: true, value: { value: { a: 3 }, text: '{"a":3}' } })
})

test('a property called __proto__ is kept as data and changes no prototype', () => {
	const parsed = readJson('{"__proto__":{"admin":true},"constructor":1,"toJSON":2,"then":3,"n":-0}')
	if (!parsed.ok) throw new Error('refused')
	const value = parsed.value as { [key: string]: JsonValue }
	expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'toJSON', 'then', 'n'])
	expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
	expect(JSON.stringify(value)).toBe('{"__proto__":{"admin":true},"constructor":1,"toJSON":2,"then":3,"n":0}')
})

test('bytes must be UTF-8 without a byte order mark', () => {
	const text = new TextEncoder().encode('{"a":"é€😀"}')
	expect(refusalOf(text)).toBeNull()
	expect(refusalOf(Uint8Array.of(0xef, 0xbb, 0xbf, ...text))?.code).toBe('invalid_json')
	expect(refusalOf(Uint8Array.of(0x22, 0xff, 0x22))?.code).toBe('invalid_json')
	// An overlong slash, a surrogate in UTF-8, a cut sequence, and UTF-16.
	for (const bytes of [
		[0x22, 0xc0, 0xaf, 0x22],
		[0x22, 0xed, 0xa0, 0x80, 0x22],
		[0x22, 0xe2, 0x82, 0x22],
		[0x5b, 0x00, 0x5d, 0x00],
	]) {
		expect(refusalOf(Uint8Array.from(bytes))?.code).toBe('invalid_json')
	}
})

test('a step of a pointer escapes what RFC 6901 escapes', () => {
	expect(pointerStep('a/b~c')).toBe('/a~1b~0c')
	expect(pointerStep(0)).toBe('/0')
})
