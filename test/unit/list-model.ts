/** Random collections and queries, and what they must answer: filtered and sorted in plain JavaScript, without any SQL. */
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import type { ScalarType, StoredRecord } from '../../core/contract.ts'
import type { RawFilter } from '../../core/query.ts'
import { normaliseUnique } from '../../core/schema.ts'
import { fieldExpression } from '../../db/shard/list.ts'
import type { Sql, SqlValue } from '../../db/shard/sql.ts'

/** One property is called like a built-in field. */
export const fields = new Map<string, { type: ScalarType }>([
	['name', { type: 'string' }],
	['e-mail', { type: 'string' }],
	['age', { type: 'integer' }],
	['score', { type: 'number' }],
	['ok', { type: 'boolean' }],
	['created_at', { type: 'string' }],
])

export interface ModelQuery {
	filter: RawFilter | null
	order: { field: string; descending: boolean }[]
}

const texts = [
	'',
	'a',
	'A',
	'b',
	'ab',
	'aB',
	'Ab',
	'é',
	'É',
	'e\u0301',
	'ſ',
	'\u212a',
	'ß',
	'\uffff',
	'\u{10000}',
	'\u{10ffff}',
]
const hardTexts = [
	'a\uffff',
	'a\u{10000}',
	'a*b',
	'a?b',
	'[a]',
	'%',
	'_',
	'\\',
	'a%b',
	'a\\b',
	'😀',
	'a😀b',
	"'",
	'"',
	'$1',
	'?',
	'null',
	'true',
	'1',
]
const numbers = [
	-1,
	0,
	1,
	2,
	1.5,
	0.1,
	0.1 + 0.2,
	1e21,
	1e-7,
	5e-324,
	1.7976931348623157e308,
	2 ** 53 - 1,
	-(2 ** 53 - 1),
]
const times = [0, 1, 1_000, 1_700_000_000_123, 1_700_000_000_124]

const text = fc.oneof(
	fc.constantFrom(...texts),
	fc.constantFrom(...hardTexts),
	fc.string({ unit: 'binary', maxLength: 3 }).map(storable),
)
const integer = fc.oneof(fc.integer({ min: -2, max: 5 }), fc.maxSafeInteger())
const number = fc.oneof(
	fc.constantFrom(...numbers),
	integer,
	fc.double({ noNaN: true, noDefaultInfinity: true }).map(storableNumber),
)
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 4 })

const data = fc.record(
	{
		name: optional(text),
		'e-mail': optional(text),
		age: optional(integer),
		score: optional(number),
		ok: optional(fc.boolean()),
		created_at: optional(text),
		other: fc.constant({ nested: ['name'] }),
	},
	{ requiredKeys: [] },
)

export const records: fc.Arbitrary<StoredRecord[]> = fc.uniqueArray(
	fc.record({
		id: fc.oneof(fc.stringMatching(/^[A-Za-z0-9._~-]{1,3}$/), fc.constantFrom('a', 'A', 'b', '~', '0')),
		version: fc.integer({ min: 1, max: 3 }),
		seq: fc.integer({ min: 1, max: 9 }),
		createdAt: fc.constantFrom(...times),
		updatedAt: fc.constantFrom(...times),
		data: data.map((value) => JSON.stringify(value)),
	}),
	{ selector: (record) => record.id, maxLength: 25 },
)

const byType = {
	string: text,
	integer: integer.map(String),
	number: number.map(String),
	boolean: fc.boolean().map(String),
	time: fc.constantFrom(...times).map((time) => new Date(time).toISOString()),
}

type FieldType = keyof typeof byType
const names: [string, FieldType][] = [
	['name', 'string'],
	['e-mail', 'string'],
	['data.age', 'integer'],
	['age', 'integer'],
	['score', 'number'],
	['ok', 'boolean'],
	['data.created_at', 'string'],
	['created_at', 'time'],
	['updated_at', 'time'],
	['version', 'integer'],
	['id', 'string'],
]
const typeOf = new Map(names)
const pointer = 'x'

