/** What a filter says about one field, as a piece of an index that can be read in order. */
import { compareValues } from '../../core/order.ts'
import { patternPrefix } from '../../core/pattern.ts'
import { type BoundField, type BoundFilter, fieldKey, type Scalar } from '../../core/query.ts'
import { type Fragment, fragment, join, raw } from '../fragment.ts'
import { type ShardFragment, shardDialect } from './filter.ts'

type Range =
	| { kind: 'points'; values: Scalar[] }
	| { kind: 'null' }
	| { kind: 'bounds'; lower: Bound | null; upper: Bound | null; notNull: boolean }

interface Bound {
	inclusive: boolean
	value: Scalar
}

export interface FieldRange {
	field: BoundField
	range: Range
	/** The conditions that the range expresses completely, so that no row of it needs to be asked again. */
	expressed: ReadonlySet<BoundFilter>
}

/** One read of an index in its own order: the rows of the arms, one arm after the other, come in the order of the page. */
export interface Arm {
	where: ShardFragment
	order: Fragment<never>
}

/** The conditions that must all hold. */
export function conjuncts(filter: BoundFilter | null): BoundFilter[] {
	if (filter === null) return []
	return filter.kind === 'and' ? filter.filters.flatMap(conjuncts) : [filter]
}

/** The piece of a field's index that holds every row for which the conditions may be true; all of it when they say nothing. */
export function rangeOf(field: BoundField, conditions: readonly BoundFilter[]): FieldRange {
	const own = conditions.filter((condition) => 'field' in condition && fieldKey(condition.field) === fieldKey(field))
	for (const condition of own) {
		const range = exactRange(condition)
		if (range) return { field, range, expressed: new Set([condition]) }
	}
	const bounds = { kind: 'bounds' as const, lower: null as Bound | null, upper: null as Bound | null, notNull: false }
	const expressed = new Set<BoundFilter>()
	for (const condition of own) {
		if (condition.kind === 'compare') {
			const side = condition.op === 'gt' || condition.op === 'gte' ? 'lower' : 'upper'
			if (condition.op === 'neq' || bounds[side] !== null) continue
			bounds[side] = { inclusive: condition.op === 'gte' || condition.op === 'lte', value: condition.value }
			expressed.add(condition)
		} else if (condition.kind === 'is' && condition.value === 'not_null') {
			bounds.notNull = true
			expressed.add(condition)
		} else if (condition.kind === 'like' && !condition.fold) {
			const prefix = patternPrefix(condition.tokens)
			const end = afterPrefix(prefix)
			if (prefix !== '') bounds.lower ??= { inclusive: true, value: prefix }
			if (end !== '') bounds.upper ??= { inclusive: false, value: end }
		}
	}
	return { field, range: bounds, expressed }
}

/** How much a range promises to leave out: 0 for everything, 3 for single values. */
export function narrowness({ range }: FieldRange): number {
	if (range.kind !== 'bounds') return 3
	return Number(range.lower !== null) + Number(range.upper !== null)
}

export function wholeRange({ field, range }: FieldRange): ShardFragment {
	const column = shardDialect.column(field)
	if (range.kind === 'null') return fragment`${column} IS NULL`
	if (range.kind === 'points') return fragment`${column} ${shardDialect.oneOf(field, range.values)}`
	return between(field, range.lower, range.upper)
}

