/** The grammar of list requests: PostgREST's operators, in a query string or in the body of a search. */

import { comparison, oneOf, type Reader } from './filter-condition.ts'
import { readTree, readValues } from './filter-tree.ts'
import { pointerStep } from './json.ts'
import {
	cursorBytesMax,
	filterCharsMax,
	filterTermsMax,
	listLimitDefault,
	listLimitMax,
	orderTermsMax,
	selectNamesMax,
} from './limits.ts'
import { builtInFields, type ListQuery, type RawFilter } from './query.ts'
import { accept, type Outcome, type RefusalCode, refuse } from './refusal.ts'

/** A list request before its cursor is opened: `query.after` and `query.count` are for the caller to fill in. */
export interface ParsedList {
	query: ListQuery
	/** The sealed position as the client sent it. */
	cursor: string | null
}

/**
 * Parses `field=op.value`, `or=(…)`, `order`, `limit`, `select` and `cursor`, given as names and values in the order of the
 * request. Names in `reserved` belong to the caller and are passed over; a property of such a name is `data.<name>`.
 * Refused with `invalid_filter`, `unknown_field` or `invalid_request`; `errors` names the parameter and never a value.
 */
export function parseListQuery(
	parameters: Iterable<readonly [string, string]>,
	source: 'query' | 'body',
	reserved: readonly string[] = [],
): Outcome<ParsedList> {
	const query: ListQuery = { filter: null, order: [], limit: listLimitDefault, after: null, select: null, count: false }
	const filters: RawFilter[] = []
	const given = new Set<string>()
	const terms = { left: filterTermsMax }
	let cursor: string | null = null
	for (const [name, value] of parameters) {
		if (reserved.includes(name)) continue
		const pointer = source === 'query' ? name.slice(0, pointerCharsMax) : pointerStep(name.slice(0, pointerCharsMax))
		const reader: Reader = { text: value, at: 0, pointer, terms }
		if (value.length > filterCharsMax) return fault('invalid_request', pointer, `may take ${filterCharsMax} characters`)
		if (once.has(name)) {
			if (given.has(name)) return fault('invalid_request', pointer, 'may be given once')
			given.add(name)
		}
		if (name === 'order') {
			const order = parseOrder(value, pointer)
			if (!order.ok) return order
			query.order = order.value
		} else if (name === 'limit') {
			query.limit = /^[0-9]{1,9}$/.test(value) ? Number(value) : 0
			if (query.limit < 1 || query.limit > listLimitMax) {
				return fault('invalid_request', pointer, `must be an integer from 1 to ${listLimitMax}`)
			}
		} else if (name === 'select') {
			const select = parseSelect(value, pointer)
			if (!select.ok) return select
			query.select = select.value
		} else if (name === 'cursor') {
			if (value === '' || Buffer.byteLength(value) > cursorBytesMax)
				return fault('invalid_cursor', pointer, 'is not a cursor')
			cursor = value
		} else {
			const filter = parseFilter(name, reader)
			if (!filter.ok) return filter
			filters.push(filter.value)
		}
	}
	query.filter = filters.length > 1 ? { kind: 'and', filters } : (filters[0] ?? null)
	return accept({ query, cursor })
}

/**
 * Parses the body of a search: an object with the names of the query string. A value is text, or a list of texts where the
 * query string would repeat the name; `limit` may be a number.
 */
export function parseSearchBody(body: unknown): Outcome<ParsedList> {
	if (typeof body !== 'object' || body === null || Array.isArray(body)) {
		return fault('invalid_request', '', 'the body must be an object')
	}
	const parameters: [string, string][] = []
	for (const [name, value] of Object.entries(body)) {
		for (const one of Array.isArray(value) ? value : [value]) {
			if (typeof one === 'string') parameters.push([name, one])
			else if (name === 'limit' && typeof one === 'number') parameters.push([name, String(one)])
			else
				return fault(
					'invalid_request',
					pointerStep(name.slice(0, pointerCharsMax)),
					'must be a string or a list of strings',
				)
		}
	}
	return parseListQuery(parameters, 'body')
}

/** What a comparison reads after the name of its field: `[not.]op.`. */
const operation = /^(not\.)?([a-z]+)\.(.*)$/s
const once = new Set(['order', 'limit', 'select', 'cursor'])
const field = '(?:data\\.)?[A-Za-z_][A-Za-z0-9_-]{0,63}'
const fieldName = new RegExp(`^${field}$`)
const orderTerm = new RegExp(`^(${field})(?:\\.(asc|desc))?$`)
/** Names come back in errors; a longer one is no name. */
const pointerCharsMax = 100

function parseFilter(name: string, reader: Reader): Outcome<RawFilter> {
	const tree = /^(not\.)?(and|or)$/.exec(name)
	if (tree) {
		const read = readTree(reader, tree[2] === 'and' ? 'and' : 'or', 1)
		if (!read.ok) return read
		return accept(tree[1] ? { kind: 'not', filter: read.value } : read.value)
	}
	const { pointer, text } = reader
	if (!fieldName.test(name)) return fault('unknown_field', pointer, 'is not the name of a field')
	const parts = operation.exec(text)
	if (!parts) return fault('invalid_filter', pointer, 'must be an operator, a dot and a value, such as eq.1')
	const [, negated, op = '', value = ''] = parts
	const filter = op === 'in' ? parseIn(name, value, reader) : comparison(name, op, value, reader)
	if (!filter.ok || !negated) return filter
	return accept({ kind: 'not', filter: filter.value })
}

function parseIn(name: string, value: string, { pointer, terms }: Reader): Outcome<RawFilter> {
	const reader: Reader = { text: value, at: 0, pointer, terms }
	const values = readValues(reader)
	if (!values.ok) return values
	if (reader.at < value.length) return fault('invalid_filter', pointer, 'has text after its list')
	return oneOf(name, values.value, reader)
}

function parseOrder(text: string, pointer: string): Outcome<ListQuery['order']> {
	const order: ListQuery['order'] = []
	for (const item of text.split(',')) {
		if (/\.nulls(first|last)$/.test(item)) {
			return fault(
				'invalid_request',
				pointer,
				'ascending puts nulls last and descending puts them first; this is fixed',
			)
		}
		const [, name, direction] = orderTerm.exec(item) ?? []
		if (name === undefined)
			return fault('invalid_request', pointer, 'must be a list of fields, each with .asc or .desc')
		order.push({ field: name, descending: direction === 'desc' })
	}
	if (order.length > orderTermsMax) return fault('invalid_request', pointer, `may name ${orderTermsMax} fields`)
	return accept(order)
}

/** Built-in fields are always answered, so naming them changes nothing. */
function parseSelect(text: string, pointer: string): Outcome<string[] | null> {
	if (text === '*') return accept(null)
	const names = text.split(',')
	if (names.length > selectNamesMax) return fault('invalid_request', pointer, `may name ${selectNamesMax} properties`)
	if (!names.every((name) => fieldName.test(name))) return fault('invalid_request', pointer, 'must be a list of names')
	const properties = names.filter((name) => !builtInFields.some((builtIn) => builtIn === name))
	return accept([...new Set(properties.map((name) => name.replace(/^data\./, '')))])
}

function fault(code: RefusalCode, pointer: string, detail: string) {
	return refuse(code, 'the list cannot be asked for like this', { errors: [{ pointer, detail }] })
}
