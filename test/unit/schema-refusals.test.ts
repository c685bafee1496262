// biome-ignore-all lint/suspicious/noThenProperty: `then` is a keyword of JSON Schema, and nobody awaits these objects.
import { expect, test } from 'vitest'
import { enumValuesMax, faultsMax, jsonDepthMax, patternsMax, subschemasMax } from '../../core/limits.ts'
import { parseSchema } from '../../core/schema.ts'

function errorsOf(schema: unknown): { pointer: string; detail: string }[] {
	const parsed = parseSchema(schema)
	if (parsed.ok) return []
	expect(parsed.refusal.code).toBe('schema_invalid')
	return parsed.refusal.errors ?? []
}

function pointersOf(schema: unknown): string[] {
	return errorsOf(schema).map(({ pointer }) => pointer)
}

/** A schema for the property `v` that is refused, and where in it. */
const refused: [unknown, string][] = [
	[{ type: 'text' }, '/type'],
	[{ type: [] }, '/type'],
	[{ type: ['string', 'string'] }, '/type'],
	[{ type: ['toString'] }, '/type'],
	[{ enum: [] }, '/enum'],
	[{ enum: 'a' }, '/enum'],
	[{ multipleOf: 0 }, '/multipleOf'],
	[{ multipleOf: -1 }, '/multipleOf'],
	[{ minimum: '1' }, '/minimum'],
	[{ maximum: null }, '/maximum'],
	[{ exclusiveMinimum: true }, '/exclusiveMinimum'],
	[{ exclusiveMaximum: [] }, '/exclusiveMaximum'],
	[{ minLength: -1 }, '/minLength'],
	[{ maxLength: 1.5 }, '/maxLength'],
	[{ pattern: 1 }, '/pattern'],
	[{ pattern: '(' }, '/pattern'],
	[{ format: 'regex' }, '/format'],
	[{ format: 'toString' }, '/format'],
	[{ items: 1 }, '/items'],
	[{ items: [{}] }, '/items'],
	[{ prefixItems: {} }, '/prefixItems'],
	[{ prefixItems: [1] }, '/prefixItems/0'],
	[{ minItems: '1' }, '/minItems'],
	[{ maxItems: -1 }, '/maxItems'],
	[{ uniqueItems: 1 }, '/uniqueItems'],
	[{ contains: 'x' }, '/contains'],
	[{ minContains: -1 }, '/minContains'],
	[{ contains: true, maxContains: 'x' }, '/maxContains'],
	[{ properties: [] }, '/properties'],
	[{ properties: { a: 1 } }, '/properties/a'],
	[{ required: 'a' }, '/required'],
	[{ required: ['a', 'a'] }, '/required'],
	[{ required: [1] }, '/required'],
	[{ additionalProperties: 0 }, '/additionalProperties'],
	[{ patternProperties: { '(?=a)': true } }, '/patternProperties/(?=a)'],
	[{ patternProperties: { 'a/b': 1 } }, '/patternProperties/a~1b'],
	[{ propertyNames: 1 }, '/propertyNames'],
	[{ minProperties: 'x' }, '/minProperties'],
	[{ maxProperties: -1 }, '/maxProperties'],
	[{ dependentRequired: [] }, '/dependentRequired'],
	[{ dependentRequired: { a: 'b' } }, '/dependentRequired/a'],
	[{ allOf: [] }, '/allOf'],
	[{ anyOf: {} }, '/anyOf'],
	[{ oneOf: [true, 1] }, '/oneOf/1'],
	[{ not: null }, '/not'],
	[{ if: 1 }, '/if'],
	[{ if: true, then: 1 }, '/then'],
	[{ then: 1 }, '/then'],
	[{ else: 1 }, '/else'],
	[{ title: 1 }, '/title'],
	[{ description: 1 }, '/description'],
	[{ $comment: 1 }, '/$comment'],
	[{ examples: 1 }, '/examples'],
	[{ deprecated: 1 }, '/deprecated'],
	[{ readOnly: 1 }, '/readOnly'],
	[{ writeOnly: 'x' }, '/writeOnly'],
	[{ $defs: {} }, '/$defs'],
	[{ $schema: 'https://json-schema.org/draft/2020-12/schema' }, '/$schema'],
	[{ $ref: '#' }, '/$ref'],
	[{ $ref: '#/$defs/none' }, '/$ref'],
	[{ $ref: '#/$defs/a/b' }, '/$ref'],
	[{ $ref: '#/$defs/%' }, '/$ref'],
	[{ $ref: 'https://example.com/x' }, '/$ref'],
	[{ $ref: 1 }, '/$ref'],
]

test('a broken keyword is refused at its place', () => {
	for (const [schema, pointer] of refused)
		expect({ schema, pointers: pointersOf({ properties: { v: schema } }) }).toEqual({
			schema,
			pointers: [`/properties/v${pointer}`],
		})
})

