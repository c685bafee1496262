import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import type { NewKey } from './contract.ts'
import { mintId, parseTenantId, type RandomBytes, type TenantId } from './ids.ts'

/**
 * An API key is `fhk_<tenant id>_<key id>_<secret>_<mac>`: 26, 32 and 26 characters of lower-case Crockford base32 after
 * the tenant. The MAC proves at the edge that Freehold minted the key, so a made-up key never reaches an object (T3); the
 * shard, which stores only the secret's hash, decides whether the key still holds.
 */
const form =
	/^fhk_([a-z][a-z0-9]{0,15}_[0-9a-hjkmnp-tv-z]{26})_([0-9a-hjkmnp-tv-z]{26})_([0-9a-hjkmnp-tv-z]{32})_([0-9a-hjkmnp-tv-z]{26})$/

/** Whether a bearer token looks like an API key, valid or not. */
export function looksLikeKey(token: string): boolean {
	return token.startsWith('fhk_')
}

export interface ParsedKey {
	tenant: TenantId
	keyId: string
	/** SHA-256 of the secret, in base64url. */
	secretHash: string
}

/** Mints a key; `secret` of the result is the whole text that the client presents. Signed with the newest signing secret. */
export function mintKey(tenant: TenantId, signingSecret: string, nowMs: number, random: RandomBytes): NewKey {
	const id = mintId(nowMs, random)
	const secret = base32(random(new Uint8Array(20)), 32)
	return {
		id,
		secret: `fhk_${tenant}_${id}_${secret}_${sign(signingSecret, tenant, id, secret)}`,
		secretHash: hashSecret(secret),
	}
}

/** Null for anything that none of the signing secrets has signed. The only place where a client's text becomes a tenant (T1). */
export function parseKey(text: string, signingSecrets: readonly string[]): ParsedKey | null {
	const match = form.exec(text)
	if (!match) return null
	const [, tenantText = '', keyId = '', secret = '', mac = ''] = match
	const tenant = parseTenantId(tenantText)
	if (!tenant) return null
	const given = Buffer.from(mac)
	for (const signingSecret of signingSecrets) {
		if (timingSafeEqual(given, Buffer.from(sign(signingSecret, tenant, keyId, secret)))) {
			return { tenant, keyId, secretHash: hashSecret(secret) }
		}
	}
	return null
}

/** SHA-256 of text in base64url: what is stored or compared in a secret's place. */
export function hashSecret(secret: string): string {
	return hash('sha256', secret, 'base64url')
}

/** Compares two hashes of `hashSecret` in constant time. */
export function sameHash(a: string, b: string): boolean {
	const left = Buffer.from(a)
	const right = Buffer.from(b)
	return left.length === right.length && timingSafeEqual(left, right)
}

/** HMAC-SHA256, cut to 130 bits. The prefix keeps this use of the signing secret apart from every other. */
function sign(signingSecret: string, tenant: TenantId, keyId: string, secret: string): string {
	const mac = createHmac('sha256', signingSecret).update(`api-key|${tenant}|${keyId}|${secret}`).digest()
	return base32(mac, 26)
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** The first `chars` times five bits as Crockford base32. */
function base32(bytes: Uint8Array, chars: number): string {
	let text = ''
	let bits = 0
	let held = 0
	for (const byte of bytes) {
		held = (held << 8) | byte
		bits += 8
		while (bits >= 5 && text.length < chars) {
			bits -= 5
			text += alphabet.charAt((held >> bits) & 31)
		}
		held &= 0xff
	}
	return text
}
