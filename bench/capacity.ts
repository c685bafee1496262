/** `npm run capacity`: what so many tenants need, what that costs a month, and which limit breaks first. */
import { parseArgs } from 'node:util'
import { runCommand, UsageError } from '../dev/command.ts'
import { type Capacity, capacityOf, type Load, type Measures } from './capacity-model.ts'
import { readResults } from './results.ts'

const usage = `Usage: npm run capacity -- --tenants N --writes-per-second W [options]

  --tenants N               in all regions together
  --writes-per-second W     of all tenants together, on average over a month
  --reads-per-second R      4 times the writes when absent
  --active-share S          of the tenants that write at the same time; 0.05 when absent
  --records-per-tenant N    10,000 when absent
  --record-bytes B          300 when absent
  --largest-share S         of all writes and records that the largest tenant has; 0.01 when absent
  --regions N               2 when absent
  --json                    instead of a table

Computed from the last run of the bench (bench/results/latest.json) and from list prices (core/prices.ts).`

function main(args: string[]): void {
	const { values } = parseArgs({
		args,
		options: {
			tenants: { type: 'string' },
			'writes-per-second': { type: 'string' },
			'reads-per-second': { type: 'string' },
			'active-share': { type: 'string' },
			'records-per-tenant': { type: 'string' },
			'record-bytes': { type: 'string' },
			'largest-share': { type: 'string' },
			regions: { type: 'string' },
			json: { type: 'boolean' },
		},
	})
	const number = (name: Exclude<keyof typeof values, 'json'>, absent: number | null): number => {
		const text = values[name]
		const value = text === undefined ? absent : Number(text)
		if (value === null || !(value > 0)) throw new UsageError(`--${name} must be a number above 0`)
		return value
	}
	const writesPerSecond = number('writes-per-second', null)
	const load: Load = {
		tenants: number('tenants', null),
		writesPerSecond,
		readsPerSecond: number('reads-per-second', writesPerSecond * 4),
		activeShare: number('active-share', 0.05),
		recordsPerTenant: number('records-per-tenant', 10_000),
		recordBytes: number('record-bytes', 300),
		largestShare: number('largest-share', 0.01),
		regions: number('regions', 2),
	}
	const capacity = capacityOf(load, readMeasures())
	console.log(values.json ? JSON.stringify({ load, ...capacity }, null, '\t') : table(capacity))
}

/** @throws when the bench has not measured what the model needs */
export function readMeasures(): Measures {
	const { workloads } = readResults()
	const price = workloads.price?.figures
	const hot = workloads['writes-hot']?.figures[0]?.freehold
	const etl = workloads.etl?.figures[0]
	if (!price || !hot || !etl)
		throw new Error('bench/results/latest.json lacks price, etl or writes-hot: run npm run bench')
	return { price, etlRowsPerSecond: etl.etlRowsPerSecond, hotWritesPerSecond: hot.perSecond }
}

function table(capacity: Capacity): string {
	const round = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3))
	const needs: [string, number, string][] = [
		['objects', capacity.objects, ''],
		['objects that write at the same time', capacity.activeObjects, ''],
		['object requests', capacity.objectRequestsPerSecond, '/s'],
		['queue operations', capacity.queueOperationsPerSecond, '/s'],
		['storage in objects', capacity.objectGigabytes, ' GB'],
		['storage in Neon', capacity.neonGigabytes, ' GB'],
		['Neon compute of a region', capacity.neonComputeUnits, ' CU'],
		['Neon connections of a region, at most', capacity.neonConnectionsMax, ''],
	]
	return [
		'| need | |',
		'| --- | ---: |',
		...needs.map(([name, value, unit]) => `| ${name} | ${round(value)}${unit} |`),
		'',
		'| a month | dollars |',
		'| --- | ---: |',
		...capacity.lines.map(({ line, dollars }) => `| ${line} | ${round(dollars)} |`),
		`| **all** | **${round(capacity.dollars)}** |`,
		'',
		'| limit | used | of | |',
		'| --- | ---: | ---: | --- |',
		...capacity.limits.map(
			({ limit, used, of, unit, share }) =>
				`| ${limit} | ${round(used)} (${round(share * 100)} %) | ${round(of)} | ${unit} |`,
		),
	].join('\n')
}

if (import.meta.main) await runCommand(async (args) => main(args), usage)