const condition: fc.Arbitrary<RawFilter> = fc.constantFrom(...names).chain(([field, type]) => {
	const value = field === 'id' ? fc.constantFrom('a', 'A', 'b', '~', '0', 'nobody') : byType[type]
	const compare = fc.record({
		kind: fc.constant('compare' as const),
		field: fc.constant(field),
		op: fc.constantFrom('eq' as const, 'neq' as const, 'gt' as const, 'gte' as const, 'lt' as const, 'lte' as const),
		value,
		pointer: fc.constant(pointer),
	})
	const states =
		type === 'boolean' ? (['null', 'not_null', 'true', 'false', 'unknown'] as const) : (['null', 'not_null'] as const)
	const others: fc.Arbitrary<RawFilter>[] = [
		fc.array(value, { maxLength: 4 }).map((values) => ({ kind: 'in', field, values, pointer })),
		fc.constantFrom(...states).map((state) => ({ kind: 'is', field, value: state, pointer })),
	]
	if (type === 'string')
		others.push(fc.record({ pattern, fold: fc.boolean() }).map((like) => ({ kind: 'like', field, ...like, pointer })))
	return fc.oneof({ arbitrary: compare, weight: 3 }, ...others)
})

const pattern = fc
	.array(
		fc.oneof(
			fc.constantFrom('%', '*', '_', 'a', 'B', 'é', '\\%', '\\_', '\\\\', '\\*', '?', '[', ']', '^'),
			fc.constantFrom(...texts),
		),
		{ maxLength: 4 },
	)
	.map((parts) => parts.join(''))

const filter: fc.Arbitrary<RawFilter> = fc.letrec<{ filter: RawFilter }>((tie) => ({
	filter: fc.oneof(
		{ maxDepth: 3 },
		{ arbitrary: condition, weight: 3 },
		fc.record({
			kind: fc.constantFrom('and' as const, 'or' as const),
			filters: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }),
		}),
		fc.record({ kind: fc.constant('not' as const), filter: tie('filter') }),
	),
})).filter

export const queries: fc.Arbitrary<ModelQuery> = fc.record({
	filter: fc.option(filter, { nil: null, freq: 5 }),
	order: fc.uniqueArray(
		fc.record({ field: fc.constantFrom(...names.map(([name]) => name)), descending: fc.boolean() }),
		{ maxLength: 3, selector: ({ field }) => field.replace('data.age', 'age') },
	),
})

/** The ids that match, in the order of the query; ties by id in the direction of the first term. */
export function expectedIds(all: readonly StoredRecord[], { filter, order }: ModelQuery): string[] {
	const matching = all.filter((record) => filter === null || evaluate(filter, record) === true)
	const ties = { field: 'id', descending: order[0]?.descending ?? false }
	return matching
		.sort((a, b) => {
			for (const { field, descending } of [...order, ties]) {
				const difference = compare(fieldValue(a, field), fieldValue(b, field))
				if (difference !== 0) return descending ? -difference : difference
			}
			return 0
		})
		.map((record) => record.id)
}

function evaluate(filter: RawFilter, record: StoredRecord): boolean | null {
	if (filter.kind === 'not') {
		const inner = evaluate(filter.filter, record)
		return inner === null ? null : !inner
	}
	if ('filters' in filter) {
		const parts = filter.filters.map((part) => evaluate(part, record))
		const decisive = filter.kind === 'or'
		if (parts.includes(decisive)) return decisive
		return parts.includes(null) ? null : !decisive
	}
	const value = fieldValue(record, filter.field)
	if (filter.kind === 'is') {
		if (filter.value === 'null' || filter.value === 'unknown') return value === null
		return filter.value === 'not_null' ? value !== null : value === (filter.value === 'true')
	}
	if (filter.kind === 'in' && filter.values.length === 0) return false
	if (value === null) return null
	if (filter.kind === 'in') return filter.values.some((wanted) => compare(value, typed(filter.field, wanted)) === 0)
	if (filter.kind === 'like') return matches(String(value), filter.pattern, filter.fold)
	const difference = compare(value, typed(filter.field, filter.value))
	const holds = {
		eq: difference === 0,
		neq: difference !== 0,
		gt: difference > 0,
		gte: difference >= 0,
		lt: difference < 0,
		lte: difference <= 0,
	}
	return holds[filter.op]
}

type Value = string | number | boolean | null

function fieldValue(record: StoredRecord, field: string): Value {
	const builtIn: Record<string, Value> = {
		id: record.id,
		version: record.version,
		created_at: record.createdAt,
		updated_at: record.updatedAt,
	}
	return field in builtIn ? (builtIn[field] ?? null) : (JSON.parse(record.data)[field.replace('data.', '')] ?? null)
}