/** Reads a range in the order of its field and then of ids, from the position on. */
export function arms(
	{ field, range }: FieldRange,
	descending: boolean,
	after: { value: Scalar | null; id: string } | null,
): Arm[] {
	const column = shardDialect.column(field)
	const order = raw(descending ? 'DESC' : 'ASC')
	const beyond = raw(descending ? '<' : '>')
	const byId = fragment<never>`id ${order}`
	const values: Arm[] = []
	if (after !== null && after.value !== null) {
		const same = fragment`${column} = ${shardDialect.value(field, after.value)}`
		values.push({ where: fragment`${same} AND id ${beyond} ${idValue(after.id)}`, order: byId })
	}
	const nullsPassed = after !== null && after.value === null
	if (range.kind !== 'null' && (descending || !nullsPassed)) {
		const where = rest(field, range, descending, after?.value ?? null)
		if (where)
			values.push({ where, order: fragment<never>`${shardDialect.column(field) as Fragment<never>} ${order}, ${byId}` })
	}
	const holdsNull = range.kind === 'null' || (range.kind === 'bounds' && !range.lower && !range.upper && !range.notNull)
	if (!holdsNull || field.place === 'record' || (descending && after !== null && !nullsPassed)) return values
	const from = nullsPassed ? fragment` AND id ${beyond} ${idValue(after.id)}` : raw('')
	const nulls: Arm = { where: fragment`${column} IS NULL${from}`, order: byId }
	return descending ? [nulls, ...values] : [...values, nulls]
}

/** Like `arms`, for the order of ids. */
export function idArms({ range }: FieldRange, descending: boolean, after: string | null): Arm[] {
	const where = range.kind === 'null' ? null : rest(idField, range, descending, after)
	return where ? [{ where, order: raw(descending ? 'id DESC' : 'id ASC') }] : []
}

export const idField: BoundField = { place: 'record', name: 'id', type: 'string' }
const idValue = (id: string) => shardDialect.value(idField, id)

/** Values of all types are above it, nulls are not: unlike IS NOT NULL it makes SQLite start behind the nulls. */
const lowest = raw('-9e999')

function exactRange(condition: BoundFilter): Range | null {
	if (condition.kind === 'compare' && condition.op === 'eq') return { kind: 'points', values: [condition.value] }
	if (condition.kind === 'in') return { kind: 'points', values: condition.values }
	if (condition.kind !== 'is' || condition.value === 'not_null') return null
	return condition.value === 'null' ? { kind: 'null' } : { kind: 'points', values: [condition.value === 'true'] }
}

/** What of a range lies behind a value. */
function rest(
	field: BoundField,
	range: Exclude<Range, { kind: 'null' }>,
	descending: boolean,
	after: Scalar | null,
): ShardFragment | null {
	if (range.kind === 'points') {
		const isLeft = (value: Scalar) => after === null || compareValues(value, after) < 0 === descending
		const left = range.values.filter((value) => isLeft(value) && (after === null || compareValues(value, after) !== 0))
		return left.length === 0 ? null : fragment`${shardDialect.column(field)} ${shardDialect.oneOf(field, left)}`
	}
	if (after === null) return between(field, range.lower, range.upper)
	// The position replaces the bound it has passed, because SQLite would start at either of two bounds.
	const start = { inclusive: false, value: after }
	return descending ? between(field, range.lower, start) : between(field, start, range.upper)
}

function between(field: BoundField, lower: Bound | null, upper: Bound | null): ShardFragment {
	const column = shardDialect.column(field)
	const parts: ShardFragment[] = []
	if (lower)
		parts.push(fragment`${column} ${raw(lower.inclusive ? '>=' : '>')} ${shardDialect.value(field, lower.value)}`)
	if (upper)
		parts.push(fragment`${column} ${raw(upper.inclusive ? '<=' : '<')} ${shardDialect.value(field, upper.value)}`)
	if (parts.length > 0) return join(parts, ' AND ')
	return field.place === 'record' ? raw('TRUE') : fragment`${column} >= ${lowest}`
}

/** The least text above everything that starts with the prefix; empty when there is none. */
function afterPrefix(prefix: string): string {
	const points = [...prefix].map((character) => character.codePointAt(0) ?? 0)
	for (let last = points.pop(); last !== undefined; last = points.pop()) {
		if (last === 0x10ffff) continue
		// Surrogates are no characters.
		return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
	}
	return ''
}
