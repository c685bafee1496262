import { hash } from 'node:crypto'
import { migrations as released } from './migrations.ts'
import type { Sql } from './sql.ts'

/**
 * Brings a tenant database to the newest schema, in one transaction. Throws when a released migration was edited, and when
 * the database is newer than the code, which happens for a while during a rollback of the Worker.
 */
export function migrate(sql: Sql, migrations = released): void {
	if (isProvisioned(sql) && appliedCount(sql, migrations) === migrations.length) return
	sql.transaction(() => {
		sql.all('CREATE TABLE IF NOT EXISTS migration (id INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT')
		for (const migration of migrations.slice(appliedCount(sql, migrations))) {
			sql.all(migration.sql)
			sql.all('INSERT INTO migration (id, hash) VALUES (?, ?)', migration.id, hashOf(migration.sql))
		}
	})
}

/** Whether this database was ever provisioned; asking creates nothing. */
export function isProvisioned(sql: Sql): boolean {
	return sql.all("SELECT 1 AS one FROM sqlite_master WHERE type = 'table' AND name = 'migration'").length > 0
}

/** How many migrations the database has, all of which must be these. */
function appliedCount(sql: Sql, migrations: typeof released): number {
	const applied = sql.all<{ id: number; hash: string }>('SELECT id, hash FROM migration ORDER BY id')
	if (applied.length > migrations.length) throw new Error('the tenant database is newer than this code')
	for (const [index, { id, hash: present }] of applied.entries()) {
		const migration = migrations[index]
		if (migration?.id !== id || present !== hashOf(migration.sql)) throw new Error(`migration ${id} was edited`)
	}
	return applied.length
}

/** Every object that starts compares all of them. */
const hashes = new Map<string, string>()

function hashOf(text: string): string {
	const known = hashes.get(text) ?? hash('sha256', text, 'hex')
	hashes.set(text, known)
	return known
}
