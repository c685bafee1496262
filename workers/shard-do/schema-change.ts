import { schemaOffendersMax } from '../../core/limits.ts'
import { accept, type Fault, type Outcome, refuse } from '../../core/refusal.ts'
import type { Schema } from '../../core/schema.ts'
import { identifier } from '../../db/shard/sql.ts'
import { columnValue, planColumns } from './columns.ts'
import { type Definition, loadNumbered, type StoredChange, saveDefinition, type ValueColumn } from './definition.ts'
import { unknownCollection } from './records.ts'
import { beginResealing } from './resealing.ts'
import { restrictAnew } from './restriction.ts'
import { keyedByPerson, requireKeys, textFromStore } from './sealing.ts'
import { createColumnIndex, createIndexes, dropColumnIndex } from './tables.ts'
import type { Work } from './work.ts'

/** Rows read at once; keeps the memory of a change small, however large the collection. */
const pageRows = 500

/**
 * Writes the change into the collection's row: from here on every write satisfies both schemas and fills the coming
 * unique columns, so that a change in steps has only the records before it to look at.
 */
export function beginChange(
	work: Work,
	present: Definition,
	schema: Schema,
	schemaText: string,
	records: number,
): void {
	if (schema.encrypted.length > 0) work.vault.newest()
	const uniques = planColumns(schema, [...present.uniques, ...present.coming], () => work.vault.newest())
	const columns = work.sql
		.all<{ name: string }>(`SELECT name FROM pragma_table_info(?)`, present.table)
		.map((row) => row.name)
	for (const { column } of uniques) {
		if (!columns.includes(column)) work.sql.all(`ALTER TABLE ${present.table} ADD COLUMN ${identifier(column)}`)
	}
	save(work, present, {
		status: 'running',
		recordsDone: 0,
		recordsTotal: records,
		errors: [],
		schema: schemaText,
		uniques,
		cursor: '',
	})
}

/** Checks and fills up to `rowsMax` records, then finishes once none is left. Refuses, naming the first offenders. */
export function stepChange(work: Work, name: string, rowsMax: number): Outcome<{ done: boolean }> {
	const definition = work.catalog.definition(name)
	if (!definition?.next) return unknownCollection(name)
	const { next } = definition
	const filled = next.uniques.filter(
		(coming) => !definition.uniques.some((present) => present.column === coming.column),
	)
	const set = filled.map(({ column }) => `${column} = ?`).join(', ')
	const faults: Fault[] = []
	let cursor = next.cursor
	let done = 0
	while (done < rowsMax && faults.length < schemaOffendersMax) {
		const rows = work.sql.all<{ id: string; data: string }>(
			`SELECT id, data FROM ${definition.table} WHERE id > ? ORDER BY id LIMIT ?`,
			cursor,
			Math.min(pageRows, rowsMax - done),
		)
		requireKeys(work, definition, rows)
		for (const { id, data } of rows) {
			const value = JSON.parse(textFromStore(work, definition, { id, data })) as Record<string, unknown>
			faults.push(
				...next.schema
					.validate(value)
					.map((fault) => ({ pointer: `/records/${id}${fault.pointer}`, detail: fault.detail })),
			)
			if (filled.length > 0) {
				const values = filled.map((column) => columnValue(work, definition, column, value))
				work.sql.all(`UPDATE ${definition.table} SET ${set} WHERE id = ?`, ...values, id)
			}
			cursor = id
			done++
		}
		if (rows.length === 0) return faults.length > 0 ? offended(faults) : finishChange(work, name)
	}
	if (faults.length > 0) return offended(faults)
	const left = work.sql.all(`SELECT 1 AS one FROM ${definition.table} WHERE id > ? LIMIT 1`, cursor)
	if (left.length === 0) return finishChange(work, name)
	const change = definition.change ?? { recordsDone: 0, recordsTotal: 0 }
	const { schemaText: schema, uniques } = next
	const recordsTotal = Math.max(change.recordsTotal, work.journal.totals.records(definition.number))
	save(work, definition, {
		status: 'running',
		recordsDone: change.recordsDone + done,
		recordsTotal,
		errors: [],
		schema,
		uniques,
		cursor,
	})
	return accept({ done: false })
}

