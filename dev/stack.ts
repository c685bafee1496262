/**
 * The whole system on one machine, for `npm run dev`, tests, benchmarks and drills. In a data folder of its own it runs
 *
 * - a Postgres server with one database a region (`freehold_<region>`), unless `DATABASE_URL` or `DATABASE_URL_<REGION>`
 *   in the environment names a real one for that region,
 * - the local Neon endpoint, as long as one region needs it, and the migrations of every region's database,
 * - the Worker, by `wrangler dev` (as written, rebuilt on every change of a file) or directly on workerd (built once, no
 *   proxy in between: for figures and faults).
 *
 * Everything listens on 127.0.0.1 only. The data folder holds, besides the data:
 *
 * - `stack.json`, while the stack runs: `{url, operator_token, databases: {<region>: url}, state_dir, bucket_dir, log_file}`
 * - `secrets.json`: the operator's token and the secrets of this folder, made on the first start
 * - `stack.log`: what the Worker and its runtime print; `postgres.log`
 *
 * `stop()` ends every process that was started. SIGINT, SIGTERM and SIGHUP do the same and end this process. Whatever else
 * ends it, even a `kill -9`, ends them too, a moment later; the next start on the folder waits for them.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { migrate } from './migrate.ts'
import { type NeonEndpoint, startNeonEndpoint } from './neon-endpoint.ts'
import { freePort } from './port.ts'
import { type Postgres, readerRole, startPostgres } from './postgres.ts'
import { endLeftover, lockFolder } from './processes.ts'
import { configFile, type RegionName, regionsOf } from './regions.ts'
import { type DirectOptions, type Runtime, type RuntimeKind, startRuntime } from './runtime.ts'

export interface StackOptions {
	/** Made when absent. A second start on the same folder finds the data. */
	dataDir: string
	/** Of the API; 0 or absent for a free one. */
	port?: number
	/** `wrangler` when absent. */
	runtime?: RuntimeKind
	/** For the direct runtime. */
	direct?: DirectOptions
	/** Milliseconds between two rings of the cron trigger, which let monitors look and probes run; absent for never. */
	cronMs?: number
	/** The wrangler.toml to run; the project's own when absent. */
	config?: string
	/** More variables for the Worker, or other values than the stack's. */
	vars?: Record<string, string>
	/** Puts a proxy before the local Postgres: takes the server's port and returns the one that the Worker reaches it by. */
	proxy?(port: number): Promise<number>
	/** Receives a line for every step; silent when absent. */
	log?(line: string): void
}

export interface Stack {
	/** The API's origin, `http://127.0.0.1:<port>`. */
	url: string
	operatorToken: string
	/** Connection strings of the writer and of the read-only role, by region. */
	databases: Record<string, { write: string; read: string }>
	dataDir: string
	/** Where workerd keeps objects and buckets. */
	stateDir: string
	/** Where the objects of the buckets lie. */
	bucketDir: string
	logFile: string
	/** The local server, to stop or kill it and to start it again on its port; null when every region has a real database. */
	postgres: Postgres | null
	/** The local endpoint with its fault switch; null when every region has a real database. */
	endpoint: NeonEndpoint | null
	runtime: Runtime
	stop(): Promise<void>
}

/** @throws with a sentence for the person at the keyboard; nothing keeps running then */
export async function startStack(options: StackOptions): Promise<Stack> {
	const dataDir = resolve(options.dataDir)
	const log = options.log ?? (() => {})
	mkdirSync(dataDir, { recursive: true })
	const parts: Parts = { unlock: lockFolder(dataDir), runtime: null, postgres: null, endpoint: null }
	const stop = once(() => endAll(parts, dataDir))
	guard(parts, stop)
	try {
		const stack = await startParts({ ...options, dataDir, log }, parts)
		return { ...stack, stop }
	} catch (error) {
		await stop()
		throw error
	}
}

interface Parts {
	unlock(): void
	runtime: Runtime | null
	postgres: Postgres | null
	endpoint: NeonEndpoint | null
}

