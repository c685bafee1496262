/**
 * Seals what rests open, or under an older key, in a collection whose schema wants it sealed: values from before a property was
 * encrypted. Every write seals already, so it goes through the records once, in steps, and reads see no difference.
 */
import type { JsonObject } from '../../core/json.ts'
import { keyedRowsMax } from '../../core/limits.ts'
import { isSealed } from '../../core/sealed-field.ts'
import { identifier } from '../../db/shard/sql.ts'
import { columnsToFill } from './columns.ts'
import { type Definition, type Resealing, resealedCollection, saveResealing } from './definition.ts'
import { keyedByPerson, ownerOf, requireKeys } from './sealing.ts'
import type { Work } from './work.ts'

/** Records of one step; some 50 ms. */
const stepRecords = 1_000

export function beginResealing(records: number, now: number): Resealing {
	return { cursor: '', recordsDone: 0, recordsTotal: records, startedAt: now, finishedAt: null }
}

/** One step; with the last one an entry in the journal. Answers whether there is more to do. @throws KeyAbsent */
export function stepResealing(work: Work): boolean {
	const definition = resealedCollection(work.sql)
	if (!definition?.resealing) return false
	const { resealing } = definition
	const { after, rows } = resealRecords(work, definition, resealing.cursor, stepRecords)
	const recordsDone = resealing.recordsDone + rows
	const isLast = after === null
	saveResealing(work, definition, {
		...resealing,
		cursor: after ?? resealing.cursor,
		recordsDone,
		recordsTotal: isLast ? recordsDone : Math.max(resealing.recordsTotal, recordsDone),
		finishedAt: isLast ? work.now : null,
	})
	if (isLast) work.journal.append({ op: 'encryption', collection: definition, id: null, version: null })
	return true
}

/** Seals the records after one as the schema says, under the newest key. `after` is the last of them, null at the end. */
export function resealRecords(
	work: Work,
	definition: Definition,
	after: string,
	recordsMax: number,
): { after: string | null; rows: number } {
	const most = keyedByPerson(definition.schema) ? Math.min(recordsMax, keyedRowsMax) : recordsMax
	const rows = work.sql.all<{ id: string; data: string }>(
		`SELECT id, data FROM ${definition.table} WHERE id > ? ORDER BY id LIMIT ?`,
		after,
		most,
	)
	requireKeys(
		work,
		definition,
		rows,
		rows.map(({ data }) => data),
	)
	const left = leftColumns(work, definition)
	for (const { id, data } of rows) reseal(work, definition, left, id, data)
	return { after: rows.length < most ? null : (rows.at(-1)?.id ?? null), rows: rows.length }
}

function reseal(work: Work, { number, table, schema }: Definition, left: string[], id: string, text: string): void {
	const data = JSON.parse(text) as JsonObject
	const owner = ownerOf(schema, data)
	const isDone = schema.encrypted.every((name) => {
		const value = Object.hasOwn(data, name) ? (data[name] ?? null) : null
		return value === null || (isSealed(value) && work.vault.isCurrent(owner, value))
	})
	if (isDone && left.length === 0) return
	const place = { collection: number, record: id }
	const opened = JSON.parse(work.vault.open(place, text)) as JsonObject
	const stored = work.vault.seal(place, owner, schema.encrypted, opened)
	const cleared = left.map((column) => `, ${identifier(column)} = NULL`).join('')
	work.sql.all(`UPDATE ${table} SET data = ?${cleared} WHERE id = ?`, stored, id)
}

/** Columns that nobody fills any more: they may hold values as they were. */
function leftColumns({ sql }: Work, definition: Definition): string[] {
	const filled = columnsToFill(definition)
	return sql
		.all<{ name: string }>("SELECT name FROM pragma_table_info(?) WHERE name GLOB 'u_*'", definition.table)
		.map(({ name }) => name)
		.filter((name) => !filled.some(({ column }) => column === name))
}
