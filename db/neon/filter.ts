/**
 * Filters and positions in the SQL of the view, over the columns of `record`. `data` may still hold what an older schema
 * allowed, so a property counts only where it has the field's type.
 */
import { compareText, compareValues, descendingTies } from '../../core/order.ts'
import { printLike } from '../../core/pattern.ts'
import type { BoundField, BoundFilter, BoundTerm, Scalar } from '../../core/query.ts'
import type { ViewPosition } from '../../core/view.ts'
import { type Dialect, filterCondition, type KeysetColumn, keysetCondition, orderItem } from '../condition.ts'
import { type Fragment, fragment, join, placeholder, raw } from '../fragment.ts'

export interface SqlText {
	text: string
	/** Texts only, cast where they are used, so that no driver guesses a type. */
	params: string[]
}

/** A condition; its parameters are `$<startIndex>` and following. */
export function filterSql(filter: BoundFilter | null, startIndex: number): SqlText {
	return numbered(filter === null ? raw('TRUE') : filterCondition(filter, viewDialect), startIndex)
}

/** The condition for everything after a position in `orderSql`. */
export function keysetSql(order: readonly BoundTerm[], position: ViewPosition, startIndex: number): SqlText {
	const values = [...position.values, position.tenant, position.id]
	const columns = columnsOf(order).map(({ field, column, descending, nullable }, i): KeysetColumn<string> => {
		const value = values[i] ?? null
		return { column, descending, nullable, value: value === null ? null : bind(field, value) }
	})
	return numbered(keysetCondition(columns), startIndex)
}

/** What follows ORDER BY: the terms, then tenant and id. */
export function orderSql(order: readonly BoundTerm[]): string {
	return join(columnsOf(order).map(orderItem), ', ').texts.join('')
}

/** A column `position_values` for the SELECT list: a JSON array that is the `values` of a row's `ViewPosition`. */
export function orderColumnsSql(order: readonly BoundTerm[]): string {
	const values = order.map(({ field }) =>
		field.type === 'time'
			? fragment`round(extract(epoch FROM ${viewDialect.column(field)}) * 1000)`
			: viewDialect.column(field),
	)
	return `jsonb_build_array(${join(values, ', ').texts.join('')}) AS position_values`
}

/** The order of `orderSql` for positions, to merge the pages of several databases. */
export function comparePositions(order: readonly BoundTerm[]): (a: ViewPosition, b: ViewPosition) => number {
	const ties = descendingTies(order) ? -1 : 1
	return (a, b) => {
		for (const [i, { descending }] of order.entries()) {
			const difference = compareValues(a.values[i] ?? null, b.values[i] ?? null)
			if (difference !== 0) return descending ? -difference : difference
		}
		return ties * (compareText(a.tenant, b.tenant) || compareText(a.id, b.id))
	}
}

const viewDialect: Dialect<string> = {
	column: columnOf,
	value: bind,
	oneOf: (field, values) => {
		const list = placeholder(JSON.stringify(values.map((value) => textOf(field, value))))
		return fragment`= ANY (ARRAY(SELECT jsonb_array_elements_text(${list}::jsonb))::${raw(sqlTypes[field.type])}[])`
	},
	// Under the collation "C" case is folded for ASCII only.
	matches: (tokens, fold) => fragment`${raw(fold ? 'ILIKE' : 'LIKE')} ${placeholder(printLike(tokens))}::text`,
}

const sqlTypes = {
	string: 'text',
	integer: 'numeric',
	number: 'numeric',
	boolean: 'boolean',
	time: 'timestamptz',
} as const
const jsonTypes = { string: 'string', integer: 'number', number: 'number', boolean: 'boolean' } as const

const tenantColumn = {
	field: { place: 'record', name: 'id', type: 'string' },
	column: raw('tenant_id COLLATE "C"'),
} as const

function columnOf(field: BoundField): Fragment<never> {
	if (field.place === 'record') return raw(field.type === 'string' ? `${field.name} COLLATE "C"` : field.name)
	if (!/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(field.name)) throw new Error('not the name of a filterable property')
	const text = `data->>'${field.name}'`
	const value = field.type === 'string' ? text : `(${text})::${sqlTypes[field.type]}`
	const guarded = `CASE WHEN jsonb_typeof(data->'${field.name}') = '${jsonTypes[field.type]}' THEN ${value} END`
	return raw(field.type === 'string' ? `(${guarded}) COLLATE "C"` : `(${guarded})`)
}

function bind(field: BoundField, value: Scalar): Fragment<string> {
	return fragment`${placeholder(textOf(field, value))}::${raw(sqlTypes[field.type])}`
}

function textOf(field: BoundField, value: Scalar): string {
	return field.type === 'time' ? new Date(Number(value)).toISOString() : String(value)
}

interface ViewColumn {
	field: BoundField
	column: Fragment<never>
	descending: boolean
	nullable: boolean
}

function columnsOf(order: readonly BoundTerm[]): ViewColumn[] {
	const ties = { descending: descendingTies(order), nullable: false }
	const terms = order.map(({ field, descending }) => ({
		field,
		column: columnOf(field),
		descending,
		nullable: field.place === 'data',
	}))
	return [
		...terms,
		{ ...tenantColumn, ...ties },
		{ field: tenantColumn.field, column: columnOf(tenantColumn.field), ...ties },
	]
}

function numbered({ texts, values }: Fragment<string>, startIndex: number): SqlText {
	const text = texts.map((part, i) => (i === 0 ? part : `$${startIndex + i - 1}${part}`)).join('')
	return { text, params: [...values] }
}
