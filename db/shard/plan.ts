/** Decides by which index, if any, a list is read. */
import { type BoundFilter, type BoundQuery, fieldKey } from '../../core/query.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { normaliseUnique } from '../../core/schema.ts'
import { fragment, placeholder, raw } from '../fragment.ts'
import type { ShardFragment } from './filter.ts'
import { chosenOrder, type PageOrder, requestedOrder } from './position.ts'
import { conjuncts, type FieldRange, idField, narrowness, rangeOf, wholeRange } from './range.ts'
import { identifier, type Sql, type SqlValue } from './sql.ts'

/** A collection as its reader sees it. */
export interface ListTable {
	/** The table is `c_<number>`. */
	number: number
	/** Records in it. */
	count: number
	/** What has an index followed by the id: properties by `propertyKey`, and `created_at`, `updated_at`. */
	indexed: ReadonlySet<string>
	/** By property: the column with its normalised value, which has a unique index. */
	unique: ReadonlyMap<string, { column: string; mode: 'exact' | 'ci' }>
}

export type Plan = {
	order: PageOrder
	/** What is still to be asked of each row that is read. */
	residual: BoundFilter | null
} & (
	| {
			/** The index of the order, from the position on. */
			kind: 'scan'
			driver: FieldRange
			/** What else every row must fulfil; the index that finds those rows has them in this order. */
			within: ShardFragment | null
			/** Rows after which the page ends; null when the collection is small enough to be read to its end. */
			budget: number | null
	  }
	/** All rows of the source, or of the collection, put in order afterwards. */
	| { kind: 'sort'; source: ShardFragment | null }
)

interface Source {
	/** Null for the whole collection. */
	source: ShardFragment | null
	residual: BoundFilter | null
}

export function choosePlan(sql: Sql, table: ListTable, query: BoundQuery, rowsMax: number): Outcome<Plan> {
	const conditions = conjuncts(query.filter)
	const requested = requestedOrder(query.order)
	const few = pointSource(table, conditions)
	if (few) return accept({ kind: 'sort', order: requested, ...few })
	const narrow = narrowestRange(table, conditions)
	const scan = (
		driver: FieldRange,
		order: PageOrder,
		probed: number,
		held: FieldRange | null = null,
	): Outcome<Plan> => {
		// What the page has read, it may read a second time to find out where it stopped.
		const budget = table.count <= rowsMax ? null : Math.max(1, Math.floor((rowsMax - probed) / 2))
		const expressed = new Set([...driver.expressed, ...(held?.expressed ?? [])])
		const within = held && wholeRange(held)
		return accept({ kind: 'scan', driver, order, budget, within, residual: without(conditions, expressed) })
	}
	const [term, ...others] = requested.terms
	if (!term) {
		// Whoever asks for no order gets the one of the index that answers best.
		const held = blindPoint(conditions)
		if (held) return scan(rangeOf(idField, conditions), requested, 0, held)
		const chosen = query.order.length === 0 ? narrowestRange(table, conditions.filter(isReadable)) : null
		return chosen ? scan(chosen, chosenOrder(chosen.field), 0) : scan(rangeOf(idField, conditions), requested, 0)
	}
	// A range that holds few rows is better put in order afterwards than searched for along another index.
	const probeRows = Math.floor(rowsMax / 10)
	const driver = rangeOf(term.field, conditions)
	const isServed =
		others.length === 0 && table.indexed.has(fieldKey(term.field)) && term.descending === requested.descendingIds
	if (
		narrow &&
		!(isServed && fieldKey(narrow.field) === fieldKey(term.field)) &&
		holdsAtMost(sql, table, narrow, probeRows)
	) {
		return accept({ kind: 'sort', order: requested, ...sourceOf(narrow, conditions) })
	}
	if (isServed) return scan(driver, requested, narrow ? probeRows : 0)
	if (table.count <= rowsMax) return accept({ kind: 'sort', order: requested, source: null, residual: query.filter })
	return refuse(
		'index_required',
		`an order that no index serves reads at most ${rowsMax} records: order by one property with x-index, or filter by one that leaves ${probeRows}`,
		{
			errors: [{ pointer: 'order', detail: 'needs an index on its first field and no further field' }],
		},
	)
}

/** The rows with one value in a blind index, which has them in the order of their ids. */
function blindPoint(conditions: readonly BoundFilter[]): FieldRange | null {
	const point = conditions.find(
		(condition) => !isReadable(condition) && condition.kind === 'compare' && condition.op === 'eq',
	)
	return point && 'field' in point ? rangeOf(point.field, [point]) : null
}

/** False for a condition on a blind index: no position in a list could say where it is. */
function isReadable(condition: BoundFilter): boolean {
	return !('field' in condition) || condition.field.place === 'record' || condition.field.column === undefined
}

/** The best place to find all rows of a query, whatever their order. */
export function smallestSource(table: ListTable, query: BoundQuery): Source {
	const conditions = conjuncts(query.filter)
	const few = pointSource(table, conditions)
	if (few) return few
	const narrow = narrowestRange(table, conditions)
	return narrow ? sourceOf(narrow, conditions) : { source: null, residual: query.filter }
}

/** Single records, by their ids or by a unique value. */
function pointSource(table: ListTable, conditions: readonly BoundFilter[]): Source | null {
	const byId = rangeOf(idField, conditions)
	if (byId.range.kind === 'points') return sourceOf(byId, conditions)
	for (const condition of conditions) {
		if (condition.kind !== 'compare' || condition.op !== 'eq' || condition.field.place !== 'data') continue
		const unique = table.unique.get(condition.field.name)
		if (!unique) continue
		const value = placeholder<SqlValue>(normaliseUnique(condition.value, unique.mode))
		// Different texts may share a normal form, so the condition itself is asked as well.
		return { source: fragment`${raw(identifier(unique.column))} = ${value}`, residual: without(conditions, new Set()) }
	}
	return null
}

function narrowestRange(table: ListTable, conditions: readonly BoundFilter[]): FieldRange | null {
	let narrowest: FieldRange | null = null
	for (const condition of conditions) {
		if (!('field' in condition) || !table.indexed.has(fieldKey(condition.field))) continue
		const range = rangeOf(condition.field, conditions)
		if (narrowness(range) > (narrowest ? narrowness(narrowest) : 0)) narrowest = range
	}
	return narrowest
}

function sourceOf(range: FieldRange, conditions: readonly BoundFilter[]): Source {
	return { source: wholeRange(range), residual: without(conditions, range.expressed) }
}

function holdsAtMost(sql: Sql, table: ListTable, range: FieldRange, rows: number): boolean {
	const { texts, values } =
		fragment`SELECT count(*) AS rows FROM (SELECT 1 FROM ${raw(identifier(`c_${table.number}`))} WHERE ${wholeRange(range)}
		LIMIT ${placeholder<SqlValue>(rows + 1)})`
	return (sql.all<{ rows: number }>(texts.join('?'), ...values)[0]?.rows ?? 0) <= rows
}

function without(conditions: readonly BoundFilter[], expressed: ReadonlySet<BoundFilter>): BoundFilter | null {
	const filters = conditions.filter((condition) => !expressed.has(condition))
	return filters.length > 1 ? { kind: 'and', filters } : (filters[0] ?? null)
}
