// biome-ignore-all lint/suspicious/noThenProperty: `then` is a keyword of JSON Schema, and nobody awaits these objects.
import { expect, test } from 'vitest'
import { parseSchema, supportedKeywords } from '../../core/schema.ts'

/** One keyword: a schema for the property `v`, values that it accepts and values that it does not. */
const cases: Record<string, { schema: unknown; valid: unknown[]; invalid: unknown[] }[]> = {
	type: [
		{ schema: { type: 'string' }, valid: ['', 'a'], invalid: [1, null, true, [], {}] },
		{ schema: { type: 'number' }, valid: [0, -0, 1.5, 1e308, 5e-324], invalid: ['1', null, true] },
		{ schema: { type: 'integer' }, valid: [0, -0, 1e308, 2 ** 53, 3.0], invalid: [1.5, '1', 5e-324] },
		{ schema: { type: 'boolean' }, valid: [true, false], invalid: [0, 1, 'true', null] },
		{ schema: { type: 'null' }, valid: [null], invalid: [0, '', false, {}] },
		{ schema: { type: 'array' }, valid: [[], [1]], invalid: [{}, { length: 0 }, 'a', null] },
		{ schema: { type: 'object' }, valid: [{}, { a: 1 }], invalid: [[], null, 'a'] },
		{ schema: { type: ['string', 'null'] }, valid: ['', null], invalid: [0, [], {}] },
		{ schema: { type: ['integer', 'array'] }, valid: [1, []], invalid: [1.5, {}] },
	],
	enum: [
		{ schema: { enum: ['a', 1, null, true] }, valid: ['a', 1, null, true], invalid: ['b', '1', 0, false, [], {}] },
		{
			schema: { enum: [{ a: 1, b: [2] }] },
			valid: [{ b: [2], a: 1 }],
			invalid: [{ a: 1 }, { a: 1, b: [2, 3] }, '{"a":1,"b":[2]}'],
		},
		{ schema: { enum: [[0]] }, valid: [[0], [-0]], invalid: [[false], ['0'], [], [[0]]] },
	],
	const: [
		{ schema: { const: null }, valid: [null], invalid: [0, false, '', 'null'] },
		{ schema: { const: 0 }, valid: [0, -0], invalid: [false, '0', null] },
		{ schema: { const: { __proto__: null, a: [] } }, valid: [{ a: [] }], invalid: [{ a: {} }, {}] },
		{ schema: { const: [false] }, valid: [[false]], invalid: [[0], ['false'], false] },
	],
	multipleOf: [
		{ schema: { multipleOf: 3 }, valid: [0, 3, -9, 'x'], invalid: [1, 4, 1.5] },
		{ schema: { multipleOf: 0.01 }, valid: [19.99, 0.07, 4.35, 1e308, -0], invalid: [0.001, 19.999, 5e-324] },
		{ schema: { multipleOf: 0.0001 }, valid: [0.0075], invalid: [0.00751] },
		{ schema: { multipleOf: 1e-8 }, valid: [12391239123], invalid: [1e-9] },
		{ schema: { multipleOf: 0.5 }, valid: [1e308, 2 ** 53 + 2], invalid: [0.25] },
	],
	minimum: [{ schema: { minimum: 1.1 }, valid: [1.1, 2, 'x'], invalid: [1, -1e308] }],
	maximum: [{ schema: { maximum: 0 }, valid: [0, -0, -5], invalid: [5e-324, 1] }],
	exclusiveMinimum: [{ schema: { exclusiveMinimum: 1 }, valid: [1.0000001], invalid: [1, 0] }],
	exclusiveMaximum: [{ schema: { exclusiveMaximum: 1 }, valid: [0.999], invalid: [1, 2] }],
	minLength: [
		{ schema: { minLength: 2 }, valid: ['ab', 'äö', '💩💩', 'e\u0301', 7], invalid: ['', 'a', '💩'] },
		{ schema: { minLength: 3 }, valid: ['💩💩💩', 'a💩b'], invalid: ['💩💩', 'ab'] },
	],
	maxLength: [
		{ schema: { maxLength: 2 }, valid: ['', 'ab', '💩💩', 'a💩', 7], invalid: ['abc', '💩💩💩', 'a💩b', '👨‍👩‍👧'] },
		{ schema: { maxLength: 0 }, valid: [''], invalid: ['a', '💩'] },
	],
	pattern: [
		{ schema: { pattern: '^a*$' }, valid: ['', 'aaa', 5], invalid: ['ab'] },
		{ schema: { pattern: 'b+' }, valid: ['abc'], invalid: ['ac', ''] },
	],
	format: [{ schema: { format: 'date' }, valid: ['2024-02-29', 5], invalid: ['2023-02-29', ''] }],
	items: [
		{ schema: { items: { type: 'integer' } }, valid: [[], [1, 2], 'x'], invalid: [['a'], [1, 1.5]] },
		{ schema: { items: false }, valid: [[]], invalid: [[null]] },
	],
	prefixItems: [
		{
			schema: { prefixItems: [{ type: 'integer' }, { type: 'string' }] },
			valid: [[], [1], [1, 'a'], [1, 'a', null]],
			invalid: [['a'], [1, 2]],
		},
		{ schema: { prefixItems: [true], items: { type: 'null' } }, valid: [['x', null]], invalid: [['x', 1]] },
	],
	minItems: [{ schema: { minItems: 1 }, valid: [[0], 'x'], invalid: [[]] }],
	maxItems: [{ schema: { maxItems: 1 }, valid: [[], [0]], invalid: [[0, 1]] }],
	uniqueItems: [
		{
			schema: { uniqueItems: true },
			valid: [[], [1, '1', true, null], [[1], [2]], [{ a: 1 }, { a: 2 }], ['[1]', [1]], [1, true], [0, false]],
			invalid: [
				[1, 1],
				[0, -0],
				[
					{ a: 1, b: 2 },
					{ b: 2, a: 1 },
				],
				[[], []],
				['é', 'é'],
				[{ x: 0 }, { x: -0 }],
			],
		},
		{ schema: { uniqueItems: false }, valid: [[1, 1]], invalid: [] },
	],
	contains: [{ schema: { contains: { minimum: 5 } }, valid: [[5], [1, 9]], invalid: [[], [1, 4]] }],
	minContains: [
		{ schema: { contains: { const: 1 }, minContains: 2 }, valid: [[1, 1]], invalid: [[1], [1, 2]] },
		{ schema: { contains: { const: 1 }, minContains: 0 }, valid: [[], [2]], invalid: [] },
		{ schema: { minContains: 5 }, valid: [[]], invalid: [] },
	],
	maxContains: [{ schema: { contains: { const: 1 }, maxContains: 1 }, valid: [[1, 2]], invalid: [[1, 1], []] }],
	properties: [
		{
			schema: { properties: { a: { type: 'integer' }, b: false } },
			valid: [{}, { a: 1, c: 2 }, []],
			invalid: [{ a: 'x' }, { b: 1 }],
		},
	],
	required: [{ schema: { required: ['a', ''] }, valid: [{ a: null, '': 0 }, 'x'], invalid: [{}, { a: 1 }] }],
	additionalProperties: [
		{ schema: { properties: { a: true }, additionalProperties: false }, valid: [{}, { a: 1 }], invalid: [{ b: 1 }] },
		{ schema: { additionalProperties: { type: 'integer' } }, valid: [{ a: 1 }], invalid: [{ a: 'x' }] },
		{
			schema: { patternProperties: { '^x-': true }, additionalProperties: false },
			valid: [{ 'x-a': 1 }],
			invalid: [{ ax: 1 }],
		},
	],
	patternProperties: [
		{
			schema: { patternProperties: { '^n': { type: 'number' }, o$: { minimum: 5 } } },
			valid: [{ n: 1 }, { no: 5 }, { x: 'x' }],
			invalid: [{ n: 'x' }, { no: 1 }, { o: 4 }],
		},
	],
	propertyNames: [{ schema: { propertyNames: { maxLength: 2 } }, valid: [{ ab: 1 }, {}], invalid: [{ abc: 1 }] }],
	minProperties: [{ schema: { minProperties: 1 }, valid: [{ a: 1 }, []], invalid: [{}] }],
	maxProperties: [{ schema: { maxProperties: 1 }, valid: [{ a: 1 }, {}], invalid: [{ a: 1, b: 2 }] }],
	dependentRequired: [
		{
			schema: { dependentRequired: { a: ['b', 'c'] } },
			valid: [{}, { b: 1 }, { a: 1, b: 1, c: 1 }],
			invalid: [{ a: 1 }, { a: 1, b: 1 }],
		},
	],
	$ref: [
		{ schema: { $ref: '#/$defs/positive' }, valid: [1], invalid: [0, 'x'] },
		{ schema: { $ref: '#/$defs/positive', maximum: 3 }, valid: [3], invalid: [4] },
		{ schema: { $ref: '#/$defs/a~1b~0%25' }, valid: [null], invalid: [1] },
		{ schema: { $ref: '#/$defs/tree' }, valid: [{}, { next: { next: {} } }], invalid: [{ next: { next: 1 } }] },
	],
	allOf: [{ schema: { allOf: [{ minimum: 1 }, { maximum: 2 }] }, valid: [1, 2], invalid: [0, 3] }],
	anyOf: [{ schema: { anyOf: [{ type: 'string' }, { minimum: 2 }] }, valid: ['x', 2, null], invalid: [1] }],
	oneOf: [{ schema: { oneOf: [{ type: 'integer' }, { minimum: 2 }] }, valid: [1, 2.5, 'x'], invalid: [3, 1.5] }],
	not: [
		{ schema: { not: { type: 'string' } }, valid: [1, null], invalid: ['x'] },
		{ schema: { not: { not: { type: 'string' } } }, valid: ['x'], invalid: [1] },
	],
	if: [
		{
			schema: { if: { type: 'string' }, then: { minLength: 2 }, else: { minimum: 5 } },
			valid: ['ab', 5],
			invalid: ['a', 4],
		},
		{ schema: { if: { const: 1 } }, valid: [1, 2], invalid: [] },
	],
	then: [{ schema: { then: { const: 1 } }, valid: [1, 2], invalid: [] }],
	else: [{ schema: { else: { const: 1 } }, valid: [1, 2], invalid: [] }],
	title: [{ schema: { title: 'A' }, valid: [1], invalid: [] }],
	description: [{ schema: { description: 'A' }, valid: [1], invalid: [] }],
	default: [{ schema: { default: { any: ['thing'] } }, valid: [1], invalid: [] }],
	examples: [{ schema: { examples: [1] }, valid: ['x'], invalid: [] }],
	deprecated: [{ schema: { deprecated: true }, valid: [1], invalid: [] }],
	readOnly: [{ schema: { readOnly: true }, valid: [1], invalid: [] }],
	writeOnly: [{ schema: { writeOnly: false }, valid: [1], invalid: [] }],
	$comment: [{ schema: { $comment: 'why' }, valid: [1], invalid: [] }],
}

