/**
 * The certificate of an erasure: what was found, what was deleted, what each store answered when it was asked again, and
 * from when on no copy can be recovered. It is signed as a JSON Web Signature (RFC 7515) with Ed25519 (RFC 8037), so that
 * any JOSE library can verify it with the public key that the deployment serves as a JWK Set.
 */
import { z } from 'zod'
import type { ErasureRecord, StoreCount } from './erasure.ts'
import { regionOf } from './ids.ts'
import { accept, type Outcome, refuse } from './refusal.ts'

const dayMs = 86_400_000
const days = z.coerce.number().int().min(0).max(3_650)

/** For how many days each kind of store can still bring back what was deleted in it, as this deployment is configured. */
export const retentionDays = z.object({
	/** Point-in-time recovery of an object's storage. */
	object_history: days,
	queue: days,
	dead_letter_queue: days,
	/** The database's history (instant restore). */
	database_history: days,
	/** What a lifecycle rule or a lock keeps of a deleted object in the bucket. */
	bucket: days,
	logs: days,
})
export type RetentionDays = z.infer<typeof retentionDays>

/** One line of the certificate: a store, how it was asked, what it held before and holds now. */
interface StoreCheck {
	store: string
	check: string
	found_before: Record<string, number>
	found_after: Record<string, number>
	/** When no copy of what this store held can be recovered any more. */
	unrecoverable_from: string
}

export interface Certificate {
	format: 'freehold-erasure-certificate/1'
	erasure: string
	tenant: string
	region: string
	requested_by: string
	requested_at: string
	begun_at: string
	verified_at: string
	issued_at: string
	stores: StoreCheck[]
	/** The latest of all stores: after it no recoverable copy exists. */
	horizon: string
	/** What was assumed about the deployment's stores, in days. */
	retention_days: RetentionDays
	/** What this document does not say. */
	limits: string[]
}

/** The stores of a tenant: how each is asked, and which retention decides when it has forgotten. */
const stores: { store: string; check: string; retention: keyof RetentionDays }[] = [
	{ store: 'keys', check: 'the control object was read: it holds no encryption key', retention: 'bucket' },
	{
		store: 'shard',
		check: 'the object listed its tables: none but the tombstone is there, and every key is refused with 410',
		retention: 'object_history',
	},
	{
		store: 'view',
		check: 'every table of the database with a tenant column was counted; a tombstone refuses new rows',
		retention: 'database_history',
	},
	{ store: 'bucket', check: "the prefixes of the tenant's objects were listed", retention: 'bucket' },
	{ store: 'claims', check: 'each claim was asked who holds it', retention: 'object_history' },
	{ store: 'control', check: 'the control object was read: it says erased', retention: 'bucket' },
]

/** Hold nothing of a tenant but its opaque id, and cannot be asked: they forget by time alone. */
const passing: { store: string; check: string; retention: keyof RetentionDays }[] = [
	{ store: 'queue', check: 'messages carry ids and positions, never data; they expire', retention: 'queue' },
	{
		store: 'dead_letter_queue',
		check: 'messages carry ids and positions, never data; they expire',
		retention: 'dead_letter_queue',
	},
	{ store: 'logs', check: 'lines carry ids and counts, never values; they expire', retention: 'logs' },
]

const limits = [
	'It speaks of the stores of this deployment only: not of copies that the tenant, its users or the operator exported.',
	'Until the horizon the platform may hold copies in its recovery history; no supported restore brings them back into service.',
	'What the platform keeps beyond the configured retention is not known to this deployment.',
	'The opaque tenant id, this certificate and the control object that says "erased" remain.',
]

/** @param record whose `verify` step is done and found nothing left */
export function certificateOf(record: ErasureRecord, retention: RetentionDays, now: number): Certificate {
	const at = (step: string) => record.done.find((one) => one.step === step)?.at
	const verifiedAt = at('verify')
	if (verifiedAt === undefined || record.after.some(({ count }) => count > 0))
		throw new Error('an erasure that is not verified has no certificate')
	const line = ({ store, check, retention: kind }: (typeof stores)[number]): StoreCheck => ({
		store,
		check,
		found_before: thingsOf(record.found, store),
		found_after: thingsOf(record.after, store),
		unrecoverable_from: timeOf(verifiedAt + retention[kind] * dayMs),
	})
	return {
		format: 'freehold-erasure-certificate/1',
		erasure: record.id,
		tenant: record.tenant,
		region: regionOf(record.tenant),
		requested_by: record.requestedBy,
		requested_at: timeOf(record.requestedAt),
		begun_at: timeOf(at('control') ?? record.requestedAt),
		verified_at: timeOf(verifiedAt),
		issued_at: timeOf(now),
		stores: [...stores, ...passing].map(line),
		horizon: timeOf(verifiedAt + Math.max(...Object.values(retention)) * dayMs),
		retention_days: retention,
		limits,
	}
}

