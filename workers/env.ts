import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { type Bucket, bucketKeysMax, clearPrefix } from '../core/bucket.ts'
import { type RetentionDays, retentionDays } from '../core/certificate.ts'
import type { Announcement, Shard, WebhookShard, WebhookWakeUp } from '../core/contract.ts'
import { type Claim, type ControlStore, controlSchema } from '../core/control.ts'
import type { DeadLetterOrder } from '../core/dead-letter.ts'
import { type ErasureStore, erasureRecord, isOverdue, objectPrefixes } from '../core/erasure.ts'
import { parseRegion, parseTenantId, type Region, regionOf, type TenantId } from '../core/ids.ts'
import { hashSecret } from '../core/keys.ts'
import { erasureWatchedMs } from '../core/limits.ts'
import type { Monitor } from '../core/monitor.ts'
import type { RebuildJob, RebuildStep, RebuildStore } from '../core/rebuild.ts'
import { type RotationStore, rotationSchema } from '../core/rotation.ts'
import { type KeyPageStore, storedPage } from '../core/subject-key.ts'
import type { TelemetryMessage } from '../core/telemetry.ts'
import { type ClaimKind, type OperatorToken, operatorScopes } from './api/ports.ts'
import type { ErasurePorts } from './queue-consumer/erasure.ts'

/**
 * Every binding of the deployed script. Those of the first region have the plain name, those of any other end in
 * `_<REGION>`; only this file knows either.
 */
export interface Env {
	TENANT_SHARD: DurableObjectNamespace
	UNIQUE_CLAIM: DurableObjectNamespace
	MONITOR: DurableObjectNamespace
	ASSETS?: Fetcher
	REGIONS: string
	/** `<region>=<jurisdiction>`, separated by commas: where the objects of a region are bound to. Empty where the runtime has no jurisdictions. */
	JURISDICTIONS: string
	CORS_ORIGINS: string
	OPERATOR_TOKEN: string
	/** JSON: `{"<name>": {"scope": "admin" | "read" | "metrics", "token": "..."}}`. */
	OPERATOR_TOKENS?: string
	SIGNING_SECRET: string
	/** The signing secret before the last rotation; still accepted, never used to sign. */
	SIGNING_SECRET_PREVIOUS?: string
	/** Names the objects of globally unique values. It is never rotated: another secret would be another name for each. */
	CLAIM_SECRET: string
	/** Wraps the tenants' encryption keys. Lost, everything that is encrypted is lost. */
	MASTER_SECRET: string
	/** The master secret before the last rotation; still unwraps, never wraps. */
	MASTER_SECRET_PREVIOUS?: string
	/** 32 random bytes in base64url: signs the certificates of erasure, so it is never rotated either. */
	CERTIFICATE_SECRET: string
	/** For how many days each kind of store can bring back what was deleted; JSON where it is a text. */
	RETENTION_DAYS: unknown
	/** `allow` lets webhooks go to private addresses and over plain HTTP, for development; anything else refuses both. */
	WEBHOOKS_PRIVATE?: string
	/** Where clients reach this deployment, without a path; empty where no probe is to run. */
	PUBLIC_URL?: string
	/** Bytes that a shard may hold, and minutes that a due erasure may take before somebody is told. */
	SHARD_BYTES_MAX: string
	ERASURE_MINUTES_MAX: string
	/** Where alerts are sent, and the secret that signs them, `whsec_…`; absent where nobody is to be told. */
	ALERT_WEBHOOK_URL?: string
	ALERT_WEBHOOK_SECRET?: string
	/** The local stack's stand-in for Neon's HTTP endpoint; absent in production. */
	NEON_ENDPOINT?: string
	[binding: string]: unknown
}

