import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import type { RandomBytes } from './ids.ts'

/**
 * Sealing: what rests in a store that may be copied rests encrypted. An answer that holds a secret does so under a key that only
 * the caller can bring again, derived from the bearer and the idempotency key of the request. Whoever reads the storage
 * learns nothing.
 */

const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

/** 32 bytes in base64url, by HKDF-SHA256. */
export function sealKey(bearer: string, idempotencyKey: string): string {
	return Buffer.from(hkdfSync('sha256', bearer, 'freehold-seal', idempotencyKey, keyBytes)).toString('base64url')
}

/** AES-256-GCM: nonce, ciphertext and tag in base64url. */
export function seal(key: string, text: string, random: RandomBytes): string {
	return sealBytes(Buffer.from(key, 'base64url'), Buffer.from(text), '', random)
}

/** Null when the text was not sealed under this key. */
export function open(key: string, sealed: string): string | null {
	return openBytes(Buffer.from(key, 'base64url'), sealed, '')?.toString('utf8') ?? null
}

/** As `seal`, for bytes. Whoever opens it must name the same `context`, which is not secret and not part of the result. */
export function sealBytes(key: Uint8Array, bytes: Uint8Array, context: string, random: RandomBytes): string {
	const nonce = random(new Uint8Array(nonceBytes))
	const cipher = createCipheriv('aes-256-gcm', key, nonce)
	cipher.setAAD(Buffer.from(context))
	return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** Null when this was not sealed under this key and in this context. */
export function openBytes(key: Uint8Array, sealed: string, context: string): Buffer | null {
	const bytes = Buffer.from(sealed, 'base64url')
	if (bytes.length < nonceBytes + tagBytes) return null
	const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes))
	decipher.setAAD(Buffer.from(context))
	decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes))
	try {
		return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, bytes.length - tagBytes)), decipher.final()])
	} catch {
		return null
	}
}
