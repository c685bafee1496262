import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { unstable_readConfig } from 'wrangler'
import { z } from 'zod'
import { mintTenantId, parseRegion, type Region, type TenantId } from '../../core/ids.ts'
import { addRegion } from '../../dev/region.ts'
import { configFile } from '../../dev/regions.ts'
import { cellOf, type Env, jurisdictionOf, monitorOf, queueOf, regionsOf, shardOf } from '../../workers/env.ts'
import { seeded } from '../shard.ts'

vi.mock('cloudflare:workers', () => ({ waitUntil: () => {} }))
const wire = await import('../../workers/wire.ts')

const deployed = readFileSync(configFile, 'utf8')
const withThird = addRegion(deployed, 'us', 'us')

/** What of a configuration is looked into; the rest is there, too. */
const configShape = z.looseObject({
	vars: z.looseObject({ REGIONS: z.string(), JURISDICTIONS: z.string() }),
	queues: z.object({
		producers: z.array(z.object({ binding: z.string(), queue: z.string() })),
		consumers: z.array(z.object({ queue: z.string(), dead_letter_queue: z.string() })),
	}),
	r2_buckets: z.array(
		z.object({ binding: z.string(), bucket_name: z.string(), jurisdiction: z.string().nullable().default(null) }),
	),
	durable_objects: z.object({ bindings: z.array(z.object({ name: z.string() })) }),
})
type Config = z.infer<typeof configShape>

function configOf(toml: string): Config {
	const folder = mkdtempSync(join(tmpdir(), 'freehold-region-'))
	try {
		writeFileSync(join(folder, 'wrangler.toml'), toml)
		return configShape.parse(unstable_readConfig({ config: join(folder, 'wrangler.toml') }, { hideWarnings: true }))
	} finally {
		rmSync(folder, { recursive: true })
	}
}

const cellBindings = ['CHANGES', 'WEBHOOKS', 'TELEMETRY', 'BUCKET']
const objects = ['TENANT_SHARD', 'UNIQUE_CLAIM', 'MONITOR']
/** What a configuration may hold besides stores and queues. Any other kind of binding has to say here which region it is of. */
const regionless = new Set(
	'compatibility_flags triggers assets build vars migrations logfwdr observability python_modules dev rules'.split(' '),
)

/** Every edge of a configuration that leaves its region, or whose region nobody knows. */
function crossings(config: Config): string[] {
	const env = config.vars as unknown as Env
	const [first, ...others] = regionsOf(env)
	const named = (name: string, separator: string) =>
		others.find((region) => name.endsWith(separator + (separator === '_' ? region.toUpperCase() : region))) ?? first
	const found: string[] = []
	const { queues, r2_buckets, durable_objects } = config
	const expected = new Set(
		regionsOf(env).flatMap((region) =>
			cellBindings.map((name) => (region === first ? name : `${name}_${region.toUpperCase()}`)),
		),
	)
	const stores = [
		...queues.producers.map(({ binding, queue }) => ({ binding, region: queueOf(env, queue).region })),
		...r2_buckets.map(({ binding, bucket_name }) => ({ binding, region: named(bucket_name, '-') })),
	]
	for (const { binding, region } of stores) {
		if (named(binding, '_') !== region) found.push(`${binding} leads to ${region}`)
		if (!expected.delete(binding)) found.push(`${binding} belongs to no cell`)
	}
	found.push(...[...expected].map((binding) => `${binding} is missing`))
	for (const { queue, dead_letter_queue: dead } of queues.consumers)
		if (dead !== `${queue}-dead`) found.push(`the dead letters of ${queue} go to ${dead}`)
	const consumed = new Set(queues.consumers.map(({ queue }) => queue))
	for (const { queue } of queues.producers) if (!consumed.has(queue)) found.push(`nobody reads ${queue}`)
	for (const { bucket_name, jurisdiction } of r2_buckets)
		if (jurisdiction !== jurisdictionOf(env, named(bucket_name, '-'))) found.push(`${bucket_name} is elsewhere`)
	if (durable_objects.bindings.map(({ name }) => name).join() !== objects.join()) found.push('another kind of object')
	const known = new Set([...regionless, 'queues', 'r2_buckets', 'durable_objects'])
	for (const [key, value] of Object.entries(config)) {
		const isBinding = typeof value === 'object' && value !== null && Object.keys(value).length > 0
		if (isBinding && !known.has(key)) found.push(`${key} has no region`)
	}
	return found
}

test('[R1] every store and queue that is configured belongs to one region, with its dead letters and its jurisdiction', () => {
	expect(crossings(configOf(deployed))).toEqual([])
	expect(crossings(configOf(withThird))).toEqual([])
	expect(crossings(configOf(addRegion(deployed, 'asia', null)))).toEqual([])
})

test('[R1] a configuration that crosses regions is found', () => {
	const crossed = (from: string, to: string) => crossings(configOf(deployed.replace(from, to)))
	expect(crossed('"freehold-changes-eu-dead"', '"freehold-changes-dead"')).toHaveLength(1)
	expect(crossed('queue = "freehold-webhooks-eu"', 'queue = "freehold-webhooks"')).not.toEqual([])
	expect(crossed('bucket_name = "freehold-eu"', 'bucket_name = "freehold-global"')).not.toEqual([])
	expect(crossed('jurisdiction = "eu"', '')).toEqual(['freehold-eu is elsewhere'])
	expect(crossed('[[r2_buckets]]', '[[kv_namespaces]]\nbinding = "CACHE"\nid = "1"\n\n[[r2_buckets]]')).toEqual([
		'kv_namespaces has no region',
	])
	expect(() => crossings(configOf(deployed.replace('"eu=eu"', '"enforced"')))).toThrow('JURISDICTIONS')
})

