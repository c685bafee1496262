import {
	scopes as allScopes,
	type Command,
	type Operation,
	type Scope,
	type StoredRecord,
} from '../../core/contract.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Catalog } from './catalog.ts'
import { recordOf, ruleOf } from './operations.ts'
import type { TenantRow } from './tenant.ts'

export interface Authorised {
	scopes: readonly Scope[]
	tenant: TenantRow
	/** The record that the operation is about; null where it has yet to be looked for. */
	found: StoredRecord | null
}

/** Holds the caller against what the catalog says now; reading it touches storage at every event (S1). */
export function authorise(catalog: Catalog, { tenant: asked, shard, caller, operation }: Command, now: number) {
	const found = catalog.refreshWith(recordOf(operation as Operation))
	if (catalog.fenced()) return tenantErased()
	const tenant = catalog.tenant()
	if (tenant.id !== asked || tenant.shard !== shard) return unknownKey()
	const { scope, operators, alters } = ruleOf(operation.name)
	if (caller.kind === 'operator') {
		return operators
			? accept<Authorised>({ scopes: allScopes, tenant, found })
			: refuse('insufficient_scope', 'operators do not act inside a tenant')
	}
	const key = catalog.key(caller.id)
	// Both are SHA-256 sums of 160 random bits: how far they agree tells nothing about a secret that fits.
	if (!key || key.secretHash !== caller.secretHash) return unknownKey()
	if (key.expiresAt !== null && key.expiresAt <= now) return refuse('unauthorized', 'the key has expired')
	if (scope === null) return refuse('insufficient_scope', 'this is for operators')
	if (!key.scopes.includes(scope)) return refuse('insufficient_scope', `this needs a key with the scope ${scope}`)
	if (tenant.status === 'suspended' && operation.name !== 'tenant.get') {
		return refuse('tenant_suspended', 'this tenant is suspended')
	}
	if (tenant.status === 'restricted' && alters) {
		return refuse('tenant_restricted', 'the records of this tenant can be read and not changed')
	}
	return accept<Authorised>({ scopes: key.scopes, tenant, found })
}

export function unknownKey(): Outcome<never> {
	return refuse('unauthorized', 'the key is not valid')
}

export function tenantErased(): Outcome<never> {
	return refuse('tenant_erased', 'this tenant was erased')
}
