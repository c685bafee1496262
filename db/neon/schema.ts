/**
 * The view: the tables of one region's Postgres that hold every tenant's records without their personal properties.
 * `drizzle-kit generate` turns this file into the SQL under `migrations/`; roles, comments and the analysts' SQL views
 * are migrations written by hand. No table refers to another by a foreign key: one statement moves them together, and
 * a record may arrive before its tenant's other rows.
 */
import {
	bigint,
	boolean,
	customType,
	index,
	integer,
	jsonb,
	numeric,
	pgTable,
	// biome-ignore lint/suspicious/noDeprecatedImports: only another overload of primaryKey is deprecated
	primaryKey,
	text,
	timestamp,
} from 'drizzle-orm/pg-core'
import type { ViewField } from '../../core/contract.ts'

/** Keys compare by bytes, as they do in the shard, whatever locale the database was created with. */
const key = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' })
/** Milliseconds, because that is what shards and clients exchange. */
const moment = (name: string) => timestamp(name, { withTimezone: true, precision: 3 })
const position = (name: string) => bigint(name, { mode: 'number' })
/** A sum of row hashes modulo 2^64. */
const digest = (name: string) => numeric(name, { precision: 20, scale: 0 })

export const tenant = pgTable('tenant', {
	tenantId: key('tenant_id').primaryKey(),
	slug: text('slug').notNull(),
	name: text('name').notNull(),
	status: text('status').notNull(),
	createdAt: moment('created_at').notNull(),
	updatedAt: moment('updated_at').notNull(),
})

/** The watermark of each shard. Every statement that changes a shard's rows is fenced by `epoch` and `revision`. */
export const shard = pgTable(
	'shard',
	{
		tenantId: key('tenant_id').notNull(),
		shard: integer('shard').notNull(),
		epoch: position('epoch').notNull(),
		/** Raised by every statement that changes this shard's rows; readers of a stale revision change nothing. */
		revision: position('revision').notNull(),
		/** The view holds every change up to here. */
		appliedSeq: position('applied_seq').notNull(),
		/** The shard's audit chain's link there; null inside an operation. */
		chain: text('chain'),
		/** The head at which the last page was read: no row is newer. */
		readSeq: position('read_seq').notNull(),
		/** The highest head that a wake-up or a page has named. */
		headSeq: position('head_seq').notNull(),
		/** When the watermark moved last, by this database's clock. */
		appliedAt: moment('applied_at'),
		/** When the entry at `applied_seq` was written, by the shard's clock. */
		changeAt: moment('change_at'),
		/** Since when the view has known of changes that it lacks; null when it knows of none. */
		behindSince: moment('behind_since'),
		/** JSON array of the collections that the running base has still to read, the first in progress; null when none runs. */
		basePending: jsonb('base_pending').$type<string[]>(),
		/** The last id that was read of the first of them; null at its start. */
		baseAfter: key('base_after'),
		/** True while rows may be missing, because the view started from nothing and the base has not ended. */
		baseHollow: boolean('base_hollow').notNull().default(false),
		/** Records that the last base has read, and about how many there were. */
		baseDone: position('base_done').notNull().default(0),
		baseTotal: position('base_total').notNull().default(0),
		baseStartedAt: moment('base_started_at'),
		baseFinishedAt: moment('base_finished_at'),
		/** What the shard said that its rows come to, and the position at which it said so; null when it could not say. */
		checksumSeq: position('checksum_seq'),
		checksumCount: position('checksum_count'),
		checksumDigest: digest('checksum_digest'),
		/** When the rows were last held against that, and whether they were equal. */
		verifiedAt: moment('verified_at'),
		verifiedEqual: boolean('verified_equal'),
		/** Rebuilds that a difference has caused, and when the last one was. */
		repairs: integer('repairs').notNull().default(0),
		repairedAt: moment('repaired_at'),
	},
	(table) => [primaryKey({ columns: [table.tenantId, table.shard] })],
)

export const collection = pgTable(
	'collection',
	{
		tenantId: key('tenant_id').notNull(),
		name: key('name').notNull(),
		/** The properties that can be filtered and ordered by; see `ViewField`. */
		fields: jsonb('fields').$type<ViewField[]>().notNull(),
		createdAt: moment('created_at').notNull(),
	},
	(table) => [primaryKey({ columns: [table.tenantId, table.name] })],
)

export const record = pgTable(
	'record',
	{
		tenantId: key('tenant_id').notNull(),
		collection: key('collection').notNull(),
		id: key('id').notNull(),
		version: integer('version').notNull(),
		data: jsonb('data').notNull(),
		createdAt: moment('created_at').notNull(),
		updatedAt: moment('updated_at').notNull(),
	},
	(table) => [primaryKey({ columns: [table.tenantId, table.collection, table.id] })],
)

/**
 * Entries that Postgres could not take and the view went past. A row lasts until a later page brings the same record, also
 * when an operator has discarded it: the view still lacks that record.
 */
