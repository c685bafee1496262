import fc from 'fast-check'
import { expect, test } from 'vitest'
import { indexedPropertiesMax, uniquePropertiesMax } from '../../core/limits.ts'
import { normaliseUnique, parseSchema, type Schema, sameRules } from '../../core/schema.ts'

function parsed(schema: unknown): Schema {
	const outcome = parseSchema(schema)
	if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal))
	return outcome.value
}

function pointersOf(schema: unknown): string[] | undefined {
	const outcome = parseSchema(schema)
	return outcome.ok ? [] : outcome.refusal.errors?.map(({ pointer }) => pointer)
}

test('fields are the top-level properties typed as one scalar or null', () => {
	const schema = parsed({
		'x-index': ['updated_at', 'created_at'],
		properties: {
			email: { type: 'string', 'x-unique': 'ci', 'x-index': true },
			age: { type: ['null', 'integer'], 'x-index': true },
			number: { type: ['number'], 'x-unique': true },
			flag: { type: 'boolean', 'x-personal': true },
			subject: { type: ['string', 'null'], 'x-subject': true },
			both: { type: ['string', 'integer'] },
			nothing: { type: 'null' },
			list: { type: 'array', 'x-personal': true },
			open: { 'x-personal': true },
			referred: { $ref: '#/$defs/text' },
			anything: true,
			'a.b': { type: 'string', 'x-personal': 'encrypted' },
			[`a${'b'.repeat(64)}`]: { type: 'string' },
		},
		$defs: { text: { type: 'string' } },
	})
	const plain = { nullable: false, index: false, unique: false, personal: false, encrypted: false }
	expect([...schema.fields.values()]).toEqual([
		{ ...plain, name: 'email', type: 'string', index: true, unique: 'ci' },
		{ ...plain, name: 'age', type: 'integer', nullable: true, index: true },
		{ ...plain, name: 'number', type: 'number', unique: 'exact' },
		{ ...plain, name: 'flag', type: 'boolean', personal: true },
		{ ...plain, name: 'subject', type: 'string', nullable: true },
	])
	expect(schema.personal).toEqual(['flag', 'list', 'open', 'a.b'])
	expect(schema.encrypted).toEqual(['a.b'])
	expect(schema.indexMeta).toEqual(['updated_at', 'created_at'])
	expect(schema.subject).toBe('subject')
	expect(schema.properties.size).toBe(13)
	expect(parsed(true)).toMatchObject({ personal: [], indexMeta: [], subject: null, retentionDays: null })
})

test('a collection that limits the age of its records has an index to find the old ones by', () => {
	expect(parsed({ 'x-retention-days': 30 })).toMatchObject({ retentionDays: 30, indexMeta: ['created_at'] })
	const both = parsed({ 'x-retention-days': 1, 'x-index': ['created_at', 'updated_at'] })
	expect(both.indexMeta).toEqual(['created_at', 'updated_at'])
	for (const days of [0, -1, 1.5, '30', null, true, [30], 36_501, 1e300])
		expect({ days, pointers: pointersOf({ 'x-retention-days': days }) }).toEqual({
			days,
			pointers: ['/x-retention-days'],
		})
	expect(pointersOf({ items: { 'x-retention-days': 3 } })).toEqual(['/items/x-retention-days'])
})

test('an annotation that could not do what it says is refused at its place', () => {
	const refused: [unknown, string][] = [
		[{ type: 'array', 'x-index': true }, 'x-index'],
		[{ type: ['string', 'integer'], 'x-unique': true }, 'x-unique'],
		[{ 'x-subject': true }, 'x-subject'],
		[{ $ref: '#/$defs/text', 'x-unique': true }, 'x-unique'],
		[{ type: 'integer', 'x-unique': 'ci' }, 'x-unique'],
		[{ type: 'integer', 'x-subject': true }, 'x-subject'],
		[{ type: 'string', 'x-unique': false }, 'x-unique'],
		[{ type: 'string', 'x-index': 1 }, 'x-index'],
		[{ type: 'string', 'x-subject': 'yes' }, 'x-subject'],
		[{ type: 'string', 'x-personal': false }, 'x-personal'],
		[{ type: 'string', 'x-personal': 'sealed' }, 'x-personal'],
		[{ type: 'string', 'x-personal': 'encrypted', 'x-subject': true }, 'x-subject'],
		[{ type: 'string', 'x-personal': 'pseudonym' }, 'x-personal'],
		[{ type: 'string', 'x-retention-days': 5 }, 'x-retention-days'],
		[{ items: { 'x-personal': true } }, 'items/x-personal'],
		[{ properties: { inner: { 'x-personal': true } } }, 'properties/inner/x-personal'],
		[{ allOf: [{ 'x-index': true }] }, 'allOf/0/x-index'],
	]
	for (const [property, place] of refused)
		expect({
			property,
			pointers: pointersOf({ $defs: { text: { type: 'string' } }, properties: { v: property } }),
		}).toEqual({ property, pointers: [`/properties/v/${place}`] })
	expect(pointersOf({ properties: { 'a.b': { type: 'string', 'x-index': true } } })).toEqual([
		'/properties/a.b/x-index',
	])
	expect(pointersOf({ $defs: { a: { 'x-unique': true } } })).toEqual(['/$defs/a/x-unique'])
	expect(pointersOf({ allOf: [{ properties: { v: { type: 'string', 'x-personal': true } } }] })).toEqual([
		'/allOf/0/properties/v/x-personal',
	])
	expect(pointersOf({ 'x-personal': true })).toEqual(['/x-personal'])
	expect(
		pointersOf({ properties: { a: { type: 'string', 'x-subject': true }, b: { type: 'string', 'x-subject': true } } }),
	).toEqual(['/properties/b/x-subject'])
	for (const meta of [true, 'created_at', ['id'], ['created_at', 'created_at']])
		expect(pointersOf({ 'x-index': meta })).toEqual(['/x-index'])
})