/** Signs with Ed25519; in production the key never leaves the environment. */
export interface Signer {
	/** The public key as a JWK, with its thumbprint (RFC 7638) as `kid`. */
	publicKey: PublicKey
	sign(text: string): Promise<Uint8Array>
}

const publicKeySchema = z.object({
	kty: z.literal('OKP'),
	crv: z.literal('Ed25519'),
	x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
	kid: z.string(),
	alg: z.literal('EdDSA'),
	use: z.literal('sig'),
})
export type PublicKey = z.infer<typeof publicKeySchema>

export const keySet = z.object({ keys: z.array(publicKeySchema) })

/** A JWS in its compact form. */
export async function signCertificate(certificate: Certificate, signer: Signer): Promise<string> {
	const header = { alg: 'EdDSA', kid: signer.publicKey.kid, typ: 'freehold-erasure-certificate' }
	const signed = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(certificate))}`
	return `${signed}.${encode(await signer.sign(signed))}`
}

/** What a JWS says, without asking whether it is genuine; for one that was just read from our own store. */
export function readCertificate(jws: string): Certificate {
	return JSON.parse(decode(jws.split('.')[1] ?? '')) as Certificate
}

const headerSchema = z.object({ alg: z.literal('EdDSA'), kid: z.string() })
const compactForm = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/

/** The certificate's own text, if one of the keys has signed exactly that. */
export async function verifyCertificate(jws: string, keys: readonly PublicKey[]): Promise<Outcome<string>> {
	const [, header = '', payload = '', signature = ''] = compactForm.exec(jws.trim()) ?? []
	const read = headerSchema.safeParse(parse(decode(header)))
	if (!read.success) return refuse('invalid_request', 'this is not a certificate signed with Ed25519')
	const key = keys.find(({ kid }) => kid === read.data.kid)
	if (!key) return refuse('invalid_request', 'none of the given keys is the one that it names')
	const { kty, crv, x } = key
	const imported = await crypto.subtle.importKey('jwk', { kty, crv, x }, 'Ed25519', false, ['verify'])
	const bytes = new TextEncoder().encode(`${header}.${payload}`)
	const genuine = await crypto.subtle.verify('Ed25519', imported, Buffer.from(signature, 'base64url'), bytes)
	return genuine ? accept(decode(payload)) : refuse('invalid_request', 'the signature does not fit: it was changed')
}

/** Makes the signer of a 32-byte seed in base64url. */
export async function signerOf(seed: string): Promise<Signer> {
	const bytes = Buffer.from(seed, 'base64url')
	if (bytes.length !== 32) throw new Error('the seed of the certificate key must have 32 bytes')
	// PKCS #8 of an Ed25519 key (RFC 8410) is this prefix and the seed.
	const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytes])
	const key = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign'])
	const { x = '' } = (await crypto.subtle.exportKey('jwk', key)) as { x?: string }
	const thumbprint = new TextEncoder().encode(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`)
	const kid = encode(new Uint8Array(await crypto.subtle.digest('SHA-256', thumbprint)))
	return {
		publicKey: { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' },
		sign: async (text) => new Uint8Array(await crypto.subtle.sign('Ed25519', key, new TextEncoder().encode(text))),
	}
}

function thingsOf(counts: readonly StoreCount[], store: string): Record<string, number> {
	return Object.fromEntries(counts.filter((one) => one.store === store).map(({ things, count }) => [things, count]))
}

function encode(bytes: string | Uint8Array): string {
	return Buffer.from(bytes as Uint8Array).toString('base64url')
}

function decode(text: string): string {
	return Buffer.from(text, 'base64url').toString('utf8')
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text)
	} catch {
		return null
	}
}

function timeOf(ms: number): string {
	return new Date(ms).toISOString()
}
