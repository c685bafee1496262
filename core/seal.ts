import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import type { RandomBytes } from './ids.ts'

/**
 * Sealing an answer that holds a secret: it rests encrypted under a key that only the caller can bring again, derived
 * from the bearer and the idempotency key of the request. Whoever reads the storage learns nothing.
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
	const nonce = random(new Uint8Array(nonceBytes))
	const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'base64url'), nonce)
	return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** Null when the text was not sealed under this key. */
export function open(key: string, sealed: string): string | null {
	const bytes = Buffer.from(sealed, 'base64url')
	if (bytes.length < nonceBytes + tagBytes) return null
	const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key, 'base64url'), bytes.subarray(0, nonceBytes))
	decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes))
	try {
		const text = decipher.update(bytes.subarray(nonceBytes, bytes.length - tagBytes))
		return Buffer.concat([text, decipher.final()]).toString('utf8')
	} catch {
		return null
	}
}