/** One region's cell. Nothing outside a cell holds what belongs into it. */
export interface Cell {
	region: Region
	control: ControlStore
	erasures: ErasureStore & { ids(): Promise<string[]> }
	/** Erasures that were to be done by now, by `isOverdue`. */
	overdueErasures(now: number): Promise<number>
	objects: ErasurePorts['objects']
	/** The registry's tenants in the order of their ids, after one. */
	registry(after: TenantId | null, limit: number): Promise<TenantId[]>
	keyPages: KeyPageStore
	rebuilds: RebuildStore
	rotation: RotationStore
	databaseUrl: string
	databaseReadUrl: string
	bucket: Bucket
	announce(message: Announcement): Promise<void>
	goOn(step: RebuildStep, delaySeconds: number): Promise<void>
	order(order: DeadLetterOrder): Promise<void>
	tell(message: TelemetryMessage): Promise<void>
}

export function regionsOf(env: Env): readonly [Region, ...Region[]] {
	const regions = env.REGIONS.split(',').map((text) => parseRegion(text.trim()))
	if (regions.length === 0 || regions.some((region) => region === null))
		throw new Error('REGIONS must list regions, separated by commas')
	return regions as [Region, ...Region[]]
}

export function cellOf(env: Env, region: Region): Cell {
	const bucket = binding(env, 'BUCKET', region) as R2Bucket
	const changes = binding(env, 'CHANGES', region) as Queue<Announcement | RebuildStep | DeadLetterOrder>
	const webhooks = binding(env, 'WEBHOOKS', region) as Queue<WebhookWakeUp>
	const telemetry = binding(env, 'TELEMETRY', region) as Queue<TelemetryMessage>
	return {
		region,
		control: controlStore(bucket),
		bucket: bucketOf(bucket),
		erasures: erasureStore(bucket),
		overdueErasures: (now) => countOverdue(bucket, now, boundsOf(env).erasureMinutesMax * 60_000),
		objects: tenantObjects(bucket),
		registry: (after, limit) => listTenants(bucket, after, limit),
		keyPages: keyPageStore(bucket),
		rebuilds: rebuildStore(bucket),
		rotation: rotationStore(bucket),
		databaseUrl: String(binding(env, 'DATABASE_URL', region)),
		databaseReadUrl: String(binding(env, 'DATABASE_READ_URL', region)),
		announce: async (message) => {
			if ('kind' in message && message.kind === 'webhook') await webhooks.send(message, { contentType: 'json' })
			else await changes.send(message, { contentType: 'json' })
		},
		goOn: async (step, delaySeconds) => {
			await changes.send(step, { contentType: 'json', delaySeconds })
		},
		order: async (order) => {
			await changes.send(order, { contentType: 'json' })
		},
		tell: async (message) => {
			await telemetry.send(message, { contentType: 'json' })
		},
	}
}

const carried = ['changes', 'webhooks', 'telemetry'] as const

/** What comes from this queue and of which region, by the naming convention `freehold-<what it carries>[-<region>]`. */
export function queueOf(env: Env, queue: string): { carries: (typeof carried)[number]; region: Region } {
	const [first, ...others] = regionsOf(env)
	const region = others.find((other) => queue.endsWith(`-${other}`)) ?? first
	return { carries: carried.find((one) => queue.startsWith(`freehold-${one}`)) ?? 'changes', region }
}

/** The only place that names a shard's object, in its region's jurisdiction where the platform has jurisdictions. */
export function shardOf(env: Env, tenant: TenantId, number: number): Shard & WebhookShard {
	const namespace = inRegion(env, env.TENANT_SHARD, regionOf(tenant))
	return namespace.getByName(`${tenant}/${number}`) as unknown as Shard & WebhookShard
}

/** The monitor of a region's cell. */
export function monitorOf(env: Env, region: Region): Monitor {
	return inRegion(env, env.MONITOR, region).getByName(region) as unknown as Monitor
}

function inRegion(env: Env, namespace: DurableObjectNamespace, region: Region): DurableObjectNamespace {
	const jurisdiction = jurisdictionOf(env, region)
	return jurisdiction === null ? namespace : namespace.jurisdiction(jurisdiction as DurableObjectJurisdiction)
}

