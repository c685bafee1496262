import { createHash } from 'node:crypto'
import { migrations as released } from './migrations.ts'
import type { Sql } from './sql.ts'

/**
 * Brings a tenant database to the newest schema, in one transaction. Throws when a released migration was edited, and when
 * the database is newer than the code, which happens for a while during a rollback of the Worker.
 */
export function migrate(sql: Sql, migrations = released): void {
	sql.transaction(() => {
		sql.all('CREATE TABLE IF NOT EXISTS migration (id INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT')
		const applied = sql.all<{ id: number; hash: string }>('SELECT id, hash FROM migration ORDER BY id')
		if (applied.length > migrations.length) throw new Error('the tenant database is newer than this code')
		for (const [index, migration] of migrations.entries()) {
			const hash = createHash('sha256').update(migration.sql).digest('hex')
			const present = applied[index]
			if (present) {
				if (present.id !== migration.id || present.hash !== hash)
					throw new Error(`migration ${migration.id} was edited`)
				continue
			}
			sql.all(migration.sql)
			sql.all('INSERT INTO migration (id, hash) VALUES (?, ?)', migration.id, hash)
		}
	})
}

/** Whether this database was ever provisioned; asking creates nothing. */
export function isProvisioned(sql: Sql): boolean {
	return sql.all("SELECT 1 AS one FROM sqlite_master WHERE type = 'table' AND name = 'tenant'").length > 0
}
