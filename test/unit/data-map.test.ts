import { expect, test } from 'vitest'
import { dataMapOf, printDataMap } from '../../core/data-map.ts'
import { deploymentMapOf, printDeploymentMap } from '../../core/deployment-map.ts'
import { parseRegion, parseTenantId } from '../../core/ids.ts'
import { Edge } from '../api-ports.ts'

const id = 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p'
const retention = { object_history: 30, queue: 4, dead_letter_queue: 5, database_history: 7, bucket: 0, logs: 6 }
const people = {
	description: 'Customers | and *leads*',
	additionalProperties: false,
	'x-retention-days': 90,
	properties: {
		email: { type: 'string', description: 'To write\nto them', 'x-personal': true, 'x-unique': 'ci' },
		account: { type: ['string', 'null'], 'x-subject': true },
		age: { type: 'integer', 'x-index': true },
		notes: { type: 'array', 'x-personal': 'encrypted' },
		anything: true,
	},
}

function mapOf(...schemas: unknown[]) {
	const tenant = parseTenantId(id)
	if (tenant === null) throw new Error('not a tenant id')
	const collections = schemas.map((schema, index) => ({
		name: `c${index}`,
		schema: JSON.stringify(schema),
		records: index,
	}))
	return dataMapOf(tenant, collections, retention, Date.UTC(2026, 10, 22))
}

test('each declared field is listed with its purpose, its tags and where it rests; what is personal is not in the view', () => {
	const [first, second] = mapOf(people, true).collections
	const plain = { purpose: null, personal: false, encrypted: false, subject: false, unique: false, index: false }
	const everywhere = ['shard', 'exports', 'view']
	expect(first).toEqual({
		...{ name: 'c0', purpose: 'Customers | and *leads*', records: 0, retention_days: 90, open: false },
		fields: [
			{
				...{ ...plain, name: 'email', purpose: 'To write\nto them', types: ['string'], personal: true, unique: true },
				stores: ['shard', 'exports'],
			},
			{ ...plain, name: 'account', types: ['string', 'null'], subject: true, index: true, stores: everywhere },
			{ ...plain, name: 'age', types: ['integer'], index: true, stores: everywhere },
			{ ...plain, name: 'notes', types: ['array'], personal: true, encrypted: true, stores: ['shard', 'exports'] },
			{ ...plain, name: 'anything', types: [], stores: everywhere },
		],
	})
	expect(second).toEqual({ name: 'c1', purpose: null, records: 1, retention_days: null, open: true, fields: [] })
})

test('each store says where it is and for how long, with the days of the deployed configuration', () => {
	const map = mapOf()
	expect(map).toMatchObject({ tenant: id, region: 'eu', generated_at: '2026-11-22T00:00:00.000Z', collections: [] })
	const days = Object.fromEntries(map.stores.map((one) => [one.store, one.recoverable_days]))
	expect(days).toMatchObject({ shard: 30, journal: 30, view: 7, exports: 0 })
	const kept = Object.fromEntries(map.stores.map((one) => [one.store, one.kept]))
	expect(kept).toMatchObject({ queue: expect.stringContaining('5 more'), logs: '6 days' })
	expect(kept.journal).toContain('400 days')
})

test('in Markdown no text of a schema ends its cell or begins any markup', () => {
	const text = printDataMap(mapOf(people))
	expect(text).toContain('\nCustomers \\| and \\*leads\\*\n')
	expect(text).toContain('0 records, kept for 90 days from their creation.')
	expect(text).toContain('| email | string | personal, unique | shard, exports | To write to them |')
	const widths = text
		.split('\n')
		.filter((line) => line.startsWith('| ') && line.includes('shard, exports'))
		.map((line) => line.split(' | ').length)
	expect(widths).toEqual([5, 5, 5, 5, 5])
})

test('the map gathers all pages of collections, as JSON or as Markdown', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	shard.collectionNames = Array.from({ length: 201 }, (_, index) => `c${1_000 + index}`)
	const response = await edge.fetch('GET', '/v1/data-map', { as: key })
	expect([response.status, response.headers.get('Vary')]).toEqual([200, 'Accept'])
	const { collections } = await response.json<{ collections: { name: string }[] }>()
	expect(collections.map(({ name }) => name)).toEqual(shard.collectionNames)
	const asked = { as: key, headers: { Accept: 'text/markdown' } }
	const shown = await edge.fetch('GET', '/v1/data-map', asked)
	expect(shown.headers.get('Content-Type')).toBe('text/markdown; charset=utf-8')
	expect(await shown.text()).toContain('## Collection c1200')
})

test("the operator's map has every region with its stores, as configured, and only operators read it", async () => {
	const regions = ['global', 'eu'].map((text) => ({
		region: parseRegion(text),
		jurisdiction: text === 'eu' ? 'eu' : null,
	}))
	const known = regions.flatMap(({ region, jurisdiction }) => (region === null ? [] : [{ region, jurisdiction }]))
	const map = deploymentMapOf(known, retention, 0)
	expect(map.regions.map(({ region, jurisdiction }) => [region, jurisdiction])).toEqual([
		['global', null],
		['eu', 'eu'],
	])
	for (const { region, stores } of map.regions) {
		expect(stores.map(({ store }) => store)).toEqual(
			expect.arrayContaining(['shard', 'view', 'queue', 'erasures', 'monitor']),
		)
		for (const { place } of stores) expect(place).toContain(`region ${region}`)
	}
	expect(map.shared.map(({ store, recoverable_days: days }) => [store, days])).toEqual([
		['claims', 30],
		['logs', 0],
	])
	const text = printDeploymentMap(map)
	for (const part of ['## Region eu', 'Bound to the jurisdiction eu.', '## In no particular region'])
		expect(text).toContain(part)
	const edge = new Edge()
	const asked = await edge.fetch('GET', '/v1/deployment/data-map', {
		as: 'reader-token',
		headers: { Accept: 'text/markdown' },
	})
	expect([asked.status, asked.headers.get('Content-Type')]).toEqual([200, 'text/markdown; charset=utf-8'])
	expect(await asked.text()).toContain('# Data map of the deployment')
})
