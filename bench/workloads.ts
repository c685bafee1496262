/** Everything that can be measured, in the order in which a run does it. */
import { measureColdStarts } from './cold-starts.ts'
import type { ContestantName } from './contestants/all.ts'
import { measureEtl } from './etl.ts'
import { measureFairness } from './fairness.ts'
import { type GrowthContestant, type GrowthResult, measureRecordGrowth, measureTenantGrowth } from './growth.ts'
import type { Hosts } from './hosts.ts'
import { measureLag } from './lag.ts'
import { measureMemory } from './memory.ts'
import { takeSerials } from './population.ts'
import { measurePrice } from './price.ts'
import type { Figures, ThroughputRound, WorkloadName } from './results.ts'
import { measureRights } from './rights.ts'
import { measureLatency, type ThroughputName, throughputWorkloads } from './throughput.ts'
import { measureView } from './view.ts'

export interface Bench {
	hosts: Hosts
	quick: boolean
	rounds: number
	/** Of one measured phase. */
	seconds: number
	/** What this run has measured of the single writes, from which others take a rate. */
	writes(): ThroughputRound[]
	/** Tells the person who waits. */
	say(line: string): void
	/** Notes that a contestant could not be measured; the others of the workload go on. */
	failed(contestant: ContestantName, error: unknown): void
}

interface Workload<Measured> {
	title: string
	/** `round` when it is measured in every round, `run` when it prepares so much that its rounds are inside. */
	each: 'round' | 'run'
	/** The figures so far of this run, with those of one more round; null when nothing could be measured. */
	measure(bench: Bench, before: Measured | undefined): Promise<Measured | null>
}

export const workloads: { [Name in WorkloadName]: Workload<Figures[Name]> } = {
	writes: throughput('writes'),
	'writes-unkeyed': throughput('writes-unkeyed'),
	'writes-hot': throughput('writes-hot'),
	'writes-hot-unkeyed': throughput('writes-hot-unkeyed'),
	'reads-300': throughput('reads-300'),
	'reads-2k': throughput('reads-2k'),
	lists: throughput('lists'),
	mixed: throughput('mixed'),
	batches: throughput('batches'),
	latency: {
		title: "latency of writes at half of three-tier's maximum rate, arrivals on schedule",
		each: 'round',
		measure: async (bench, before = []) => [...before, await compareLatency(bench)],
	},
	lag: {
		title: 'how far the view is behind at 500 writes/s over 100 tenants',
		each: 'round',
		measure: async ({ hosts, seconds }, before = []) => [
			...before,
			await hosts.populated('freehold', (one, people) => measureLag(one, people, 500, seconds)),
		],
	},
	etl: {
		title: "one shard's backlog moved into the view, beside a bare upsert of the same rows",
		each: 'round',
		measure: async ({ hosts, quick, say }, before = []) => {
			const records = quick ? 50_000 : 100_000
			const result = await measureEtl(await hosts.get('freehold'), records, takeSerials(records + 1))
			say(`${Math.round(result.etlRowsPerSecond)} rows/s, bare upsert ${Math.round(result.bareRowsPerSecond)} rows/s`)
			return [...before, result]
		},
	},
	fairness: {
		title: "view lag of single fresh writes, without and beside another tenant's backlog of 1,000,000 changes",
		each: 'round',
		measure: async ({ hosts, quick, say }, before = []) => {
			const changes = quick ? 100_000 : 1_000_000
			const firstSerial = takeSerials(changes + 1)
			// A backlog that drains at 50,000 rows a second would still be there when the writes end.
			const seconds = changes / 50_000
			const result = await measureFairness(await hosts.get('freehold'), { changes, seconds, firstSerial })
			const { alone, beside, drainSeconds } = result
			say(
				`p99 ${Math.round(alone.p99)} ms, beside the backlog ${Math.round(beside.p99)} ms; gone after ${Math.round(drainSeconds)} s`,
			)
			return [...before, result]
		},
	},
	rights: {
		title: 'export, import and erasure of a tenant of 100,000 records, with the memory that the runtime takes',
		each: 'round',
		measure: async ({ hosts, quick, say }, before = []) => {
			const records = quick ? 10_000 : 100_000
			const hosted = await hosts.get('freehold')
			const result = await measureRights(hosted, { records, recordBytes: 2000, firstSerial: takeSerials(records) })
			const { megabytes, exportSeconds, importSeconds, eraseSeconds } = result
			say(
				`${Math.round(megabytes)} MB, export ${exportSeconds.toFixed(1)} s, import ${importSeconds.toFixed(1)} s, erasure ${eraseSeconds.toFixed(1)} s`,
			)
			return [...before, result]
		},
	},
	view: {
		title: 'queries across 1,000 tenants, beside plain SQL on the same database',
		each: 'run',
		measure: async ({ hosts, quick, rounds, seconds }) =>
			measureView(hosts.dataDir, { tenants: quick ? 200 : 1_000, rounds, seconds }),
	},
	'growth-records': {
		title: 'latency at 1,000 and at 1,000,000 records of a tenant',
		each: 'run',
		measure: ({ hosts, ...bench }) =>
			bothGrow(bench, async (name) =>
				measureRecordGrowth(await hosts.get(name), name, {
					...growthOptions(bench),
					large: bench.quick ? 100_000 : 1_000_000,
				}),
			),
	},
	'growth-tenants': {
		title: 'latency at 10 and at 10,000 tenants whose objects are in memory',
		each: 'run',
		measure: ({ hosts, ...bench }) =>
			bothGrow(bench, (name) =>
				measureTenantGrowth(name, hosts.dataDir, { ...growthOptions(bench), large: bench.quick ? 500 : 10_000 }),
			),
	},
	'cold-starts': {
		title: 'latency of the first request to an object that is not in memory',
		each: 'run',
		measure: async ({ hosts, rounds }) => {
			const both = { freehold: await hosts.get('freehold'), limit: await hosts.get('limit') }
			return measureColdStarts(both, { tenants: 200, rounds: Math.min(rounds, 2) })
		},
	},
	memory: {
		title: 'the heap of an isolate whose object holds 1,000,000 records: under load, and while they are exported',
		each: 'run',
		measure: ({ hosts, quick, say }) => measureMemory(hosts.dataDir, quick ? 100_000 : 1_000_000, say),
	},
	price: {
		title: 'what a million writes cost at list price, from counted rows, calls and messages',
		each: 'run',
		measure: ({ hosts, quick }) => measurePrice(hosts.dataDir, quick ? 5 : 20),
	},
}

