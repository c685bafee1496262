import type { Answer, Reply } from '../../core/contract.ts'
import { type DataMap, dataMapOf, type MappedCollection, printDataMap } from '../../core/data-map.ts'
import { type DeploymentMap, deploymentMapOf, printDeploymentMap } from '../../core/deployment-map.ts'
import type { CallerCall, Handled, TenantCall } from './call.ts'
import { markdown } from './operating-schemas.ts'
import { execute } from './reach.ts'
import { respondJson, respondReply } from './respond.ts'
import { operatorRoute, type Route, tenantRoute } from './route.ts'
import { dataMap, deploymentMap } from './schemas.ts'

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
					...{
						personal: true,
						encrypted: true,
						subject: false,
						unique: true,
						index: false,
						stores: ['shard', 'exports'],
					},
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

const deploymentExample: DeploymentMap = {
	format: 'freehold-deployment-map/1',
	generated_at: example.generated_at,
	regions: [{ region: 'eu', jurisdiction: 'eu', stores: example.stores }],
	shared: [],
	tags: [{ tag: 'x-personal', means: 'stays in the shard and in exports' }],
	processing: example.processing,
	recipients: example.recipients,
}

export const dataMapRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/deployment/data-map',
			scope: 'read',
			tag: 'Data subjects',
			summary: 'What this deployment stores about tenants, and where (Art. 30 GDPR)',
			description:
				'Made of the configuration that runs. What the fields of a tenant are is in its own map, which only its keys can read.',
			answers: {
				200: {
					description: 'The map; Markdown for `Accept: text/markdown`',
					schema: deploymentMap,
					example: deploymentExample,
					alternative: { media: 'text/markdown', schema: markdown, example: '# Data map of the deployment\n' },
				},
			},
			refusals: [],
		},
		async (call) => {
			const { config, jurisdictionOf, retention, clock } = call.ports
			const regions = config.regions.map((region) => ({ region, jurisdiction: jurisdictionOf(region) }))
			const map = deploymentMapOf(regions, retention(), clock())
			return asksMarkdown(call)
				? respondJson(call, 200, printDeploymentMap(map), markdownHeaders)
				: respondJson(call, 200, JSON.stringify(map), { Vary: 'Accept' })
		},
	),
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
		return asksMarkdown(call)
			? respondReply(call, reply, 200, printDataMap(map), markdownHeaders)
			: respondReply(call, reply, 200, JSON.stringify(map), { Vary: 'Accept' })
	}
}

const markdownHeaders = { 'Content-Type': 'text/markdown; charset=utf-8', Vary: 'Accept' }

function asksMarkdown(call: CallerCall): boolean {
	return call.c.req.header('Accept')?.includes('text/markdown') === true
}
