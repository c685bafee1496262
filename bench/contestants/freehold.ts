import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../dev/port.ts'
import { projectDir } from '../../dev/processes.ts'
import { configFile } from '../../dev/regions.ts'
import { startStack } from '../../dev/stack.ts'
import { once, requestText } from '../load.ts'
import { collection, indexedCollection, indexedSchema, schema } from '../records.ts'
import type { Address, Client, Contestant, Served, ServeOptions, Tenant } from './contestant.ts'

const provisionedTogether = 10

/** The built Worker on workerd with direct sockets, its view in a Postgres of its own; the ETL runs all the time. */
export const freehold: Contestant = {
	serve: (dataDir, options) => serve(dataDir, configFor(options.main ?? deployedMain), options),
	client,
}

/**
 * The same with nobody reading the queues: what the path of a request takes by itself. Locally the queues are simulated in
 * the one thread that also serves, and moving the changes of a hundred tenants every second takes most of it.
 */
export const freeholdAlone: Contestant = {
	serve: (dataDir, options) => serve(dataDir, without(configFor(deployedMain), '[queues.consumers]'), options),
	client,
}

const deployedMain = join(projectDir, 'workers', 'main.ts')

async function serve(
	dataDir: string,
	configText: string,
	{ keepsObjects = false, heapMegabytesMax }: ServeOptions,
): Promise<Served> {
	const config = join(dataDir, 'wrangler.toml')
	writeFileSync(config, configText)
	const inspected = heapMegabytesMax === undefined ? null : { heapMegabytesMax, inspectorPort: await freePort() }
	const stack = await startStack({ dataDir, runtime: 'direct', direct: { keepsObjects, ...inspected }, config })
	const { url, operatorToken, databases, endpoint, stop } = stack
	return {
		port: Number(new URL(url).port),
		secret: operatorToken,
		database: databases.global?.write ?? null,
		inspectorPort: inspected?.inspectorPort ?? null,
		endpoint: endpoint?.url ?? null,
		stop,
		refuseDatabase: (refuses) => endpoint?.fault(refuses ? { kind: 'status', status: 503 } : null),
	}
}

/**
 * The project's own configuration without the files of the docs page: where a Worker has files, the local runtime puts two
 * more Workers between the socket and it, which take longer than the whole of a read.
 */
function configFor(main: string): string {
	const own = readFileSync(configFile, 'utf8').replace(/^main = .*$/m, `main = ${JSON.stringify(main)}`)
	return without(without(own, 'assets'), 'build')
}

/** Takes every table of that name out of a configuration. */
function without(config: string, table: string): string {
	const lines = config.split('\n')
	let inside = false
	const kept = lines.filter((line) => {
		if (line.startsWith('[')) inside = line === `[${table}]`
		return !inside
	})
	return kept.join('\n')
}

function client({ port, secret }: Address): Client {
	const ask = async (line: string, credential: string, body: string) => {
		const reply = await once(port, requestText(line, [bearer(credential)], body))
		if (reply.status >= 300) throw new Error(`${line} was answered with ${reply.status}: ${reply.body.slice(0, 500)}`)
		return reply.body
	}
	const operator = secret ?? ''
	const provisionOne = async (quiet: boolean): Promise<Tenant> => {
		const slug = `bench-${randomBytes(8).toString('hex')}`
		const made = await ask('POST /v1/tenants', operator, JSON.stringify({ slug, name: slug, region: 'global' }))
		const { id, api_key: key } = JSON.parse(made) as { id: string; api_key: { secret: string } }
		await ask(`PUT /v1/collections/${collection}`, key.secret, JSON.stringify({ schema }))
		if (quiet) return { id, credential: key.secret }
		await ask(`PATCH /v1/tenants/${id}`, operator, '{"limits":{"requests_per_second":1000000}}')
		await ask(`PUT /v1/collections/${indexedCollection}`, key.secret, JSON.stringify({ schema: indexedSchema }))
		return { id, credential: key.secret }
	}
	return {
		provision: async (count, quiet = false) => {
			const tenants: Tenant[] = []
			while (tenants.length < count) {
				const together = Math.min(provisionedTogether, count - tenants.length)
				tenants.push(...(await Promise.all(Array.from({ length: together }, () => provisionOne(quiet)))))
			}
			return tenants
		},
		seed: async (tenant, name, records) => {
			const body = await ask('POST /v1/batch', tenant.credential, batchBody(name, records))
			return (JSON.parse(body) as { results: { id: string }[] }).results.map(({ id }) => id)
		},
		create: (tenant, name, record, key) => {
			const headers = [bearer(tenant.credential), ...(key === null ? [] : [`Idempotency-Key: "${key}"`])]
			return requestText(`POST /v1/collections/${name}/records`, headers, record)
		},
		read: (tenant, name, id) =>
			requestText(`GET /v1/collections/${name}/records/${id}`, [bearer(tenant.credential)], null),
		list: (tenant, name, team, limit) =>
			requestText(
				`GET /v1/collections/${name}/records?team=eq.${team}&limit=${limit}`,
				[bearer(tenant.credential)],
				null,
			),
		batch: (tenant, name, records) =>
			requestText('POST /v1/batch', [bearer(tenant.credential)], batchBody(name, records)),
	}
}

function bearer(credential: string): string {
	return `Authorization: Bearer ${credential}`
}

function batchBody(name: string, records: readonly string[]): string {
	const operations = records.map((record) => `{"op":"create","collection":"${name}","data":${record}}`)
	return `{"operations":[${operations.join(',')}]}`
}
