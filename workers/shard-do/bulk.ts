import type { BatchWritten } from '../../core/contract.ts'
import { mintId } from '../../core/ids.ts'
import { recordBytesMax } from '../../core/limits.ts'
import { rowHash } from '../../core/row-hash.ts'
import type { SqlValue } from '../../db/shard/sql.ts'
import { columnsToFill, columnValues } from './columns.ts'
import type { Definition } from './definition.ts'
import { readData } from './records.ts'
import { refuseData } from './restricted.ts'
import { textToStore } from './sealing.ts'
import type { Work } from './work.ts'

/** Characters of JSON bound to one statement; a bound text may take 2 MB, and quoting and UTF-8 can multiply it. */
const charsPerStatement = 200_000

/**
 * Creates many records of one collection by sets: two statements for hundreds of records instead of two for each. Answers null,
 * perhaps with part of it written, when anything would be refused; the caller rolls back and asks one by one, which names the place.
 */
export function createMany(work: Work, definition: Definition, texts: string[]): BatchWritten | null {
	if (definition.next || texts.some((text) => text.length * 3 > recordBytesMax)) return null
	const bytes = texts.reduce((sum, text) => sum + text.length, 0)
	if (work.storage.refuseGrowth(bytes, work.storageBytesMax)) return null
	const { totals } = work.journal
	const first = work.journal.head + 1
	const results: BatchWritten['results'] = []
	let digest = 0n
	let rows: SqlValue[][] = []
	let chars = 0
	for (const [index, text] of texts.entries()) {
		const read = readData(work, definition, text)
		if (!read.ok || refuseData(work, definition, read.value)) return null
		const values = columnValues(work, definition, read.value)
		if (!values.ok) return null
		const id = mintId(work.now, work.random)
		const seq = work.journal.append({ op: 'create', collection: definition, id, version: 1 })
		if (totals.covers(definition.number, id)) {
			const head = { collection: definition.name, id, version: 1, createdAt: work.now, updatedAt: work.now }
			digest += rowHash(head, read.value, definition.schema.personal)
		}
		const stored = textToStore(work, definition, id, text, read.value)
		rows.push([id, stored, ...values.value])
		results.push({ id, version: 1, etag: `"1-${seq}"` })
		chars += stored.length
		if (chars < charsPerStatement && index < texts.length - 1) continue
		if (!insertMany(work, definition, first + results.length - rows.length, rows)) return null
		rows = []
		chars = 0
	}
	totals.add(definition.number, texts.length, digest)
	return { results, position: work.journal.head }
}

/** Inserts rows of `[id, data, ...unique values]` at positions from `first` on. False when a unique index kept one out. */
function insertMany(work: Work, definition: Definition, first: number, rows: SqlValue[][]): boolean {
	const { table } = definition
	const filled = columnsToFill(definition)
	const columns = filled.map(({ column }) => `, ${column}`).join('')
	const values = filled.map((_, index) => `, value ->> ${index + 2}`).join('')
	work.sql.all(
		`INSERT OR IGNORE INTO ${table} (id, version, seq, created_at, updated_at, data${columns})
		SELECT value ->> 0, 1, ? + key, ?, ?, value ->> 1${values} FROM json_each(?)`,
		first,
		work.now,
		work.now,
		JSON.stringify(rows),
	)
	// Cheaper than a row that each insert returns.
	const [written] = work.sql.all<{ rows: number }>('SELECT changes() AS rows')
	return written?.rows === rows.length
}