function throughput(name: ThroughputName): Workload<ThroughputRound[]> {
	return {
		title: throughputWorkloads[name].title,
		each: 'round',
		measure: async (bench, before = []) => {
			const round = await compareThroughput(bench, name)
			return Object.keys(round).length === 0 ? null : [...before, round]
		},
	}
}

async function compareThroughput({ hosts, seconds, say, failed }: Bench, name: ThroughputName) {
	const round: ThroughputRound = {}
	for (const contestant of throughputWorkloads[name].contestants) {
		try {
			const result = await hosts.throughput(contestant, name, seconds)
			round[contestant] = result
			say(`${contestant.padEnd(20)} ${Math.round(result.perSecond)}/s`)
			if (result.failures > 0) say(`      ${result.failures} failures, the first: ${result.firstFailure}`)
		} catch (error) {
			failed(contestant, error)
		}
	}
	return round
}

/** Sides that are asked in turn need fewer rounds, and what is stored for them takes most of the time. */
const growthOptions = ({ rounds, say }: Pick<Bench, 'rounds' | 'say'>) => ({
	rounds: Math.min(rounds, 2),
	seconds: 2,
	say,
})

/** Freehold first, then the bare object. */
async function bothGrow(
	{ say }: Pick<Bench, 'say'>,
	measure: (name: GrowthContestant) => Promise<GrowthResult>,
): Promise<GrowthResult[]> {
	const results: GrowthResult[] = []
	for (const name of ['freehold', 'limit'] as const) {
		say(name)
		results.push(await measure(name))
	}
	return results
}

async function compareLatency({ hosts, seconds, say, writes }: Bench) {
	const known = writes().at(-1)?.['three-tier']
	const { perSecond: most } = known ?? (await hosts.throughput('three-tier', 'writes', seconds))
	const perSecond = Math.floor(most / 2)
	const at = (name: ContestantName) =>
		hosts.populated(name, (one, people) => measureLatency(one, people, perSecond, seconds))
	const freehold = await at('freehold')
	const threeTier = await at('three-tier')
	say(`at ${perSecond}/s: p99 ${freehold.latency.p99.toFixed(1)} ms, three-tier ${threeTier.latency.p99.toFixed(1)} ms`)
	return { perSecond, freehold: freehold.latency, threeTier: threeTier.latency }
}