/** Bindings of every region that note whenever they are used, and answer nothing. */
function watchedEnv(): { env: Env; used: string[] } {
	const { vars } = configOf(withThird)
	const used: string[] = []
	const note = (name: string) => async () => {
		used.push(name)
		return null
	}
	const cell = (suffix: string) => {
		const database = `postgres://u:p@localhost/${suffix}`
		const objectsOf = note(`BUCKET${suffix}`)
		const bucket = { get: objectsOf, put: objectsOf, delete: objectsOf, list: objectsOf, head: objectsOf }
		const queue = (name: string) => ({ send: note(name + suffix) })
		return {
			...Object.fromEntries(['CHANGES', 'WEBHOOKS', 'TELEMETRY'].map((name) => [name + suffix, queue(name)])),
			[`BUCKET${suffix}`]: bucket,
			[`DATABASE_URL${suffix}`]: database,
			[`DATABASE_READ_URL${suffix}`]: database,
		}
	}
	const namespace = (name: string, jurisdiction: string) => ({
		jurisdiction: (asked: string) => namespace(name, asked),
		getByName: (object: string) => {
			used.push(`${name}/${jurisdiction}/${object}`)
			return {}
		},
	})
	const env: unknown = {
		...{ ...vars, ...cell(''), ...cell('_EU'), ...cell('_US') },
		...Object.fromEntries(objects.map((name) => [name, namespace(name, '-')])),
		...{
			OPERATOR_TOKEN: 't',
			SIGNING_SECRET: 's',
			CLAIM_SECRET: 'c',
			MASTER_SECRET: 'm'.repeat(43),
			CERTIFICATE_SECRET: 'x',
		},
	}
	return { env: env as Env, used }
}

const random = seeded(3)
const [global = parsed('global'), eu = parsed('eu'), us = parsed('us')] = ['global', 'eu', 'us'].map(parsed)
const suffixes = new Map([
	[global, ''],
	[eu, '_EU'],
	[us, '_US'],
])
const tenantOf = (region: Region) => mintTenantId(region, 1_700_000_000_000, random)

function parsed(text: string): Region {
	const region = parseRegion(text)
	if (!region) throw new Error('no region')
	return region
}

/** Every kind of message that there is, about a tenant or a region. */
const messagesAbout = (tenant: TenantId) =>
	[
		{ tenant, shard: 0, epoch: 1, head: 1 },
		{ kind: 'webhook', tenant, shard: 0, epoch: 1, webhook: 'w' },
		{ kind: 'job', tenant, shard: 0, epoch: 1, job: 'j' },
		{ kind: 'erasure', tenant, shard: 0, epoch: 1 },
	] as const

test('[R1] a message about a tenant, and whatever is stored for it, stays in the queues, bucket and objects of its region', async () => {
	for (const [region, suffix] of suffixes) {
		const { env, used } = watchedEnv()
		const tenant = tenantOf(region)
		const [shard, cell] = [wire.shardPorts(env), cellOf(env, region)]
		for (const message of messagesAbout(tenant)) {
			await shard.announce(message)
			await wire.consumerPorts(env, region).announce(message)
		}
		await shard.readControl(tenant)
		await cell.goOn({ kind: 'rebuild', region, id: 'r' }, 0)
		await cell.tell({ kind: 'telemetry' } as never)
		await wire.consumerPorts(env, region).jobs.bucket(region).get('x')
		await wire
			.claimPorts(env)
			.settle(tenant)
			.catch(() => {})
		expect(used.length).toBeGreaterThan(10)
		expect(new Set(used)).toEqual(new Set(['CHANGES', 'WEBHOOKS', 'TELEMETRY', 'BUCKET'].map((name) => name + suffix)))
	}
})

test('[R1] objects are bound to the jurisdiction of their region', () => {
	const { env, used } = watchedEnv()
	const tenants = [global, eu, us].map(tenantOf)
	for (const tenant of tenants) shardOf(env, tenant, 0)
	for (const region of [global, eu, us]) monitorOf(env, region)
	expect(used).toEqual([
		`TENANT_SHARD/-/${tenants[0]}/0`,
		`TENANT_SHARD/eu/${tenants[1]}/0`,
		`TENANT_SHARD/us/${tenants[2]}/0`,
		...['MONITOR/-/global', 'MONITOR/eu/eu', 'MONITOR/us/us'],
	])
})

test('[R1] who works for one region is refused the shards, queues, buckets and database of another', async () => {
	for (const [region] of suffixes)
		for (const [foreign] of suffixes) {
			if (foreign === region) continue
			const { env, used } = watchedEnv()
			const tenant = tenantOf(foreign)
			const consumer = wire.consumerPorts(env, region)
			const ports = [
				consumer,
				wire.webhookPorts(env, region),
				wire.replayPorts(env, region),
				wire.rebuildPorts(env, region),
			]
			for (const { shardOf: reach } of ports) expect(() => reach(tenant, 0)).toThrow('of another region')
			for (const message of messagesAbout(tenant))
				await expect(consumer.announce(message)).rejects.toThrow('of another region')
			expect(() => consumer.view(foreign)).toThrow('of another region')
			expect(() => consumer.jobs.bucket(foreign)).toThrow('of another region')
			expect(() => consumer.jobs.shardOf(tenant, 0)).toThrow('of another region')
			expect(() => consumer.erase({ kind: 'erasure', tenant, shard: 0, epoch: 1 })).toThrow('of another region')
			expect(used).toEqual([])
		}
})
