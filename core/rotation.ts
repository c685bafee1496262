/**
 * The rotation of the master secret in one region: every tenant's key is wrapped anew by the newest secret, while both open
 * what they wrapped. How far it has come lies in the region's bucket.
 */
import { z } from 'zod'
import { parseTenantId } from './ids.ts'

const count = z.number().int().min(0)

export const rotationSchema = z.object({
	/** Names the secret that is to wrap everything (`masterId` in `core/tenant-key.ts`). */
	master: z.string(),
	/** Milliseconds since 1970, as all times here: when it began, and when the present way through the registry did. */
	begunAt: z.number(),
	passAt: z.number(),
	/** The last tenant that was looked at on this way; null at the start of the registry. */
	after: z
		.string()
		.transform((text) => parseTenantId(text))
		.nullable(),
	/** On this way: tenants looked at, keys wrapped anew, and keys that no secret of this deployment opens. */
	tenants: count,
	rewrapped: count,
	unreadable: count,
	finishedAt: z.number().nullable(),
})

export type Rotation = z.infer<typeof rotationSchema>

/** `etag` names the version that was read, null for none. */
export interface RotationStore {
	read(): Promise<{ rotation: Rotation; etag: string } | null>
	/** The new version's etag; null when somebody changed it since it was read. */
	write(rotation: Rotation, etag: string | null): Promise<string | null>
}

/**
 * A Worker of before the rotation may run beside this one for a while and wrap a new key by the old secret. A way through the
 * registry that began later than this and found nothing to do is the proof that nothing is left.
 */
const settleMs = 600_000

export function newRotation(master: string, now: number): Rotation {
	return {
		...{ master, begunAt: now, passAt: now, after: null },
		...{ tenants: 0, rewrapped: 0, unreadable: 0, finishedAt: null },
	}
}

/** What one look at a tenant's control object came to. */
export interface Rewrapped {
	rewrapped: number
	unreadable: number
}

/** Adds what a page of the registry came to. */
export function pageDone(rotation: Rotation, after: Rotation['after'], found: readonly Rewrapped[]): Rotation {
	return {
		...rotation,
		after,
		tenants: rotation.tenants + found.length,
		rewrapped: rotation.rewrapped + found.reduce((sum, one) => sum + one.rewrapped, 0),
		unreadable: rotation.unreadable + found.reduce((sum, one) => sum + one.unreadable, 0),
	}
}

/** The registry has ended: the rotation is finished, or goes through it once more. */
export function passDone(rotation: Rotation, now: number): Rotation {
	const { master, begunAt, passAt, rewrapped, unreadable } = rotation
	const isProof = passAt >= begunAt + settleMs && rewrapped === 0 && unreadable === 0
	return isProof ? { ...rotation, finishedAt: now } : { ...newRotation(master, now), begunAt }
}
