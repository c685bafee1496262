import { addToDigest, rowHash } from '../../core/row-hash.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
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
	for (let chars = 0; chars < stepCharsMax && summedTo !== null; ) {
		const rows: StoredRow[] = sql.all(
			`SELECT id, version, created_at AS createdAt, updated_at AS updatedAt, data FROM ${definition.table}
			WHERE id > ? ORDER BY id LIMIT ${pageRows}`,
			summedTo,
		)
		for (const row of rows) {
			chars += row.data.length
			const head = { ...row, collection: definition.name }
			digest = addToDigest(digest, rowHash(head, JSON.parse(row.data), definition.schema.personal))
		}
		summedTo = rows.length < pageRows ? null : (rows.at(-1)?.id ?? null)
	}
	totals.extendDigest(number, digest, summedTo)
	totals.commit()
	return totals.unsummed() === null
}

interface StoredRow {
	id: string
	version: number
	createdAt: number
	updatedAt: number
	data: string
}
