/**
 * What crosses the border between the edge, the shard and the consumer. Everything here is plain data: it survives
 * structured cloning, and old and new versions of the Worker and of an object may meet during a rollout, so fields are
 * added and never change their meaning.
 */
import type { TenantId } from './ids.ts'
import type { ListQuery } from './query.ts'
import type { Outcome } from './refusal.ts'

/** What an API key may do. */
export const scopes = ['read', 'write', 'schema', 'export', 'erase', 'keys'] as const
export type Scope = (typeof scopes)[number]

/** Who asks. A key is proven to the shard by the hash of its secret; an operator was proven to the edge. */
export type Caller = { kind: 'key'; id: string; secretHash: string } | { kind: 'operator'; name: string }

/**
 * An idempotent request. `key` hashes caller, method, path and the client's key; `fingerprint` hashes what was asked.
 * `seal` is 32 bytes in base64url, derived from the bearer and the client's key: an answer that holds a secret rests under it. It is
 * null for all other answers.
 */
export interface Idempotency {
	key: string
	fingerprint: string
	seal: string | null
}

/** JSON text that the edge has parsed, checked and printed again with `JSON.stringify`: well-formed, bounded, no U+0000. */
export type JsonText = string

/** `*` stands for "any version"; otherwise the ETags without their quotes, `<version>-<seq>`. */
export type Precondition = '*' | string[]

export interface BatchOperation {
	op: 'create' | 'put' | 'patch' | 'delete'
	collection: string
	/** Absent only for `create`. */
	id?: string
	/** The record, or the merge patch; absent only for `delete`. */
	data?: JsonText
	ifMatch?: Precondition
}

export interface TenantLimits {
	requests_per_second: number
	storage_bytes: number
}

export type TenantStatus = 'active' | 'suspended'

/** Every operation of a shard, by name: what it takes and what it answers. */
export interface Operations {
	'record.create': { takes: { collection: string; data: JsonText }; answers: Written }
	'record.put': {
		takes: {
			collection: string
			id: string
			data: JsonText
			ifMatch: Precondition | null
			ifNoneMatch: Precondition | null
		}
		answers: Written
	}
	'record.patch': {
		takes: { collection: string; id: string; patch: JsonText; ifMatch: Precondition | null }
		answers: Written
	}
	'record.delete': {
		takes: { collection: string; id: string; ifMatch: Precondition | null }
		answers: { position: number }
	}
	'record.get': { takes: { collection: string; id: string }; answers: { record: StoredRecord } }
	'record.list': { takes: { collection: string; query: ListQuery }; answers: RecordPage }
	batch: { takes: { operations: BatchOperation[] }; answers: BatchWritten }
	'collection.put': {
		takes: { collection: string; schema: JsonText }
		answers: { collection: CollectionInfo; created: boolean; position: number }
	}
	'collection.get': { takes: { collection: string }; answers: { collection: CollectionInfo } }
	'collection.list': {
		takes: { limit: number; after: string | null }
		answers: { collections: CollectionInfo[]; next: string | null }
	}
	'collection.delete': { takes: { collection: string }; answers: { position: number } }
	'changes.list': { takes: { after: number; limit: number }; answers: ChangePage }
	'key.create': {
		takes: { keyName: string | null; scopes: Scope[]; expiresAt: number | null; prepared: NewKey }
		answers: { key: KeyInfo; secret: string; position: number }
	}
	'key.list': { takes: { limit: number; after: string | null }; answers: { keys: KeyInfo[]; next: string | null } }
	'key.delete': { takes: { id: string }; answers: { position: number } }
	'tenant.get': { takes: Record<never, never>; answers: { tenant: TenantInfo } }
	'tenant.update': {
		takes: {
			tenantName?: string | undefined
			status?: TenantStatus | undefined
			limits?: { [L in keyof TenantLimits]?: number | undefined } | undefined
		}
		answers: { tenant: TenantInfo; position: number }
	}
}

export type OperationName = keyof Operations
export type Operation = { [N in OperationName]: { name: N } & Operations[N]['takes'] }[OperationName]
export type Answer<N extends OperationName> = Operations[N]['answers']

export interface Command<N extends OperationName = OperationName> {
	tenant: TenantId
	shard: number
	caller: Caller
	requestId: string
	idempotency: Idempotency | null
	operation: { name: N } & Operations[N]['takes']
}

/** What a shard says besides its outcome; `rate` is the tenant's token bucket after this call. */
export type Reply<T> = Outcome<T> & { replayed: boolean; rate: RateState | null }

export interface RateState {
	/** Requests a second that the tenant may make. */
	limit: number
	/** Requests left now. */
	remaining: number
	/** Seconds until the bucket is full again. */
	reset: number
}

/** Times are milliseconds since 1970 in UTC. `seq` is the journal position of the record's last change. */
export interface StoredRecord {
	id: string
	version: number
	seq: number
	createdAt: number
	updatedAt: number
	data: JsonText
}

export interface Written {
	record: StoredRecord
	created: boolean
	/** The journal position of this write: `Freehold-Position`. */
	position: number
}

export interface BatchWritten {
	results: { id: string; version: number; etag: string }[]
	position: number
}

