import { scopes as allScopes, type Caller, type KeyInfo, type NewKey, type Scope } from '../../core/contract.ts'
import { keysPerTenantMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Work } from './work.ts'

interface Row {
	id: string
	secret_hash: string
	name: string | null
	scopes: string
	created_at: number
	expires_at: number | null
}

/** A key may hand on only what it has itself, so that the scope `keys` alone is no way to all others. */
export function createKey(
	work: Work,
	caller: { kind: Caller['kind']; scopes: readonly Scope[] },
	takes: { keyName: string | null; scopes: Scope[]; expiresAt: number | null; prepared: NewKey },
): Outcome<{ key: KeyInfo; secret: string; position: number }> {
	const full = work.storage.refuseGrowth(0, work.storageBytesMax)
	if (full) return full
	const foreign = takes.scopes.find((scope) => !caller.scopes.includes(scope))
	if (foreign) return refuse('insufficient_scope', `this key lacks the scope ${foreign} and cannot hand it on`)
	if (keyCount(work) >= keysPerTenantMax) return refuse('limit_exceeded', `a tenant may have ${keysPerTenantMax} keys`)
	const { id, secret, secretHash } = takes.prepared
	insertKey(work, { id, secretHash }, { name: takes.keyName, scopes: takes.scopes, expiresAt: takes.expiresAt })
	const position = work.journal.append({ op: 'key', collection: null, id, version: 1 })
	const key = { id, name: takes.keyName, scopes: takes.scopes, createdAt: work.now, expiresAt: takes.expiresAt }
	return accept({ key, secret, position })
}

export function listKeys(
	work: Work,
	takes: { limit: number; after: string | null },
): Outcome<{ keys: KeyInfo[]; next: string | null }> {
	const rows = work.sql.all<Row>(
		'SELECT id, secret_hash, name, scopes, created_at, expires_at FROM api_key WHERE id > ? ORDER BY id LIMIT ?',
		takes.after ?? '',
		takes.limit + 1,
	)
	const keys = rows.slice(0, takes.limit).map((row) => ({
		id: row.id,
		name: row.name,
		scopes: parseScopes(row.scopes),
		createdAt: row.created_at,
		expiresAt: row.expires_at,
	}))
	return accept({ keys, next: rows.length > keys.length ? (keys.at(-1)?.id ?? null) : null })
}

/** Revokes a key; its next request is already refused. */
export function deleteKey(work: Work, takes: { id: string }): Outcome<{ position: number }> {
	const deleted = work.sql.all('DELETE FROM api_key WHERE id = ? RETURNING id', takes.id)
	if (deleted.length === 0) return refuse('not_found', 'there is no key with this id')
	work.catalog.change()
	const position = work.journal.append({ op: 'key', collection: null, id: takes.id, version: null })
	return accept({ position })
}

export function insertKey(
	work: Work,
	key: Omit<NewKey, 'secret'>,
	is: { name: string | null; scopes: readonly Scope[]; expiresAt: number | null },
): void {
	work.sql.all(
		'INSERT INTO api_key (id, secret_hash, name, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)',
		key.id,
		key.secretHash,
		is.name,
		is.scopes.join(' '),
		work.now,
		is.expiresAt,
	)
	work.catalog.change()
}

/** A key as requests are held against it. */
export interface KeyRow {
	secretHash: string
	scopes: readonly Scope[]
	expiresAt: number | null
}

export function loadKey(sql: Work['sql'], id: string): KeyRow | null {
	const row = sql.all<Row>(
		'SELECT id, secret_hash, name, scopes, created_at, expires_at FROM api_key WHERE id = ?',
		id,
	)[0]
	return row ? { secretHash: row.secret_hash, scopes: parseScopes(row.scopes), expiresAt: row.expires_at } : null
}

export function keyCount(work: Work): number {
	return work.sql.all<{ keys: number }>('SELECT count(*) AS keys FROM api_key')[0]?.keys ?? 0
}

function parseScopes(text: string): Scope[] {
	const held = text.split(' ')
	return allScopes.filter((scope) => held.includes(scope))
}

/** Keys that have not expired. */
export function validKeyCount(sql: Sql, now: number): number {
	const counted = sql.all<{ keys: number }>(
		'SELECT count(*) AS keys FROM api_key WHERE expires_at IS NULL OR expires_at > ?',
		now,
	)
	return counted[0]?.keys ?? 0
}
