import { z } from 'zod'
import { tenantStatuses } from './contract.ts'
import { parseTenantId, type TenantId } from './ids.ts'
import { ledgerEntriesMax } from './limits.ts'
import { accept, type Outcome, refuse } from './refusal.ts'
import { type Rewound, rewound } from './rewind.ts'
import { type WrappedKey, wrappedKey } from './tenant-key.ts'

/** Who asked for the erasure of a tenant, and when it may begin. */
const erasureRequest = z.object({
	/** Names the record of its progress; see `core/erasure.ts`. */
	id: z.string(),
	/** Until then it can be cancelled, in milliseconds since 1970. */
	dueAt: z.number(),
	/** When the last store may have lost what can be recovered; known once the certificate is signed. */
	horizon: z.number().optional(),
})

const ledgerEntry = z.object({
	/** The shard's request of the erasure; a shard that knows it has applied the entry. */
	request: z.string(),
	/** HMAC of the data subject's id. */
	subject: z.string(),
	at: z.number(),
})

export const tenantIdSchema = z.string().transform((text, context) => {
	const tenant = parseTenantId(text)
	if (tenant !== null) return tenant
	context.addIssue({ code: 'custom', message: 'no tenant id' })
	return z.NEVER
})

/** `copying` can be cancelled; from `handing_over` on the name goes to the other tenant, and nothing takes that back. */
export const moveStates = ['copying', 'handing_over', 'handed_over'] as const

const move = z.object({
	/** The tenant of another region that takes this one's place. */
	to: tenantIdSchema,
	state: z.enum(moveStates),
	at: z.number(),
	by: z.string(),
	/** What the tenant was before it was suspended for the move. */
	status: z.enum(tenantStatuses),
	/** Somebody has cancelled it, and the tenant may not have its status back yet. */
	cancelled: z.literal(true).optional(),
})
export type Move = z.infer<typeof move>

export type LedgerEntry = z.infer<typeof ledgerEntry>

/** Fields that came later are optional, so that the objects of older Workers stay readable. */
export const controlSchema = z.object({
	/**
	 * `provisioning` becomes `active` (the tenant exists) or `abandoned` (it never will); see U2. `active` becomes `erasing`,
	 * which nothing takes back, and then `erased`.
	 */
	state: z.enum(['provisioning', 'active', 'abandoned', 'erasing', 'erased']),
	epoch: z.number(),
	createdAt: z.number(),
	/**
	 * The epoch that began because the shard's journal was not the one that the view follows: the shard goes on under it. Any
	 * other newer epoch means that the tenant is elsewhere now.
	 */
	diverged: z.number().optional(),
	/** A legal hold (Art. 17(3) GDPR) stops the erasure until it is lifted. */
	hold: z.object({ at: z.number(), by: z.string() }).optional(),
	erasure: erasureRequest.optional(),
	move: move.optional(),
	/** The tenant of another region whose place this one takes, or has taken. */
	movedFrom: tenantIdSchema.optional(),
	/** The data subjects that were erased lately: a shard that comes back from its history erases them again. */
	ledger: z.array(ledgerEntry).optional(),
	/** The last rewind, with what it must not take back; gone once the tenant is being erased. */
	rewound: rewound.optional(),
	/** The tenant's encryption keys, the newest last; absent before it keeps anything encrypted, and once they are destroyed. */
	keys: z.array(wrappedKey).optional(),
	/** When a rotation destroyed the key before these, in milliseconds: what the shard held earlier opens no more. */
	keysSince: z.number().optional(),
})

/**
 * The control object: a tenant's right to exist. It is written before anything of the tenant is provisioned and is
 * changed by conditional put only, so that of two contradicting decisions exactly one is taken.
 */
export type Control = z.infer<typeof controlSchema>

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
	/** Who holds the value, confirmed or not; null when it is free. */
	holder(): Promise<TenantId | null>
	/** Gives the value from one tenant to another at once: never has it two owners, never none. True when `to` holds it now. */
	transfer(from: TenantId, to: TenantId): Promise<boolean>
	/** Frees the value if this tenant holds it. */
	release(tenant: TenantId): Promise<void>
	/** Opens or finds the idempotency row of a request that is not inside any shard. */
	begin(request: { fingerprint: string; draft: string }): Promise<Begun>
	finish(fingerprint: string): Promise<void>
	/** Forgets a request that was refused, as long as no retry can have gone on with it. */
	withdraw(fingerprint: string): Promise<void>
}

export type Begun =
	/** `draft` is what the first request stored: minted values, sealed under the caller's key. */
	{ state: 'started' | 'resumed' | 'finished'; draft: string } | { state: 'running' | 'mismatch' }

/**
 * Decides what becomes of a tenant whose creation was interrupted: it exists if its control object became `active`, and
 * otherwise never will, because from now on the object says `abandoned` and no late creator can change that (U2). A tenant
 * that is being erased still exists: its erasure releases the claim.
 */
export async function settleControl(
	store: ControlStore,
	tenant: TenantId,
	nowMs: number,
): Promise<'active' | 'abandoned'> {
	for (let tries = 0; tries < 5; tries++) {
		const found = await store.read(tenant)
		switch (found?.control.state) {
			case 'active':
			case 'erasing':
				return 'active'
			case 'abandoned':
			// What an erased tenant held is free, and nothing may write over the word that it is erased.
			case 'erased':
				return 'abandoned'
		}
		const abandoned: Control = { state: 'abandoned', epoch: 1, createdAt: found?.control.createdAt ?? nowMs }
		const decided = found ? await store.replace(tenant, abandoned, found.etag) : await store.create(tenant, abandoned)
		if (decided) return 'abandoned'
	}
	throw new Error('the control object keeps changing')
}

