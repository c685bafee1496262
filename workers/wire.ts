/** How the rooms reach each other and the platform: each room's ports, made from the environment. */
import { waitUntil } from 'cloudflare:workers'
import type { Announcement } from '../core/contract.ts'
import { settleControl } from '../core/control.ts'
import { mintId, type Region, regionOf } from '../core/ids.ts'
import type { AddressRules } from '../core/webhook-address.ts'
import { connect } from '../db/neon/client.ts'
import { createMetrics } from '../db/neon/metrics.ts'
import { addTelemetry } from '../db/neon/telemetry.ts'
import { createView } from '../db/neon/view.ts'
import { postgresStore } from '../db/neon/writer.ts'
import type { ApiPorts } from './api/ports.ts'
import { Telemetry } from './api/telemetry.ts'
import { cellOf, claimOf, type Env, operatorsOf, regionsOf, shardOf } from './env.ts'
import type { Ports as ConsumerPorts } from './queue-consumer/consumer.ts'
import type { consumeTelemetry } from './queue-consumer/telemetry.ts'
import { postMessage, resolveHost } from './queue-consumer/webhook-http.ts'
import type { WebhookPorts } from './queue-consumer/webhooks.ts'
import type { TenantShardPorts } from './shard-do/tenant-shard.ts'
import type { UniqueClaimPorts } from './shard-do/unique-claim.ts'

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
			version,
		},
		shardOf: (tenant, shard) => shardOf(env, tenant, shard),
		control: (region) => cellOf(env, region).control,
		claim: (kind, value) => claimOf(env, kind, value),
		view: createView({ regions: databases, now: Date.now, sleep }),
		metrics: createMetrics(databases),
		clock: Date.now,
		random: (bytes) => crypto.getRandomValues(bytes),
		log,
		telemetry: new Telemetry({
			regions,
			send: (region, message) => cellOf(env, region).tell(message),
			sleep,
			waitUntil,
			mintId: () => mintId(Date.now(), (bytes) => crypto.getRandomValues(bytes)),
			log,
		}),
		...(env.ASSETS ? { assets: env.ASSETS } : {}),
	}
}

/** A cell's consumer reaches the database of its own cell only, whatever a message says (R1). */
export function consumerPorts(env: Env, region: Region): ConsumerPorts {
	return {
		view: (asked) => {
			if (asked !== region) throw new Error('a wake-up of another region')
			return postgresStore(connect(cellOf(env, region).databaseUrl, env.NEON_ENDPOINT ?? null))
		},
		shardOf: (tenant, shard) => shardOf(env, tenant, shard),
		announce: (wakeUp) => announce(env, wakeUp),
		now: Date.now,
		sleep,
		random: Math.random,
		log,
	}
}

/** A cell's webhooks are delivered from its own queue, and only to where its tenants' shards say. */
export function webhookPorts(env: Env, region: Region): WebhookPorts {
	return {
		shardOf: (tenant, shard) => {
			if (regionOf(tenant) !== region) throw new Error('a wake-up of another region')
			return shardOf(env, tenant, shard)
		},
		announce: (wakeUp) => announce(env, wakeUp),
		signingSecrets: signingSecretsOf(env),
		addresses: webhookAddressesOf(env),
		resolve: (host) => resolveHost(host, (url, init) => fetch(url, init)),
		post: (url, headers, body) => postMessage(url, headers, body, (to, init) => fetch(to, init)),
		now: Date.now,
		random: (bytes) => crypto.getRandomValues(bytes),
		sleep,
		log,
	}
}

export function telemetryPorts(env: Env, region: Region): Parameters<typeof consumeTelemetry>[1] {
	const database = connect(cellOf(env, region).databaseUrl, env.NEON_ENDPOINT ?? null)
	return { store: { add: (messages) => addTelemetry(database, messages) }, random: Math.random, log }
}

export function shardPorts(env: Env): TenantShardPorts {
	return { announce: (message) => announce(env, message), log }
}

export function claimPorts(env: Env): UniqueClaimPorts {
	return { settle: (tenant) => settleControl(cellOf(env, regionOf(tenant)).control, tenant, Date.now()), log }
}

const version = '0.1.0'

function announce(env: Env, message: Announcement): Promise<void> {
	return cellOf(env, regionOf(message.tenant)).announce(message)
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

/** One JSON line an event, for the platform's log. */
function log(
	level: 'info' | 'warn' | 'error',
	event: string,
	fields: Record<string, string | number | boolean | null>,
): void {
	console[level === 'info' ? 'log' : level](JSON.stringify({ level, event, ...fields }))
}
