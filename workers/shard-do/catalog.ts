import type { StoredRecord } from '../../core/contract.ts'
import type { RandomBytes } from '../../core/ids.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { type Definition, loadDefinition } from './definition.ts'
import { type ErasureRow, readErasure } from './erasure.ts'
import { type KeyRow, loadKey } from './keys.ts'
import { type Restrictions, readRestrictions } from './restricted.ts'
import { readTenant, type TenantRow } from './tenant.ts'

/** Keys and definitions kept in memory. Most definitions take kilobytes, but the automata of many patterns can take megabytes. */
const keptMax = 64

/**
 * What changes rarely and every request needs: the tenant's row, its keys, its collections, who is restricted, whether an export
 * reads and an erasure goes on. Memory holds it under a
 * token that every change of it replaces in storage; each event compares the token once. So a revoked key is refused
 * by the next request, a rolled-back change is forgotten, and a stale instance, which cannot read storage, cannot answer (S1).
 */
export class Catalog {
	readonly #sql: Sql
	readonly #random: RandomBytes
	#token: string | null = null
	#tenant: TenantRow | null = null
	#snapshot: boolean | null = null
	#erasure: ErasureRow | null | undefined
	#restrictions: Restrictions | null = null
	readonly #keys = new Map<string, KeyRow | null>()
	readonly #definitions = new Map<string, Definition>()

	constructor(sql: Sql, random: RandomBytes) {
		this.#sql = sql
		this.#random = random
	}

	/** Begins an event: everything that is asked afterwards is as storage has it now. */
	refresh(): void {
		const token = this.#sql.all<{ token: string }>('SELECT catalog AS token FROM tenant')[0]?.token ?? null
		if (token !== this.#token) this.#forget(token)
	}

	/**
	 * Begins an event like `refresh`, and reads a record by the same statement, which a read by id would otherwise pay twice. Null
	 * where that brought none.
	 */
	refreshWith(about: { collection: string; id: string } | null): StoredRecord | null {
		const known = about && this.#definitions.get(about.collection)
		const row = known && this.#readWith(known.table, about.id)
		if (!row || row.token !== this.#token) {
			this.refresh()
			return null
		}
		const { token: _, ...record } = row
		return record
	}

	#readWith(table: string, id: string): (StoredRecord & { token: string }) | undefined {
		try {
			return this.#sql.all<StoredRecord & { token: string }>(
				`SELECT (SELECT catalog FROM tenant) AS token, id, version, seq, created_at AS createdAt, updated_at AS updatedAt, data
				FROM ${table} WHERE id = ?`,
				id,
			)[0]
		} catch {
			// Memory may know a collection whose making was rolled back.
			return undefined
		}
	}

	/** Must follow every change of the tenant's row, its erasure, a key, a collection, a restriction or the snapshot, in the same transaction. */
	change(): void {
		// Random and not a counter: a counter that was rolled back would come again and stand for something else.
		const token = Buffer.from(this.#random(new Uint8Array(12))).toString('base64url')
		this.#sql.all('UPDATE tenant SET catalog = ?', token)
		this.#forget(token)
	}

	tenant(): TenantRow {
		this.#tenant ??= readTenant(this.#sql)
		return this.#tenant
	}

	/** Whether an export reads an earlier state, for which writes keep what they replace. */
	snapshot(): boolean {
		this.#snapshot ??= this.#sql.all('SELECT 1 AS one FROM snapshot').length > 0
		return this.#snapshot
	}

	/** Whether the tenant is being erased: then nothing is answered any more. */
	fenced(): boolean {
		return this.erasure()?.stage === 'fenced'
	}

	/** How far an erasure of the tenant has come; null when nobody asked for one. */
	erasure(): ErasureRow | null {
		if (this.#erasure === undefined) this.#erasure = readErasure(this.#sql)
		return this.#erasure
	}

	/** Who and what is restricted. */
	restrictions(): Restrictions {
		this.#restrictions ??= readRestrictions(this.#sql)
		return this.#restrictions
	}

	key(id: string): KeyRow | null {
		const kept = this.#keys.get(id)
		if (kept !== undefined) return kept
		const key = loadKey(this.#sql, id)
		if (this.#keys.size >= keptMax) this.#keys.clear()
		this.#keys.set(id, key)
		return key
	}

	definition(name: string): Definition | null {
		const kept = this.#definitions.get(name)
		if (kept) return kept
		const definition = loadDefinition(this.#sql, name)
		if (!definition) return null
		if (this.#definitions.size >= keptMax) this.#definitions.clear()
		this.#definitions.set(name, definition)
		return definition
	}

	#forget(token: string | null): void {
		this.#token = token
		this.#tenant = null
		this.#snapshot = null
		this.#erasure = undefined
		this.#restrictions = null
		this.#keys.clear()
		this.#definitions.clear()
	}
}