export const deadLetter = pgTable(
	'dead_letter',
	{
		id: position('id').primaryKey().generatedAlwaysAsIdentity(),
		tenantId: key('tenant_id').notNull(),
		shard: integer('shard').notNull(),
		epoch: position('epoch').notNull(),
		seq: position('seq').notNull(),
		collection: key('collection'),
		recordId: key('record_id'),
		op: text('op').notNull(),
		/** SQLSTATE and its class, never data. */
		reason: text('reason').notNull(),
		createdAt: moment('created_at').notNull(),
		/** What the record adds to the shard's digest; null when the entry brought no record. */
		hash: digest('hash'),
		/** How often it was refused, and when last. */
		attempts: integer('attempts').notNull().default(1),
		refusedAt: moment('refused_at'),
		/** When an operator asked for another attempt that has not been made yet. */
		replayAskedAt: moment('replay_asked_at'),
		discardedAt: moment('discarded_at'),
	},
	(table) => [index('dead_letter_record').on(table.tenantId, table.collection, table.recordId)],
)

/**
 * What each shard last said about itself, and what its meters have counted since the shard's first report. An instance that
 * ends takes along what it did after its last page: a lower bound of what the platform bills.
 */
export const shardUsage = pgTable(
	'shard_usage',
	{
		tenantId: key('tenant_id').notNull(),
		shard: integer('shard').notNull(),
		sizeBytes: position('size_bytes').notNull(),
		records: position('records').notNull(),
		apiKeys: integer('api_keys').notNull(),
		rowsWritten: position('rows_written').notNull(),
		rowsRead: position('rows_read').notNull(),
		messages: position('messages').notNull(),
		/** The instance that counted last, and how far it had come: a report says what it counted since its start. */
		meter: text('meter').notNull(),
		meterRowsWritten: position('meter_rows_written').notNull(),
		meterRowsRead: position('meter_rows_read').notNull(),
		meterMessages: position('meter_messages').notNull(),
		reportedAt: moment('reported_at').notNull(),
	},
	(table) => [primaryKey({ columns: [table.tenantId, table.shard] })],
)

/** Messages of isolates that have been added, so that a second delivery adds nothing. Kept as long as a queue may keep one. */
export const telemetryMessage = pgTable('telemetry_message', {
	id: text('id').primaryKey(),
	receivedAt: moment('received_at').notNull(),
})

/** `minute`, `hour`, `day`, or `ever` for the sum of all, which starts at 1970. */
const grain = text('grain').notNull()
const at = moment('at').notNull()

/** Requests by route and status class. */
export const telemetryRequest = pgTable(
	'telemetry_request',
	{
		grain,
		at,
		/** Method and path pattern. */
		route: key('route').notNull(),
		class: key('class').notNull(),
		requests: position('requests').notNull(),
		durationMs: position('duration_ms').notNull(),
	},
	(table) => [primaryKey({ columns: [table.grain, table.at, table.route, table.class] })],
)

/** Durations by route, in the buckets of `core/histogram.ts`: they merge by adding. */
export const telemetryLatency = pgTable(
	'telemetry_latency',
	{
		grain,
		at,
		route: key('route').notNull(),
		bucket: integer('bucket').notNull(),
		requests: position('requests').notNull(),
	},
	(table) => [primaryKey({ columns: [table.grain, table.at, table.route, table.bucket] })],
)

/** Requests of each tenant by route and status class, by hour and day only: by the minute, most rows would count one request. */
export const telemetryTenant = pgTable(
	'telemetry_tenant',
	{
		grain,
		at,
		tenantId: key('tenant_id').notNull(),
		route: key('route').notNull(),
		class: key('class').notNull(),
		requests: position('requests').notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.grain, table.at, table.tenantId, table.route, table.class] }),
		index('telemetry_tenant_tenant').on(table.tenantId),
	],
)

/** How far a tenant's shards had come by the end of an hour or day: what a period used is a difference of two rows. */
export const telemetryUsage = pgTable(
	'telemetry_usage',
	{
		grain,
		at,
		tenantId: key('tenant_id').notNull(),
		sizeBytes: position('size_bytes').notNull(),
		records: position('records').notNull(),
		apiKeys: integer('api_keys').notNull(),
		/** Journal entries, which are the tenant's writes. */
		changes: position('changes').notNull(),
		rowsWritten: position('rows_written').notNull(),
		rowsRead: position('rows_read').notNull(),
		messages: position('messages').notNull(),
	},
	(table) => [primaryKey({ columns: [table.tenantId, table.grain, table.at] })],
)

/** Which shards a rebuild has asked, and the position of its entry in each; null for one that could not be reached. */
export const rebuildShard = pgTable(
	'rebuild_shard',
	{
		rebuildId: key('rebuild_id').notNull(),
		tenantId: key('tenant_id').notNull(),
		shard: integer('shard').notNull(),
		seq: position('seq'),
	},
	(table) => [primaryKey({ columns: [table.rebuildId, table.tenantId, table.shard] })],
)

/** One row: how far the view has been compared with the registry of tenants, and what the last whole comparison found. */
export const registrySweep = pgTable('registry_sweep', {
	onlyRow: integer('only_row').primaryKey().default(1),
	/** The last tenant that the running comparison has looked at; null at its start. */
	cursor: key('cursor'),
	/** Found by the running comparison so far. */
	tenants: integer('tenants').notNull().default(0),
	missing: integer('missing').notNull().default(0),
	/** Found by the last whole one. */
	lastTenants: integer('last_tenants'),
	lastMissing: integer('last_missing'),
	lastAt: moment('last_at'),
})

/** Tombstones: nothing is ever applied for a tenant that is in here. It holds nothing of a tenant but its opaque id. */
export const erasure = pgTable('erasure', {
	tenantId: key('tenant_id').primaryKey(),
	epoch: position('epoch').notNull(),
	erasedAt: moment('erased_at').notNull(),
})