test('keywords that nobody would check are refused by name', () => {
	const unsupported = [
		'$id',
		'$anchor',
		'$dynamicRef',
		'$dynamicAnchor',
		'$vocabulary',
		'unevaluatedItems',
		'unevaluatedProperties',
		'dependentSchemas',
		'definitions',
		'contentEncoding',
		'nullable',
		'x-persnal',
		'x-encrypted',
	]
	for (const keyword of unsupported) {
		expect(pointersOf({ [keyword]: true })).toEqual([`/${keyword}`])
		expect(pointersOf({ properties: { v: { [keyword]: true } } })).toEqual([`/properties/v/${keyword}`])
		expect(pointersOf({ $defs: { 'a/b': { [keyword]: true } } })).toEqual([`/$defs/a~1b/${keyword}`])
	}
})

test('the root accepts objects only', () => {
	for (const schema of [false, null, 1, 'x', [], undefined]) expect(pointersOf(schema)).toEqual([''])
	expect(pointersOf({ type: 'array' })).toEqual(['/type'])
	expect(pointersOf({ type: ['object', 'null'] })).toEqual(['/type'])
	expect(pointersOf({ $schema: 'http://json-schema.org/draft-07/schema#' })).toEqual(['/$schema'])
	expect(pointersOf({ $defs: [] })).toEqual(['/$defs'])
})

test('references that consume no data must not lead back to themselves', () => {
	const ref = (name: string) => ({ $ref: `#/$defs/${name}` })
	expect(pointersOf({ $defs: { a: ref('a') } })).toEqual(['/$defs/a/$ref'])
	expect(pointersOf({ $defs: { a: { allOf: [ref('b')] }, b: { not: ref('a') } } })).toEqual(['/$defs/b/not/$ref'])
	expect(
		pointersOf({
			$defs: { a: { if: true, then: ref('b') }, b: { anyOf: [true, ref('c')] }, c: { oneOf: [ref('b')] } },
		}),
	).toHaveLength(1)
	expect(
		pointersOf({
			$defs: {
				a: {
					properties: { x: ref('a') },
					items: ref('a'),
					additionalProperties: ref('a'),
					propertyNames: ref('a'),
					contains: ref('a'),
				},
			},
		}),
	).toEqual([])
	expect(pointersOf({ $defs: { a: { allOf: [{ properties: { x: ref('a') } }] } } })).toEqual([])
	expect(pointersOf({ $defs: { a: { allOf: [ref('b'), ref('b')] }, b: {} }, allOf: [ref('a'), ref('a')] })).toEqual([])
})

test('sizes are bounded at n and refused at n + 1', () => {
	const values = (count: number) => ({
		properties: { v: { enum: Array.from({ length: count }, (_, index) => index) } },
	})
	expect(pointersOf(values(enumValuesMax))).toEqual([])
	expect(pointersOf(values(enumValuesMax + 1))).toEqual(['/properties/v/enum'])

	const branches = (count: number) => ({ allOf: Array.from({ length: count - 1 }, () => ({})) })
	expect(pointersOf(branches(subschemasMax))).toEqual([])
	expect(pointersOf(branches(subschemasMax + 1))).toEqual([''])
	expect(pointersOf(branches(subschemasMax + 100))).toEqual([''])

	const nested = (depth: number): unknown => (depth === 0 ? {} : { not: nested(depth - 1) })
	expect(pointersOf(nested(jsonDepthMax))).toEqual([])
	expect(pointersOf(nested(jsonDepthMax + 1))).toEqual(['/not'.repeat(jsonDepthMax + 1)])

	const value = (depth: number): unknown => (depth === 0 ? 1 : [value(depth - 1)])
	expect(pointersOf({ properties: { v: { const: value(jsonDepthMax) } } })).toEqual([])
	expect(pointersOf({ properties: { v: { const: value(jsonDepthMax + 1) } } })).toEqual(['/properties/v/const'])
	expect(pointersOf({ properties: { v: { enum: [1, value(jsonDepthMax + 1)] } } })).toEqual(['/properties/v/enum'])

	const patterns = (count: number) => ({
		allOf: Array.from({ length: count * 2 }, (_, index) => ({ pattern: `a${index % count}` })),
	})
	expect(pointersOf(patterns(patternsMax))).toEqual([])
	expect(pointersOf(patterns(patternsMax + 1))).toEqual([
		`/allOf/${patternsMax}/pattern`,
		`/allOf/${patternsMax * 2 + 1}/pattern`,
	])
})

test('at most so many errors are named', () => {
	expect(errorsOf({ allOf: Array.from({ length: 100 }, () => ({ nonsense: 1 })) })).toHaveLength(faultsMax)
})