/** Null for none. @throws when JURISDICTIONS is not what `Env` says: a guess would look for objects where they are not */
export function jurisdictionOf({ JURISDICTIONS: given }: Pick<Env, 'JURISDICTIONS'>, region: Region): string | null {
	const pairs = given.split(',').filter((pair) => pair.trim() !== '')
	const mapped = new Map(pairs.map((pair) => readPair(pair)))
	return mapped.get(region) ?? null
}

function readPair(text: string): [string, string] {
	const [, region, jurisdiction] = /^\s*([a-z][a-z0-9]*)=([a-z][a-z0-9-]*)\s*$/.exec(text) ?? []
	if (!region || !jurisdiction) throw new Error('JURISDICTIONS must list region=jurisdiction, separated by commas')
	return [region, jurisdiction]
}

/** The object of one globally unique value. */
export function claimOf(env: Env, kind: ClaimKind, value: string): Claim {
	return claimNamed(env, claimName(env, kind, value))
}

/** Tells nothing about the value, so it may be kept where the value may not. */
export function claimName(env: Env, kind: ClaimKind, value: string): string {
	const name = createHmac('sha256', env.CLAIM_SECRET).update(`${kind}\n${value}`).digest('base64url')
	return `${kind}/${name}`
}

export function claimNamed(env: Env, name: string): Claim {
	return env.UNIQUE_CLAIM.getByName(name) as unknown as Claim
}

/** Stands for a data subject's id where it may outlive the person's records; another one in each tenant. */
export function subjectHash(env: Env, tenant: TenantId, subject: string): string {
	return createHmac('sha256', env.CLAIM_SECRET).update(`subject\n${tenant}\n${subject}`).digest('base64url')
}

/** The newest first. @throws when it is too short to be a secret, which must never wrap anything */
export function masterSecretsOf({
	MASTER_SECRET: newest,
	MASTER_SECRET_PREVIOUS: previous,
}: Env): [string, ...string[]] {
	if (newest === undefined || newest.length < masterSecretCharsMin) throw new Error('MASTER_SECRET is missing or short')
	return previous ? [newest, previous] : [newest]
}

/** 32 random bytes take 43 characters in base64url. */
const masterSecretCharsMin = 32

/** @throws when RETENTION_DAYS does not say it for every kind of store */
export function retentionOf({ RETENTION_DAYS: given }: Env): RetentionDays {
	return retentionDays.parse(typeof given === 'string' ? JSON.parse(given) : given)
}

const bounds = z.object({
	SHARD_BYTES_MAX: z.coerce.number().pipe(z.int().min(1)),
	ERASURE_MINUTES_MAX: z.coerce.number().pipe(z.int().min(1)),
})

/** What this deployment calls too large and too late. @throws when a variable is not a whole number above 0, naming it */
export function boundsOf(env: Env): { shardBytesMax: number; erasureMinutesMax: number } {
	const read = bounds.parse(env)
	return { shardBytesMax: read.SHARD_BYTES_MAX, erasureMinutesMax: read.ERASURE_MINUTES_MAX }
}

const operatorTokens = z.record(
	z.string().regex(/^[a-z0-9_-]{1,40}$/),
	z.object({ scope: z.enum(operatorScopes), token: z.string().min(16) }),
)

/** The operators of this deployment. @throws when OPERATOR_TOKENS is not what `Env` says, naming the place but no token */
export function operatorsOf(env: Env): OperatorToken[] {
	const further = operatorTokens.parse(JSON.parse(env.OPERATOR_TOKENS || '{}'))
	return [
		{ name: 'operator', scope: 'admin', tokenHash: hashSecret(env.OPERATOR_TOKEN) },
		...Object.entries(further).map(([name, { scope, token }]) => ({ name, scope, tokenHash: hashSecret(token) })),
	]
}

function binding(env: Env, name: string, region: Region): unknown {
	const full = region === regionsOf(env)[0] ? name : `${name}_${region.toUpperCase()}`
	const value = env[full]
	if (value === undefined) throw new Error(`the binding ${full} is missing`)
	return value
}

