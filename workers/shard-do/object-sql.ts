import type { Sql, SqlValue } from '../../db/shard/sql.ts'

/** The tenant's database inside a Durable Object. */
export function objectSql(storage: DurableObjectStorage): Sql {
	return {
		all: <Row extends object>(query: string, ...bindings: SqlValue[]) =>
			storage.sql.exec(query, ...bindings).toArray() as unknown as Row[],
		transaction: (work) => storage.transactionSync(work),
		sizeBytes: () => storage.sql.databaseSize,
	}
}
