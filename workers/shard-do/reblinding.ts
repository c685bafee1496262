/**
 * Blind indexes under a newer key. They are filled beside those in force, and every write fills both; then they change places
 * in one transaction. So what is asked by equality, and kept unique, is at all times answered by an index that has everything.
 */
import type { JsonObject } from '../../core/json.ts'
import { keyedRowsMax } from '../../core/limits.ts'
import { identifier } from '../../db/shard/sql.ts'
import { columnValue, planColumns } from './columns.ts'
import { type Definition, saveColumns, type ValueColumn } from './definition.ts'
import { keyedByPerson, requireKeys, textFromStore } from './sealing.ts'
import { createColumnIndex, dropColumnIndex } from './tables.ts'
import type { Work } from './work.ts'

/** The columns under the newest key that take the place of others; none where all are. */
export function missingColumns({ vault }: Work, { schema, uniques, coming }: Definition): ValueColumn[] {
	return planColumns(schema, [...uniques, ...coming], () => vault.newest()).filter(
		({ column }) => !uniques.some((present) => present.column === column),
	)
}

/** From here on every write fills them. */
export function prepareComing(work: Work, definition: Definition, coming: ValueColumn[]): void {
	const present = work.sql
		.all<{ name: string }>('SELECT name FROM pragma_table_info(?)', definition.table)
		.map(({ name }) => name)
	for (const { column } of coming)
		if (!present.includes(column)) work.sql.all(`ALTER TABLE ${definition.table} ADD COLUMN ${identifier(column)}`)
	saveColumns(work, definition, definition.uniques, coming)
}

/** Fills them in the records after one, and answers the last of these; null at the end of the collection. */
export function fillComing(work: Work, definition: Definition, after: string, recordsMax: number): string | null {
	const { table, coming } = definition
	const most = keyedByPerson(definition.schema) ? Math.min(recordsMax, keyedRowsMax) : recordsMax
	const rows = work.sql.all<{ id: string; data: string }>(
		`SELECT id, data FROM ${table} WHERE id > ? ORDER BY id LIMIT ?`,
		after,
		most,
	)
	requireKeys(work, definition, rows)
	const set = coming.map(({ column }) => `${identifier(column)} = ?`).join(', ')
	for (const row of rows) {
		const data = JSON.parse(textFromStore(work, definition, row)) as JsonObject
		const values = coming.map((column) => columnValue(work, definition, column, data))
		work.sql.all(`UPDATE ${table} SET ${set} WHERE id = ?`, ...values, row.id)
	}
	return rows.length < most ? null : (rows.at(-1)?.id ?? null)
}

/** What comes takes its place. The values before it stay where nobody looks, until the records are sealed anew. */
export function finishComing(work: Work, { name, number, schema, uniques, coming }: Definition): void {
	const planned = planColumns(schema, [...uniques, ...coming], () => work.vault.newest())
	for (const { column } of uniques)
		if (!planned.some((kept) => kept.column === column)) dropColumnIndex(work.sql, number, column)
	for (const column of coming) createColumnIndex(work.sql, number, column)
	saveColumns(work, { name }, planned, [])
}