const $defs = {
	positive: { exclusiveMinimum: 0, type: 'number' },
	'a/b~%': { type: 'null' },
	tree: { type: 'object', properties: { next: { $ref: '#/$defs/tree' } } },
}

for (const [keyword, table] of Object.entries(cases)) {
	test(`${keyword} accepts and refuses what draft 2020-12 says`, () => {
		for (const { schema, valid, invalid } of table) {
			const parsed = parseSchema({
				$schema: 'https://json-schema.org/draft/2020-12/schema',
				$defs,
				properties: { v: schema },
			})
			if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal))
			for (const v of valid)
				expect({ schema, v, faults: parsed.value.validate({ v }) }).toEqual({ schema, v, faults: [] })
			for (const v of invalid) {
				const faults = parsed.value.validate({ v })
				expect({ schema, v, count: faults.length > 0 }).toEqual({ schema, v, count: true })
				for (const { pointer } of faults) expect(pointer).toMatch(/^\/v(?:$|\/)/)
			}
		}
	})
}

test('the published list of keywords is what these tests cover', () => {
	expect([...supportedKeywords].sort()).toEqual([...Object.keys(cases), '$schema', '$defs'].sort())
})

test('true and {} accept any object and nothing else', () => {
	for (const schema of [true, {}, { type: 'object' }]) {
		const parsed = parseSchema(schema)
		if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal))
		expect(parsed.value.validate({ any: ['thing', null] })).toEqual([])
		for (const data of [[], 'x', 1, null, true, undefined])
			expect(parsed.value.validate(data)).toEqual([{ pointer: '', detail: 'must be an object' }])
	}
})

