/**
 * `npm run bench`: measures Freehold beside what one would use instead and beside what the runtime can do at most, all in
 * one run on one machine, so that the ratios mean something where the figures do not.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCommand, UsageError } from '../dev/command.ts'
import type { ContestantName } from './contestants/all.ts'
import { measureEtl } from './etl.ts'
import { measureFairness } from './fairness.ts'
import { measureRecordGrowth, measureTenantGrowth } from './growth.ts'
import { Hosts } from './hosts.ts'
import { measureLag } from './lag.ts'
import { describeMachine, loadOfMachine } from './machine.ts'
import { takeSerials } from './population.ts'
import { measurePrice } from './price.ts'
import { writeReport } from './report.ts'
import type { Results } from './results.ts'
import { measureRights } from './rights.ts'
import { measureLatency, type ThroughputName, throughputWorkloads } from './throughput.ts'
import { measureView } from './view.ts'

const otherWorkloads = {
	latency: "latency of writes at half of three-tier's maximum rate, arrivals on schedule",
	lag: 'how far the view is behind at 500 writes/s over 100 tenants',
	etl: "one shard's backlog moved into the view, beside a bare upsert of the same rows",
	fairness: "view lag of single fresh writes, without and beside another tenant's backlog of 1,000,000 changes",
	view: 'queries across 1,000 tenants, beside plain SQL on the same database',
	'growth-records': 'latency at 1,000 and at 1,000,000 records of a tenant',
	'growth-tenants': 'latency at 10 and at 10,000 tenants',
	rights: 'export, import and erasure of a tenant of 100,000 records, with the memory that the runtime takes',
	price: 'what a million writes cost at list price, from counted rows, calls and messages',
} as const

type WorkloadName = ThroughputName | keyof typeof otherWorkloads

const throughputNames = Object.keys(throughputWorkloads) as ThroughputName[]
const all = [...throughputNames, ...Object.keys(otherWorkloads)] as WorkloadName[]

const usage = `usage: npm run bench -- [--only <workload>[,<workload>…]] [--rounds <n>] [--quick]

  --only     measure these only:
${throughputNames.map((name) => `               ${name.padEnd(20)} ${throughputWorkloads[name].title}`).join('\n')}
${Object.entries(otherWorkloads)
	.map(([name, title]) => `               ${name.padEnd(20)} ${title}`)
	.join('\n')}
  --rounds   how often everything is measured; the tables show median, least and most (default 3)
  --quick    one round, short phases, a tenth of the records and tenants
  --help     this text

A whole run goes to bench/results/latest.*, and into README.md and docs/performance.md between <!-- bench --> and
<!-- /bench -->; one with --only goes to bench/results/partial.*.`

interface Options {
	workloads: readonly WorkloadName[]
	rounds: number
	quick: boolean
	/** Of one measured phase. */
	seconds: number
}

await runCommand(async (args) => {
	if (process.platform !== 'linux') throw new Error('the bench reads CPU time from /proc and runs on Linux only')
	const options = readOptions(args)
	const dataDir = mkdtempSync(join(tmpdir(), 'freehold-bench-'))
	// Postgres runs as another user when this is root, and its data would have to go elsewhere.
	chmodSync(dataDir, 0o755)
	const hosts = new Hosts(dataDir)
	const cleanUp = async () => {
		await hosts.stop()
		rmSync(dataDir, { recursive: true, force: true })
	}
	for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void cleanUp().then(() => process.exit(1)))
	try {
		const before = loadOfMachine()
		const measured = await measureAll(hosts, options)
		const results: Results = {
			at: new Date().toISOString(),
			machine: describeMachine(),
			load: { before, after: loadOfMachine() },
			rounds: options.rounds,
			secondsAPhase: options.seconds,
			...measured,
		}
		say(`\n${writeReport(results, options.workloads.length === all.length)}`)
	} finally {
		await cleanUp()
	}
}, usage)

function readOptions(args: string[]): Options {
	const { values } = parseArgs({
		args,
		options: { only: { type: 'string' }, rounds: { type: 'string' }, quick: { type: 'boolean', default: false } },
	})
	const { only, quick } = values
	const asked = only?.split(',') ?? all
	const unknown = asked.find((name) => !all.some((workload) => workload === name))
	if (unknown !== undefined) throw new UsageError(`there is no workload ${unknown}`)
	const rounds = Number(values.rounds ?? (quick ? 1 : 3))
	if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError('--rounds takes a whole number from 1')
	return { workloads: all.filter((name) => asked.includes(name)), rounds, quick, seconds: quick ? 2 : 4 }
}

type Measured = Omit<Results, 'at' | 'machine' | 'load' | 'rounds' | 'secondsAPhase'>

