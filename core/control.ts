import type { TenantId } from './ids.ts'

/**
 * The control object: a tenant's right to exist. It is written before anything of the tenant is provisioned and is
 * changed by conditional put only, so that of two contradicting decisions exactly one is taken.
 */
export interface Control {
	/** `provisioning` becomes `active` (the tenant exists) or `abandoned` (it never will); see U2. */
	state: 'provisioning' | 'active' | 'abandoned'
	epoch: number
	createdAt: number
}

/** The registry of one region's bucket. `etag` names the version that was read, for the next conditional put. */
export interface ControlStore {
	read(tenant: TenantId): Promise<{ control: Control; etag: string } | null>
	/** False when the object already exists. */
	create(tenant: TenantId, control: Control): Promise<boolean>
	/** False when somebody changed the object since it was read. */
	replace(tenant: TenantId, control: Control, etag: string): Promise<boolean>
}

/** Who owns a globally unique value. The claim's object is named by an HMAC of the value and holds a tenant id only. */
export interface Claim {
	/** True when the tenant holds the value now, also when it already did. Unconfirmed claims resolve themselves after a while. */
	acquire(tenant: TenantId): Promise<boolean>
	/** True when the tenant holds the value for good. */
	confirm(tenant: TenantId): Promise<boolean>
	/** Frees the value if this tenant holds it. */
	release(tenant: TenantId): Promise<void>
	/** Opens or finds the idempotency row of a request that is not inside any shard. */
	begin(request: { fingerprint: string; draft: string }): Promise<Begun>
	finish(fingerprint: string): Promise<void>
}

export type Begun =
	/** `draft` is what the first request stored: minted values, sealed under the caller's key. */
	{ state: 'started' | 'resumed' | 'finished'; draft: string } | { state: 'running' | 'mismatch' }

/**
 * Decides what becomes of a tenant whose creation was interrupted: it exists if its control object became `active`, and
 * otherwise never will, because from now on the object says `abandoned` and no late creator can change that (U2).
 */
export async function settleControl(
	store: ControlStore,
	tenant: TenantId,
	nowMs: number,
): Promise<'active' | 'abandoned'> {
	for (let tries = 0; tries < 5; tries++) {
		const found = await store.read(tenant)
		if (found?.control.state === 'active' || found?.control.state === 'abandoned') return found.control.state
		const abandoned: Control = { state: 'abandoned', epoch: 1, createdAt: found?.control.createdAt ?? nowMs }
		const decided = found ? await store.replace(tenant, abandoned, found.etag) : await store.create(tenant, abandoned)
		if (decided) return 'abandoned'
	}
	throw new Error('the control object keeps changing')
}