test('faults carry JSON Pointers into the data and never its values', () => {
	const parsed = parseSchema({
		required: ['name'],
		additionalProperties: false,
		properties: {
			'a/b': { items: { properties: { '~': { maxLength: 3 } } } },
			code: { pattern: '^[A-Z]+$' },
			kind: { enum: ['x'] },
			when: { format: 'date' },
			'': { type: 'integer' },
		},
	})
	if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal))
	const faults = parsed.value.validate({
		'a/b': [{}, { '~': 'secret' }],
		code: 'secret',
		kind: 'secret',
		when: 'secret',
		'': 'secret',
		extra: 'secret',
	})
	expect(faults.map(({ pointer }) => pointer).sort()).toEqual([
		'',
		'/',
		'/a~1b/1/~0',
		'/code',
		'/extra',
		'/kind',
		'/when',
	])
	expect(JSON.stringify(faults)).not.toContain('secret')
	expect(faults).toContainEqual({ pointer: '/a~1b/1/~0', detail: 'must be at most 3 characters long' })
	expect(faults).toContainEqual({ pointer: '', detail: 'must have the property "name"' })
})

test('branches that may fail leave no faults of their own', () => {
	const parsed = parseSchema({ properties: { v: { anyOf: [{ type: 'string' }, { items: { type: 'integer' } }] } } })
	if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal))
	expect(parsed.value.validate({ v: [1, 'x'] })).toEqual([
		{ pointer: '/v', detail: 'must match at least one schema of anyOf' },
	])
})

