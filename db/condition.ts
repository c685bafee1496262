/** Filters and keyset positions as SQL. Both databases get theirs from here, so that they cannot come to differ in logic. */
import type { PatternToken } from '../core/pattern.ts'
import type { BoundField, BoundFilter, CompareOp, Scalar } from '../core/query.ts'
import { type Fragment, fragment, join, raw } from './fragment.ts'

/** What one database writes differently. Columns are null where a record has no value of the field's type. */
export interface Dialect<Value> {
	column(field: BoundField): Fragment<Value>
	value(field: BoundField, value: Scalar): Fragment<Value>
	/** What stands after the column when it must equal one of several values. */
	oneOf(field: BoundField, values: readonly Scalar[]): Fragment<Value>
	/** What stands after the column when it must match a pattern. */
	matches(tokens: PatternToken[], fold: boolean): Fragment<Value>
}

export function filterCondition<Value>(filter: BoundFilter, dialect: Dialect<Value>): Fragment<Value> {
	switch (filter.kind) {
		case 'and':
		case 'or': {
			const parts = filter.filters.map((part) => filterCondition(part, dialect))
			return fragment`(${join(parts, filter.kind === 'and' ? ' AND ' : ' OR ')})`
		}
		case 'not':
			return fragment`(NOT ${filterCondition(filter.filter, dialect)})`
		case 'compare': {
			const operator = raw(operators[filter.op])
			return fragment`(${dialect.column(filter.field)} ${operator} ${dialect.value(filter.field, filter.value)})`
		}
		case 'in':
			// Nothing is in an empty list, not even "unknown".
			if (filter.values.length === 0) return raw('(FALSE)')
			return fragment`(${dialect.column(filter.field)} ${dialect.oneOf(filter.field, filter.values)})`
		case 'is':
			return fragment`(${dialect.column(filter.field)} ${raw(states[filter.value])})`
		case 'like':
			return fragment`(${dialect.column(filter.field)} ${dialect.matches(filter.tokens, filter.fold)})`
	}
}

/** One column of an order, with its value at the position after which to go on. */
export interface KeysetColumn<Value> {
	column: Fragment<Value>
	/** Null where the record at the position has no value. */
	value: Fragment<Value> | null
	descending: boolean
	nullable: boolean
}

/** Everything after the position: later in the first column, or equal there and later in the next, and so on. */
export function keysetCondition<Value>(columns: readonly KeysetColumn<Value>[]): Fragment<Value> {
	const [first, ...rest] = columns
	if (!first) return raw('FALSE')
	const later = laterThan(first)
	if (rest.length === 0) return later
	const { column, value } = first
	const same = value === null ? fragment`${column} IS NULL` : fragment`${column} = ${value}`
	return fragment`(${later} OR (${same} AND ${keysetCondition(rest)}))`
}

/** Nulls come last when ascending and first when descending, which is Postgres's own default. */
export function orderItem<Value>({
	column,
	descending,
}: Pick<KeysetColumn<Value>, 'column' | 'descending'>): Fragment<Value> {
	return fragment`${column} ${raw(descending ? 'DESC NULLS FIRST' : 'ASC NULLS LAST')}`
}

const operators: Record<CompareOp, string> = { eq: '=', neq: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' }
const states = { null: 'IS NULL', not_null: 'IS NOT NULL', true: 'IS TRUE', false: 'IS FALSE' }

function laterThan<Value>({ column, value, descending, nullable }: KeysetColumn<Value>): Fragment<Value> {
	if (descending) return value === null ? fragment`${column} IS NOT NULL` : fragment`${column} < ${value}`
	if (value === null) return raw('FALSE')
	return nullable ? fragment`(${column} > ${value} OR ${column} IS NULL)` : fragment`${column} > ${value}`
}
