/** Gives the names and texts of a parsed query their places and types, once the schema is known. */
import type { ScalarType } from './contract.ts'
import { parsePattern } from './pattern.ts'
import {
	type Bound,
	type BoundField,
	type BoundFilter,
	type BoundTerm,
	isBuiltIn,
	type ListQuery,
	type RawFilter,
	type Scalar,
} from './query.ts'
import { accept, type Outcome, refuse } from './refusal.ts'

/** How the values of an encrypted property are found: only equal ones can be. */
export interface Blind {
	column: string
	/** What stands for a value in the column. */
	hide(value: Scalar): string
}

interface Bindable {
	type: ScalarType
	/** Set for an encrypted property; null where it has no index. */
	blind?: Blind | null
}

/**
 * Binds filter and order to the filterable properties in `fields`. `properties` holds all names that `select` may name;
 * without it any name may be selected. Refused with `unknown_field` or `invalid_filter`, naming the parameter.
 */
export function bindQuery<Query extends Pick<ListQuery, 'filter' | 'order' | 'select'>>(
	query: Query,
	fields: Fields,
	properties?: { has(name: string): boolean },
): Outcome<Bound<Query>> {
	const filter = query.filter === null ? accept(null) : bindFilter(query.filter, fields)
	if (!filter.ok) return filter
	const order: BoundTerm[] = []
	for (const { field: name, descending } of query.order) {
		const field = findField(name, fields)
		if (!field) return unknownField('order')
		if (blindOf(field, fields) !== undefined) return encrypted('order', 'an encrypted property has no order')
		if (order.some((term) => term.field.place === field.place && term.field.name === field.name)) {
			return refuse('invalid_request', 'the order names a field twice', {
				errors: [{ pointer: 'order', detail: 'names a field twice' }],
			})
		}
		order.push({ field, descending })
	}
	if (properties && query.select?.some((name) => !properties.has(name))) return unknownField('select')
	return accept({ ...query, filter: filter.value, order })
}

const builtInTypes = { id: 'string', version: 'integer', created_at: 'time', updated_at: 'time' } as const
const numberSyntax = /^-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/
/** `JSON.stringify` prints integers from here on with an exponent; records hold no integers between 2^53 and this. */
const exponentFrom = 1e21
// Digits beyond milliseconds may only be zeros: the rest would compare differently from what was written.
const timeSyntax = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)0*(Z|[+-]\d\d:\d\d)$/i

type Fields = ReadonlyMap<string, Bindable>

function bindFilter(filter: RawFilter, fields: Fields): Outcome<BoundFilter> {
	if (filter.kind === 'not') {
		const inner = bindFilter(filter.filter, fields)
		return inner.ok ? accept({ kind: 'not', filter: inner.value }) : inner
	}
	if ('filters' in filter) {
		const filters: BoundFilter[] = []
		for (const part of filter.filters) {
			const bound = bindFilter(part, fields)
			if (!bound.ok) return bound
			filters.push(bound.value)
		}
		return accept({ kind: filter.kind, filters })
	}
	const field = findField(filter.field, fields)
	if (!field) return unknownField(filter.pointer)
	const blind = blindOf(field, fields)
	return blind === undefined ? bindCondition(filter, field) : bindBlind(filter, field, blind)
}

/** Binds a condition as any other, which types its values, and puts what stands for them in their place. */
function bindBlind(
	filter: Exclude<RawFilter, { kind: 'and' | 'or' | 'not' }>,
	field: BoundField,
	blind: Blind | null,
): Outcome<BoundFilter> {
	const { pointer } = filter
	if (blind === null) return encrypted(pointer, 'an encrypted property can be filtered by with x-index or x-unique')
	const { column, hide } = blind
	const bound = bindCondition(filter, field)
	if (!bound.ok) return bound
	const condition = bound.value
	const hidden: BoundField = { place: 'data', name: field.name, type: 'string', column }
	switch (condition.kind) {
		case 'compare':
			if (condition.op !== 'eq' && condition.op !== 'neq') break
			return accept({ ...condition, field: hidden, value: hide(condition.value) })
		case 'in':
			return accept({ ...condition, field: hidden, values: condition.values.map(hide) })
		case 'is':
			if (condition.value === 'null' || condition.value === 'not_null') return accept({ ...condition, field: hidden })
			return accept({ kind: 'compare', field: hidden, op: 'eq', value: hide(condition.value === 'true') })
	}
	return encrypted(pointer, 'an encrypted property can be compared by eq, neq, in and is only')
}