function controlStore(bucket: R2Bucket): ControlStore {
	const nameOf = (tenant: TenantId) => `control/${tenant}.json`
	return {
		read: async (tenant) => {
			const object = await bucket.get(nameOf(tenant))
			if (object === null) return null
			const json = await object.json<object>()
			// What a newer Worker has put there stays there when this one changes the object: it may be a key.
			return { control: { ...json, ...controlSchema.parse(json) }, etag: object.etag }
		},
		create: async (tenant, control) => {
			const onlyIf = new Headers({ 'If-None-Match': '*' })
			return (await bucket.put(nameOf(tenant), JSON.stringify(control), { onlyIf })) !== null
		},
		replace: async (tenant, control, etag) =>
			(await bucket.put(nameOf(tenant), JSON.stringify(control), { onlyIf: { etagMatches: etag } })) !== null,
	}
}

function keyPageStore(bucket: R2Bucket): KeyPageStore {
	const nameOf = (tenant: TenantId, number: number) => `keys/${tenant}/${number}.json`
	return {
		read: async (tenant, number) => {
			const object = await bucket.get(nameOf(tenant, number))
			return object && { page: storedPage.parse(await object.json()), etag: object.etag }
		},
		create: async (tenant, number, page) => {
			const onlyIf = new Headers({ 'If-None-Match': '*' })
			return (await bucket.put(nameOf(tenant, number), JSON.stringify(page), { onlyIf })) !== null
		},
		replace: async (tenant, number, page, etag) =>
			(await bucket.put(nameOf(tenant, number), JSON.stringify(page), { onlyIf: { etagMatches: etag } })) !== null,
	}
}

export function bucketOf(bucket: R2Bucket): Bucket {
	return {
		get: async (key, piece) => (await bucket.get(key, piece && { range: piece }))?.bytes() ?? null,
		stream: async (key, piece) => (await bucket.get(key, piece && { range: piece }))?.body ?? null,
		put: async (key, value) => {
			await bucket.put(key, value)
		},
		upload: async (key, value, bytes) => {
			const { readable, writable } = new FixedLengthStream(bytes)
			await Promise.all([value.pipeTo(writable), bucket.put(key, readable)])
		},
		delete: (keys) => bucket.delete([...keys]),
		list: async (prefix) => (await bucket.list({ prefix, limit: bucketKeysMax })).objects.map(({ key }) => key),
	}
}

/** Reads every record of an erasure; those of long ago are done, or have been told of for as long. */
async function countOverdue(bucket: R2Bucket, now: number, runMsMax: number): Promise<number> {
	const [erasures, registry] = [erasureStore(bucket), controlStore(bucket)]
	let overdue = 0
	for (const { id, uploaded } of await listErasures(bucket)) {
		if (now - uploaded > erasureWatchedMs) continue
		const found = await erasures.read(id)
		if (!found || found.record.certificate !== null) continue
		const control = (await registry.read(found.record.tenant))?.control ?? null
		if (isOverdue(control, found.record, now, runMsMax)) overdue += 1
	}
	return overdue
}

/** `uploaded` is when the record last changed, in milliseconds. */
async function listErasures(bucket: R2Bucket): Promise<{ id: string; uploaded: number }[]> {
	const found: { id: string; uploaded: number }[] = []
	for (let cursor: string | undefined, more = true; more; ) {
		const page = await bucket.list({ prefix: 'erasures/', ...(cursor !== undefined && { cursor }) })
		for (const { key, uploaded } of page.objects)
			found.push({ id: key.slice('erasures/'.length, -'.json'.length), uploaded: uploaded.getTime() })
		more = page.truncated
		cursor = page.truncated ? page.cursor : undefined
	}
	return found
}