type Settled = StackOptions & { dataDir: string; log(line: string): void }

async function startParts(options: Settled, parts: Parts): Promise<Omit<Stack, 'stop'>> {
	const { dataDir, log, config = configFile } = options
	const stateDir = join(dataDir, 'state')
	mkdirSync(stateDir, { recursive: true, mode: 0o700 })
	const recordFile = join(dataDir, 'runtime-process.json')
	await endLeftover(recordFile, 'SIGTERM')
	const regions = regionsOf(config)
	const local = regions.filter(({ suffix }) => !process.env[`DATABASE_URL${suffix}`])
	if (local.length > 0) {
		log('starting Postgres')
		parts.postgres = await startPostgres({ dataDir, databases: local.map(databaseName), log })
		const remote = regions.filter((region) => !local.includes(region)).flatMap((region) => hostsOf(region))
		parts.endpoint = await startNeonEndpoint({ hosts: remote })
	}
	const databases = databasesOf(regions, parts.postgres)
	for (const [region, { write }] of Object.entries(databases)) {
		const applied = await migrate(write)
		if (applied.length > 0) log(`migrated the database of ${region}`)
	}
	const secrets = readSecrets(join(dataDir, 'secrets.json'))
	const reached =
		parts.postgres && options.proxy ? await proxied(databases, parts.postgres.port, options.proxy) : databases
	const { runtime: kind = 'wrangler', direct = {}, cronMs = 0 } = options
	const port = options.port || (await freePort())
	const vars = {
		...secrets,
		...databaseVars(regions, reached),
		JURISDICTIONS: '',
		WEBHOOKS_PRIVATE: 'allow',
		PUBLIC_URL: `http://127.0.0.1:${port}`,
	}
	const endpoint: Record<string, string> = parts.endpoint === null ? {} : { NEON_ENDPOINT: parts.endpoint.url }
	const envFile = join(dataDir, 'wrangler.env')
	writeFileSync(envFile, envText({ ...vars, ...endpoint, ...options.vars }), { mode: 0o600 })
	log('starting the Worker')
	const logFile = join(dataDir, 'stack.log')
	const place = { config, port, envFile, stateDir, logFile, recordFile, dataDir }
	parts.runtime = await startRuntime({ kind, direct, cronMs, ...place })
	const { postgres, endpoint: neon, runtime } = parts
	const bucketDir = join(stateDir, 'v3', 'r2')
	const operatorToken = secrets.OPERATOR_TOKEN
	const stack = {
		url: runtime.url,
		operatorToken,
		databases,
		dataDir,
		stateDir,
		bucketDir,
		logFile,
		postgres,
		endpoint: neon,
		runtime,
	}
	writeFileSync(join(dataDir, 'stack.json'), describe(stack), { mode: 0o600 })
	return stack
}

const databaseName = ({ name }: RegionName) => `freehold_${name}`

function hostsOf({ suffix }: RegionName): string[] {
	const urls = [process.env[`DATABASE_URL${suffix}`], process.env[`DATABASE_READ_URL${suffix}`]]
	return urls.flatMap((url) => (url ? [new URL(url).hostname] : []))
}

function databasesOf(regions: RegionName[], postgres: Postgres | null): Stack['databases'] {
	return Object.fromEntries(
		regions.map((region) => {
			const write = process.env[`DATABASE_URL${region.suffix}`]
			if (write) return [region.name, { write, read: process.env[`DATABASE_READ_URL${region.suffix}`] || write }]
			if (postgres === null) throw new Error(`no database for region ${region.name}`)
			const database = databaseName(region)
			return [region.name, { write: postgres.url(database), read: postgres.url(database, readerRole) }]
		}),
	)
}

