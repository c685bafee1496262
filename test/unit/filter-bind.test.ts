import { expect, test } from 'vitest'
import { bindQuery } from '../../core/bind.ts'
import type { ScalarType } from '../../core/contract.ts'
import { parseListQuery } from '../../core/filter.ts'

const fields = new Map<string, { type: ScalarType }>([
	['name', { type: 'string' }],
	['age', { type: 'integer' }],
	['score', { type: 'number' }],
	['ok', { type: 'boolean' }],
	['id', { type: 'integer' }],
	['order', { type: 'string' }],
])

test.each([
	['age', 'eq.18', 18],
	['age', 'eq.1.80e1', 18],
	['age', 'eq.-0', 0],
	['age', 'eq.9007199254740991', 2 ** 53 - 1],
	['score', 'eq.1e308', 1e308],
	['score', 'eq.5e-324', 5e-324],
	['ok', 'eq.true', true],
	['name', 'eq.18', '18'],
	['id', 'eq.18', '18'],
	['data.id', 'eq.18', 18],
	['data.order', 'eq.a', 'a'],
	['version', 'eq.2', 2],
	['created_at', 'eq.2026-01-31T08:30:00Z', Date.UTC(2026, 0, 31, 8, 30)],
	['created_at', 'eq.2026-01-31t08:30:00.120000+02:00', Date.UTC(2026, 0, 31, 6, 30, 0, 120)],
])('%s=%s is bound to a typed value', (name, value, expected) => {
	const bound = bind(name, value)
	if (!bound.ok || bound.value.filter?.kind !== 'compare') throw new Error(JSON.stringify(bound))
	expect(bound.value.filter.value).toBe(expected)
	expect(Object.is(bound.value.filter.value, -0)).toBe(false)
})

test.each([
	...[
		'',
		' 1',
		'1 ',
		'01',
		'+1',
		'1.',
		'.5',
		'0x1',
		'1_0',
		'NaN',
		'Infinity',
		'1.5',
		'1e400',
		'9007199254740992',
		'1e17',
		'１',
	].map((value) => ['age', `eq.${value}`]),
	...['1e309', '-1e309', '9007199254740993', '123456789012345678901234', 'Infinity'].map((value) => [
		'score',
		`lt.${value}`,
	]),
	...['True', '1', '', 'null'].map((value) => ['ok', `eq.${value}`]),
	...[
		'2026-01-31',
		'2026-02-30T00:00:00Z',
		'2026-01-31T24:00:01Z',
		'2026-01-31T08:30:00',
		'2026-01-31T08:30:00.1234Z',
		'2026-01-31T08:30:00 02:00',
		'0000-01-01T00:00:00Z',
		'9999-12-31T23:59:59-14:00',
		'1700000000000',
	].map((value) => ['created_at', `eq.${value}`]),
	['age', 'in.(1,a)'],
	['name', 'eq.a\0b'],
	['name', 'eq.\ud800'],
	['name', 'like.\0'],
	['age', 'like.1%'],
	['created_at', 'ilike.2026%'],
	['age', 'is.true'],
	['name', 'is.unknown'],
])('%s=%s does not fit the type of the field', (name, value) => {
	expect(bind(name ?? '', value ?? '')).toMatchObject({
		ok: false,
		refusal: { code: 'invalid_filter', errors: [{ pointer: name }] },
	})
})

test.each([
	['nothing', 'eq.1'],
	['data.version', 'eq.1'],
	['__proto__', 'eq.1'],
	['constructor', 'is.null'],
	['or', '(age.eq.1,nothing.eq.1)'],
	['order', 'nothing.asc'],
	['select', 'name,nothing'],
])('%s=%s names a field that does not exist', (name, value) => {
	expect(bind(name, value)).toMatchObject({
		ok: false,
		refusal: { code: 'unknown_field', errors: [{ pointer: name }] },
	})
})

test('an order names a field once', () => {
	expect(bind('order', 'age,data.age.desc')).toMatchObject({ ok: false, refusal: { code: 'invalid_request' } })
	expect(bind('order', 'id,data.id.desc')).toMatchObject({
		ok: true,
		value: {
			order: [
				{ field: { place: 'record', name: 'id' } },
				{ field: { place: 'data', name: 'id', type: 'integer' }, descending: true },
			],
		},
	})
})

function bind(name: string, value: string) {
	const parsed = parseListQuery([[name, value]], 'query')
	return parsed.ok ? bindQuery(parsed.value.query, fields, new Set([...fields.keys(), 'tags'])) : parsed
}
