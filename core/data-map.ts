/**
 * The data map of a tenant (Art. 30 GDPR): which fields it keeps and how they are tagged, where each rests, for how long,
 * where it is processed and who receives it. It is made of the schemas in force and of the deployment's configuration, so
 * it cannot fall behind them; what a schema does not say, it does not know.
 */
import type { RetentionDays } from './certificate.ts'
import { regionOf, type TenantId } from './ids.ts'
import { exportKeptMs, idempotencyKeptMs, journalKeptMs, journalSegmentMs } from './limits.ts'
import { isObject } from './schema/json.ts'
import { parseSchema, type Schema } from './schema.ts'

const dayMs = 86_400_000

/** Where values of records rest. */
export const fieldStores = ['shard', 'exports', 'view'] as const
type FieldStore = (typeof fieldStores)[number]

interface FieldMap {
	name: string
	/** The property's `description`. */
	purpose: string | null
	/** As the schema's `type` has them; empty where it has none. */
	types: string[]
	personal: boolean
	/** Rests under the tenant's own key, or its data subject's, which an erasure destroys first. */
	encrypted: boolean
	subject: boolean
	unique: boolean
	index: boolean
	stores: FieldStore[]
}

interface CollectionMap {
	name: string
	/** The schema's `description`. */
	purpose: string | null
	records: number
	/** Records are deleted when they are so many days old, counted from their creation; null for never. */
	retention_days: number | null
	/** Whether records may have properties that the schema does not declare; they rest where untagged ones do. */
	open: boolean
	fields: FieldMap[]
}

export interface StoreMap {
	store: string
	holds: string
	place: string
	kept: string
	/** Days for which what was deleted can still be recovered, as this deployment is configured. */
	recoverable_days: number
}

export interface DataMap {
	format: 'freehold-data-map/1'
	tenant: string
	region: string
	generated_at: string
	collections: CollectionMap[]
	stores: StoreMap[]
	processing: string[]
	recipients: { recipient: string; receives: string }[]
}

/** A collection as its shard tells of it; the schema is the text in force. */
export interface MappedCollection {
	name: string
	schema: string
	records: number
}

/** @param now milliseconds since 1970 */
export function dataMapOf(
	tenant: TenantId,
	collections: readonly MappedCollection[],
	retention: RetentionDays,
	now: number,
): DataMap {
	const region = regionOf(tenant)
	return {
		format: 'freehold-data-map/1',
		tenant,
		region,
		generated_at: new Date(now).toISOString(),
		collections: collections.map(mapCollection),
		stores: storesOf(region, retention),
		processing: [
			'Requests are processed at the edge location that answers them, which may be outside the region; no record is stored there.',
			`Everything that is stored rests in the cell of region ${region}: its objects, its queues, its database and its bucket.`,
			'A name that is unique over all regions is known outside the region by a keyed hash, with the opaque id of the tenant.',
		],
		recipients: [
			{
				recipient: 'the addresses of the webhooks that the tenant has set up',
				receives: 'pointers to what changed: collection, record id, version and time, never the data of a record',
			},
			{
				recipient: 'holders of an API key with the scope `export`',
				receives: 'archives of all records, personal fields among them',
			},
			{
				recipient: 'operators of the deployment',
				receives: 'the view: records of all tenants without personal fields',
			},
		],
	}
}

/** The same for people, in Markdown. */
export function printDataMap(map: DataMap): string {
	const collections = map.collections.flatMap((collection) => [
		`## Collection ${collection.name}`,
		'',
		...(collection.purpose === null ? [] : [escapeCell(collection.purpose), '']),
		`${collection.records} records, kept ${keptText(collection)}${collection.open ? '; they may have properties that are not listed here' : ''}.`,
		'',
		...printTable(
			['field', 'type', 'tags', 'rests in', 'purpose'],
			collection.fields.map((field) => [
				field.name,
				field.types.join(' or ') || 'any',
				tagNames.filter((tag) => field[tag]).join(', '),
				field.stores.join(', '),
				field.purpose ?? '',
			]),
		),
	])
	return [
		`# Data map of ${map.tenant}`,
		'',
		`Region ${map.region}, generated ${map.generated_at}.`,
		'',
		...collections,
		'## Stores',
		'',
		...printStores(map.stores),
		...printProcessing(map),
	].join('\n')
}

export function printProcessing({ processing, recipients }: Pick<DataMap, 'processing' | 'recipients'>): string[] {
	return [
		'## Processing',
		'',
		...processing.map((line) => `- ${line}`),
		'',
		'## Recipients',
		'',
		...printTable(
			['recipient', 'receives'],
			recipients.map(({ recipient, receives }) => [recipient, receives]),
		),
	]
}

export function printStores(stores: readonly StoreMap[]): string[] {
	return printTable(
		['store', 'holds', 'where', 'kept', 'recoverable after deletion, days'],
		stores.map((one) => [one.store, one.holds, one.place, one.kept, String(one.recoverable_days)]),
	)
}

/** The lines of a table in Markdown, with an empty one after it. */
export function printTable(heads: string[], rows: string[][]): string[] {
	return [
		`| ${heads.join(' | ')} |`,
		`|${heads.map(() => ' --- |').join('')}`,
		...rows.map((row) => `| ${row.map(escapeCell).join(' | ')} |`),
		'',
	]
}

