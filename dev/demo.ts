/**
 * The main job on real data, as a stranger would do it: tenants in two regions, each with a shard of its own, and one view
 * across all of them. Everything goes through the public REST API, and every answer is compared with the source data; the
 * first thing that fails, or one thing that differs, ends this with a status other than 0.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Client } from './client.ts'
import { runCommand } from './command.ts'
import { type Dataset, readDatasets } from './demo/data.ts'
import { showErasure } from './demo/erasure.ts'
import { load, tenantsAtOnce } from './demo/load.ts'
import { showPersonalFields } from './demo/privacy.ts'
import { removeDistricts, showIsolation, showRetries, showUniqueness } from './demo/promises.ts'
import { askBySql, askCapitals, askLandlocked, askLargestCities } from './demo/questions.ts'
import { showRelocation } from './demo/relocation.ts'
import { Progress, plural, Report, seconds } from './demo/report.ts'
import { compareCounts, compareRecords } from './demo/sides.ts'
import type { SourceRecord } from './demo/sources.ts'
import { provision, type Tenant } from './demo/tenants.ts'
import { awaitView, LagWatch } from './demo/view.ts'
import { type Stack, startStack } from './stack.ts'

const usage = `Usage: npm run demo -- [--keep]

Starts Freehold on free ports and a temporary data folder, loads some 40,000 real records of eight tenants in two regions
through its REST API, puts its promises to the test, and asks the view questions across all tenants. It takes about a
minute and ends by itself: with 0 when everything matched, else with 1.

  --keep  keeps the data folder; npm run dev -- --data-dir DIR serves it afterwards
  --help  this text`

async function main(args: string[]): Promise<void> {
	const { values } = parseArgs({ args, options: { keep: { type: 'boolean', default: false } } })
	// The demo runs on a Postgres of its own, whatever database the environment names for other purposes.
	for (const name of Object.keys(process.env)) if (/^DATABASE_(READ_)?URL/.test(name)) delete process.env[name]
	const startedAt = performance.now()
	const dataDir = mkdtempSync(join(tmpdir(), 'freehold-demo-'))
	// Postgres does not run as root: whom root lends it to must be able to pass through. Every secret in it has its own mode.
	chmodSync(dataDir, 0o711)
	const report = new Report()
	report.title('Freehold: one shard for each tenant, one view across all of them')
	report.section('Start the stack: Postgres, the local Neon endpoint, and the Worker with its objects and queues')
	const starting = startStack({
		dataDir,
		cronMs: 60_000,
		// Without an address of its own no probe runs, whose tenants would be in the view, too.
		vars: { PUBLIC_URL: '' },
		log: (line) => report.line(line),
	})
	// Put after the stack's own handler, so that nothing writes to the folder any more.
	if (!values.keep) process.on('exit', () => rmSync(dataDir, { recursive: true, force: true }))
	const stack = await starting
	try {
		report.line(`ready after ${seconds(performance.now() - startedAt)}: ${stack.url}`)
		await tell(report, stack)
	} catch (error) {
		console.error(`\nThe log of the Worker ends with:\n${readFileSync(stack.logFile, 'utf8').slice(-2_000)}`)
		throw error
	} finally {
		await stack.stop()
		if (values.keep) console.log(`\nThe data are kept in ${dataDir}`)
	}
	const took = seconds(performance.now() - startedAt)
	if (report.failed > 0) throw new Error(`${report.failed} of ${report.passed + report.failed} checks failed`)
	report.title(`${plural(report.passed, 'check')} passed in ${took}`)
}

async function tell(report: Report, stack: Stack): Promise<void> {
	const operator = new Client(stack.url, stack.operatorToken)
	const databaseUrls = Object.values(stack.databases).map(({ read }) => read)
	const datasets = readDatasets()
	const vienna = holdBack(datasets, 'atlas-europe', 'cities', '2761369')

	report.section('Provision tenants and their collections')
	const tenants = await provision(stack.url, operator, datasets)
	showTenants(report, tenants)
	const provisionedAt = performance.now()
	const { shards } = await awaitView(operator, tenants)
	report.line(`the view knows ${plural(shards, 'shard')} ${seconds(performance.now() - provisionedAt)} later`)

	report.section('Load in batches, while the ETL carries the changes to Postgres')
	await loadAndFollow(report, operator, tenants)

	report.section('What is unique stays unique, without a distributed lock')
	await showUniqueness(report, operator, tenants)

	report.section('A retry has one effect, and a stale version changes nothing')
	await showRetries(report, tenants, vienna)

	report.section('A key opens its own tenant only')
	await showIsolation(report, stack.url, tenants)

	report.section('Both sides after a correction')
	await removeDistricts(report, tenants)
	const correctedAt = performance.now()
	const state = await awaitView(operator, tenants)
	report.line(`the view is exact again ${seconds(performance.now() - correctedAt)} after the last of them`)
	await compareCounts(report, operator, tenants, state)
	await compareRecords(report, operator, tenants)

	report.section('Questions across all tenants, answered from Postgres')
	await askLargestCities(report, operator, tenants)
	await askLandlocked(report, operator, tenants)
	await askCapitals(report, operator, tenants)
	await askBySql(report, databaseUrls, tenants)

	report.section('Personal fields never leave the shard')
	await showPersonalFields(report, operator, databaseUrls, tenants)

	report.section('A tenant moves to another region, and takes everything along')
	await showRelocation(report, stack.url, operator, tenants)

	report.section('Its old home is erased, and nothing of it stays')
	await showErasure(report, operator, tenants)
}

async function loadAndFollow(report: Report, operator: Client, tenants: Tenant[]): Promise<void> {
	const total = recordsOf(tenants.map(({ dataset }) => dataset))
	const watch = new LagWatch(operator)
	const { batches, writtenMs, exactMs } = await timeLoad(operator, tenants, total).finally(() => watch.stop())
	const rate = (ms: number) => Math.round((total / ms) * 1_000)
	const repeats = tenants.reduce((sum, { client }) => sum + client.repeats, 0)
	report.table(
		['', 'records', 'time', 'records/s'],
		[
			['written to the shards', total, seconds(writtenMs), rate(writtenMs)],
			['written and in the view', total, seconds(exactMs), rate(exactMs)],
		],
	)
	report.line(
		`${plural(batches, 'batch')} of ${plural(tenants.length, 'tenant')}, ${tenantsAtOnce} at a time; ${plural(repeats, 'call')} had to be sent again`,
	)
	report.line(
		`the view was exact ${seconds(exactMs - writtenMs)} after the last write; while loading, ${seconds(watch.worstMs)} behind at worst`,
	)
}

async function timeLoad(
	operator: Client,
	tenants: Tenant[],
	total: number,
): Promise<{ batches: number; writtenMs: number; exactMs: number }> {
	const progress = new Progress(total, 'record')
	let batches = 0
	const startedAt = performance.now()
	await load(tenants, (records) => {
		batches++
		progress.add(records)
	})
	const writtenMs = performance.now() - startedAt
	await awaitView(operator, tenants)
	return { batches, writtenMs, exactMs: performance.now() - startedAt }
}

function showTenants(report: Report, tenants: Tenant[]): void {
	report.table(
		['tenant', 'region', 'id', 'collections', 'records to send'],
		tenants.map(({ id, dataset }) => [
			dataset.slug,
			dataset.region,
			id,
			dataset.collections.map(({ name }) => name).join(', '),
			recordsOf([dataset]),
		]),
	)
}

function recordsOf(datasets: Dataset[]): number {
	return datasets.flatMap(({ collections }) => collections).reduce((sum, { records }) => sum + records.length, 0)
}

/** Takes a record out of what will be loaded. @throws when it is not there */
function holdBack(datasets: Dataset[], slug: string, collection: string, id: string): SourceRecord {
	const found = datasets.find((dataset) => dataset.slug === slug)?.collections.find(({ name }) => name === collection)
	const place = found?.records.findIndex((record) => record.id === id) ?? -1
	const [record] = place === -1 ? [] : (found?.records.splice(place, 1) ?? [])
	if (!record) throw new Error(`the sources have no ${collection} ${id}`)
	return record
}

await runCommand(main, usage)
