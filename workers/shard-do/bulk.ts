import type { BatchWritten } from '../../core/contract.ts'
import { mintId } from '../../core/ids.ts'
import { recordBytesMax } from '../../core/limits.ts'
import { rowHash } from '../../core/row-hash.ts'
import type { SqlValue } from '../../db/shard/sql.ts'
import type { Definition } from './definition.ts'
import { checkUniques, readData } from './records.ts'
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
	let digest = 0n
	const results: BatchWritten['results'] = []
	let rows: SqlValue[][] = []
	let chars = 0
	for (const text of texts) {
		const read = readData(work, definition, text)
		if (!read.ok) return null
		const values = checkUniques(definition, read.value)
		if (!values.ok) return null
		const id = mintId(work.now, work.random)
		const seq = work.journal.append({ op: 'create', collection: definition, id, version: 1 })
		if (totals.covers(definition.number, id)) {
			const head = { collection: definition.name, id, version: 1, createdAt: work.now, updatedAt: work.now }
			digest += rowHash(head, read.value, definition.schema.personal)
		}
		rows.push([id, seq, text, ...values.value])
		results.push({ id, version: 1, etag: `"1-${seq}"` })
		chars += text.length
		if (chars < charsPerStatement) continue
		if (!insertMany(work, definition, rows)) return null
		rows = []
		chars = 0
	}
	if (rows.length > 0 && !insertMany(work, definition, rows)) return null
	totals.add(definition.number, texts.length, digest)
	return { results, position: work.journal.head }
}

/** False when a unique index kept a row out. */
function insertMany(work: Work, definition: Definition, rows: SqlValue[][]): boolean {
	const { table, uniques } = definition
	const given = JSON.stringify(rows)
	const columns = uniques.map(({ column }) => `, ${column}`).join('')
	const values = uniques.map((_, index) => `, json_extract(value, '$[${index + 3}]')`).join('')
	const written = work.sql.all(
		`INSERT OR IGNORE INTO ${table} (id, version, seq, created_at, updated_at, data${columns})
		SELECT json_extract(value, '$[0]'), 1, json_extract(value, '$[1]'), ?, ?, json_extract(value, '$[2]')${values} FROM json_each(?)
		RETURNING 1 AS one`,
		work.now,
		work.now,
		given,
	)
	return written.length === rows.length
}
