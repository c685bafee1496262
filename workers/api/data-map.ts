import type { Answer, Reply } from '../../core/contract.ts'
import { type DataMap, dataMapOf, type MappedCollection, printDataMap } from '../../core/data-map.ts'
import type { Handled, TenantCall } from './call.ts'
import { markdown } from './operating-schemas.ts'
import { execute } from './reach.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import { dataMap } from './schemas.ts'

const summary = 'Where which data rests and for how long (Art. 30 GDPR)'
const description =
	'Made of the schemas in force and of the configuration of this deployment. The purpose of a collection or a field is its `description` in the schema.'

const id = 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p'
const example: DataMap = {
	format: 'freehold-data-map/1',
	tenant: id,
	region: 'eu',
	generated_at: '2026-11-22T19:50:49.120Z',
	collections: [
		{
			...{ name: 'people', purpose: 'Customers', records: 3, retention_days: 365, open: false },
			fields: [
				{
					...{ name: 'email', purpose: 'To write to them', types: ['string'] },
					...{ personal: true, subject: false, unique: true, index: false, stores: ['shard', 'exports'] },
				},
			],
		},
	],
	stores: [
		{
			...{
				store: 'shard',
				holds: 'records with all their fields',
				place: "the tenant's own object in the cell of region eu",
			},
			...{ kept: 'until deleted', recoverable_days: 30 },
		},
	],
	processing: ['Everything that is stored rests in the cell of region eu.'],
	recipients: [{ recipient: 'the addresses of the webhooks', receives: 'pointers to what changed' }],
}

const answers = {
	200: {
		description: 'The map; Markdown for `Accept: text/markdown`',
		schema: dataMap,
		example,
		alternative: { media: 'text/markdown', schema: markdown, example: `# Data map of ${id}\n` },
	},
}

export const dataMapRoutes: readonly Route[] = [
	tenantRoute(
		{
			...{ method: 'get', path: '/v1/data-map', scope: 'read', tag: 'Data subjects', summary, description },
			answers,
			refusals: [],
		},
		answerDataMap,
	),
]

/** Definitions of one page: a schema has at most 64 KB, and an answer of an object 32 MB. */
const pageCollections = 100

type Listed = Reply<Answer<'collection.list'>>

async function answerDataMap(call: TenantCall): Handled {
	const collections: MappedCollection[] = []
	let after: string | null = null
	for (;;) {
		const reply: Listed = await execute(call, { name: 'collection.list', limit: pageCollections, after })
		if (!reply.ok) return reply
		collections.push(...reply.value.collections)
		after = reply.value.next
		if (after !== null) continue
		const map = dataMapOf(call.tenant, collections, call.ports.retention(), call.ports.clock())
		const asMarkdown = call.c.req.header('Accept')?.includes('text/markdown') === true
		const type = asMarkdown ? 'text/markdown; charset=utf-8' : 'application/json'
		const text = asMarkdown ? printDataMap(map) : JSON.stringify(map)
		return respondReply(call, reply, 200, text, { 'Content-Type': type, Vary: 'Accept' })
	}
}
