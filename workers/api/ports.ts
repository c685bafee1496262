import type { Bucket } from '../../core/bucket.ts'
import type { PublicKey, RetentionDays } from '../../core/certificate.ts'
import type { Shard } from '../../core/contract.ts'
import type { Claim, ControlStore } from '../../core/control.ts'
import type { DeadLetterOrder } from '../../core/dead-letter.ts'
import type { ErasureStore } from '../../core/erasure.ts'
import type { RandomBytes, Region, TenantId } from '../../core/ids.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { Monitor } from '../../core/monitor.ts'
import type { RebuildStep, RebuildStore } from '../../core/rebuild.ts'
import type { RotationStore } from '../../core/rotation.ts'
import type { Sample } from '../../core/telemetry.ts'
import type { View } from '../../core/view.ts'
import type { AddressRules } from '../../core/webhook-address.ts'

/** What the edge needs of the rest of the system. `workers/env.ts` builds it from the bindings, tests from fakes. */
export interface ApiPorts {
	config: ApiConfig
	/** Naming a shard costs nothing; only its methods reach the object. */
	shardOf(tenant: TenantId, shard: number): Shard
	/** The registry of a region that `config.regions` names. */
	control(region: Region): ControlStore
	/** Where a region's archives lie. */
	bucket(region: Region): Bucket
	/** The records of erasures in a region that `config.regions` names. */
	erasures(region: Region): ErasureStore
	/** The public key of the certificates. */
	certificateKey(): Promise<PublicKey>
	/** For how long this deployment's stores can bring back what was deleted in them. */
	retention(): RetentionDays
	/** What the platform binds the objects of a region to; null for nothing. */
	jurisdictionOf(region: Region): string | null
	/** The name of a claim, which tells nothing about its value. */
	claimName(kind: ClaimKind, value: string): string
	/** The claim of a value. The implementation hashes the value, so it may hold anything. */
	claim(kind: ClaimKind, value: string): Claim
	view: View
	/** The rebuilds of a region that `config.regions` names. */
	rebuilds(region: Region): RebuildStore
	/** How far a rotation of the master secret has come in a region that `config.regions` names. */
	rotation(region: Region): Pick<RotationStore, 'read'>
	/** Sends a rebuild's first message. */
	startRebuild(step: RebuildStep): Promise<void>
	/** Sends a wish about a dead letter to the consumer of its region. */
	orderDeadLetter(order: DeadLetterOrder): Promise<void>
	metrics: Metrics
	/** Naming a monitor costs nothing; only its methods reach the object. */
	monitorOf(region: Region): Monitor
	/** Milliseconds since 1970 in UTC. */
	clock(): number
	random: RandomBytes
	log: Log
	telemetry: {
		/** Takes about a microsecond and never fails. @param now milliseconds since 1970 in UTC */
		count(sample: Sample, now: number): void
	}
	/** Tells the length of a stream to whoever it is sent to, who then knows whether all of it arrived. */
	sized(stream: ReadableStream<Uint8Array>, bytes: number): ReadableStream<Uint8Array>
	/** Serves the files of the docs page and of the console by their name; absent where none were built. */
	assets?: { fetch(request: Request): Promise<Response> }
}

interface ApiConfig {
	operators: readonly OperatorToken[]
	/** The first signs new API keys and cursors, all of them verify. */
	signingSecrets: readonly [string, ...string[]]
	/** Origins that browsers may call from; `*` for any. */
	corsOrigins: readonly string[]
	/** The first is the default for new tenants. */
	regions: readonly [Region, ...Region[]]
	webhookAddresses: AddressRules
	/** Names the newest master secret. */
	masterSecret: string
	version: string
}

export const operatorScopes = ['admin', 'read', 'metrics'] as const
export type OperatorScope = (typeof operatorScopes)[number]

export interface OperatorToken {
	name: string
	scope: OperatorScope
	/** SHA-256 of the token in base64url, as `hashSecret` of `core/keys.ts` prints it. */
	tokenHash: string
}

export type ClaimKind = 'slug' | 'request'

/** One structured line. Fields hold ids and counts, never text that a client chose. */
type Log = (
	level: 'info' | 'warn' | 'error',
	event: string,
	fields: Record<string, string | number | boolean | null>,
) => void
