/** Both sides of the house beside each other: what was sent, what the shards say they hold, what the view has. */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Client } from '../client.ts'
import { number, plural, type Report } from './report.ts'
import { heldByAll, heldIn, type Tenant } from './tenants.ts'
import { type Freshness, readCounts, readRecords, withoutPersonal } from './view.ts'

const collectionList = z.object({ collections: z.array(z.object({ name: z.string(), records: z.int() })) })
const usage = z.object({
	usage: z.object({ records: z.int(), collections: z.int(), storage_bytes: z.int(), position: z.int() }),
})

export async function compareCounts(
	report: Report,
	operator: Client,
	tenants: Tenant[],
	state: Freshness,
): Promise<void> {
	const inView = await readCounts(operator)
	const rows: [string, string, string, number, number, number][] = []
	for (const { id, dataset, client, held } of tenants) {
		const { collections } = await client.ask('GET', '/v1/collections', collectionList)
		for (const [collection, records] of held) {
			const inShard = collections.find(({ name }) => name === collection)?.records ?? -1
			const viewed = inView.find(({ tenant, name }) => tenant === id && name === collection)?.records ?? -1
			rows.push([dataset.slug, dataset.region, collection, records.size, inShard, viewed])
		}
	}
	report.table(['tenant', 'region', 'collection', 'source', 'shard', 'view'], rows)
	const sent = rows.map((row) => row[3])
	report.check('the shards hold what was sent and not deleted', column(rows, 4), sent)
	report.check(
		'the view has what the shards hold, and no collection more',
		[column(rows, 5), inView.length],
		[sent, rows.length],
	)
	await compareUsage(report, tenants)
	report.check(
		`the view calls itself exact and complete for ${plural(tenants.length, 'shard')}; no dead letter`,
		[state.exact, state.complete, state.shards, state.dead_letters],
		[true, true, tenants.length, 0],
	)
}

/** Reads every record of the view, all tenants together, and compares it with what was sent. */
export async function compareRecords(report: Report, operator: Client, tenants: Tenant[]): Promise<void> {
	const collections = new Set(tenants.flatMap(({ held }) => [...held.keys()]))
	const tenantsById = new Map(tenants.map((tenant) => [tenant.id, tenant]))
	let compared = 0
	const different: string[] = []
	for (const collection of collections) {
		const { records } = await readRecords(operator, { collection, limit: '1000' })
		const places = new Set(records.map(({ tenant, id }) => `${tenant}/${id}`))
		if (places.size !== heldByAll(tenants, collection).length) different.push(`${collection}: ${places.size} records`)
		for (const { tenant: tenantId, id, data } of records) {
			const tenant = tenantsById.get(tenantId)
			const held = tenant && heldIn(tenant, collection).get(id)
			if (!held || !isDeepStrictEqual(data, withoutPersonal(tenant, collection, held)))
				different.push(`${tenantId} ${collection} ${id}`)
			compared++
		}
	}
	report.check(
		`all ${plural(compared, 'record')} read back from the view, each equal to its source less personal fields`,
		different,
		[],
	)
}

async function compareUsage(report: Report, tenants: Tenant[]): Promise<void> {
	const told = await Promise.all(tenants.map(({ client }) => client.ask('GET', '/v1/tenant', usage)))
	const bytes = told.reduce((total, one) => total + one.usage.storage_bytes, 0)
	report.check(
		`each shard says so in its usage too; together they take ${number(Math.round(bytes / 100_000) / 10)} MB`,
		told.map(({ usage: { records, collections, position } }) => [records, collections, position]),
		tenants.map(({ held, position }) => [
			[...held.values()].reduce((total, { size }) => total + size, 0),
			held.size,
			position,
		]),
	)
}

function column(rows: [string, string, string, number, number, number][], place: 3 | 4 | 5): number[] {
	return rows.map((row) => row[place])
}
