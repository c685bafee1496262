import type { ContestantName } from './contestants/all.ts'
import { cpuSeconds, settle } from './cpu.ts'
import type { Hosted } from './hosted.ts'
import { closedLoop, openLoop } from './load.ts'
import { type Population, requests } from './population.ts'

/** Operations in one batch. */
export const batchRecords = 500
/** Requests on the way at once: enough that no contestant waits for the load. */
const connections = 32
/** Batches are large; more of them at once would only queue. */
const batchConnections = 4
const settleSecondsMax = 20

export interface Throughput {
	/** Operations a second: records for batches, else requests. */
	perSecond: number
	p50: number
	p99: number
	/** Operations for each second of CPU time of everything that serves, work done after the answer included. */
	perCpuSecond: number
	failures: number
	firstFailure: string | null
}

type Requests = ReturnType<typeof requests>

interface ThroughputWorkload {
	title: string
	contestants: readonly ContestantName[]
	next(all: Requests): () => string
	connections?: number
	/** Operations in one request; 1 when absent. */
	operations?: number
}

const everybody = ['freehold', 'freehold without ETL', 'limit', 'grouped limit', 'three-tier', 'Parse Server'] as const
const readers = ['freehold', 'limit', 'three-tier', 'Parse Server'] as const
const products = ['freehold', 'three-tier', 'Parse Server'] as const

export const throughputWorkloads = {
	writes: {
		title: 'single writes with an idempotency key, 100 tenants',
		contestants: everybody,
		next: (all) => all.write(true),
	},
	'writes-unkeyed': {
		title: 'single writes without a key, 100 tenants',
		contestants: ['freehold', 'freehold without ETL', 'grouped limit', 'three-tier'],
		next: (all) => all.write(false),
	},
	'writes-hot': {
		title: 'single writes with an idempotency key, one hot tenant',
		contestants: everybody,
		next: (all) => all.writeHot(true),
	},
	'writes-hot-unkeyed': {
		title: 'single writes without a key, one hot tenant',
		contestants: ['freehold', 'grouped limit', 'three-tier'],
		next: (all) => all.writeHot(false),
	},
	'reads-300': { title: 'reads by id, bodies of 300 B', contestants: readers, next: (all) => all.read(300) },
	'reads-2k': { title: 'reads by id, bodies of 2 KB', contestants: readers, next: (all) => all.read(2_000) },
	lists: { title: 'lists of 50 filtered by an indexed property', contestants: products, next: (all) => all.list },
	mixed: { title: '80 % reads, 20 % writes with a key, 100 tenants', contestants: products, next: (all) => all.mixed },
	batches: {
		title: `batches of ${batchRecords} creates, records`,
		contestants: products,
		next: (all) => all.batch(batchRecords),
		connections: batchConnections,
		operations: batchRecords,
	},
} satisfies Record<string, ThroughputWorkload>

export type ThroughputName = keyof typeof throughputWorkloads

/** Measures one workload on one contestant, after a warm-up and with nothing left over from before. */
export async function measureThroughput(
	hosted: Hosted,
	population: Population,
	name: ThroughputName,
	seconds: number,
): Promise<Throughput> {
	const workload: ThroughputWorkload = throughputWorkloads[name]
	const load = {
		port: hosted.address.port,
		connections: workload.connections ?? connections,
		next: workload.next(requests(hosted, population)),
	}
	await closedLoop({ ...load, seconds: seconds / 4 })
	await settle(hosted.pid, settleSecondsMax)
	const cpuBefore = cpuSeconds(hosted.pid)
	const result = await closedLoop({ ...load, seconds })
	await settle(hosted.pid, settleSecondsMax)
	const cpu = cpuSeconds(hosted.pid) - cpuBefore
	const { operations = 1 } = workload
	return {
		perSecond: result.perSecond * operations,
		p50: result.latency.p50,
		p99: result.latency.p99,
		perCpuSecond: (result.answers * operations) / cpu,
		failures: result.failures,
		firstFailure: result.firstFailure,
	}
}

/** Writes with a key over 100 tenants at a fixed rate, as they would come from outside: latency from the scheduled time. */
export async function measureLatency(hosted: Hosted, population: Population, perSecond: number, seconds: number) {
	const next = requests(hosted, population).write(true)
	await settle(hosted.pid, settleSecondsMax)
	// Many connections, because those who arrive do not wait for those before them.
	return openLoop({ port: hosted.address.port, connections: 200, seconds, perSecond, next })
}
