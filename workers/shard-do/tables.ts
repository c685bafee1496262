import type { Schema } from '../../core/schema.ts'
import { fieldExpression } from '../../db/shard/list.ts'
import { identifier, type Sql } from '../../db/shard/sql.ts'
import type { ValueColumn } from './definition.ts'

/** Equal values come in the order of their ids, because the table has no rowid that an index could end with instead. */
export function createColumnIndex(sql: Sql, number: number, { column, shared }: ValueColumn): void {
	const index = identifier(`c_${number}_${column}`)
	sql.all(`CREATE ${shared ? '' : 'UNIQUE'} INDEX ${index} ON ${identifier(`c_${number}`)} (${identifier(column)})`)
}

export function dropColumnIndex(sql: Sql, number: number, column: string): void {
	sql.all(`DROP INDEX IF EXISTS ${identifier(`c_${number}_${column}`)}`)
}

/** Makes the indexes that the schema asks for with `x-index`, and drops those that it no longer asks for. */
export function createIndexes(sql: Sql, number: number, schema: Schema): void {
	const table = identifier(`c_${number}`)
	const wanted = new Map<string, string>()
	// Without one, finding a person's records would read all of the collection.
	for (const field of schema.fields.values())
		if ((field.index && !field.encrypted) || field.name === schema.subject)
			wanted.set(fieldExpression(field.name), `${fieldExpression(field.name)}, id`)
	for (const name of schema.indexMeta) wanted.set(name, `${name}, id`)

	const present = sql.all<{ name: string; sql: string }>(
		"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND name GLOB ?",
		table,
		`${table}_x*`,
	)
	const taken = new Set<number>()
	for (const index of present) {
		const columns = [...wanted.entries()].find(([, text]) => index.sql.endsWith(`(${text})`))
		if (columns) {
			wanted.delete(columns[0])
			taken.add(Number(index.name.slice(`${table}_x`.length)))
		} else sql.all(`DROP INDEX ${identifier(index.name)}`)
	}
	let place = 0
	for (const text of wanted.values()) {
		while (taken.has(place)) place++
		taken.add(place)
		sql.all(`CREATE INDEX ${identifier(`${table}_x${place}`)} ON ${table} (${text})`)
	}
}