async function measureAll(hosts: Hosts, { workloads, rounds, quick, seconds }: Options): Promise<Measured> {
	const measured: Measured = {
		throughput: {},
		latency: [],
		lag: [],
		etl: [],
		fairness: [],
		view: [],
		growth: [],
		rights: [],
	}
	const throughput = throughputNames.filter((name) => workloads.includes(name))
	const needed = new Set<ContestantName>(throughput.flatMap((name) => throughputWorkloads[name].contestants))
	// All start before anything is measured, so that every round finds the same processes.
	for (const name of needed) await hosts.populated(name, () => Promise.resolve())
	const wants = (name: WorkloadName) => workloads.includes(name)
	for (let round = 1; round <= rounds; round++) {
		for (const name of throughput) {
			for (const contestant of throughputWorkloads[name].contestants) {
				const result = await hosts.throughput(contestant, name, seconds)
				const place = measured.throughput[name] ?? {}
				measured.throughput[name] = { ...place, [contestant]: [...(place[contestant] ?? []), result] }
				say(`${round}/${rounds}  ${name.padEnd(20)} ${contestant.padEnd(14)} ${Math.round(result.perSecond)}/s`)
				if (result.failures > 0) say(`      ${result.failures} failures, the first: ${result.firstFailure}`)
			}
		}
		if (wants('latency')) measured.latency.push(await compareLatency(hosts, measured, seconds))
		if (wants('lag'))
			measured.lag.push(await hosts.populated('freehold', (one, people) => measureLag(one, people, 500, seconds)))
		if (wants('etl')) {
			const records = quick ? 50_000 : 100_000
			const hosted = await hosts.get('freehold')
			const result = await measureEtl(hosted, records, takeSerials(records + 1))
			measured.etl.push({ ...result, records })
			say(
				`${round}/${rounds}  etl ${Math.round(result.etlRowsPerSecond)} rows/s, bare upsert ${Math.round(result.bareRowsPerSecond)} rows/s`,
			)
		}
		if (wants('rights')) measured.rights.push(await compareRights(hosts, quick, `${round}/${rounds}`))
		if (wants('fairness')) measured.fairness.push(await compareFairness(hosts, quick, `${round}/${rounds}`))
	}
	if (wants('view')) {
		say('view')
		const hosted = await hosts.get('freehold')
		measured.view = await measureView(hosted, { tenants: quick ? 200 : 1_000, rounds, seconds })
	}
	const growth = { rounds, seconds: Math.min(seconds, 3) }
	if (wants('growth-records')) {
		say('growth-records')
		const hosted = await hosts.get('freehold')
		measured.growth.push(await measureRecordGrowth(hosted, { ...growth, large: quick ? 100_000 : 1_000_000 }))
	}
	if (wants('growth-tenants')) {
		say('growth-tenants')
		for (const name of ['freehold', 'limit'] as const) {
			const hosted = await hosts.get(name)
			measured.growth.push(await measureTenantGrowth(hosted, { ...growth, large: quick ? 1_000 : 10_000 }))
		}
	}
	if (wants('price')) {
		say('price')
		measured.price = await measurePrice(hosts.dataDir, quick ? 5 : 20)
	}
	return measured
}

async function compareLatency(hosts: Hosts, { throughput }: Measured, seconds: number) {
	const known = throughput.writes?.['three-tier']?.at(-1)
	const { perSecond: most } = known ?? (await hosts.throughput('three-tier', 'writes', seconds))
	const perSecond = Math.floor(most / 2)
	const at = (name: ContestantName) =>
		hosts.populated(name, (one, people) => measureLatency(one, people, perSecond, seconds))
	const freehold = await at('freehold')
	const threeTier = await at('three-tier')
	say(
		`latency at ${perSecond}/s: p99 ${freehold.latency.p99.toFixed(1)} ms, three-tier ${threeTier.latency.p99.toFixed(1)} ms`,
	)
	return { perSecond, freehold: freehold.latency, threeTier: threeTier.latency }
}

async function compareFairness(hosts: Hosts, quick: boolean, round: string) {
	const changes = quick ? 100_000 : 1_000_000
	const hosted = await hosts.get('freehold')
	const firstSerial = takeSerials(changes + 1)
	// A backlog that drains at 50,000 rows a second would still be there when the writes end.
	const result = await measureFairness(hosted, { changes, seconds: changes / 50_000, firstSerial })
	const { alone, beside, drainSeconds } = result
	say(
		`${round}  fairness p99 ${Math.round(alone.p99)} ms, beside the backlog ${Math.round(beside.p99)} ms; gone after ${Math.round(drainSeconds)} s`,
	)
	return result
}

async function compareRights(hosts: Hosts, quick: boolean, round: string) {
	const records = quick ? 10_000 : 100_000
	const hosted = await hosts.get('freehold')
	const result = await measureRights(hosted, { records, recordBytes: 2000, firstSerial: takeSerials(records) })
	const { megabytes, exportSeconds, importSeconds, eraseSeconds } = result
	say(
		`${round}  rights ${Math.round(megabytes)} MB, export ${exportSeconds.toFixed(1)} s, import ${importSeconds.toFixed(1)} s, erasure ${eraseSeconds.toFixed(1)} s`,
	)
	return result
}

function say(line: string): void {
	console.log(line)
}
