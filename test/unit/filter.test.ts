import { expect, test } from 'vitest'
import { parseListQuery, parseSearchBody } from '../../core/filter.ts'
import { filterTermsMax, inValuesMax, listLimitMax, patternBytesMax, selectNamesMax } from '../../core/limits.ts'
import type { RawFilter } from '../../core/query.ts'

test('a repeated field and different fields must all hold', () => {
	expect(filterOf(['age', 'gte.18'], ['age', 'lt.65'], ['name', 'eq.Ada'])).toEqual({
		kind: 'and',
		filters: [compare('age', 'gte', '18'), compare('age', 'lt', '65'), compare('name', 'eq', 'Ada')],
	})
})

test.each([
	['eq.a.b,"c"(d)', compare('x', 'eq', 'a.b,"c"(d)')],
	['eq.', compare('x', 'eq', '')],
	['eq.line\nbreak', compare('x', 'eq', 'line\nbreak')],
	['not.eq.1', { kind: 'not', filter: compare('x', 'eq', '1') }],
	['is.NULL', { kind: 'is', field: 'x', value: 'null', pointer: 'x' }],
	['is.not_null', { kind: 'is', field: 'x', value: 'not_null', pointer: 'x' }],
	['like.a*b%', { kind: 'like', field: 'x', pattern: 'a*b%', fold: false, pointer: 'x' }],
	['not.ilike.a_', { kind: 'not', filter: { kind: 'like', field: 'x', pattern: 'a_', fold: true, pointer: 'x' } }],
	['in.(a,b,"c,d","e\\"\\\\f")', inList(['a', 'b', 'c,d', 'e"\\f'])],
	['in.()', inList([])],
	['in.("")', inList([''])],
	['in.(,a(b)', inList(['', 'a(b'])],
	['not.in.(1)', { kind: 'not', filter: inList(['1']) }],
] as [string, RawFilter][])('x=%s is understood', (value, expected) => {
	expect(filterOf(['x', value])).toEqual(expected)
})

test('logic nests, and quotes protect what would end a value', () => {
	const value = '(a.eq."x,y)\\"",and(b.not.gt.2.5,data.order.in.(3,"4")),not.or(c.is.null,not.and(d.like.*e,e.eq.)))'
	expect(filterOf(['not.or', value])).toEqual({
		kind: 'not',
		filter: {
			kind: 'or',
			filters: [
				compare('a', 'eq', 'x,y)"', 'not.or'),
				{
					kind: 'and',
					filters: [
						{ kind: 'not', filter: compare('b', 'gt', '2.5', 'not.or') },
						{ kind: 'in', field: 'data.order', values: ['3', '4'], pointer: 'not.or' },
					],
				},
				{
					kind: 'not',
					filter: {
						kind: 'or',
						filters: [
							{ kind: 'is', field: 'c', value: 'null', pointer: 'not.or' },
							{
								kind: 'not',
								filter: {
									kind: 'and',
									filters: [
										{ kind: 'like', field: 'd', pattern: '*e', fold: false, pointer: 'not.or' },
										compare('e', 'eq', '', 'not.or'),
									],
								},
							},
						],
					},
				},
			],
		},
	})
})

test('order, limit, select and cursor are read, with the names of properties freed of their prefix in select', () => {
	const parsed = parseListQuery(
		[
			['order', 'name.desc,data.order,created_at.asc'],
			['limit', '7'],
			['select', 'id,name,data.id,name'],
			['cursor', 'abc'],
			['tenant', 'eu_x'],
		],
		'query',
		['tenant'],
	)
	expect(parsed).toEqual({
		ok: true,
		value: {
			query: {
				filter: null,
				order: [
					{ field: 'name', descending: true },
					{ field: 'data.order', descending: false },
					{ field: 'created_at', descending: false },
				],
				limit: 7,
				after: null,
				select: ['name', 'id'],
				count: false,
			},
			cursor: 'abc',
		},
	})
})

test.each([
	...['0', '-1', 'NaN', '1e9', '', '1.5', String(listLimitMax + 1)].map((limit) => ['limit', limit, 'invalid_request']),
	...['', 'a.', 'a.up', 'a,', 'a.desc.nullslast', 'a.nullsfirst', 'a b', 'a,b,c,d,e'].map((order) => [
		'order',
		order,
		'invalid_request',
	]),
	...[
		'',
		'a,',
		'a"',
		Array(selectNamesMax + 1)
			.fill('a')
			.join(),
	].map((select) => ['select', select, 'invalid_request']),
	['cursor', '', 'invalid_cursor'],
	['cursor', 'a'.repeat(8_001), 'invalid_cursor'],
	...[
		'5',
		'eq',
		'EQ.5',
		'match.a',
		'eq(any).{1}',
		'not.not.eq.1',
		'is.5',
		'in.1',
		'in.(1',
		'in.(1)2',
		'in.("a)',
		'in.("a"b)',
	].map((value) => ['age', value, 'invalid_filter']),
	...[
		'',
		'a.eq.1',
		'()',
		'(a)',
		'(a.eq.1',
		'(a.eq.1))',
		'(a.eq.1)b',
		'(a.eq.b(c))',
		'(a.eq."b)',
		'(a.eq."b"c)',
		'(a.in.1)',
		'(,)',
		'(xor(a.eq.1))',
	].map((value) => ['or', value, 'invalid_filter']),
	['or', `${'(and'.repeat(10)}(a.eq.1)${')'.repeat(10)}`, 'invalid_filter'],
	['name', `like.${'a'.repeat(patternBytesMax + 1)}`, 'invalid_filter'],
	['name', `like.${'é'.repeat(patternBytesMax / 2)}a`, 'invalid_filter'],
	// A question mark is three bytes in a pattern of GLOB.
	['name', `like.${'?'.repeat(17)}`, 'invalid_filter'],
	['name', 'ilike.a\\', 'invalid_filter'],
	[
		'name',
		`in.(${Array(inValuesMax + 1)
			.fill('1')
			.join()})`,
		'invalid_filter',
	],
	[
		'or',
		`(${Array(filterTermsMax + 1)
			.fill('a.eq.1')
			.join()})`,
		'invalid_filter',
	],
	['a.b', 'eq.1', 'unknown_field'],
	['a->b', 'eq.1', 'unknown_field'],
	['', 'eq.1', 'unknown_field'],
	['a'.repeat(65), 'eq.1', 'unknown_field'],
])('%s=%s is refused', (name, value, code) => {
	for (const parsed of [
		parseListQuery([[name ?? '', value ?? '']], 'query'),
		parseSearchBody({ [name ?? '']: value }),
	]) {
		if (parsed.ok) throw new Error('was accepted')
		expect(parsed.refusal.code).toBe(code)
		expect(parsed.refusal.errors?.[0]?.pointer.replace('/', '')).toBe(name)
	}
})

