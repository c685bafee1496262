/** How the rooms reach each other and the platform: each room's ports, made from the environment. */
import { waitUntil } from 'cloudflare:workers'
import { signerOf } from '../core/certificate.ts'
import type { Announcement } from '../core/contract.ts'
import {
	addKey,
	divergeControl,
	ensureKey,
	enterLedger,
	retireKeys,
	rewindControl,
	settleControl,
} from '../core/control.ts'
import { mintId, type Region, regionOf, type TenantId } from '../core/ids.ts'
import { pooled } from '../core/random.ts'
import { masterId, mintTenantKey, unwrapTenantKey } from '../core/tenant-key.ts'
import type { AddressRules } from '../core/webhook-address.ts'
import { connect, type Database } from '../db/neon/client.ts'
import { comparedView } from '../db/neon/comparing.ts'
import { discardDeadLetter, noteRefused, noteReplay } from '../db/neon/dead-letters.ts'
import { countTenant, eraseTenant, listUnburied } from '../db/neon/erase.ts'
import { createMetrics } from '../db/neon/metrics.ts'
import { observe } from '../db/neon/observe.ts'
import { forgetAsked, noteAsked, rebuildProgress } from '../db/neon/rebuilds.ts'
import { registryView } from '../db/neon/registry.ts'
import { addTelemetry, noteUsage, retireTelemetry } from '../db/neon/telemetry.ts'
import { createView } from '../db/neon/view.ts'
import { listStalled } from '../db/neon/watermarks.ts'
import { postgresStore } from '../db/neon/writer.ts'
import type { ApiPorts } from './api/ports.ts'
import { Telemetry } from './api/telemetry.ts'
import {
	boundsOf,
	cellOf,
	claimName,
	claimNamed,
	claimOf,
	type Env,
	jurisdictionOf,
	masterSecretsOf,
	monitorOf,
	operatorsOf,
	regionsOf,
	retentionOf,
	shardOf,
	subjectHash,
} from './env.ts'
import type { MonitorPorts } from './monitor/monitor.ts'
import type { Ports as ConsumerPorts } from './queue-consumer/consumer.ts'
import { type ErasurePorts, goOnErasing } from './queue-consumer/erasure.ts'
import { type ErasureSweepPorts, sweepErasures } from './queue-consumer/erasure-sweep.ts'
import type { RebuildPorts } from './queue-consumer/rebuild.ts'
import { compareRegistry, type RegistryPorts } from './queue-consumer/registry.ts'
import type { ReplayPorts } from './queue-consumer/replay.ts'
import { type RotationPorts, rotateMasterSecret } from './queue-consumer/rotation.ts'
import { resumeBases, sweep } from './queue-consumer/sweep.ts'
import { type consumeTelemetry, maintainTelemetry, type TelemetryStore } from './queue-consumer/telemetry.ts'
import { type VerifyPorts, verify } from './queue-consumer/verify.ts'
import { postMessage, resolveHost } from './queue-consumer/webhook-http.ts'
import type { WebhookPorts } from './queue-consumer/webhooks.ts'
import type { TenantShardPorts } from './shard-do/tenant-shard.ts'
import type { UniqueClaimPorts } from './shard-do/unique-claim.ts'

const random = pooled((bytes) => crypto.getRandomValues(bytes))

export function apiPorts(env: Env): ApiPorts {
	const regions = regionsOf(env)
	const signingSecrets = signingSecretsOf(env)
	const endpoint = env.NEON_ENDPOINT ?? null
	const databases = regions.map((region) => ({
		region,
		database: connect(cellOf(env, region).databaseReadUrl, endpoint),
	}))
	return {
		config: {
			operators: operatorsOf(env),
			signingSecrets,
			corsOrigins: list(env.CORS_ORIGINS),
			regions,
			webhookAddresses: webhookAddressesOf(env),
			masterSecret: masterId(masterSecretsOf(env)[0]),
			version,
		},
		shardOf: (tenant, shard) => shardOf(env, tenant, shard),
		control: (region) => cellOf(env, region).control,
		bucket: (region) => cellOf(env, region).bucket,
		erasures: (region) => cellOf(env, region).erasures,
		certificateKey: async () => (await signerOf(env.CERTIFICATE_SECRET)).publicKey,
		retention: () => retentionOf(env),
		jurisdictionOf: (region) => jurisdictionOf(env, region),
		claimName: (kind, value) => claimName(env, kind, value),
		claim: (kind, value) => claimOf(env, kind, value),
		view: createView({ regions: databases, now: Date.now, sleep }),
		metrics: createMetrics(databases),
		rebuilds: (region) => cellOf(env, region).rebuilds,
		rotation: (region) => cellOf(env, region).rotation,
		startRebuild: (step) => cellOf(env, step.region).goOn(step, 0),
		orderDeadLetter: (order) => cellOf(env, order.region).order(order),
		monitorOf: (region) => monitorOf(env, region),
		clock: Date.now,
		random,
		log,
		telemetry: new Telemetry({
			regions,
			send: (region, message) => cellOf(env, region).tell(message),
			sleep,
			waitUntil,
			mintId: () => mintId(Date.now(), random),
			log,
		}),
		sized,
		...(env.ASSETS ? { assets: env.ASSETS } : {}),
	}
}

