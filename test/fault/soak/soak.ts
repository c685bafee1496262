/**
 * The real thing under real faults: the built Worker, real Postgres behind our own faulty proxy, concurrent clients of every
 * operation, followers of the journal, a nemesis on both sides of the house, and somebody who looks at the view all the
 * while. When the faults have stopped and everything has had its time, the checker judges what was seen.
 */

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Stack, startStack } from '../../../dev/stack.ts'
import { startTcpProxy, type TcpProxy } from '../../../dev/tcp-proxy.ts'
import { seeded } from '../../shard.ts'
import { createTenant, type Tenant } from '../../stack-client.ts'
import { check } from '../checker.ts'
import { Activity } from './activity.ts'
import { type Actor, act, attempt } from './clients.ts'
import { awaitFollowers, awaitView, locateListed } from './ending.ts'
import { Follower } from './follower.ts'
import { Nemesis, type Random } from './nemesis.ts'
import { Recorder } from './recorder.ts'
import { lacks, minimumOf, type Report, reportOf, writeReport } from './report.ts'
import { Sampler } from './sampler.ts'
import { type ViewTarget, viewFaults } from './view-faults.ts'
import { diskFaults, workerFaults } from './worker-faults.ts'
import { collections, Known, schemaOf, Workload } from './workload.ts'

export interface SoakOptions {
	/** A folder of its own: holds the data, the Worker's log, `history.jsonl` and `report.json`. */
	dataDir: string
	/** Decides the schedule of the faults and what each client asks; what they meet is the machine's doing. */
	seed: number
	/** How long the faults go on at least. */
	seconds: number
	/** How long they may go on until the minimum counts are met. */
	secondsMax: number
	/** Whether the disk fails, too; needs `strace`. */
	disk: boolean
	log(line: string): void
}

const regions = ['eu', 'global', 'eu', 'global']
const clientsPerTenant = 3
/** About so many samples of the view in a run, however long: each holds all rows of a tenant. */
const samplesWanted = 4_000
const sampleEveryMsMin = 100

export async function soak(options: SoakOptions): Promise<Report> {
	let proxy: TcpProxy | undefined
	const stack = await startStack({
		dataDir: options.dataDir,
		runtime: 'direct',
		log: options.log,
		proxy: async (port) => {
			proxy = await startTcpProxy(port)
			return proxy.port
		},
	})
	const { postgres } = stack
	if (proxy === undefined || postgres === null)
		throw new Error('the soak needs a Postgres of its own, without DATABASE_URL')
	const target: ViewTarget = { stack, proxy, postgres }
	const recorder = new Recorder(join(options.dataDir, 'history.jsonl'))
	try {
		const report = await run(options, target, recorder)
		writeReport(join(options.dataDir, 'report.json'), report)
		return report
	} finally {
		recorder.close()
		await stack.stop()
		await target.postgres.stop()
		await proxy.stop()
	}
}

async function run(options: SoakOptions, target: ViewTarget, recorder: Recorder): Promise<Report> {
	const { seed, seconds, log } = options
	const { stack } = target
	const startedAt = performance.now()
	const now = () => performance.now() - startedAt
	const random = seeded(seed)
	const crew = await enlist(stack, recorder, random, now)
	const nemesis = new Nemesis(now)
	const hands = [[...workerFaults(stack, recorder), ...(options.disk ? diskFaults(stack) : [])], viewFaults(target)]
	const minimum = minimumOf(hands.flat())
	const faults = new Activity()
	const work = new Activity()
	const following = new Activity()
	try {
		log(`faults for ${seconds} s, seed ${seed}`)
		for (const list of hands) {
			const own = branch(random)
			faults.add((stopped) => nemesis.run(list, own, stopped))
		}
		for (const actor of crew.actors) work.add((stopped) => act(actor, stopped))
		const everyMs = Math.max(sampleEveryMsMin, (seconds * 1_000 * regions.length) / samplesWanted)
		for (const { sampler } of crew.watched) work.add((stopped) => sampler.run(everyMs, stopped))
		for (const follower of crew.followers) following.add((stopped) => follower.run(stopped))
		const isOver = () => now() >= seconds * 1_000 && !lacks(minimum, recorder.counts, nemesis.counts())
		while (!faults.broken && !work.broken && !isOver() && now() < options.secondsMax * 1_000) await pause(200)
		await faults.stop()
		const stoppedAt = now()
		log('the faults have stopped; waiting for the view')
		await work.stop()
		const journals = await Promise.all(crew.watched.map(({ tenant, sampler }) => awaitView(tenant, sampler, recorder)))
		const convergedAt = now()
		const streamFaults = await awaitFollowers(crew.followers, journals)
		await following.stop()
		log('judging')
		const { attempts, samples } = recorder
		locateListed(attempts, journals)
		const verdict = check({ attempts, journals, samples, faults: nemesis.counts(), minimum })
		const times = { seconds: stoppedAt / 1_000, secondsToConverge: (convergedAt - stoppedAt) / 1_000 }
		return reportOf(verdict, { seed, ...times, ...seenBy(crew), streamFaults, strikes: nemesis.strikes })
	} finally {
		for (const activity of [faults, work, following]) activity.end()
		for (const { sampler } of crew.watched) await sampler.close()
	}
}

/** Who takes part besides the nemesis. */
interface Crew {
	actors: Actor[]
	followers: Follower[]
	watched: { tenant: Tenant; sampler: Sampler }[]
}

/** Makes the tenants and those who will work with them; the first client of each defines its collections. */
async function enlist(stack: Stack, recorder: Recorder, random: Random, now: () => number): Promise<Crew> {
	const tenants = await Promise.all(regions.map((region) => createTenant(stack, region)))
	const actors = tenants.flatMap(({ id, client }, tenant) => {
		const known = new Known()
		return Array.from({ length: clientsPerTenant }, (_, n): Actor => {
			const own = branch(random)
			const number = tenant * clientsPerTenant + n + 1
			const workload = new Workload(number, known, own)
			return { name: `client-${number}`, tenant: id, client, workload, known, random: own, recorder, now }
		})
	})
	for (const actor of actors.filter((_, number) => number % clientsPerTenant === 0)) {
		for (const [n, collection] of collections.entries()) {
			const operation = { op: 'define', collection, schema: schemaOf(collection, n, false) } as const
			await attempt(actor, operation, null, `${actor.name}.define.${n}`)
		}
	}
	const followers = tenants.map((tenant) => new Follower(tenant, branch(random)))
	const reader = (region: string) => stack.databases[region]?.read ?? ''
	const watched = tenants.map((tenant) => ({
		tenant,
		sampler: new Sampler(tenant.id, reader(tenant.region), recorder),
	}))
	return { actors, followers, watched }
}

function seenBy({ followers, watched }: Crew): Pick<Report, 'streams' | 'samplesMissed'> {
	return {
		streams: followers.reduce((sum, { connections }) => sum + connections, 0),
		samplesMissed: watched.reduce((sum, { sampler }) => sum + sampler.missed, 0),
	}
}

/** Random numbers that do not depend on how many the others have taken. */
function branch(random: Random): Random {
	return seeded(Math.floor(random() * 2 ** 32))
}
