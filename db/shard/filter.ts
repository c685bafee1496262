/** Filters in the SQL of a shard. The texts of expressions are exact: SQLite uses an index on an expression only for the same text. */
import { printGlob, printLike } from '../../core/pattern.ts'
import type { BoundField, Scalar } from '../../core/query.ts'
import type { Dialect } from '../condition.ts'
import { type Fragment, fragment, placeholder, raw } from '../fragment.ts'
import { identifier, type SqlValue } from './sql.ts'

export type ShardFragment = Fragment<SqlValue>

/** A property of `data`; null when absent, and true and false are 1 and 0. Made for `CREATE INDEX` as well as for queries. */
export function fieldExpression(name: string): string {
	if (!/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(name)) throw new Error('not the name of a filterable property')
	return `json_extract(data,'$."${name}"')`
}

export const shardDialect: Dialect<SqlValue> = {
	column: (field) => raw(columnOf(field)),
	value: (_, value) => placeholder(typeof value === 'boolean' ? Number(value) : value),
	oneOf: (field, values) => fragment`IN (SELECT value FROM json_each(${placeholder(listOf(field, values))}))`,
	matches: (tokens, fold) =>
		fold
			? fragment`LIKE ${placeholder<SqlValue>(printLike(tokens))} ESCAPE '\\'`
			: fragment`GLOB ${placeholder<SqlValue>(printGlob(tokens))}`,
}

function columnOf(field: BoundField): string {
	if (field.place === 'record') return field.name
	return field.column === undefined ? fieldExpression(field.name) : identifier(field.column)
}

function listOf(field: BoundField, values: readonly Scalar[]): SqlValue {
	return JSON.stringify(field.type === 'boolean' ? values.map(Number) : values)
}
