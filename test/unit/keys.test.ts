import { expect, test } from 'vitest'
import { mintTenantId, type Region } from '../../core/ids.ts'
import { hashSecret, mintKey, parseKey, sameHash } from '../../core/keys.ts'
import { open, seal, sealKey } from '../../core/seal.ts'

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
const tenant = mintTenantId('eu' as Region, 1_763_800_000_000, random)

test('a minted key is parsed into its tenant, its id and the hash of its secret', () => {
	const key = mintKey(tenant, 'signing', 1_763_800_000_000, random)
	expect(key.secret).toMatch(
		/^fhk_eu_[0-9a-hjkmnp-tv-z]{26}_[0-9a-hjkmnp-tv-z]{26}_[0-9a-hjkmnp-tv-z]{32}_[0-9a-hjkmnp-tv-z]{26}$/,
	)
	expect(parseKey(key.secret, ['signing'])).toEqual({ tenant, keyId: key.id, secretHash: key.secretHash })
	expect(key.secretHash).toBe(hashSecret(key.secret.split('_')[4] ?? ''))
})

test('a key stays valid while its signing secret is the previous one, and dies with it', () => {
	const key = mintKey(tenant, 'old', 0, random)
	expect(parseKey(key.secret, ['new', 'old'])).not.toBeNull()
	expect(parseKey(key.secret, ['new'])).toBeNull()
})

test('[T3] a key with any character changed is not parsed', () => {
	const { secret } = mintKey(tenant, 'signing', 0, random)
	for (let i = 0; i < secret.length; i++) {
		for (const other of ['0', 'z', '_', 'A', ' ', '\0']) {
			if (secret[i] === other) continue
			expect(parseKey(secret.slice(0, i) + other + secret.slice(i + 1), ['signing'])).toBeNull()
		}
		expect(parseKey(secret.slice(0, i), ['signing'])).toBeNull()
	}
	expect(parseKey(`${secret}0`, ['signing'])).toBeNull()
	expect(parseKey(`${secret}\n`, ['signing'])).toBeNull()
})

test('[T1] the MAC of one tenant does not vouch for the same key under another tenant', () => {
	const { secret } = mintKey(tenant, 'signing', 0, random)
	const other = mintTenantId('eu' as Region, 1_763_800_000_000, random)
	expect(parseKey(secret.replace(tenant, other), ['signing'])).toBeNull()
	expect(parseKey(secret.replace('fhk_eu_', 'fhk_global_'), ['signing'])).toBeNull()
})

test('two keys of the same moment differ', () => {
	const keys = Array.from({ length: 200 }, () => mintKey(tenant, 'signing', 0, random))
	expect(new Set(keys.map((key) => key.secret)).size).toBe(200)
	expect(new Set(keys.map((key) => key.id)).size).toBe(200)
})

test('hashes are compared whole', () => {
	expect(sameHash(hashSecret('a'), hashSecret('a'))).toBe(true)
	expect(sameHash(hashSecret('a'), hashSecret('b'))).toBe(false)
	expect(sameHash(hashSecret('a'), '')).toBe(false)
})

test('sealed text opens under the same bearer and idempotency key only', () => {
	const key = sealKey('bearer', 'request-1')
	expect(Buffer.from(key, 'base64url')).toHaveLength(32)
	const sealed = seal(key, 'a secret: ü', random)
	expect(sealed).not.toContain('secret')
	expect(open(key, sealed)).toBe('a secret: ü')
	expect(open(sealKey('bearer', 'request-2'), sealed)).toBeNull()
	expect(open(sealKey('other', 'request-1'), sealed)).toBeNull()
	expect(open(key, '')).toBeNull()
	expect(open(key, sealed.slice(0, -2))).toBeNull()
	expect(seal(key, 'a', random)).not.toBe(seal(key, 'a', random))
})