/** A cell's consumer reaches the database and the bucket of its own cell only, whatever a message says (R1). */
export function consumerPorts(env: Env, region: Region): ConsumerPorts {
	const cell = (asked: Region) => {
		if (asked !== region) throw new Error('a message of another region')
		return cellOf(env, region)
	}
	const shared = { ...within(env, region), now: Date.now, sleep }
	return {
		...shared,
		view: (asked) => postgresStore(connect(cell(asked).databaseUrl, env.NEON_ENDPOINT ?? null)),
		control: (tenant) => cell(regionOf(tenant)).control,
		random: Math.random,
		log,
		erase: (call) => {
			cell(regionOf(call.tenant))
			return goOnErasing(call, erasurePorts(env, region))
		},
		jobs: { ...shared, bucket: (asked) => cell(asked).bucket, mint: () => crypto.randomUUID() },
	}
}

/** A rebuild goes through the registry of its own cell and writes to the view of its own cell (R1). */
export function rebuildPorts(env: Env, region: Region): RebuildPorts {
	const cell = cellOf(env, region)
	const database = connect(cell.databaseUrl, env.NEON_ENDPOINT ?? null)
	return {
		jobs: cell.rebuilds,
		registry: cell.registry,
		control: cell.control,
		shardOf: within(env, region).shardOf,
		ledger: {
			noteAsked: (id, range, asked) => noteAsked(database, id, range, asked),
			progress: (id) => rebuildProgress(database, id),
			forgetAsked: (id) => forgetAsked(database, id),
		},
		again: (step, delaySeconds) => cell.goOn(step, delaySeconds),
		clock: Date.now,
		log,
	}
}

/** The view of a cell is held against the shards and the registry of that cell (R1). */
function verifyPorts(env: Env, region: Region): VerifyPorts {
	const cell = cellOf(env, region)
	return {
		view: comparedView(connect(cell.databaseUrl, env.NEON_ENDPOINT ?? null)),
		control: cell.control,
		...within(env, region),
		clock: Date.now,
		mint: (now) => mintId(now, random),
		sleep,
		log,
	}
}

/** The view of a cell has to know the tenants of that cell (R1). */
function registryPorts(env: Env, region: Region): RegistryPorts {
	const cell = cellOf(env, region)
	return {
		registry: cell.registry,
		control: cell.control,
		view: registryView(connect(cell.databaseUrl, env.NEON_ENDPOINT ?? null)),
		announce: (wakeUp) => cell.announce(wakeUp),
		clock: Date.now,
		log,
	}
}

/** Dead letters of a cell's own view are read again from the shards of its own tenants (R1). */
export function replayPorts(env: Env, region: Region): ReplayPorts {
	const database = connect(cellOf(env, region).databaseUrl, env.NEON_ENDPOINT ?? null)
	return {
		letters: {
			noteReplay: (number) => noteReplay(database, number),
			noteRefused: (number, reason) => noteRefused(database, number, reason),
			discard: (number, at) => discardDeadLetter(database, number, at),
		},
		view: postgresStore(database),
		...within(env, region),
		sleep,
		log,
	}
}

