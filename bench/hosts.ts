import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { environment } from '../dev/processes.ts'
import type { ContestantName } from './contestants/all.ts'
import { type Hosted, host } from './hosted.ts'
import { type Population, populate } from './population.ts'
import { measureThroughput, type ThroughputName } from './throughput.ts'

/** The contestants that run, each started when it is first needed and kept until the end. */
export class Hosts {
	readonly dataDir: string
	readonly #hosted = new Map<ContestantName, Promise<Hosted>>()
	#stopped = false
	readonly #populations = new Map<ContestantName, Promise<Population>>()

	constructor(dataDir: string) {
		this.dataDir = dataDir
	}

	/** @throws the same again for a contestant that did not start, without another try */
	get(name: ContestantName): Promise<Hosted> {
		if (this.#stopped) return Promise.reject(new Error('the contestants were stopped'))
		const hosted = this.#hosted.get(name) ?? this.#start(name)
		this.#hosted.set(name, hosted)
		return hosted
	}

	async #start(name: ContestantName): Promise<Hosted> {
		if (usesPeers.includes(name)) installPeers()
		console.log(`starting ${name}`)
		return host(name, this.dataDir)
	}

	/** With a hundred tenants that hold something to read. */
	async populated<T>(
		name: ContestantName,
		measure: (hosted: Hosted, population: Population) => Promise<T>,
	): Promise<T> {
		const hosted = await this.get(name)
		const population = this.#populations.get(name) ?? populate(hosted)
		this.#populations.set(name, population)
		return measure(hosted, await population)
	}

	throughput(name: ContestantName, workload: ThroughputName, seconds: number) {
		return this.populated(name, (hosted, population) => measureThroughput(hosted, population, workload, seconds))
	}

	async stop(): Promise<void> {
		this.#stopped = true
		await Promise.allSettled([...this.#hosted.values()].map(async (hosted) => (await hosted).stop()))
	}
}

const usesPeers: readonly ContestantName[] = ['three-tier', 'Parse Server']

/** Peers are no dependencies of Freehold: they have a package of their own, installed when somebody compares. */
function installPeers(): void {
	const folder = join(import.meta.dirname, 'peers')
	const installed = join(folder, 'node_modules', '.package-lock.json')
	if (existsSync(installed) && versions(installed) === versions(join(folder, 'package-lock.json'))) return
	console.log('installing the peers (bench/peers)')
	const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder]
	const { status } = spawnSync('npm', args, { env: environment(), stdio: 'inherit' })
	if (status !== 0) throw new Error('the peers could not be installed')
}

const lockFile = z.object({ packages: z.record(z.string(), z.object({ version: z.string().optional() })) })

function versions(file: string): string {
	const { packages } = lockFile.parse(JSON.parse(readFileSync(file, 'utf8')))
	const names = ['@hono/node-server', 'hono', 'parse-server', 'router']
	return names.map((name) => packages[`node_modules/${name}`]?.version).join(' ')
}
