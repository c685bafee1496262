/**
 * A tenant's own key. It rests in the control object, wrapped by the deployment's master secret, and never in the shard: a
 * database that comes back from its history does not bring the key along. Destroying the wrapped key destroys whatever
 * rests under it, wherever copies of that are.
 */
import { createHmac, hkdfSync } from 'node:crypto'
import { z } from 'zod'
import type { RandomBytes, TenantId } from './ids.ts'
import { openBytes, sealBytes } from './seal.ts'

const keyBytes = 32

export const wrappedKey = z.object({
	/** Counts 1, 2, 3…; what rests under a key names its version. */
	version: z.number().int().positive(),
	/** Which master secret wraps it, as `masterId` names it. */
	master: z.string(),
	/** AES-256-GCM: nonce, ciphertext and tag in base64url. */
	wrapped: z.string(),
})

export type WrappedKey = z.infer<typeof wrappedKey>

/** Names a master secret without telling anything about it. */
export function masterId(master: string): string {
	return derive(Buffer.from(master), 'freehold master secret', '').toString('hex').slice(0, 16)
}

export function mintTenantKey(master: string, tenant: TenantId, version: number, random: RandomBytes): WrappedKey {
	return wrapTenantKey(master, tenant, version, random(new Uint8Array(keyBytes)), random)
}

/** Wraps a key for this tenant and version only: a wrapped key that is put elsewhere does not open. */
function wrapTenantKey(
	master: string,
	tenant: TenantId,
	version: number,
	key: Uint8Array,
	random: RandomBytes,
): WrappedKey {
	const wrapped = sealBytes(wrappingKey(master), key, contextOf(tenant, version), random)
	return { version, master: masterId(master), wrapped }
}

/** Null when none of the master secrets is the one that wrapped it. */
export function unwrapTenantKey(
	masters: readonly string[],
	tenant: TenantId,
	{ version, master, wrapped }: WrappedKey,
): Uint8Array | null {
	const secret = masters.find((one) => masterId(one) === master)
	return secret === undefined ? null : openBytes(wrappingKey(secret), wrapped, contextOf(tenant, version))
}

/** The key wrapped by the first of the master secrets; itself when it is already, and null when none of them opens it. */
export function rewrapTenantKey(
	masters: readonly [string, ...string[]],
	tenant: TenantId,
	wrapped: WrappedKey,
	random: RandomBytes,
): WrappedKey | null {
	if (wrapped.master === masterId(masters[0])) return wrapped
	const key = unwrapTenantKey(masters, tenant, wrapped)
	return key && wrapTenantKey(masters[0], tenant, wrapped.version, key, random)
}

/** What a tenant's key is used for; no use can be told from another. */
export interface DerivedKeys {
	/** The parent of each record's key. */
	fields: Uint8Array
	/** Blinds values that are to be found again. */
	index: Uint8Array
	/** Seals the pages of subjects' keys. */
	pages: Uint8Array
}

export function deriveKeys(key: Uint8Array): DerivedKeys {
	return {
		fields: derive(key, 'freehold fields', ''),
		index: derive(key, 'freehold blind index', ''),
		pages: derive(key, 'freehold subject keys', ''),
	}
}

/**
 * A blind index: equal values of one property are equal here, and nothing else can be told without the key. The value is
 * normalised, as unique values are compared. Hexadecimal, so that no normal form changes it.
 */
export function blindValue(index: Uint8Array, collection: number, property: string, value: string | number): string {
	return createHmac('sha256', index)
		.update(JSON.stringify([collection, property, value]))
		.digest('hex')
}

function wrappingKey(master: string): Buffer {
	return derive(Buffer.from(master), 'freehold wrapping', '')
}

function contextOf(tenant: TenantId, version: number): string {
	return JSON.stringify(['freehold tenant key', tenant, version])
}

function derive(secret: Uint8Array, purpose: string, salt: string): Buffer {
	return Buffer.from(hkdfSync('sha256', secret, salt, purpose, keyBytes))
}