/** A cell's webhooks are delivered from its own queue, and only to where its tenants' shards say. */
export function webhookPorts(env: Env, region: Region): WebhookPorts {
	return {
		...within(env, region),
		signingSecrets: signingSecretsOf(env),
		addresses: webhookAddressesOf(env),
		resolve: (host) => resolveHost(host, (url, init) => fetch(url, init)),
		post: (url, headers, body) => postMessage(url, headers, body, (to, init) => fetch(to, init)),
		now: Date.now,
		random,
		sleep,
		log,
	}
}

export function telemetryPorts(env: Env, region: Region): Parameters<typeof consumeTelemetry>[1] {
	const database = connect(cellOf(env, region).databaseUrl, env.NEON_ENDPOINT ?? null)
	return { store: storeOf(database), random: Math.random, log }
}

/** @param name the object's own: its region, as `monitorOf` names it */
export function monitorPorts(env: Env, name: string): MonitorPorts {
	const region = regionsOf(env).find((one) => one === name)
	if (region === undefined) throw new Error('a monitor of no region')
	const database = connect(cellOf(env, region).databaseReadUrl, env.NEON_ENDPOINT ?? null)
	const {
		PUBLIC_URL: url,
		ALERT_WEBHOOK_URL: receiver,
		ALERT_WEBHOOK_SECRET: secret,
		OPERATOR_TOKEN: operatorToken,
	} = env
	return {
		region,
		observe: (since) => observe(database, since),
		overdueErasures: (now) => cellOf(env, region).overdueErasures(now),
		...boundsOf(env),
		probe: url ? { url, operatorToken, fetch: (to, init) => fetch(to, init) } : null,
		receiver: receiver && secret ? { url: receiver, secret } : null,
		post: (to, headers, body) => postMessage(to, headers, body, (address, init) => fetch(address, init)),
		random: Math.random,
		mintSuffix: () => mintId(Date.now(), (bytes) => crypto.getRandomValues(bytes)),
		log,
	}
}

/** What the cron trigger does in every cell. A cell that fails does not hold up another. */
export async function everyMinute(env: Env, at: number): Promise<void> {
	const cells = regionsOf(env).map(async (region) => {
		const database = connect(cellOf(env, region).databaseUrl, env.NEON_ENDPOINT ?? null)
		const done = await Promise.allSettled([
			monitorOf(env, region).tick(at),
			maintainTelemetry(storeOf(database), at),
			sweep(region, rebuildPorts(env, region)),
			resumeBases({
				listStalled: (stalledMs, limit) => listStalled(database, stalledMs, limit),
				announce: (wakeUp) => cellOf(env, region).announce(wakeUp),
			}),
			compareRegistry(registryPorts(env, region)),
			verify(verifyPorts(env, region)),
			rotateMasterSecret(rotationPorts(env, region)),
			sweepErasures(erasureSweepPorts(env, region)),
		])
		for (const one of done)
			if (one.status === 'rejected') log('error', 'cron_failed', { region, error: nameOfError(one.reason) })
	})
	await Promise.all(cells)
}

function nameOfError(error: unknown): string {
	return error instanceof Error ? error.name : typeof error
}

function storeOf(database: Database): TelemetryStore {
	return {
		add: (messages) => addTelemetry(database, messages),
		noteUsage: () => noteUsage(database),
		retire: (rowsMax) => retireTelemetry(database, rowsMax),
	}
}

/** The keys of a cell's tenants lie in the registry of that cell (R1). */
function rotationPorts(env: Env, region: Region): RotationPorts {
	const { rotation: rotations, registry, control } = cellOf(env, region)
	return { masters: masterSecretsOf(env), rotations, registry, control, clock: Date.now, random, log }
}

function erasurePorts(env: Env, region: Region): ErasurePorts {
	const { control, erasures, objects, databaseUrl } = cellOf(env, region)
	const database = connect(databaseUrl, env.NEON_ENDPOINT ?? null)
	return {
		control,
		erasures,
		objects,
		view: {
			erase: (tenant, epoch) => eraseTenant(database, tenant, epoch),
			count: (tenant) => countTenant(database, tenant),
		},
		shardOf: within(env, region).shardOf,
		claim: (name) => claimNamed(env, name),
		signer: () => signerOf(env.CERTIFICATE_SECRET),
		retention: retentionOf(env),
		now: Date.now,
		log,
	}
}

