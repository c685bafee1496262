import type { Sql, SqlValue } from '../../db/shard/sql.ts'

/** Rows that the object has written and read, as the platform bills them. */
export interface RowMeter {
	rowsWritten: number
	rowsRead: number
}

/** The tenant's database inside a Durable Object. @param meter is raised with every statement */
export function objectSql(storage: DurableObjectStorage, meter: RowMeter): Sql {
	return {
		all: <Row extends object>(query: string, ...bindings: SqlValue[]) => {
			const cursor = storage.sql.exec(query, ...bindings)
			// What a statement has cost is known when its last row has been read.
			const rows = cursor.toArray() as unknown as Row[]
			meter.rowsWritten += cursor.rowsWritten
			meter.rowsRead += cursor.rowsRead
			return rows
		},
		transaction: (work) => storage.transactionSync(work),
		sizeBytes: () => storage.sql.databaseSize,
	}
}