const tagNames = ['personal', 'encrypted', 'subject', 'unique', 'index'] as const

/** Texts of a schema are the tenant's own and must neither end a cell nor begin any markup. */
function escapeCell(text: string): string {
	return text.replace(/\s+/g, ' ').replace(/[\\`*_{}[\]<>#|&!~]/g, '\\$&')
}

function keptText({ retention_days: days }: CollectionMap): string {
	return days === null ? 'until deleted' : `for ${days} days from their creation`
}

function mapCollection({ name, schema: text, records }: MappedCollection): CollectionMap {
	const json: unknown = JSON.parse(text)
	const parsed = parseSchema(json)
	if (!parsed.ok) throw new Error('a stored schema does not parse')
	const root = isObject(json) ? json : {}
	const declared = isObject(root.properties) ? root.properties : {}
	return {
		name,
		purpose: textOf(root.description),
		records,
		retention_days: parsed.value.retentionDays,
		open: root.additionalProperties !== false,
		fields: Object.entries(declared).map(([field, property]) => mapField(field, property, parsed.value)),
	}
}

function mapField(name: string, json: unknown, schema: Schema): FieldMap {
	const property = isObject(json) ? json : {}
	const field = schema.fields.get(name)
	const personal = schema.personal.includes(name)
	const types: unknown[] = Array.isArray(property.type) ? property.type : [property.type]
	return {
		name,
		purpose: textOf(property.description),
		types: types.filter((type) => typeof type === 'string'),
		personal,
		encrypted: schema.encrypted.includes(name),
		subject: schema.subject === name,
		unique: field !== undefined && field.unique !== false,
		index: field?.index === true || schema.subject === name,
		stores: fieldStores.filter((store) => store !== 'view' || !personal),
	}
}

/** The stores of one region's cell, and what each holds of a tenant. */
export function storesOf(region: string, retention: RetentionDays): StoreMap[] {
	const cell = (store: string) => `${store} of region ${region}`
	const object = { place: cell("the tenant's own object in the cell"), recoverable_days: retention.object_history }
	const bucket = { place: cell('the bucket'), recoverable_days: retention.bucket }
	return [
		{
			...object,
			store: 'shard',
			holds: 'records with all their fields, encrypted ones under the key of the person or the tenant',
			kept: 'until deleted, or for the days of the collection',
		},
		{
			...object,
			store: 'journal',
			holds: 'the audit log and change feed: record ids, versions, actors and times, never values',
			kept: `${journalKeptMs / dayMs} days, at most ${journalSegmentMs / dayMs} more, and never less than the view needs`,
		},
		{
			...object,
			store: 'idempotency',
			holds: 'answers kept for retries, that of a patch with the record',
			kept: `${idempotencyKeptMs / 3_600_000} hours, at most twice as long`,
		},
		{
			...object,
			store: 'settings',
			holds: 'schemas, API keys as hashes, addresses of webhooks with sealed secrets',
			kept: 'until deleted',
		},
		{
			...object,
			store: 'restrictions',
			holds: 'ids of restricted data subjects, and which records are theirs',
			kept: 'until lifted',
		},
		{
			...object,
			store: 'subject requests',
			holds: 'the register of requests of data subjects, who are named by a keyed hash',
			kept: 'as long as the tenant',
		},
		{
			store: 'view',
			holds: 'records without personal fields, for questions across tenants',
			place: cell('the Postgres database'),
			kept: 'as in the shard, which it follows',
			recoverable_days: retention.database_history,
		},
		{
			store: 'usage',
			holds: 'counts of requests and rows by tenant id, hour and day',
			place: cell('the Postgres database'),
			kept: '400 days at most',
			recoverable_days: retention.database_history,
		},
		{
			...bucket,
			store: 'exports',
			holds: 'archives that the tenant asked for: records with all their fields',
			kept: `${exportKeptMs / dayMs} days, or until deleted`,
		},
		{
			...bucket,
			store: 'control',
			holds:
				"the tenant's state, the ledger of erasures (opaque ids and keyed hashes), its encryption keys, wrapped, two while one is replaced, and, after a rewind, its name",
			kept: 'keys and name until an erasure begins; that a tenant was erased, for good',
		},
		{
			...bucket,
			store: 'keys of data subjects',
			holds: 'pages of keys under the key of the tenant; whose they are is known in the shard, by a keyed hash',
			kept: "each until its person is erased, all until the tenant's erasure",
		},
		{
			store: 'queue',
			holds: 'messages with opaque ids and positions, no data',
			place: cell('the queues'),
			kept: `${retention.queue} days at most, ${retention.dead_letter_queue} more where delivery fails`,
			recoverable_days: 0,
		},
		{
			store: 'logs',
			holds: 'lines with opaque ids and counts, no values',
			place: 'the logs of the deployment, in no particular region',
			kept: `${retention.logs} days`,
			recoverable_days: 0,
		},
	]
}

function textOf(value: unknown): string | null {
	return typeof value === 'string' && value !== '' ? value : null
}