/** Builds the indexes and puts the new schema in force, with one journal entry. Refuses when unique values clash. */
export function finishChange(work: Work, name: string): Outcome<{ done: boolean }> {
	const definition = work.catalog.definition(name)
	if (!definition?.next) return unknownCollection(name)
	const { next } = definition
	const clashes = next.uniques.flatMap((unique) => clashesOf(work, definition, unique))
	if (clashes.length > 0) return offended(clashes.slice(0, schemaOffendersMax))
	for (const { column } of definition.uniques) {
		if (!next.uniques.some((coming) => coming.column === column)) dropColumnIndex(work.sql, definition.number, column)
	}
	for (const coming of next.uniques) {
		if (!definition.uniques.some((present) => present.column === coming.column))
			createColumnIndex(work.sql, definition.number, coming)
	}
	createIndexes(work.sql, definition.number, next.schema)
	const version = definition.version + 1
	const { number, createdAt } = definition
	const records = work.journal.totals.records(number)
	const sealed =
		next.schema.encrypted.some((property) => !definition.schema.encrypted.includes(property)) ||
		keyedByPerson(next.schema) !== keyedByPerson(definition.schema)
	const revealed = definition.schema.personal.some((property) => !next.schema.personal.includes(property))
	saveDefinition(work, {
		name,
		number,
		version,
		schema: next.schemaText,
		uniques: next.uniques,
		coming: [],
		change: null,
		resealing: sealed && records > 0 ? beginResealing(records, work.now) : definition.resealing,
		createdAt,
		updatedAt: work.now,
	})
	if (!sameNames(definition.schema.personal, next.schema.personal)) work.journal.totals.restartDigest(number)
	// The view has never had these values; only the records themselves can bring them.
	if (revealed) work.journal.append({ op: 'rebuild', collection: definition, id: null, version: null })
	journalSchema(work, definition, version)
	if (definition.schema.subject !== next.schema.subject) restrictAnew(work, loadNumbered(work.sql, number))
	return accept({ done: true })
}

/** Keeps the reasons of a change that failed in the background, so that whoever asked for it can read them. */
export function failChange(work: Work, definition: Definition, errors: Fault[]): void {
	if (!definition.next || !definition.change) return
	const { recordsDone, recordsTotal } = definition.change
	const { schemaText: schema, uniques, cursor } = definition.next
	save(work, definition, { status: 'failed', recordsDone, recordsTotal, errors, schema, uniques, cursor })
}

/** A schema's entry in the journal; the version is null where the collection was dropped. */
export function journalSchema(
	work: Work,
	collection: { name: string; number: number },
	version: number | null,
): number {
	return work.journal.append({ op: 'schema', collection, id: null, version })
}

function save(work: Work, definition: Definition, change: StoredChange): void {
	const { name, number, version, schemaText: schema, uniques, coming, resealing, createdAt, updatedAt } = definition
	saveDefinition(work, { name, number, version, schema, uniques, coming, change, resealing, createdAt, updatedAt })
}

function clashesOf(work: Work, definition: Definition, { column, property, shared }: ValueColumn): Fault[] {
	if (shared) return []
	return work.sql
		.all<{ id: string }>(
			`SELECT max(id) AS id FROM ${definition.table} WHERE ${column} IS NOT NULL GROUP BY ${column} HAVING count(*) > 1 LIMIT ?`,
			schemaOffendersMax,
		)
		.map(({ id }) => ({ pointer: `/records/${id}/${property}`, detail: 'another record has this value' }))
}

function offended(errors: Fault[]): Outcome<never> {
	return refuse('schema_conflict', 'present records do not fit the new schema', {
		errors: errors.slice(0, schemaOffendersMax),
	})
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
	return some.length === others.length && some.every((name) => others.includes(name))
}
