/** How the rooms reach each other and the platform: each room's ports, made from the environment. */
import type { WakeUp } from '../core/contract.ts'
import { settleControl } from '../core/control.ts'
import { type Region, regionOf } from '../core/ids.ts'
import { connect } from '../db/neon/client.ts'
import { createView } from '../db/neon/view.ts'
import { postgresStore } from '../db/neon/writer.ts'
import type { ApiPorts } from './api/ports.ts'
import { cellOf, claimOf, type Env, operatorsOf, regionsOf, shardOf } from './env.ts'
import type { Ports as ConsumerPorts } from './queue-consumer/consumer.ts'
import type { TenantShardPorts } from './shard-do/tenant-shard.ts'
import type { UniqueClaimPorts } from './shard-do/unique-claim.ts'

export function apiPorts(env: Env): ApiPorts {
	const regions = regionsOf(env)
	const signingSecrets: [string, ...string[]] = [env.SIGNING_SECRET]
	if (env.SIGNING_SECRET_PREVIOUS) signingSecrets.push(env.SIGNING_SECRET_PREVIOUS)
	const endpoint = env.NEON_ENDPOINT ?? null
	return {
		config: { operators: operatorsOf(env), signingSecrets, corsOrigins: list(env.CORS_ORIGINS), regions, version },
		shardOf: (tenant, shard) => shardOf(env, tenant, shard),
		control: (region) => cellOf(env, region).control,
		claim: (kind, value) => claimOf(env, kind, value),
		view: createView({
			regions: regions.map((region) => ({ region, database: connect(cellOf(env, region).databaseReadUrl, endpoint) })),
			now: Date.now,
			sleep,
		}),
		clock: Date.now,
		random: (bytes) => crypto.getRandomValues(bytes),
		log,
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

export function shardPorts(env: Env): TenantShardPorts {
	return { announce: (wakeUp) => announce(env, wakeUp), log }
}

export function claimPorts(env: Env): UniqueClaimPorts {
	return { settle: (tenant) => settleControl(cellOf(env, regionOf(tenant)).control, tenant, Date.now()), log }
}

const version = '0.1.0'

function announce(env: Env, wakeUp: WakeUp): Promise<void> {
	return cellOf(env, regionOf(wakeUp.tenant)).announce(wakeUp)
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
