/** Answers list requests from a collection's table, and never reads more of it than one call may. */
import type { PagePosition, StoredRecord } from '../../core/contract.ts'
import { bodyBytesMax } from '../../core/limits.ts'
import type { BoundFilter, BoundQuery, Scalar } from '../../core/query.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { filterCondition, keysetCondition, orderItem } from '../condition.ts'
import { type Fragment, fragment, join, placeholder, raw } from '../fragment.ts'
import { type ShardFragment, shardDialect } from './filter.ts'
import { choosePlan, type ListTable, type Plan, smallestSource } from './plan.ts'
import { positionOf, readPosition } from './position.ts'
import { type Arm, arms, idArms } from './range.ts'
import { identifier, type Sql, type SqlValue } from './sql.ts'

export { fieldExpression } from './filter.ts'

export interface ListLimits {
	/** Rows that a page may read, and a count again. */
	scanRowsMax: number
	/** Bytes of data in a page; a record that is larger makes a page by itself. */
	bytesMax?: number
}

export interface ListedPage {
	rows: StoredRecord[]
	/** Where to go on, also when few or no rows were found before the reading had to end; null at the end of the list. */
	next: PagePosition | null
	/** Matching records of all pages, when they were asked for. */
	count: number | null
}

/**
 * One page of a collection. Refused with `index_required` when order or count would read too much without an index, and
 * with `invalid_cursor` when the position does not fit the order.
 */
export function listRecords(sql: Sql, table: ListTable, query: BoundQuery, limits: ListLimits): Outcome<ListedPage> {
	const plan = choosePlan(sql, table, query, limits.scanRowsMax)
	if (!plan.ok) return plan
	const { order } = plan.value
	const after = query.after === null ? accept(null) : readPosition(query.after, order)
	if (!after.ok) return after
	const reading: Reading = { sql, table, query, plan: plan.value, values: after.value }
	const found = plan.value.kind === 'scan' ? scan(reading, plan.value) : sort(reading, plan.value)
	const kept = withinBytes(found.candidates.slice(0, query.limit), limits.bytesMax ?? bodyBytesMax)
	const rows = fetchRecords(
		reading,
		kept.map(({ id }) => id),
	)
	const last = kept.length < found.candidates.length ? kept.at(-1)?.id : found.stoppedAt
	const [lastRecord] =
		last === undefined ? [] : last === rows.at(-1)?.id ? rows.slice(-1) : fetchRecords(reading, [last])
	const next = lastRecord ? positionOf(lastRecord, order) : null
	if (!query.count) return accept({ rows, next, count: null })
	if (query.after === null && next === null) return accept({ rows, next, count: rows.length })
	const count = countMatches(reading, limits.scanRowsMax)
	return count.ok ? accept({ rows, next, count: count.value }) : count
}

interface Reading {
	sql: Sql
	table: ListTable
	query: BoundQuery
	plan: Plan
	/** The values of the position after which to go on; null for the first page. */
	values: (Scalar | null)[] | null
}

interface Candidate {
	id: string
	size: number
}

/** Up to one candidate more than the page takes; `stoppedAt` is the last row read when the reading ended before the list did. */
interface Found {
	candidates: Candidate[]
	stoppedAt?: string
}

/** What conditions are asked of: `data`, and the blind indexes that they name. */
function filterable(filter: BoundFilter | null): Fragment<never> {
	const columns = new Set(['id', 'version', 'created_at', 'updated_at', 'data', ...blindColumns(filter)])
	return raw([...columns].join(', '))
}

function blindColumns(filter: BoundFilter | null): string[] {
	if (filter === null) return []
	if (filter.kind === 'not') return blindColumns(filter.filter)
	if ('filters' in filter) return filter.filters.flatMap(blindColumns)
	const { field } = filter
	return field.place === 'data' && field.column !== undefined ? [identifier(field.column)] : []
}

const sized = raw('id, octet_length(data) AS size')

/** Reads rows in the order of an index and keeps those that match. */
function scan({ sql, table, query, values }: Reading, plan: Extract<Plan, { kind: 'scan' }>): Found {
	const { driver, order, budget, residual, within } = plan
	const id = query.after?.id ?? null
	const [value = null] = values ?? []
	const whole =
		order.terms.length === 0
			? idArms(driver, order.descendingIds, id)
			: arms(driver, order.descendingIds, id === null ? null : { value, id })
	const parts = within === null ? whole : whole.map((arm) => ({ ...arm, where: fragment`${within} AND ${arm.where}` }))
	if (parts.length === 0) return { candidates: [] }
	const wanted = query.limit + 1
	if (residual === null) return { candidates: run<Candidate>(sql, limited(sized, table, parts, wanted)) }
	const scanned = limited(filterable(residual), table, parts, budget ?? table.count)
	const condition = filterCondition(residual, shardDialect)
	const candidates = run<Candidate>(
		sql,
		fragment`SELECT ${sized} FROM (${scanned}) WHERE ${condition} LIMIT ${placeholder<SqlValue>(wanted)}`,
	)
	if (candidates.length >= wanted || budget === null) return { candidates }
	const ids = limited(raw('id'), table, parts, budget)
	const lastOne = placeholder<SqlValue>(budget - 1)
	const [last] = run<{ id: string }>(sql, fragment`SELECT id FROM (${ids}) LIMIT 1 OFFSET ${lastOne}`)
	return last ? { candidates, stoppedAt: last.id } : { candidates }
}