test('the message about pseudonyms says that this deployment has none', () => {
	const outcome = parseSchema({ properties: { v: { type: 'string', 'x-personal': 'pseudonym' } } })
	expect(outcome.ok ? null : outcome.refusal.errors?.[0]?.detail).toContain('not supported by this deployment')
})

test('indexes and unique properties are bounded at n and refused at n + 1', () => {
	const many = (count: number, annotation: string) => ({
		properties: Object.fromEntries(
			Array.from({ length: count }, (_, index) => [`p${index}`, { type: 'string', [annotation]: true }]),
		),
	})
	expect(pointersOf(many(uniquePropertiesMax, 'x-unique'))).toEqual([])
	expect(pointersOf(many(uniquePropertiesMax + 1, 'x-unique'))).toEqual(['/properties'])
	expect(pointersOf(many(indexedPropertiesMax, 'x-index'))).toEqual([])
	expect(pointersOf(many(indexedPropertiesMax + 1, 'x-index'))).toEqual(['/properties'])
	expect(pointersOf({ ...many(indexedPropertiesMax, 'x-index'), 'x-index': ['created_at'] })).toEqual(['/properties'])
})

test('schemas that differ in annotations only have the same rules', () => {
	const plain = {
		properties: { title: { type: 'string', maxLength: 5 }, list: { items: true } },
		required: ['title'],
		$defs: { a: { enum: [{ title: 1 }] } },
	}
	const decorated = {
		$schema: 'https://json-schema.org/draft/2020-12/schema',
		$comment: 'why',
		$defs: { a: { description: 'a', enum: [{ title: 1 }] } },
		required: ['title'],
		'x-index': ['created_at'],
		properties: {
			list: { items: { examples: [1], deprecated: true } },
			title: { 'x-personal': true, title: 'Title', maxLength: 5.0, default: '', type: 'string' },
		},
	}
	expect(sameRules(plain, decorated)).toBe(true)
	expect(sameRules(true, {})).toBe(true)
})

test('schemas whose rules differ do not have the same rules', () => {
	const base = { properties: { title: { type: 'string' }, v: { enum: [{ title: 1 }] } } }
	const others = [
		{ properties: { v: { enum: [{ title: 1 }] } } },
		{ properties: { title: { type: 'number' }, v: { enum: [{ title: 1 }] } } },
		{ properties: { title: { type: 'string' }, v: { enum: [{ title: 2 }] } } },
		{ properties: { title: { type: 'string' }, v: { enum: [{}] } } },
		{ ...base, required: ['title'] },
		{ ...base, additionalProperties: false },
		{ ...base, not: {} },
	]
	for (const other of others) expect(sameRules(base, other)).toBe(false)
	expect(sameRules({ properties: { 'x-a': { type: 'null' } } }, { properties: {} })).toBe(false)
	expect(sameRules({ properties: { a: false } }, { properties: { a: true } })).toBe(false)
})

test('[U1] unique values are compared in one normal form', () => {
	expect(normaliseUnique('e\u0301', 'exact')).toBe('\u00e9')
	expect(normaliseUnique('A', 'exact')).not.toBe(normaliseUnique('a', 'exact'))
	for (const [a, b] of [
		['STRASSE', 'straße'],
		['ΟΔΟΣ', 'οδος'],
		['ΟΔΟΣ', 'οδοσ'],
		['É', 'e\u0301'],
		['K', 'k'],
		['ſ', 'S'],
		['ﬀ', 'FF'],
	] as const)
		expect(normaliseUnique(a, 'ci')).toBe(normaliseUnique(b, 'ci'))
	expect(normaliseUnique('ＡＢ', 'ci')).not.toBe('ab')
	expect(Object.is(normaliseUnique(-0, 'exact'), 0)).toBe(true)
	expect([true, false, null, undefined, 1.5, ''].map((value) => normaliseUnique(value, 'exact'))).toEqual([
		1,
		0,
		null,
		null,
		1.5,
		'',
	])
})

test('[U1] normal forms do not change when they are normalised again', () => {
	fc.assert(
		fc.property(fc.string({ unit: 'grapheme' }), fc.constantFrom('exact' as const, 'ci' as const), (text, mode) => {
			const once = normaliseUnique(text, mode)
			expect(normaliseUnique(once, mode)).toBe(once)
			expect(normaliseUnique(text.normalize('NFD'), mode)).toBe(once)
		}),
	)
})