function blindOf(field: BoundField, fields: Fields): Blind | null | undefined {
	return field.place === 'data' ? fields.get(field.name)?.blind : undefined
}

function encrypted(pointer: string, detail: string): Outcome<never> {
	return refuse('invalid_filter', 'an encrypted property cannot be asked for like this', {
		errors: [{ pointer, detail }],
	})
}

function bindCondition(
	filter: Exclude<RawFilter, { kind: 'and' | 'or' | 'not' }>,
	field: BoundField,
): Outcome<BoundFilter> {
	switch (filter.kind) {
		case 'compare': {
			const value = parseScalar(filter.value, field.type)
			if (value === null) return wrongValue(filter.pointer, field.type)
			return accept({ kind: 'compare', field, op: filter.op, value })
		}
		case 'in': {
			const values: Scalar[] = []
			for (const text of filter.values) {
				const value = parseScalar(text, field.type)
				if (value === null) return wrongValue(filter.pointer, field.type)
				values.push(value)
			}
			return accept({ kind: 'in', field, values })
		}
		case 'is': {
			if (filter.value === 'null' || filter.value === 'not_null')
				return accept({ kind: 'is', field, value: filter.value })
			if (field.type !== 'boolean') return invalid(filter.pointer, 'is.true, is.false and is.unknown are for booleans')
			return accept({ kind: 'is', field, value: filter.value === 'unknown' ? 'null' : filter.value })
		}
		case 'like': {
			if (field.type !== 'string') return invalid(filter.pointer, 'like and ilike are for text')
			const tokens = isText(filter.pattern) ? parsePattern(filter.pattern) : null
			if (!tokens) return invalid(filter.pointer, 'is not a pattern')
			return accept({ kind: 'like', field, tokens, fold: filter.fold })
		}
	}
}

function findField(name: string, fields: Fields): BoundField | null {
	if (isBuiltIn(name)) return { place: 'record', name, type: builtInTypes[name] }
	const property = name.startsWith('data.') ? name.slice('data.'.length) : name
	const field = fields.get(property)
	return field ? { place: 'data', name: property, type: field.type } : null
}

function parseScalar(text: string, type: BoundField['type']): Scalar | null {
	if (type === 'string') return isText(text) ? text : null
	if (type === 'boolean') return text === 'true' || text === 'false' ? text === 'true' : null
	if (type === 'time') return parseTime(text)
	const syntax = numberSyntax.exec(text)
	if (!syntax) return null
	// Adding zero makes -0 zero, as storing does.
	const value = Number(text) + 0
	const magnitude = Math.abs(value)
	const isWritten = syntax[1] === undefined && syntax[2] === undefined
	if (magnitude === Number.POSITIVE_INFINITY) return null
	if (magnitude > Number.MAX_SAFE_INTEGER && (magnitude < exponentFrom || isWritten)) return null
	return type === 'integer' && !Number.isInteger(value) ? null : value
}

/** RFC 3339 to milliseconds; null also for what falls out of the years that Postgres can print back. */
function parseTime(text: string): number | null {
	const syntax = timeSyntax.exec(text)
	if (!syntax) return null
	const [, date = '', clock = '', zone = ''] = syntax
	// Engines roll an impossible day over into the next month.
	const day = new Date(`${date}T00:00:00Z`)
	if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== date) return null
	const time = Date.parse(`${date}T${clock}${zone.toUpperCase()}`)
	return time >= timeMin && time <= timeMax ? time : null
}

const timeMin = Date.parse('0001-01-01T00:00:00Z')
const timeMax = Date.parse('9999-12-31T23:59:59.999Z')

function isText(text: string): boolean {
	return text.isWellFormed() && !text.includes('\0')
}

const expected: Record<BoundField['type'], string> = {
	string: 'takes text without U+0000',
	integer: 'takes an integer between -(2^53 - 1) and 2^53 - 1',
	number: 'takes a number in the syntax of JSON; an integer must lie between -(2^53 - 1) and 2^53 - 1',
	boolean: 'takes true or false',
	time: 'takes a time such as 2026-01-31T08:30:00Z, to the millisecond; in a URL, + is written %2B',
}

function wrongValue(pointer: string, type: BoundField['type']) {
	return invalid(pointer, expected[type])
}

function invalid(pointer: string, detail: string) {
	return refuse('invalid_filter', 'a filter does not fit its field', { errors: [{ pointer, detail }] })
}

function unknownField(pointer: string) {
	return refuse('unknown_field', 'a field is not known here, or cannot be filtered and ordered by', {
		errors: [{ pointer, detail: 'names a field that is neither built in nor a property of one scalar type' }],
	})
}