/** The rows of the arms in turn. Each arm has its own LIMIT, which keeps SQLite from taking it apart and losing its order. */
function limited(columns: Fragment<never>, table: ListTable, parts: readonly Arm[], rows: number): ShardFragment {
	const limit = placeholder<SqlValue>(rows)
	const selects = parts.map(
		({ where, order }) =>
			fragment`SELECT * FROM (SELECT ${columns} FROM ${tableName(table)} WHERE ${where} ORDER BY ${order} LIMIT ${limit})`,
	)
	return fragment`SELECT * FROM (${join<SqlValue>(selects, ' UNION ALL ')}) LIMIT ${limit}`
}

/** Reads a set of rows that is known to be small enough, and puts the matching ones in order. */
function sort(
	{ sql, table, query, values }: Reading,
	{ order, source, residual }: Extract<Plan, { kind: 'sort' }>,
): Found {
	const columns = order.terms.map(({ field, descending }, i) => {
		const value = values?.[i] ?? null
		const column: ShardFragment = shardDialect.column(field)
		const bound = value === null ? null : shardDialect.value(field, value)
		return { column, value: bound, descending, nullable: field.place === 'data' }
	})
	const id = placeholder<SqlValue>(query.after?.id ?? '')
	columns.push({ column: raw('id'), value: id, descending: order.descendingIds, nullable: false })
	const conditions: ShardFragment[] = residual === null ? [] : [filterCondition(residual, shardDialect)]
	if (values !== null) conditions.push(keysetCondition(columns))
	const where = conditions.length > 0 ? fragment`WHERE ${join(conditions, ' AND ')}` : raw('')
	const items = join(columns.map(orderItem), ', ')
	const limit = placeholder<SqlValue>(query.limit + 1)
	return {
		candidates: run<Candidate>(
			sql,
			fragment`SELECT ${sized} FROM (${rowsOf(table, query.filter, source, table.count)}) ${where} ORDER BY ${items} LIMIT ${limit}`,
		),
	}
}

/** The LIMIT keeps SQLite from looking for another way than the source names. */
function rowsOf(
	table: ListTable,
	filter: BoundFilter | null,
	source: ShardFragment | null,
	rows: number,
): ShardFragment {
	const where = source === null ? raw('') : fragment`WHERE ${source}`
	return fragment`SELECT ${filterable(filter)} FROM ${tableName(table)} ${where} LIMIT ${placeholder<SqlValue>(rows)}`
}

function countMatches({ sql, table, query }: Reading, rowsMax: number): Outcome<number> {
	if (query.filter === null) return accept(table.count)
	const { source, residual } = smallestSource(table, query)
	const matches = residual === null ? raw('TRUE') : filterCondition(residual, shardDialect)
	const rows = rowsOf(table, query.filter, source, rowsMax + 1)
	const [counted] = run<{ read: number; matching: number }>(
		sql,
		fragment`SELECT count(*) AS read, count(CASE WHEN ${matches} THEN 1 END) AS matching FROM (${rows})`,
	)
	if (counted && counted.read <= rowsMax) return accept(counted.matching)
	return refuse(
		'index_required',
		`an exact count reads at most ${rowsMax} rows: filter by a property with x-index, or count without a filter`,
	)
}

function withinBytes(candidates: readonly Candidate[], bytesMax: number): Candidate[] {
	let bytes = 0
	const end = candidates.findIndex(({ size }, i) => {
		bytes += size
		return i > 0 && bytes > bytesMax
	})
	return end < 0 ? [...candidates] : candidates.slice(0, end)
}

/** The records in the order of their ids in the list. */
function fetchRecords({ sql, table }: Reading, ids: readonly string[]): StoredRecord[] {
	const rows = run<StoredRecord>(
		sql,
		fragment`SELECT id, version, seq, created_at AS createdAt, updated_at AS updatedAt, data FROM ${tableName(table)}
			WHERE id IN (SELECT value FROM json_each(${placeholder<SqlValue>(JSON.stringify(ids))}))`,
	)
	const byId = new Map(rows.map((row) => [row.id, row]))
	return ids.flatMap((id) => byId.get(id) ?? [])
}

function tableName({ number }: ListTable): Fragment<never> {
	return raw(identifier(`c_${number}`))
}

function run<Row extends object>(sql: Sql, { texts, values }: ShardFragment): Row[] {
	return sql.all<Row>(texts.join('?'), ...values)
}