export interface RecordPage {
	records: StoredRecord[]
	/** Where the next page starts, or null at the end. A short page with a next position is normal. */
	next: PagePosition | null
	/** Number of matching records, when it was asked for. */
	count: number | null
}

/**
 * The keyset position: one value per order term (null where the record has none), then the id of the last record read. Where
 * the shard chose an index itself, because no order was asked for, the values are that index's field and its value.
 */
export interface PagePosition {
	values: (string | number | boolean | null)[]
	id: string
}

export interface CollectionInfo {
	name: string
	schema: JsonText
	records: number
	createdAt: number
	updatedAt: number
	/** A change of schema that is being applied in steps, or the last one that failed. */
	change: SchemaChange | null
}

export interface SchemaChange {
	status: 'running' | 'failed'
	recordsDone: number
	recordsTotal: number
	errors: { pointer: string; detail: string }[]
}

export const changeOps = ['create', 'update', 'delete', 'schema', 'key', 'tenant'] as const
export type ChangeOp = (typeof changeOps)[number]

/** One entry of the journal: a pointer, never a body. `collection` and `version` are null where an entry is not about a record. */
export interface Change {
	seq: number
	op: ChangeOp
	collection: string | null
	id: string | null
	version: number | null
	/** `key:<key id>` or `operator:<token name>`. */
	actor: string
	at: number
}

export interface ChangePage {
	changes: Change[]
	/** The last position of the journal. */
	head: number
}

/** A key as the edge minted it; the shard stores `secretHash` only and hands `secret` back to whoever asked. */
export interface NewKey {
	id: string
	secret: string
	secretHash: string
}

export interface KeyInfo {
	id: string
	name: string | null
	scopes: Scope[]
	createdAt: number
	expiresAt: number | null
}

export interface TenantInfo {
	id: TenantId
	slug: string
	name: string
	status: TenantStatus
	createdAt: number
	limits: TenantLimits
	usage: { records: number; collections: number; keys: number; storage_bytes: number; position: number }
}

/** The one-time start of a shard; repeating it with the same values changes nothing. */
export interface Provisioning {
	tenant: TenantId
	shard: number
	epoch: number
	slug: string
	name: string
	createdAt: number
	key: Omit<NewKey, 'secret'>
	actor: string
	/** Absent from an older Worker. */
	requestId?: string
}

/** The wake-up that travels through the queue: about 100 bytes, never data, harmless when lost, doubled or late. */
export interface WakeUp {
	tenant: TenantId
	shard: number
	epoch: number
	head: number
}

/** The consumer asks for what follows `after`. */
export interface PullRequest {
	tenant: TenantId
	shard: number
	epoch: number
	after: number
	/** What the view has, which the request acknowledges; `after` itself unless a page is read ahead. */
	applied?: number
	/** The audit chain's link at `after`, if the view knows one: a shard that has another there answers `diverged`. */
	chain?: string | null
	entriesMax: number
	bytesMax: number
}

export type PullReply =
	| { kind: 'page'; page: Page }
	/** Another epoch, an unprovisioned shard, or a position that this shard never had or has in another form: nothing to apply. */
	| { kind: 'refused'; reason: 'epoch' | 'unknown_shard' | 'diverged' | 'pruned' }

/**
 * One page of changes: for every record changed in (`from`, `to`] its state at `head`, without personal fields.
 * An entry of op `schema` is always a page of its own (`schema` is set), so that no record is touched twice in one statement.
 */
export interface Page {
	epoch: number
	from: number
	to: number
	/** The journal's end when the page was read. The view is exact when `to` equals it. */
	head: number
	/** When the entry at `to` was written, in milliseconds; null for an empty page. */
	toAt: number | null
	tenant: { slug: string; name: string; status: TenantStatus; createdAt: number }
	/** JSON array of `{c: collection, i: id, v: version, t: created_at ms, u: updated_at ms, d: data}`. */
	upserts: JsonText
	upsertCount: number
	/** JSON array of `{c: collection, i: id}`. */
	deletes: JsonText
	deleteCount: number
	schema: SchemaPage | null
	/** The audit chain's link at `to`; null inside an operation, and before the chain began. Absent from an older object. */
	chain?: string | null
	/** What the view must come to once this page is applied; null unless `to` is the head and the digest is known. */
	checksum?: Checksum | null
}

/** All records of a shard: how many, and the sum of their row hashes modulo 2^64 as decimal text (`core/row-hash.ts`). */
export interface Checksum {
	count: number
	digest: string
}

export type SchemaPage =
	| { kind: 'put'; collection: string; fields: ViewField[]; personal: string[]; createdAt: number }
	| { kind: 'dropped'; collection: string }

/** A property that the view can filter and order by: typed as one scalar and not personal. */
export interface ViewField {
	name: string
	type: ScalarType
}

export type ScalarType = 'string' | 'number' | 'integer' | 'boolean'

/** A shard as the rest of the system sees it. */
export interface Shard {
	execute<N extends OperationName>(command: Command<N>): Promise<Reply<Answer<N>>>
	provision(provisioning: Provisioning): Promise<Outcome<{ head: number }>>
	pull(request: PullRequest): Promise<PullReply>
	/** Accepts a WebSocket that brings `{"head": <seq>}` after every commit; the request carries a command for `changes.list`. */
	fetch(request: Request): Promise<Response>
}
