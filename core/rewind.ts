import { z } from 'zod'
import { tenantStatuses } from './contract.ts'
import { jobKinds } from './job.ts'

/** An operator's wish to bring a tenant back to a moment of its object's own history. Times are in milliseconds since 1970. */
export interface RewindOrder {
	/** `id` names the request, `key` is the same in its repetitions, and `fingerprint` hashes what was asked. */
	request: { id: string; key: string; fingerprint: string }
	to: number
	/** `operator:<name>` */
	by: string
}

/** `at` is when it was asked for first. */
export interface Rewinding {
	at: number
	replayed: boolean
}

/** What a rewind must not take back, as it was when the history of before ended. */
const standing = z.object({
	/** The journal's end. */
	position: z.number(),
	/** Whatever is not among these was revoked or removed since. */
	keys: z.array(z.string()),
	webhooks: z.array(z.string()),
	/** What they left in the bucket must go, also where the database no longer knows of them. */
	jobs: z.array(z.object({ id: z.string(), kind: z.enum(jobKinds) })),
	tenant: z.object({
		slug: z.string(),
		name: z.string(),
		status: z.enum(tenantStatuses),
		requests_per_second: z.number(),
		storage_bytes: z.number(),
	}),
})
export type Standing = z.infer<typeof standing>

/** The rewind that a tenant's epoch began with, or one before it. */
export const rewound = z.object({
	/** A database of an older epoch has to take over `standing` first. */
	epoch: z.number(),
	request: z.object({ id: z.string(), key: z.string(), fingerprint: z.string() }),
	to: z.number(),
	at: z.number(),
	by: z.string(),
	standing,
})
export type Rewound = z.infer<typeof rewound>
