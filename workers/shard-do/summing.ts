import { addToDigest, rowHash } from '../../core/row-hash.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import type { Definition } from './definition.ts'
import { unrestricted } from './restricted.ts'
import type { Totals } from './totals.ts'

/** Rows read at once: few enough that the largest records fit into memory together. */
const pageRows = 32
/** Text of records that one step goes through; about 50 ms. */
const stepCharsMax = 2_000_000

/**
 * One step of computing a digest anew: for a collection whose personal properties changed, or that was written before
 * digests were kept. Only memory holds how far it is, so an instance that starts again begins again. Answers whether every
 * digest is whole.
 */
export function stepDigest(sql: Sql, catalog: Catalog, totals: Totals): boolean {
	const unsummed = totals.unsummed()
	if (!unsummed) return true
	const { number, summedTo: from } = unsummed
	const name = sql.all<{ name: string }>('SELECT name FROM collection WHERE number = ?', number)[0]?.name
	const definition = name === undefined ? null : catalog.definition(name)
	if (!definition) throw new Error('a digest is kept of a collection that is not there')
	let summedTo: string | null = from
	let digest = 0n
	let chars = 0
	for (const row of hashesAfter(sql, definition, from, unrestricted(number, 'r.id'))) {
		if (chars >= stepCharsMax) break
		chars += row.chars
		digest = addToDigest(digest, row.hash)
		summedTo = row.id
	}
	if (chars < stepCharsMax) summedTo = null
	totals.extendDigest(number, digest, summedTo)
	totals.commit()
	return totals.unsummed() === null
}

/**
 * The hashes of a collection's records `r` after an id, where the SQL in `which` is true of them, in the order of their ids; `chars` is the length
 * of a record's text.
 */
export function* hashesAfter(
	sql: Sql,
	definition: Definition,
	after: string,
	which: string,
): Generator<{ id: string; hash: bigint; chars: number }> {
	for (let last = after; ; ) {
		const rows = sql.all<StoredRow>(
			`SELECT ${columns} FROM ${definition.table} AS r WHERE id > ? AND ${which} ORDER BY id LIMIT ${pageRows}`,
			last,
		)
		for (const row of rows) yield { id: row.id, hash: hashRow(definition, row), chars: row.data.length }
		const end = rows.at(-1)
		if (!end || rows.length < pageRows) return
		last = end.id
	}
}

/** Null when there is no such record, or it is none of those. */
export function hashOf(sql: Sql, definition: Definition, id: string, which: string): bigint | null {
	const [row] = sql.all<StoredRow>(`SELECT ${columns} FROM ${definition.table} AS r WHERE id = ? AND ${which}`, id)
	return row ? hashRow(definition, row) : null
}

function hashRow(definition: Definition, row: StoredRow): bigint {
	return rowHash({ ...row, collection: definition.name }, JSON.parse(row.data), definition.schema.personal)
}

const columns = 'id, version, created_at AS createdAt, updated_at AS updatedAt, data'

interface StoredRow {
	id: string
	version: number
	createdAt: number
	updatedAt: number
	data: string
}