function erasureStore(bucket: R2Bucket): Cell['erasures'] {
	const prefix = 'erasures/'
	const nameOf = (id: string) => `${prefix}${id}.json`
	const read = async (key: string) => {
		const object = await bucket.get(key)
		return object && { record: erasureRecord.parse(await object.json()), etag: object.etag }
	}
	return {
		read: (id) => read(nameOf(id)),
		recent: async (limit) => {
			const found = await Promise.all((await lastKeys(bucket, prefix, limit)).map(read))
			return found.flatMap((one) => (one === null ? [] : [one.record]))
		},
		create: async (record) => {
			const onlyIf = new Headers({ 'If-None-Match': '*' })
			return (await bucket.put(nameOf(record.id), JSON.stringify(record), { onlyIf })) !== null
		},
		replace: async (record, etag) =>
			(await bucket.put(nameOf(record.id), JSON.stringify(record), { onlyIf: { etagMatches: etag } })) !== null,
		ids: async () => (await listErasures(bucket)).map(({ id }) => id),
	}
}

function tenantObjects(bucket: R2Bucket): ErasurePorts['objects'] {
	return {
		count: async (tenant) => {
			let count = 0
			for (const prefix of objectPrefixes(tenant)) {
				for (let cursor: string | undefined, more = true; more; ) {
					const page = await bucket.list({ prefix, ...(cursor !== undefined && { cursor }) })
					count += page.objects.length
					more = page.truncated
					cursor = page.truncated ? page.cursor : undefined
				}
			}
			return count
		},
		remove: async (tenant) => {
			for (const prefix of objectPrefixes(tenant)) await clearPrefix(bucketOf(bucket), prefix)
		},
	}
}

async function listTenants(bucket: R2Bucket, after: TenantId | null, limit: number): Promise<TenantId[]> {
	const prefix = 'control/'
	const startAfter = after === null ? {} : { startAfter: `${prefix}${after}.json` }
	const { objects } = await bucket.list({ prefix, limit, ...startAfter })
	return objects.map(({ key }) => {
		const tenant = parseTenantId(key.slice(prefix.length, -'.json'.length))
		if (tenant === null) throw new Error('the registry holds an object of no tenant')
		return tenant
	})
}

function rotationStore(bucket: R2Bucket): RotationStore {
	const key = 'rotations/master-secret.json'
	return {
		read: async () => {
			const object = await bucket.get(key)
			return object && { rotation: rotationSchema.parse(await object.json()), etag: object.etag }
		},
		write: async (rotation, etag) => {
			const onlyIf = etag === null ? new Headers({ 'If-None-Match': '*' }) : { etagMatches: etag }
			return (await bucket.put(key, JSON.stringify(rotation), { onlyIf }))?.etag ?? null
		},
	}
}

/** The last keys under a prefix, the last one first; ids there are in the order of time. */
async function lastKeys(bucket: R2Bucket, prefix: string, limit: number): Promise<string[]> {
	const keys: string[] = []
	for (let startAfter: string | undefined = prefix; startAfter !== undefined; ) {
		const listed: R2Objects = await bucket.list({ prefix, startAfter })
		keys.push(...listed.objects.map(({ key }) => key))
		startAfter = listed.truncated ? keys.at(-1) : undefined
	}
	return keys.toReversed().slice(0, limit)
}

function rebuildStore(bucket: R2Bucket): RebuildStore {
	const prefix = 'rebuilds/'
	const nameOf = (id: string) => `${prefix}${id}.json`
	const read = async (key: string) => {
		const object = await bucket.get(key)
		return object && { job: await object.json<RebuildJob>(), etag: object.etag }
	}
	return {
		read: (id) => read(nameOf(id)),
		create: async (job) => {
			const onlyIf = new Headers({ 'If-None-Match': '*' })
			return (await bucket.put(nameOf(job.id), JSON.stringify(job), { onlyIf })) !== null
		},
		replace: async (job, etag) =>
			(await bucket.put(nameOf(job.id), JSON.stringify(job), { onlyIf: { etagMatches: etag } })) !== null,
		recent: async (limit) => {
			const found = await Promise.all((await lastKeys(bucket, prefix, limit)).map(read))
			return found.flatMap((one) => (one === null ? [] : [one.job]))
		},
	}
}
