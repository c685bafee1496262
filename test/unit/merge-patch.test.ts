import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergePatch } from '../../core/merge-patch.ts'

/** The test cases of RFC 7396, appendix A: target, patch, result. */
const appendix: [unknown, unknown, unknown][] = [
	[{ a: 'b' }, { a: 'c' }, { a: 'c' }],
	[{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
	[{ a: 'b' }, { a: null }, {}],
	[{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
	[{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
	[{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
	[{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
	[{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
	[
		['a', 'b'],
		['c', 'd'],
		['c', 'd'],
	],
	[{ a: 'b' }, ['c'], ['c']],
	[{ a: 'foo' }, null, null],
	[{ a: 'foo' }, 'bar', 'bar'],
	[{ e: null }, { a: 1 }, { e: null, a: 1 }],
	[[1, 2], { a: 'b', c: null }, { a: 'b' }],
	[{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

test('every case of the RFC comes out as printed there', () => {
	for (const [target, patch, result] of appendix) expect(mergePatch(target, patch)).toEqual(result)
})

test('members named __proto__ and constructor are members like any other', () => {
	const target = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}')
	const patch = JSON.parse(
		'{"__proto__": {"b": 3, "a": null}, "toString": null, "x": {"__proto__": {"polluted": true}}}',
	)
	const merged = mergePatch(target, patch)
	expect(JSON.stringify(merged)).toBe('{"__proto__":{"b":3},"constructor":2,"x":{"__proto__":{"polluted":true}}}')
	expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
	expect('polluted' in {}).toBe(false)
	expect(JSON.stringify(mergePatch({}, JSON.parse('{"__proto__": 1}')))).toBe('{"__proto__":1}')
	expect(JSON.stringify(mergePatch(target, JSON.parse('{"__proto__": null}')))).toBe('{"constructor":2}')
})

test('neither argument is changed, and a patch applied twice is a patch applied once', () => {
	fc.assert(
		fc.property(fc.jsonValue(), fc.jsonValue(), (target, patch) => {
			const before = JSON.stringify([target, patch])
			const once = mergePatch(target, patch)
			expect(JSON.stringify([target, patch])).toBe(before)
			expect(JSON.stringify(mergePatch(once, patch))).toBe(JSON.stringify(once))
		}),
	)
})