/** The erasures of a cell are held against the view of that cell (R1). */
function erasureSweepPorts(env: Env, region: Region): ErasureSweepPorts {
	const { control, erasures, objects, databaseUrl } = cellOf(env, region)
	const database = connect(databaseUrl, env.NEON_ENDPOINT ?? null)
	return {
		control,
		erasures,
		objects,
		view: {
			erase: (tenant, epoch) => eraseTenant(database, tenant, epoch),
			unburied: (tenants) => listUnburied(database, tenants),
		},
		announce: within(env, region).announce,
		clock: Date.now,
		log,
	}
}

export function shardPorts(env: Env): TenantShardPorts {
	return {
		announce: (message) => cellOf(env, regionOf(message.tenant)).announce(message),
		hashSubject: (tenant, subject) => subjectHash(env, tenant, subject),
		shardBytesMax: boundsOf(env).shardBytesMax,
		enterLedger: (tenant, entry) => {
			const keptSince = Date.now() - retentionOf(env).object_history * 86_400_000
			return enterLedger(cellOf(env, regionOf(tenant)).control, tenant, entry, keptSince)
		},
		beginEpoch: (tenant, epoch) => divergeControl(cellOf(env, regionOf(tenant)).control, tenant, epoch),
		beginRewind: (tenant, epoch, rewound) =>
			rewindControl(cellOf(env, regionOf(tenant)).control, tenant, epoch, rewound),
		unwrapKey: (tenant, wrapped) => unwrapTenantKey(masterSecretsOf(env), tenant, wrapped),
		ensureKey: async (tenant) => {
			const [master] = masterSecretsOf(env)
			await ensureKey(cellOf(env, regionOf(tenant)).control, tenant, () => mintTenantKey(master, tenant, 1, random))
		},
		changeKeys: async (tenant, { do: change, version }, epoch) => {
			const [master] = masterSecretsOf(env)
			const { control } = cellOf(env, regionOf(tenant))
			if (change === 'retire') await retireKeys(control, tenant, epoch, version, Date.now())
			else await addKey(control, tenant, version, () => mintTenantKey(master, tenant, version, random))
		},
		keyPagesOf: (tenant) => cellOf(env, regionOf(tenant)).keyPages,
		readControl: async (tenant) => (await cellOf(env, regionOf(tenant)).control.read(tenant))?.control ?? null,
		log,
	}
}

export function claimPorts(env: Env): UniqueClaimPorts {
	return { settle: (tenant) => settleControl(cellOf(env, regionOf(tenant)).control, tenant, Date.now()), log }
}

const version = '0.1.0'

/** The shards of one region, and its queues, for those who work for that region: a message that names another is a bug (R1). */
function within(env: Env, region: Region) {
	const own = (tenant: TenantId) => {
		if (regionOf(tenant) !== region) throw new Error('a tenant of another region')
	}
	return {
		shardOf: (tenant: TenantId, shard: number) => {
			own(tenant)
			return shardOf(env, tenant, shard)
		},
		announce: async (message: Announcement) => {
			own(message.tenant)
			await cellOf(env, region).announce(message)
		},
	}
}

/** The newest first. */
function signingSecretsOf(env: Env): [string, ...string[]] {
	return env.SIGNING_SECRET_PREVIOUS ? [env.SIGNING_SECRET, env.SIGNING_SECRET_PREVIOUS] : [env.SIGNING_SECRET]
}

function webhookAddressesOf(env: Env): AddressRules {
	return env.WEBHOOKS_PRIVATE === 'allow' ? 'private' : 'public'
}

function list(text: string): string[] {
	return text
		.split(',')
		.map((part) => part.trim())
		.filter((part) => part !== '')
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const timer = setTimeout(resolve, ms)
		signal?.addEventListener('abort', () => {
			clearTimeout(timer)
			resolve()
		})
	})
}

function sized(stream: ReadableStream<Uint8Array>, bytes: number): ReadableStream<Uint8Array> {
	const { readable, writable } = new FixedLengthStream(bytes)
	// A client that goes away, or an object that is gone, ends both sides; the client sees that bytes are missing.
	stream.pipeTo(writable).catch(() => {})
	return readable
}

/** One JSON line an event, for the platform's log. */
function log(
	level: 'info' | 'warn' | 'error',
	event: string,
	fields: Record<string, string | number | boolean | null>,
): void {
	console[level === 'info' ? 'log' : level](JSON.stringify({ level, event, ...fields }))
}
