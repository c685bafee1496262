import { hkdfSync } from 'node:crypto'
import type { RandomBytes, TenantId } from './ids.ts'
import { open, seal } from './seal.ts'

/**
 * The secrets that sign a tenant's webhooks. They must be known again at every delivery, so they cannot rest as hashes: they
 * rest encrypted under a key that is derived from the signing secret, which no shard knows.
 */

const secretBytes = 32

/** `whsec_` and 32 random bytes in base64, as Standard Webhooks has it. */
export function mintWebhookSecret(random: RandomBytes): string {
	return `whsec_${Buffer.from(random(new Uint8Array(secretBytes))).toString('base64')}`
}

export function sealWebhookSecret(
	secret: string,
	tenant: TenantId,
	signingSecret: string,
	random: RandomBytes,
): string {
	return seal(restingKey(tenant, signingSecret), secret, random)
}

/** The secret, and whether it rests under an older signing secret; null when none of them opens it. */
export function openWebhookSecret(
	sealed: string,
	tenant: TenantId,
	signingSecrets: readonly string[],
): { secret: string; isOld: boolean } | null {
	for (const [index, signingSecret] of signingSecrets.entries()) {
		const secret = open(restingKey(tenant, signingSecret), sealed)
		if (secret !== null) return { secret, isOld: index > 0 }
	}
	return null
}

/** The tenant is part of the key: a row that was copied to another tenant does not open there. */
function restingKey(tenant: TenantId, signingSecret: string): string {
	return Buffer.from(hkdfSync('sha256', signingSecret, '', `freehold-webhook|${tenant}`, 32)).toString('base64url')
}