/** The connection strings of the local server, by way of a proxy. */
async function proxied(
	databases: Stack['databases'],
	port: number,
	proxy: (port: number) => Promise<number>,
): Promise<Stack['databases']> {
	const through = await proxy(port)
	const by = (url: string) => url.replace(`@127.0.0.1:${port}/`, `@127.0.0.1:${through}/`)
	return Object.fromEntries(
		Object.entries(databases).map(([region, { write, read }]) => [region, { write: by(write), read: by(read) }]),
	)
}

function databaseVars(regions: RegionName[], databases: Stack['databases']): Record<string, string> {
	return Object.fromEntries(
		regions.flatMap(({ name, suffix }) => [
			[`DATABASE_URL${suffix}`, databases[name]?.write ?? ''],
			[`DATABASE_READ_URL${suffix}`, databases[name]?.read ?? ''],
		]),
	)
}

const secretsFile = z.object({
	OPERATOR_TOKEN: z.string(),
	SIGNING_SECRET: z.string(),
	CLAIM_SECRET: z.string(),
	MASTER_SECRET: z.string(),
	CERTIFICATE_SECRET: z.string(),
})

/** The secrets of a data folder stay the same: keys, claims and certificates in it depend on them. */
function readSecrets(file: string): z.infer<typeof secretsFile> {
	const secret = () => randomBytes(32).toString('base64url')
	const fresh = {
		OPERATOR_TOKEN: `fho_${secret()}`,
		SIGNING_SECRET: secret(),
		CLAIM_SECRET: secret(),
		MASTER_SECRET: secret(),
		CERTIFICATE_SECRET: secret(),
	}
	// A folder of an earlier version lacks the secrets that came later.
	const kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
	const secrets = secretsFile.parse({ ...fresh, ...kept })
	if (process.env.OPERATOR_TOKEN) secrets.OPERATOR_TOKEN = process.env.OPERATOR_TOKEN
	writeFileSync(file, `${JSON.stringify(secrets, null, '\t')}\n`, { mode: 0o600 })
	return secrets
}

/** In single quotes nothing is special but `$`, which wrangler expands afterwards. */
function envText(vars: Record<string, string>): string {
	return Object.entries(vars)
		.map(([name, value]) => `${name}='${value.replaceAll('$', '\\$')}'\n`)
		.join('')
}

function describe({ url, operatorToken, databases, stateDir, bucketDir, logFile }: Omit<Stack, 'stop'>): string {
	const writers = Object.fromEntries(Object.entries(databases).map(([region, { write }]) => [region, write]))
	const said = {
		url,
		operator_token: operatorToken,
		databases: writers,
		state_dir: stateDir,
		bucket_dir: bucketDir,
		log_file: logFile,
	}
	return `${JSON.stringify(said, null, '\t')}\n`
}

/** In the order in which they depend on each other, so that what was acknowledged is on its way to the disk before its server goes. */
async function endAll(parts: Parts, dataDir: string): Promise<void> {
	rmSync(join(dataDir, 'stack.json'), { force: true })
	await parts.runtime?.stop()
	await parts.endpoint?.stop()
	await parts.postgres?.stop()
	parts.unlock()
	unguard(parts)
}

function once(run: () => Promise<void>): () => Promise<void> {
	let running: Promise<void> | null = null
	return () => {
		running ??= run()
		return running
	}
}

const running = new Map<Parts, () => Promise<void>>()
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

function guard(parts: Parts, stop: () => Promise<void>): void {
	if (running.size === 0) {
		for (const signal of Object.keys(exitCodes)) process.on(signal, onSignal)
		process.on('exit', onExit)
	}
	running.set(parts, stop)
}

function unguard(parts: Parts): void {
	running.delete(parts)
	if (running.size > 0) return
	for (const signal of Object.keys(exitCodes)) process.off(signal, onSignal)
	process.off('exit', onExit)
}

async function onSignal(signal: keyof typeof exitCodes): Promise<void> {
	await Promise.allSettled([...running.values()].map((stop) => stop()))
	process.exit(exitCodes[signal])
}

/** The processes of a stack that nobody stopped are on their way out; the next start waits for them. */
function onExit(): void {
	for (const { unlock } of running.keys()) unlock()
}
