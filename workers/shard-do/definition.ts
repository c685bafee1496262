import type { SchemaChange } from '../../core/contract.ts'
import { collectionsMax } from '../../core/limits.ts'
import { parseSchema, type Schema } from '../../core/schema.ts'
import { identifier, type Sql } from '../../db/shard/sql.ts'
import type { Work } from './work.ts'

/** A column that holds the normalised values of a unique property, or a blind index of an encrypted one. */
export interface ValueColumn {
	property: string
	column: string
	mode: 'exact' | 'ci'
	/** The version of the tenant's key that blinds the values; absent where they rest as they are. */
	key?: number
	/** Set where several records may have the same value. */
	shared?: true
}

/** A collection as writes need it: its compiled schema and its statements. */
export interface Definition {
	name: string
	/** Names the table; never used again after the collection is dropped. */
	number: number
	table: string
	version: number
	schemaText: string
	schema: Schema
	/** Blind indexes are among them. */
	uniques: ValueColumn[]
	/** Blind indexes under a newer key, which take the place of those in force once they are filled. */
	coming: ValueColumn[]
	/** The schema that a running change will put in force; writes must satisfy both. */
	next: { schema: Schema; schemaText: string; uniques: ValueColumn[]; cursor: string } | null
	change: SchemaChange | null
	/** Null where nothing ever rested otherwise than the schema says. */
	resealing: Resealing | null
	createdAt: number
	updatedAt: number
}

/** How far the records of a collection have come to rest as its schema says. Times are milliseconds since 1970. */
export interface Resealing {
	/** The last record id that was looked at. */
	cursor: string
	recordsDone: number
	recordsTotal: number
	startedAt: number
	finishedAt: number | null
}

/** A change of schema as it rests in the collection's row. */
export interface StoredChange extends SchemaChange {
	schema: string
	uniques: ValueColumn[]
	/** The last record id that was checked. */
	cursor: string
}

/** `coming` is set on those that are not in force yet. */
type StoredColumn = ValueColumn & { coming?: true }

interface Row {
	name: string
	number: number
	version: number
	schema: string
	/** JSON of `StoredColumn[]`. */
	uniques: string
	change: string | null
	resealing: string | null
	created_at: number
	updated_at: number
}

const columns = 'name, number, version, schema, uniques, change, resealing, created_at, updated_at'

export function loadDefinition(sql: Sql, name: string): Definition | null {
	const row = sql.all<Row>(`SELECT ${columns} FROM collection WHERE name = ?`, name)[0]
	return row ? compile(row) : null
}

/** A collection of an import that is not finished. */
export function loadStaged(sql: Sql, name: string): Definition | null {
	const row = sql.all<Row>(`SELECT ${columns} FROM import_collection WHERE name = ?`, name)[0]
	return row ? compile(row) : null
}

export function stagedCollections(sql: Sql): { name: string; number: number }[] {
	return sql.all('SELECT name, number FROM import_collection ORDER BY name')
}

/** A page of definitions in the order of their names. */
export function listDefinitions(sql: Sql, after: string, limit: number): Definition[] {
	return sql
		.all<Row>(`SELECT ${columns} FROM collection WHERE name > ? ORDER BY name LIMIT ?`, after, limit)
		.map(compile)
}

/** Collections that say where a person's id is. */
export function listSubjectDefinitions(sql: Sql): Definition[] {
	return listDefinitions(sql, '', collectionsMax).filter((definition) => subjectFields(definition).length > 0)
}

/** The properties that hold a person's id: of the schema in force, and of one that a running change will put in force. */
export function subjectFields({ schema, next }: Definition): string[] {
	return [...new Set([schema.subject, next?.schema.subject ?? null])].filter((field) => field !== null)
}

export function loadNumbered(sql: Sql, number: number): Definition {
	const row = sql.all<Row>(`SELECT ${columns} FROM collection WHERE number = ?`, number)[0]
	if (!row) throw new Error('there is no collection of this number')
	return compile(row)
}

/** The collection whose schema is being changed in steps, if there is one. */
export function runningChange(sql: Sql): Definition | null {
	const row = sql.all<Row>(
		`SELECT ${columns} FROM collection WHERE json_extract(change, '$.status') = 'running' LIMIT 1`,
	)[0]
	return row ? compile(row) : null
}

/** A collection of which something still rests otherwise than its schema says. */
export function resealedCollection(sql: Sql): Definition | null {
	const row = sql.all<Row>(
		`SELECT ${columns} FROM collection WHERE resealing IS NOT NULL AND json_extract(resealing, '$.finishedAt') IS NULL LIMIT 1`,
	)[0]
	return row ? compile(row) : null
}

export function saveResealing(work: Work, { name }: Definition, resealing: Resealing): void {
	work.sql.all('UPDATE collection SET resealing = ? WHERE name = ?', JSON.stringify(resealing), name)
	work.catalog.change()
}

export function saveColumns(
	work: Work,
	{ name }: Pick<Definition, 'name'>,
	uniques: ValueColumn[],
	coming: ValueColumn[],
): void {
	work.sql.all('UPDATE collection SET uniques = ? WHERE name = ?', columnsText(uniques, coming), name)
	work.catalog.change()
}

export function saveDefinition(
	work: Work,
	row: {
		name: string
		number: number
		version: number
		schema: string
		uniques: ValueColumn[]
		coming: ValueColumn[]
		change: StoredChange | null
		resealing: Resealing | null
		createdAt: number
		updatedAt: number
	},
): void {
	work.sql.all(
		`INSERT OR REPLACE INTO collection (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.name,
		row.number,
		row.version,
		row.schema,
		columnsText(row.uniques, row.coming),
		row.change === null ? null : JSON.stringify(row.change),
		row.resealing === null ? null : JSON.stringify(row.resealing),
		row.createdAt,
		row.updatedAt,
	)
	work.catalog.change()
}

function columnsText(uniques: ValueColumn[], coming: ValueColumn[]): string {
	const stored: StoredColumn[] = [...uniques, ...coming.map((column) => ({ ...column, coming: true as const }))]
	return JSON.stringify(stored)
}

function compile(row: Row): Definition {
	const stored: StoredChange | null = row.change === null ? null : JSON.parse(row.change)
	const columns: StoredColumn[] = JSON.parse(row.uniques)
	return {
		name: row.name,
		number: row.number,
		table: identifier(`c_${row.number}`),
		version: row.version,
		schemaText: row.schema,
		schema: schemaOf(row.schema),
		uniques: columns.filter(({ coming }) => !coming),
		coming: columns.filter(({ coming }) => coming).map(({ coming: _, ...column }) => column),
		next:
			stored?.status === 'running'
				? { schema: schemaOf(stored.schema), schemaText: stored.schema, uniques: stored.uniques, cursor: stored.cursor }
				: null,
		change: stored && {
			status: stored.status,
			recordsDone: stored.recordsDone,
			recordsTotal: stored.recordsTotal,
			errors: stored.errors,
		},
		resealing: row.resealing === null ? null : JSON.parse(row.resealing),
		createdAt: row.created_at,
		updatedAt: row.updated_at,
	}
}

function schemaOf(text: string): Schema {
	const parsed = parseSchema(JSON.parse(text))
	if (!parsed.ok) throw new Error('a stored schema does not parse')
	return parsed.value
}