function typed(field: string, value: string): Value {
	const type = typeOf.get(field)
	if (type === 'boolean') return value === 'true'
	if (type === 'time') return Date.parse(value)
	return type === 'string' ? value : Number(value)
}

function compare(a: Value, b: Value): number {
	if (a === null || b === null) return Number(a === null) - Number(b === null)
	if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(String(b)))
	return a < b ? -1 : Number(a > b)
}

const compiled = new Map<string, RegExp>()

function matches(value: string, like: string, fold: boolean): boolean {
	const folded = (given: string) => (fold ? given.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : given)
	const key = folded(like)
	const known = compiled.get(key)
	if (known) return known.test(folded(value))
	const source = key.replace(/\\(.)|([%*])|(_)|(.)/gsu, (_, escaped, any, one, other) => {
		if (any) return '[^]*'
		return one ? '[^]' : `\\u{${(escaped ?? other).codePointAt(0).toString(16)}}`
	})
	const expression = new RegExp(`^${source}$`, 'u')
	compiled.set(key, expression)
	return expression.test(folded(value))
}

function storable(value: string): string {
	return value.replaceAll('\0', '')
}

/** Records hold no integers that a double has already rounded. */
function storableNumber(value: number): number {
	return Math.abs(value) > Number.MAX_SAFE_INTEGER && Math.abs(value) < 1e21 ? 7.25 : value + 0
}

/** Patterns of two parts, each of which means something to one of the databases, and records for them to match or miss. */
const patternParts = ['%', '*', '_', 'a', 'A', 'é', '\\%', '\\_', '\\*', '\\\\', '?', '[', ']', '^', '[a]', '😀', "'"]
export const patternQueries: ModelQuery[] = patternParts
	.flatMap((first) => patternParts.map((second) => first + second))
	.flatMap((both) =>
		[true, false].map((fold) => ({ kind: 'like' as const, field: 'name', pattern: both, fold, pointer })),
	)
	.map((like) => ({ filter: like, order: [{ field: 'id', descending: false }] }))
export const patternRecords: StoredRecord[] = patternParts
	.flatMap((first) => ['', 'b', ...patternParts].map((second) => (first + second).replaceAll('\\', '')))
	.concat('\\', '\\a', 'a\\', '\\\\', 'É', 'aÉ')
	.map((name, i) => ({ id: `p${i}`, version: 1, seq: 1, createdAt: 0, updatedAt: 0, data: JSON.stringify({ name }) }))

/** A collection with these records, with an index on each of the given fields. */
export function openCollection(all: readonly StoredRecord[], indexed: Iterable<string>): { sql: Sql; close(): void } {
	const database = new DatabaseSync(':memory:')
	const sql: Sql = {
		all: <Row extends object>(query: string, ...bindings: SqlValue[]) =>
			database.prepare(query).all(...bindings) as Row[],
		transaction: (work) => work(),
		sizeBytes: () => 0,
	}
	database.exec(`CREATE TABLE c_1 (id TEXT PRIMARY KEY, version INTEGER NOT NULL, seq INTEGER NOT NULL,
		created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, data TEXT NOT NULL, u_1) WITHOUT ROWID`)
	let place = 0
	for (const field of indexed) {
		const isProperty = field.startsWith('data.') || fields.has(field)
		const isBuiltIn = field === 'created_at' || field === 'updated_at'
		const column = isProperty && !isBuiltIn ? fieldExpression(field.replace('data.', '')) : field
		database.exec(`CREATE INDEX c_1_x${place++} ON c_1 (${column}, id)`)
	}
	database.exec('CREATE INDEX c_1_u_1 ON c_1 (u_1)')
	for (const { id, version, seq, createdAt, updatedAt, data } of all) {
		const email = normaliseUnique(JSON.parse(data)['e-mail'], 'ci')
		sql.all('INSERT INTO c_1 VALUES (?, ?, ?, ?, ?, ?, ?)', id, version, seq, createdAt, updatedAt, data, email)
	}
	return { sql, close: () => database.close() }
}

export const uniqueColumns = new Map([['e-mail', { column: 'u_1', mode: 'ci' as const }]])
/** By `fieldKey`. */
export const indexable = ['name', 'e-mail', 'age', 'score', 'ok', 'data.created_at', 'created_at', 'updated_at']