/**
 * Changes a control object by conditional put, again and again while others change it. Answers what is there now, and null
 * for a tenant that nobody registered. `change` answers null to leave the object as it is.
 */
export async function changeControl(
	store: ControlStore,
	tenant: TenantId,
	change: (control: Control) => Control | null,
): Promise<Control | null> {
	for (let tries = 0; tries < 10; tries++) {
		const found = await store.read(tenant)
		if (!found) return null
		const changed = change(found.control)
		if (changed === null) return found.control
		if (await store.replace(tenant, changed, found.etag)) return changed
	}
	throw new Error('the control object keeps changing')
}

/** Gives a tenant in force its first key, unless it has one. Answers what is there now. */
export function ensureKey(store: ControlStore, tenant: TenantId, mint: () => WrappedKey): Promise<Control | null> {
	return changeControl(store, tenant, (control) => {
		const lacksKey = control.state === 'active' && !control.keys?.length
		return lacksKey ? { ...control, keys: [mint()] } : null
	})
}

/** Puts the next version of a tenant's key behind the present one, once. Answers what is there now. */
export function addKey(
	store: ControlStore,
	tenant: TenantId,
	version: number,
	mint: () => WrappedKey,
): Promise<Control | null> {
	return changeControl(store, tenant, (control) => {
		const { keys = [] } = control
		const isNext = control.state === 'active' && keys.at(-1)?.version === version - 1
		return isNext ? { ...control, keys: [...keys, mint()] } : null
	})
}

/**
 * Destroys the versions of a tenant's key before one. The shard has found that nothing rests under them any more, in the
 * history that it has under `epoch`: under another one it has to look again. Answers what is there now.
 */
export function retireKeys(
	store: ControlStore,
	tenant: TenantId,
	epoch: number,
	version: number,
	now: number,
): Promise<Control | null> {
	return changeControl(store, tenant, (control) => {
		const { keys = [] } = control
		const kept = keys.filter((key) => key.version >= version)
		const isAsked = control.state === 'active' && control.epoch === epoch && kept.length < keys.length
		// The key that is in force never goes, whatever version was named.
		return isAsked && kept.length > 0 ? { ...control, keys: kept, keysSince: now } : null
	})
}

/**
 * Destroys the keys of a tenant whose erasure has begun: nobody can read any more what rests under them, wherever it is. The
 * note of a rewind, which has the tenant's name, goes with them.
 */
export function destroyKeys(store: ControlStore, tenant: TenantId): Promise<Control | null> {
	return changeControl(store, tenant, ({ keys, rewound, ...control }) => {
		const isDoomed = control.state === 'erasing' || control.state === 'erased'
		return isDoomed && (keys !== undefined || rewound !== undefined) ? control : null
	})
}

/**
 * Begins another epoch for a tenant whose shard has another history than the view follows under `epoch`; whoever comes later
 * finds it begun. Answers the object as it is now.
 */
export function divergeControl(store: ControlStore, tenant: TenantId, epoch: number): Promise<Control | null> {
	return changeControl(store, tenant, (present) => {
		const next = present.epoch + 1
		return present.state === 'active' && present.epoch === epoch ? { ...present, epoch: next, diverged: next } : null
	})
}

/**
 * Begins another epoch for a tenant whose shard goes back in its history, with what that must not take back. Refused while what
 * there is must stay: for an erasure, a move, a legal hold. Answers the object as it is now.
 */
export async function rewindControl(
	store: ControlStore,
	tenant: TenantId,
	epoch: number,
	began: Omit<Rewound, 'epoch'>,
): Promise<Outcome<Control>> {
	const next = epoch + 1
	const control = await changeControl(store, tenant, (present) =>
		mayRewind(present, epoch, began.to).ok
			? { ...present, epoch: next, diverged: next, rewound: { ...began, epoch: next } }
			: null,
	)
	const isBegun = control?.rewound?.epoch === next && control.rewound.request.id === began.request.id
	return isBegun ? accept(control) : mayRewind(control, epoch, began.to)
}

function mayRewind(control: Control | null, epoch: number, to: number): Outcome<never> | { ok: true; value: Control } {
	if (control?.state !== 'active') return refuse('tenant_erased', 'this tenant was erased, or is being erased')
	if (control.erasure) return refuse('erasure_started', 'the erasure of this tenant was asked for; cancel it first')
	if (control.move) return refuse('move_running', 'this tenant moves to another region, or has moved')
	if (control.hold) return refuse('not_ready', 'a legal hold keeps this tenant as it is')
	if (control.keysSince !== undefined && to <= control.keysSince)
		return refuse('history_unavailable', 'what was encrypted then opens no more: a rotation has destroyed its key')
	if (control.epoch !== epoch) return refuse('unavailable', 'another epoch has begun', { retryAfter: 1 })
	return accept(control)
}

/**
 * Enters an erased data subject into the ledger, once. Entries from before `keptSince`, in milliseconds, go: no recoverable copy
 * of the shard is as old as they are.
 */
export async function enterLedger(
	store: ControlStore,
	tenant: TenantId,
	entry: LedgerEntry,
	keptSince: number,
): Promise<Outcome<true>> {
	let isFull = false
	await changeControl(store, tenant, (control) => {
		const { ledger = [] } = control
		if (ledger.some(({ request }) => request === entry.request)) return null
		const kept = ledger.filter(({ at }) => at >= keptSince)
		isFull = kept.length >= ledgerEntriesMax
		return isFull ? null : { ...control, ledger: [...kept, entry] }
	})
	return isFull
		? refuse('limit_exceeded', `the ledger takes ${ledgerEntriesMax} erasures in the time that copies last`)
		: accept(true)
}
