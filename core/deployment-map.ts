/**
 * The operator's data map (Art. 30 GDPR): what this deployment stores about tenants in which region, for how long, where it is
 * processed and who receives it. It is made of the configuration that runs; what is in a tenant's records is in that tenant's own map.
 */
import type { RetentionDays } from './certificate.ts'
import { printProcessing, printStores, printTable, type StoreMap, storesOf } from './data-map.ts'
import type { Region } from './ids.ts'

export interface DeploymentMap {
	format: 'freehold-deployment-map/1'
	generated_at: string
	regions: {
		region: string
		/** What the platform binds the region's objects to; null where it binds them to nothing. */
		jurisdiction: string | null
		stores: StoreMap[]
	}[]
	/** What is stored in no particular region. */
	shared: StoreMap[]
	/** The annotations of a schema that decide where a field rests. */
	tags: { tag: string; means: string }[]
	processing: string[]
	recipients: { recipient: string; receives: string }[]
}

/** @param now milliseconds since 1970 */
export function deploymentMapOf(
	regions: readonly { region: Region; jurisdiction: string | null }[],
	retention: RetentionDays,
	now: number,
): DeploymentMap {
	return {
		format: 'freehold-deployment-map/1',
		generated_at: new Date(now).toISOString(),
		regions: regions.map(({ region, jurisdiction }) => {
			const stores = storesOf(region, retention).filter(({ store }) => store !== 'logs')
			return { region, jurisdiction, stores: [...stores, ...cellStores(region, retention)] }
		}),
		shared: [
			{
				store: 'claims',
				holds: 'names that are unique over all regions, as keyed hashes, each with the opaque id of a tenant',
				place: 'an object for each name, in no particular region',
				kept: 'until the tenant is erased',
				recoverable_days: retention.object_history,
			},
			...regions
				.slice(0, 1)
				.flatMap(({ region }) => storesOf(region, retention).filter(({ store }) => store === 'logs')),
		],
		tags: [
			{ tag: 'x-personal', means: 'stays in the shard and in exports; the view never has it' },
			{
				tag: 'x-personal: "encrypted"',
				means: "rests encrypted under a key of the tenant's, which an erasure destroys first",
			},
			{ tag: 'x-subject', means: 'holds the id of the person whom the record is about' },
			{ tag: 'x-retention-days', means: 'records are deleted at this age' },
		],
		processing: [
			'Requests are processed at the edge location that answers them, which may be outside the region of the tenant.',
			'Objects run, and queues, databases and buckets are, where their region is; without a jurisdiction the platform chooses the place of an object.',
			'Nothing but keyed hashes and opaque ids of tenants is stored outside a region.',
		],
		recipients: [
			{ recipient: 'tenants', receives: 'their own records, journal and archives, by their API keys' },
			{ recipient: 'operators', receives: 'the view, archives that they ask for, measurements and logs' },
			{ recipient: 'receivers of alerts', receives: 'names of alerts and regions, and numbers' },
		],
	}
}

/** The same for people, in Markdown. */
export function printDeploymentMap(map: DeploymentMap): string {
	const regions = map.regions.flatMap(({ region, jurisdiction, stores }) => [
		`## Region ${region}`,
		'',
		jurisdiction === null ? 'Bound to no jurisdiction.' : `Bound to the jurisdiction ${jurisdiction}.`,
		'',
		...printStores(stores),
	])
	return [
		'# Data map of the deployment',
		'',
		`Generated ${map.generated_at}.`,
		'',
		...regions,
		'## In no particular region',
		'',
		...printStores(map.shared),
		'## Tags',
		'',
		...printTable(
			['tag', 'means'],
			map.tags.map(({ tag, means }) => [tag, means]),
		),
		...printProcessing(map),
	].join('\n')
}

/** What a cell keeps besides the data of tenants. */
function cellStores(region: Region, retention: RetentionDays): StoreMap[] {
	return [
		{
			store: 'erasures',
			holds: 'progress and certificates of erasures: opaque ids, counts and times',
			place: `the bucket of region ${region}`,
			kept: 'for good',
			recoverable_days: retention.bucket,
		},
		{
			store: 'monitor',
			holds: 'counts by minute, alerts and incidents: no ids of tenants, and what operators write in notes',
			place: `an object of region ${region}`,
			kept: 'as long as budgets are counted, incidents for good',
			recoverable_days: retention.object_history,
		},
	]
}
