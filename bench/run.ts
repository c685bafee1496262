/**
 * `npm run bench`: measures Freehold beside what one would use instead and beside what the runtime can do at most, all in
 * one run on one machine, so that the ratios mean something where the figures do not.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCommand, UsageError } from '../dev/command.ts'
import { Hosts } from './hosts.ts'
import { Measuring, type MeasuringOptions } from './measuring.ts'
import type { WorkloadName } from './results.ts'
import { workloads } from './workloads.ts'

const all = Object.keys(workloads) as WorkloadName[]
/** Names that stand for several workloads. */
const groups: Record<string, readonly WorkloadName[]> = {
	growth: ['growth-records', 'growth-tenants', 'cold-starts'],
}

const usage = `usage: npm run bench -- [--only <workload>[,<workload>…]] [--rounds <n>] [--quick]

  --only     measure these only:
${all.map((name) => `               ${name.padEnd(20)} ${workloads[name].title}`).join('\n')}
${Object.entries(groups)
	.map(([name, members]) => `               ${name.padEnd(20)} ${members.join(', ')}`)
	.join('\n')}
  --rounds   how often everything is measured; the tables show median, least and most (default 3)
  --quick    one round, short phases, a tenth of the records and tenants
  --help     this text

What was measured goes to bench/results/latest.*, and into README.md and docs/performance.md between <!-- bench --> and
<!-- /bench -->, after every workload. Figures of workloads that were not measured stay, with the run that they are of.`

await runCommand(async (args) => {
	if (process.platform !== 'linux') throw new Error('the bench reads CPU time from /proc and runs on Linux only')
	const options = readOptions(args)
	const dataDir = mkdtempSync(join(tmpdir(), 'freehold-bench-'))
	// Postgres runs as another user when this is root, and its data would have to go elsewhere.
	chmodSync(dataDir, 0o755)
	const hosts = new Hosts(dataDir)
	const measuring = new Measuring(hosts, options)
	const cleanUp = async () => {
		await hosts.stop()
		rmSync(dataDir, { recursive: true, force: true })
	}
	for (const signal of ['SIGINT', 'SIGTERM']) {
		process.once(signal, () => {
			measuring.stop()
			void cleanUp().then(() => process.exit(1))
		})
	}
	try {
		await measuring.all()
		console.log(`\n${measuring.report()}`)
		const failed = measuring.failed
		if (failed.length > 0) throw new Error(`not everything could be measured:\n  ${failed.join('\n  ')}`)
	} finally {
		await cleanUp()
	}
}, usage)

function readOptions(args: string[]): MeasuringOptions {
	const { values } = parseArgs({
		args,
		options: { only: { type: 'string' }, rounds: { type: 'string' }, quick: { type: 'boolean', default: false } },
	})
	const { only, quick } = values
	const asked: readonly string[] = only?.split(',').flatMap((name): readonly string[] => groups[name] ?? [name]) ?? all
	const unknown = asked.find((name) => !all.some((workload) => workload === name))
	if (unknown !== undefined) throw new UsageError(`there is no workload ${unknown}`)
	const rounds = Number(values.rounds ?? (quick ? 1 : 3))
	if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError('--rounds takes a whole number from 1')
	return { workloads: all.filter((name) => asked.includes(name)), rounds, quick, seconds: quick ? 2 : 4 }
}
