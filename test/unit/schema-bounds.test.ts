import { expect, test } from 'vitest'
import { checkStepsMax, faultsMax, jsonDepthMax } from '../../core/limits.ts'
import { newMeter, parseSchema, type Schema } from '../../core/schema.ts'

const tooComplex = [{ pointer: '', detail: 'is too complex to check against this schema' }]

function parsed(schema: unknown): Schema {
	const outcome = parseSchema(schema)
	if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal))
	return outcome.value
}

/** Definitions of which each applies the next one twice: 2 ** depth evaluations for one value. */
function doubling(depth: number, keyword: string, last: unknown): unknown {
	const $defs: Record<string, unknown> = { [`d${depth}`]: last }
	for (let index = 0; index < depth; index++)
		$defs[`d${index}`] = { [keyword]: [{ $ref: `#/$defs/d${index + 1}` }, { $ref: `#/$defs/d${index + 1}` }] }
	return { $defs, $ref: '#/$defs/d0' }
}

test('[L1] a schema whose branches double thirty times is too complex, not slow', () => {
	expect(parsed(doubling(30, 'allOf', {})).validate({})).toEqual(tooComplex)
	expect(parsed(doubling(30, 'anyOf', { required: ['a'] })).validate({})).toEqual(tooComplex)
	expect(parsed(doubling(30, 'oneOf', {})).validate({})).toEqual(tooComplex)
	expect(parsed(doubling(10, 'allOf', {})).validate({})).toEqual([])
})

test('a run that gives up is a fault also where a failure would make the value valid', () => {
	const { $defs } = doubling(30, 'allOf', {}) as { $defs: unknown }
	const ref = { $ref: '#/$defs/d0' }
	for (const rule of [
		{ not: ref },
		{ if: ref, else: true },
		{ anyOf: [ref, true] },
		{ oneOf: [ref, true] },
		{ properties: { a: { contains: ref, minContains: 0, maxContains: 0 } } },
		{ propertyNames: { not: ref } },
	])
		expect({ rule, faults: parsed({ $defs, ...rule }).validate({ a: [1] }) }).toEqual({ rule, faults: tooComplex })
})

test('large plain data is never too complex', () => {
	const list = Array.from({ length: 250_000 }, (_, index) => index % 10)
	expect(parsed({ properties: { v: { items: { type: 'integer', minimum: 0 } } } }).validate({ v: list })).toEqual([])
	expect(parsed({ properties: { v: { uniqueItems: true } } }).validate({ v: list.map((_, index) => [index]) })).toEqual(
		[],
	)
	expect(
		parsed({ properties: { v: { pattern: '^[A-Za-z0-9+/]*={0,2}$', minLength: 1, maxLength: 10_000_000 } } }).validate({
			v: 'QUJD'.repeat(250_000),
		}),
	).toEqual([])
	const object = Object.fromEntries(list.slice(0, 10_000).map((value, index) => [`k${index}`, value]))
	expect(
		parsed({
			additionalProperties: { type: 'integer' },
			propertyNames: { pattern: '^k' },
			minProperties: 10_000,
		}).validate(object),
	).toEqual([])
})

test('[L1] work that one keyword repeats over large data is counted', () => {
	const list = Array.from({ length: 100_000 }, () => ({}))
	const names = Array.from({ length: 5_000 }, (_, index) => `n${index}`)
	expect(
		parsed({ properties: { v: { items: { anyOf: [{ required: names }, true] } } } }).validate({ v: list }),
	).toEqual(tooComplex)
	const many = (rule: unknown) => ({ properties: { v: { allOf: Array.from({ length: 950 }, () => rule) } } })
	expect(parsed(many({ uniqueItems: true })).validate({ v: list.map((_, index) => index) })).toEqual(tooComplex)
	expect(parsed(many({ items: true })).validate({ v: list })).toEqual(tooComplex)
	expect(parsed(many({ maxLength: 600_000 })).validate({ v: '💩'.repeat(400_000) })).toEqual(tooComplex)
	expect(parsed(many({ not: { const: [] } })).validate({ v: list })).toEqual(tooComplex)
	expect(
		parsed(many({ properties: {} })).validate({ v: Object.fromEntries(list.map((_, index) => [`k${index}`, 0])) }),
	).toEqual(tooComplex)
	expect(parsed({ properties: { v: { pattern: '.{0,390}a.{0,90}z' } } }).validate({ v: 'ab'.repeat(100_000) })).toEqual(
		tooComplex,
	)
})

test('[L1] many checks that share a meter are bounded together', () => {
	const schema = parsed(doubling(12, 'allOf', {}))
	expect(schema.validate({})).toEqual([])
	const meter = newMeter()
	expect(meter.steps).toBe(checkStepsMax)
	const answers = Array.from({ length: 30 }, () => schema.validate({}, meter))
	expect(answers[0]).toEqual([])
	expect(answers.at(-1)).toEqual(tooComplex)
})

test('a recursive schema follows data to the depth limit, and no deeper data overflows the stack', () => {
	const tree = parsed({
		$defs: {
			tree: {
				anyOf: [
					{ type: 'null' },
					{ type: 'object', required: ['t'], properties: { t: { $ref: '#/$defs/tree' } }, additionalProperties: false },
				],
			},
		},
		properties: { t: { $ref: '#/$defs/tree' } },
	})
	const nested = (depth: number): unknown => {
		let data: unknown = null
		for (let level = 0; level < depth; level++) data = { t: data }
		return data
	}
	expect(tree.validate(nested(jsonDepthMax))).toEqual([])
	expect(tree.validate({ t: { t: { x: null } } })).toHaveLength(1)
	expect(tree.validate(nested(100_000))).toEqual(tooComplex)
	for (const rule of [{ const: [] }, { enum: [{}] }, { uniqueItems: true }]) {
		let deep: unknown = []
		for (let level = 0; level < 100_000; level++) deep = [deep]
		expect(parsed({ properties: { v: rule } }).validate({ v: deep })).not.toEqual([])
	}
})

test('at most so many faults are named', () => {
	const faults = parsed({ additionalProperties: { type: 'integer' } }).validate(
		Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, 'x'])),
	)
	expect(faults).toHaveLength(faultsMax)
	expect(faults.at(-1)).toEqual({ pointer: `/k${faultsMax - 1}`, detail: 'must be of type integer' })
})
