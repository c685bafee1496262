/**
 * The erasure of a tenant: what is decided, as pure functions. The control object says whether and when it happens, the
 * record in the cell's bucket how far it has come; whoever performs a step afterwards asks again. Every step may be
 * repeated, so a crash anywhere costs a repetition and nothing else (E2).
 */
import { z } from 'zod'
import { type Control, tenantIdSchema } from './control.ts'
import type { TenantId } from './ids.ts'

/** Asks the consumer to go on with the erasure of a tenant. It carries nothing else: the control object says the rest. */
export interface ErasureCall {
	kind: 'erasure'
	tenant: TenantId
	shard: number
	epoch: number
}

/** What a shard is asked to do; the control object that it then reads decides whether it does so. */
export type ErasureOrder = { tenant: TenantId; shard: number } & (
	| { do: 'reconsider' }
	/** Drop every table; only while the control object says `erasing` or `erased`. */
	| { do: 'bury' }
	| { do: 'examine' }
	/** The certificate is signed: rest until the horizon, then leave nothing at all. */
	| { do: 'rest'; horizon: number }
)

/** What a shard's storage holds, counted there and then. */
export interface ShardRemains {
	tables: number
	records: number
	keys: number
	/** Whether the tombstone is in place. */
	buried: boolean
}

/** The steps in their order: everything up to `shards` destroys, the rest proves. */
export const erasureSteps = [
	/** The control object says `erasing` under a new epoch: the point of no return. */
	'control',
	/** The tenant's encryption keys are destroyed, and with them every copy of what rests under them, wherever it is. */
	'key',
	/** The shards answer 410, their keys are dead. */
	'fence',
	/** What each store holds is counted, for the certificate. */
	'inventory',
	/** The rows of the view are deleted, and a tombstone refuses new ones. */
	'view',
	/** The tenant's objects in the bucket are deleted. */
	'objects',
	/** Its globally unique names are free. */
	'claims',
	/** The shards' tables are dropped. */
	'shards',
	/** The control object says `erased`. */
	'close',
	/** Each store is asked again, independently. */
	'verify',
	/** The certificate is signed and kept. */
	'certify',
] as const
export type ErasureStep = (typeof erasureSteps)[number]

/** How many things of a tenant one store holds. */
const storeCount = z.object({
	store: z.enum(['keys', 'shard', 'view', 'bucket', 'claims', 'control']),
	things: z.string(),
	count: z.number(),
})
export type StoreCount = z.infer<typeof storeCount>

/** The progress of one erasure: ids, counts and times, nothing personal. */
export const erasureRecord = z.object({
	id: z.string(),
	tenant: tenantIdSchema,
	/** `key:<id>` or `operator:<name>`. */
	requestedBy: z.string(),
	requestedAt: z.number(),
	/** Names of the claims to release: HMACs, because the values themselves may say who the tenant was. */
	claims: z.array(z.string()),
	/** When each step was done last. */
	done: z.array(z.object({ step: z.enum(erasureSteps), at: z.number() })),
	/** What `inventory` found before anything was deleted. */
	found: z.array(storeCount),
	/** What `verify` found afterwards, and should be nothing: a step that left something is done again. */
	after: z.array(storeCount),
	/** A JWS, see `core/certificate.ts`. */
	certificate: z.string().nullable(),
})
export type ErasureRecord = z.infer<typeof erasureRecord>

/** The records of one region's bucket. */
export interface ErasureStore {
	read(id: string): Promise<{ record: ErasureRecord; etag: string } | null>
	/** False when there is one already. */
	create(record: ErasureRecord): Promise<boolean>
	/** False when somebody changed it since it was read. */
	replace(record: ErasureRecord, etag: string): Promise<boolean>
	/** The newest first. */
	recent(limit: number): Promise<ErasureRecord[]>
}

export type Decision =
	/** No longer, or not yet, asked for: the control object does not name it. */
	| { kind: 'not_asked' }
	| { kind: 'wait'; until: number }
	/** A legal hold stops it wherever it is. */
	| { kind: 'held' }
	| { kind: 'perform'; step: ErasureStep }
	/** Whoever still asks is told the horizon. */
	| { kind: 'finished' }

export function decideErasure(control: Control | null, record: ErasureRecord | null, now: number): Decision {
	if (!control?.erasure || record?.id !== control.erasure.id) return { kind: 'not_asked' }
	const next = erasureSteps.find((step) => !record.done.some((one) => one.step === step))
	if (next === undefined) return { kind: 'finished' }
	if (control.hold) return { kind: 'held' }
	if (control.state !== 'active') return { kind: 'perform', step: next }
	// Whatever the record says, nothing is destroyed before the control object has passed the point of no return.
	const { dueAt } = control.erasure
	return now < dueAt ? { kind: 'wait', until: dueAt } : { kind: 'perform', step: 'control' }
}

export const erasureStatuses = ['scheduled', 'held', 'running', 'cancelled', 'done'] as const
type ErasureStatus = (typeof erasureStatuses)[number]

/** What a person is told of it. */
export function erasureStatus(control: Control | null, record: ErasureRecord, now: number): ErasureStatus {
	const decision = decideErasure(control, record, now)
	switch (decision.kind) {
		case 'not_asked':
			return 'cancelled'
		case 'wait':
			return 'scheduled'
		case 'held':
			return 'held'
		case 'perform':
			return 'running'
		case 'finished':
			return 'done'
	}
}

/** Whether it is still running although it was due longer than `runMsMax` ago. A legal hold is no delay. */
export function isOverdue(control: Control | null, record: ErasureRecord, now: number, runMsMax: number): boolean {
	const dueAt = control?.erasure?.dueAt ?? record.requestedAt
	return erasureStatus(control, record, now) === 'running' && now - dueAt > runMsMax
}

/** Marks a step as done. What `verify` found left over takes back the steps that should have removed it. */
export function stepDone(record: ErasureRecord, step: ErasureStep, at: number): ErasureRecord {
	const done = [...record.done.filter((one) => one.step !== step), { step, at }]
	const left = step === 'verify' ? record.after.filter(({ count }) => count > 0) : []
	if (left.length === 0) return { ...record, done }
	const again: ErasureStep[] = ['verify', ...left.map(({ store }) => stepByStore[store])]
	return { ...record, done: done.filter((one) => !again.includes(one.step)) }
}

/** The step that empties each store. */
const stepByStore: Record<StoreCount['store'], ErasureStep> = {
	keys: 'key',
	view: 'view',
	bucket: 'objects',
	claims: 'claims',
	shard: 'shards',
	control: 'close',
}

/**
 * Where a tenant's objects lie in its cell's bucket, besides its control object and the record of its erasure. Whatever is
 * stored for a tenant goes below one of these, or an erasure would not find it.
 */
export function objectPrefixes(tenant: TenantId): string[] {
	return [`exports/${tenant}/`, `imports/${tenant}/`, `jobs/${tenant}/`, `keys/${tenant}/`]
}
