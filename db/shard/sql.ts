/** The three things that a tenant's database must be able to do; an object's storage and `node:sqlite` both can. */
export interface Sql {
	/** Runs one statement and returns all of its rows, keyed by column name. */
	all<Row extends object>(query: string, ...bindings: SqlValue[]): Row[]
	/** Runs `work` in a transaction, or in a savepoint of the open one. Whatever `work` throws rolls it back and is thrown again. */
	transaction<T>(work: () => T): T
	/** Size of the database in bytes. */
	sizeBytes(): number
}

/** Booleans are not among them: SQLite would store `true` as text in an object. */
export type SqlValue = string | number | null | Uint8Array

/** A dynamic name (of a table, index or column) becomes part of a statement only after passing here. */
export function identifier(name: string): string {
	if (!/^[a-z_][a-z0-9_]{0,40}$/.test(name)) throw new Error('not an identifier')
	return name
}
