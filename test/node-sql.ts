import { DatabaseSync } from 'node:sqlite'
import type { Sql, SqlValue } from '../db/shard/sql.ts'

/** The tenant database over `node:sqlite`: the shard's store runs on it unchanged. Counts statements for tests that bound work. */
export function nodeSql(path = ':memory:'): Sql & { close(): void } {
	const database = new DatabaseSync(path)
	const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
	let depth = 0
	return {
		all: <Row extends object>(query: string, ...bindings: SqlValue[]) => {
			// `prepare` takes one statement only, and a migration is several.
			if (bindings.length === 0 && /;\s*\S/.test(query)) {
				database.exec(query)
				return []
			}
			const statement = statements.get(query) ?? database.prepare(query)
			// A statement that names tables is only worth keeping while they exist; changes of the schema start anew.
			if (/^\s*(CREATE|DROP|ALTER)/.test(query)) statements.clear()
			else statements.set(query, statement)
			return statement.all(...bindings) as Row[]
		},
		transaction: (work) => {
			const name = `depth_${depth++}`
			database.exec(`SAVEPOINT ${name}`)
			try {
				const result = work()
				database.exec(`RELEASE ${name}`)
				return result
			} catch (error) {
				database.exec(`ROLLBACK TO ${name}`)
				database.exec(`RELEASE ${name}`)
				throw error
			} finally {
				depth--
			}
		},
		sizeBytes: () => {
			const pages = database
				.prepare('SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()')
				.get()
			return Number(pages?.bytes)
		},
		close: () => database.close(),
	}
}
