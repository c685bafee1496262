import type { Answer, Operations } from '../../core/contract.ts'
import type { ShardRemains } from '../../core/erasure.ts'
import type { TenantId } from '../../core/ids.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { identifier, type Sql } from '../../db/shard/sql.ts'
import { noteHold, readTenant } from './tenant.ts'
import type { Work } from './work.ts'

/**
 * How far the erasure of this tenant has come here. `asked`: somebody asked for it and the control object may not say so
 * yet; `scheduled`: it does; `fenced`: nothing is answered any more.
 */
export interface ErasureRow {
	id: string
	stage: 'asked' | 'scheduled' | 'fenced'
	asked_at: number
	due_at: number
}

/** What is left of a shard whose storage was erased; `horizon` is known once the certificate is signed. */
export interface Tombstone {
	tenant: TenantId
	shard: number
	epoch: number
	horizon: number | null
}

/** Null also for a shard that was never provisioned or has lost its tables. */
export function readErasure(sql: Sql): ErasureRow | null {
	return sql.all<ErasureRow>('SELECT id, stage, asked_at, due_at FROM erasure')[0] ?? null
}

export function writeErasure(sql: Sql, { id, stage, asked_at, due_at }: ErasureRow): void {
	sql.all(
		'INSERT OR REPLACE INTO erasure (only_row, id, stage, asked_at, due_at) VALUES (1, ?, ?, ?, ?)',
		id,
		stage,
		asked_at,
		due_at,
	)
}

export function forgetErasure(sql: Sql): void {
	sql.all('DELETE FROM erasure')
}

export function readTombstone(sql: Sql): Tombstone | null {
	if (!tablesOf(sql).includes('tombstone')) return null
	return sql.all<Tombstone>('SELECT tenant, shard, epoch, horizon FROM tombstone')[0] ?? null
}

/**
 * Notes who decided what about the erasure of this tenant. A hold stops what would delete its records by age, too. A request also makes this shard look at its control object until
 * that says so too. Whoever asks by a key repeats the slug, so that a script with a wrong key erases nothing.
 */
export function noteErasure(
	work: Work,
	takes: Operations['tenant.erasure']['takes'],
): Outcome<Answer<'tenant.erasure'>> {
	const { slug } = readTenant(work.sql)
	if (takes.slug !== null && takes.slug !== slug) {
		const errors = [{ pointer: '/slug', detail: 'must be the slug of this tenant' }]
		return refuse('validation_failed', 'the erasure must be confirmed with the slug of the tenant', { errors })
	}
	const known = readErasure(work.sql)
	const { erasure } = takes
	if (takes.intent === 'request' && !known) {
		writeErasure(work.sql, { id: erasure, stage: 'asked', asked_at: work.now, due_at: work.now })
		work.catalog.change()
	}
	if (takes.intent === 'hold') noteHold(work, work.now)
	if (takes.intent === 'release') noteHold(work, null)
	const entry = { op: 'erasure', collection: null, id: takes.intent, version: null } as const
	return accept({ slug, erasure: known?.id ?? erasure, position: work.journal.append(entry) })
}

export function setHorizon(sql: Sql, horizon: number): void {
	sql.all('UPDATE tombstone SET horizon = ?', horizon)
}

/** Drops every table and leaves the tombstone, in one transaction. Dropping writes no rows, however many there were. */
export function bury(sql: Sql, tombstone: Omit<Tombstone, 'horizon'>): void {
	sql.transaction(() => {
		for (const table of tablesOf(sql)) sql.all(`DROP TABLE ${identifier(table)}`)
		sql.all(
			`CREATE TABLE tombstone (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), tenant TEXT NOT NULL, shard INTEGER NOT NULL,
				epoch INTEGER NOT NULL, horizon INTEGER) STRICT`,
		)
		const { tenant, shard, epoch } = tombstone
		sql.all('INSERT INTO tombstone (only_row, tenant, shard, epoch) VALUES (1, ?, ?, ?)', tenant, shard, epoch)
	})
}

/** Asks storage itself, not what memory believes. */
export function remainsOf(sql: Sql): ShardRemains {
	const tables = tablesOf(sql).filter((name) => name !== 'tombstone')
	const rowsOf = (table: string) =>
		tables.includes(table) ? (sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${identifier(table)}`)[0]?.n ?? 0) : 0
	const records = tables.filter((name) => /^c_[0-9]+$/.test(name)).reduce((sum, name) => sum + rowsOf(name), 0)
	return { tables: tables.length, records, keys: rowsOf('api_key'), buried: readTombstone(sql) !== null }
}

/** Every table of ours; the engine's own are not to be touched. */
function tablesOf(sql: Sql): string[] {
	return sql
		.all<{ name: string }>(
			"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*'",
		)
		.map(({ name }) => name)
}