test('what lies exactly on a limit is accepted', () => {
	filterOf(['name', `like.${'a'.repeat(patternBytesMax)}`])
	filterOf(['name', `in.(${Array(inValuesMax).fill('1').join()})`])
	filterOf(['or', `(${Array(filterTermsMax).fill('a.eq.1').join()})`])
	filterOf(['or', `${'(and'.repeat(9)}(a.eq.1)${')'.repeat(9)}`])
	expect(parseListQuery([['limit', String(listLimitMax)]], 'query').ok).toBe(true)
})

test.each(['order', 'limit', 'select', 'cursor'])('%s may be given once', (name) => {
	const value = name === 'limit' ? '1' : 'a'
	const parsed = parseListQuery(
		[
			[name, value],
			[name, value],
		],
		'query',
	)
	expect(parsed).toMatchObject({ ok: false, refusal: { code: 'invalid_request', errors: [{ pointer: name }] } })
})

test('conditions are counted over all parameters', () => {
	const parsed = parseListQuery(
		Array.from({ length: filterTermsMax + 1 }, () => ['a', 'eq.1'] as const),
		'query',
	)
	expect(parsed).toMatchObject({ ok: false, refusal: { code: 'invalid_filter', errors: [{ pointer: 'a' }] } })
})

test('a refusal repeats nothing of the value', () => {
	for (const [name, value] of [
		['age', 'secret.1'],
		['or', '(secret)'],
		['order', 'secret!'],
		['limit', 'secret'],
		['a', 'in.(secret'],
	] as const) {
		const parsed = parseListQuery([[name, value]], 'query')
		expect(parsed.ok).toBe(false)
		expect(JSON.stringify(parsed)).not.toContain('secret')
	}
})

test('a search takes the same in a body, with lists for repeated names and places as JSON Pointers', () => {
	const body = { age: ['gte.18', 'lt.65'], order: 'created_at.desc', limit: 50, or: '(a.eq.1,b.eq.2)' }
	expect(parseSearchBody(body)).toMatchObject({
		ok: true,
		value: {
			query: {
				filter: {
					kind: 'and',
					filters: [
						{ op: 'gte', pointer: '/age' },
						{ op: 'lt', pointer: '/age' },
						{ kind: 'or', filters: [{ pointer: '/or' }, { pointer: '/or' }] },
					],
				},
				order: [{ field: 'created_at', descending: true }],
				limit: 50,
			},
		},
	})
	for (const broken of [
		null,
		[],
		'a',
		{ age: 5 },
		{ age: [5] },
		{ age: null },
		{ age: {} },
		{ limit: 1.5 },
		{ limit: ['1', '1'] },
		{ order: true },
	]) {
		expect(parseSearchBody(broken)).toMatchObject({ ok: false, refusal: { code: 'invalid_request' } })
	}
	expect(parseSearchBody({ 'a/b~': 'eq.1' })).toMatchObject({ refusal: { errors: [{ pointer: '/a~1b~0' }] } })
})

test('text of hundreds of kilobytes is parsed or refused without harm', () => {
	for (const value of [
		`eq.${'"\\'.repeat(100_000)}`,
		`in.("${'\\"'.repeat(120_000)}`,
		`in.(${','.repeat(200_000)})`,
		`eq.${'a'.repeat(256_000)}`,
	]) {
		parseListQuery([['a', value]], 'query')
		parseListQuery([['or', `(a.${value})`]], 'query')
	}
	expect(parseListQuery([['or', '(and'.repeat(60_000)]], 'query').ok).toBe(false)
	expect(parseListQuery([['a', `eq.${'a'.repeat(256_000)}`]], 'query').ok).toBe(false)
})

function filterOf(...parameters: [string, string][]): RawFilter | null {
	const parsed = parseListQuery(parameters, 'query')
	if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal))
	return parsed.value.query.filter
}

function compare(field: string, op: 'eq' | 'gt' | 'gte' | 'lt', value: string, pointer = field): RawFilter {
	return { kind: 'compare', field, op, value, pointer }
}

function inList(values: string[]): RawFilter {
	return { kind: 'in', field: 'x', values, pointer: 'x' }
}