test('names that JavaScript knows are names like any other', () => {
	const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then', 'toJSON', '']
	const own = (value: unknown) =>
		JSON.parse(`{${names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join()}}`)
	const strict = parseSchema({ properties: own({ type: 'integer' }), required: names, additionalProperties: false })
	if (!strict.ok) throw new Error(JSON.stringify(strict.refusal))
	expect([...strict.value.properties]).toEqual(names)
	expect(strict.value.validate(own(1))).toEqual([])
	expect(strict.value.validate(own('x')).map(({ pointer }) => pointer)).toEqual(names.map((name) => `/${name}`))
	expect(strict.value.validate({})).toHaveLength(names.length)

	const closed = parseSchema({ additionalProperties: false })
	const dependent = parseSchema({ dependentRequired: own(['a']) })
	if (!closed.ok || !dependent.ok) throw new Error('must parse')
	expect(closed.value.validate(own(1))).toHaveLength(names.length)
	expect(dependent.value.validate({})).toEqual([])
	expect(dependent.value.validate(own(1))).toHaveLength(names.length)
	expect(parseSchema({ $defs: own({ type: 'null' }), properties: { v: { $ref: '#/$defs/__proto__' } } }).ok).toBe(true)
	// Of these names only `then` is a keyword.
	for (const name of names) expect(parseSchema(JSON.parse(`{${JSON.stringify(name)}:true}`)).ok).toBe(name === 'then')
	expect(parseSchema({ properties: { v: { $ref: '#/$defs/toString' } } }).ok).toBe(false)
})
