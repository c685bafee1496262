/** Questions that no single shard can answer, each answered by the view and checked against the source data. */
import { Client as Postgres } from 'pg'
import { z } from 'zod'
import type { Client } from '../client.ts'
import { number, plural, type Report } from './report.ts'
import type { Data } from './sources.ts'
import { heldByAll, type Tenant } from './tenants.ts'
import { readFirstRecords, readRecords } from './view.ts'

const city = z.object({ name: z.string(), country: z.string(), population: z.int() })
const country = z.object({ name: z.string(), area_km2: z.number() })

export async function askLargestCities(report: Report, operator: Client, tenants: Tenant[]): Promise<void> {
	const query = { collection: 'cities', order: 'population.desc', limit: '12', select: 'name,country,population' }
	showQuery(report, 'Which are the twelve largest cities of the world?', query)
	const records = await readFirstRecords(operator, query)
	const rows = records.map(({ tenant, data }) => ({ slug: slugOf(tenants, tenant), ...city.parse(data) }))
	report.table(
		['city', 'country', 'inhabitants', 'tenant'],
		rows.map(({ name, country: code, population, slug }) => [name, code, population, slug]),
	)
	const expected = heldByAll(tenants, 'cities')
		.map(({ tenant, data }) => ({ slug: tenant.dataset.slug, ...city.parse(data) }))
		.sort((a, b) => b.population - a.population)
		.slice(0, 12)
	report.check(
		`the same twelve, in the same order, as in the source of ${plural(heldByAll(tenants, 'cities').length, 'city')}`,
		rows,
		expected,
	)
}

export async function askLandlocked(report: Report, operator: Client, tenants: Tenant[]): Promise<void> {
	const query = {
		collection: 'countries',
		landlocked: 'is.true',
		area_km2: 'gte.200000',
		order: 'area_km2.desc',
		select: 'name,area_km2',
	}
	showQuery(report, 'Which countries of at least 200,000 km² have no coast?', query)
	const { records } = await readRecords(operator, query)
	const found = records.map(({ data }) => country.parse(data))
	report.list(found.map(({ name, area_km2 }) => `${name} ${number(area_km2)}`))
	const expected = heldByAll(tenants, 'countries')
		.filter(({ data }) => data.landlocked === true && typeof data.area_km2 === 'number' && data.area_km2 >= 200_000)
		.map(({ data }) => country.parse(data))
		.sort((a, b) => b.area_km2 - a.area_km2)
	report.check(`${plural(expected.length, 'country')}, as in the source`, found, expected)
}

export async function askCapitals(report: Report, operator: Client, tenants: Tenant[]): Promise<void> {
	const query = { collection: 'cities', feature: 'eq.PPLC', order: 'name.asc', limit: '50', select: 'name,country' }
	showQuery(report, 'What are the capitals called, from A to Z?', query)
	const { records, pages } = await readRecords(operator, query)
	const names = records.map(({ data }) => z.string().parse(data.name))
	report.line(`${names.slice(0, 5).join(', ')}, … ${names.slice(-3).join(', ')}`)
	const expected = heldByAll(tenants, 'cities')
		.filter(({ data }) => data.feature === 'PPLC')
		.map(({ data }) => z.string().parse(data.name))
		.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
	report.check(
		`${plural(expected.length, 'capital')} over ${plural(pages, 'page')} of 50, no one missing or twice, in order`,
		names,
		expected,
	)
}

const sql = `
SELECT country.tenant, count(*)::integer AS cities, sum((city.data->>'population')::integer)::float AS inhabitants
FROM live_record country
JOIN live_record city ON city.tenant_id = country.tenant_id AND city.data->>'country' = country.data->>'code'
WHERE country.collection = 'countries' AND city.collection = 'cities' AND (country.data->>'landlocked')::boolean
GROUP BY country.tenant
ORDER BY country.tenant`

const sqlRow = z.object({ tenant: z.string(), cities: z.int(), inhabitants: z.number() })

/** An analyst's way in: SQL on each region's Postgres, by the read-only role. */
export async function askBySql(report: Report, databaseUrls: string[], tenants: Tenant[]): Promise<void> {
	report.line('')
	report.line('By SQL on both databases: how many people live in cities of countries without a coast?')
	const answers = await Promise.all(databaseUrls.map((url) => query(url, sql)))
	const rows = z
		.array(sqlRow)
		.parse(answers.flat())
		.sort((a, b) => (a.tenant < b.tenant ? -1 : 1))
	report.table(
		['tenant', 'cities', 'inhabitants'],
		rows.map(({ tenant, cities, inhabitants }) => [tenant, cities, inhabitants]),
	)
	report.check('the same sums as in the source', rows, landlockedTotals(tenants))
}

/** Runs one statement on a database; rows are objects by column. */
export async function query(url: string, statement: string, parameters: unknown[] = []): Promise<unknown[]> {
	const postgres = new Postgres({ connectionString: url })
	await postgres.connect()
	try {
		const { rows } = await postgres.query<Record<string, unknown>>(statement, parameters)
		return rows
	} finally {
		await postgres.end()
	}
}

function landlockedTotals(tenants: Tenant[]): z.infer<typeof sqlRow>[] {
	const landlocked = heldByAll(tenants, 'countries').filter(({ data }) => data.landlocked === true)
	const codes = new Set(landlocked.map(({ data }) => data.code))
	const found = heldByAll(tenants, 'cities').filter(({ data }) => codes.has(data.country))
	const byTenant = Map.groupBy(found, ({ tenant }) => tenant.dataset.slug)
	return [...byTenant]
		.map(([tenant, rows]) => ({ tenant, cities: rows.length, inhabitants: sum(rows.map(({ data }) => data)) }))
		.sort((a, b) => (a.tenant < b.tenant ? -1 : 1))
}

function sum(all: Data[]): number {
	return all.reduce((total, data) => total + city.parse(data).population, 0)
}

function showQuery(report: Report, question: string, parameters: Record<string, string>): void {
	report.line('')
	report.line(question)
	report.line(
		`GET /v1/view/records?${Object.entries(parameters)
			.map((pair) => pair.join('='))
			.join('&')}`,
	)
}

function slugOf(tenants: Tenant[], id: string): string {
	return tenants.find((tenant) => tenant.id === id)?.dataset.slug ?? id
}
