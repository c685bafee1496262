/**
 * What crosses the border between the edge, the shard and the consumer. Everything here is plain data: it survives
 * structured cloning, and old and new versions of the Worker and of an object may meet during a rollout, so fields are
 * added and never change their meaning.
 */
import type { JournalEntry } from './chain.ts'
import type { ErasureCall, ErasureOrder, ShardRemains } from './erasure.ts'
import type { TenantId } from './ids.ts'
import type { ExportInfo, ExportLayout, ImportInfo, JobCallName, JobReply, JobRequest, JobWakeUp } from './job.ts'
import type { ListQuery } from './query.ts'
import type { Outcome } from './refusal.ts'
import type { Rewinding, RewindOrder } from './rewind.ts'
import type { WebhookEvent, WebhookFilter } from './webhook.ts'

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

/** Suspended: nothing is answered. Restricted (Art. 18 GDPR): records can be read and not changed, and leave the view. */
export const tenantStatuses = ['active', 'suspended', 'restricted'] as const
export type TenantStatus = (typeof tenantStatuses)[number]

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
	/** `inAddress` for a query that stood in a URL, where values of encrypted properties must not be. */
	'record.list': { takes: { collection: string; query: ListQuery; inAddress?: true }; answers: RecordPage }
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
	'webhook.create': {
		takes: WebhookFilter & {
			url: string
			description: string | null
			/** Null for the journal's end. */
			after: number | null
			prepared: NewWebhookSecret & { id: string }
		}
		answers: { webhook: WebhookInfo; secret: string; position: number }
	}
	'webhook.list': {
		takes: { limit: number; after: string | null }
		answers: { webhooks: WebhookInfo[]; next: string | null }
	}
	'webhook.get': { takes: { id: string }; answers: { webhook: WebhookInfo; attempts: WebhookAttempt[] } }
	'webhook.update': {
		takes: { id: string; changes: WebhookChanges }
		answers: { webhook: WebhookInfo; position: number }
	}
	'webhook.rotate': {
		takes: { id: string; keepPreviousMs: number; prepared: NewWebhookSecret }
		answers: { webhook: WebhookInfo; secret: string; position: number }
	}
	/** `message` is the `webhook-id` that the test will have. */
	'webhook.test': { takes: { id: string; message: string }; answers: { message: string } }
	'webhook.delete': { takes: { id: string }; answers: { position: number } }
	'export.create': { takes: { csv: boolean }; answers: { export: ExportInfo; position: number } }
	'export.get': { takes: { id: string }; answers: { export: ExportInfo } }
	'export.list': {
		takes: { limit: number; after: string | null }
		answers: { exports: ExportInfo[]; next: string | null }
	}
	/** Enters the access in the journal. */
	'export.download': { takes: { id: string }; answers: { layout: ExportLayout; position: number } }
	'export.delete': { takes: { id: string }; answers: { position: number } }
	/** With `replaces`, the tenant's collections make way for those of the archive, all at once when all of it has been checked. */
	'import.create': { takes: { parts: number; replaces?: boolean }; answers: { import: ImportInfo; position: number } }
	'import.get': { takes: { id: string }; answers: { import: ImportInfo } }
	'import.list': {
		takes: { limit: number; after: string | null }
		answers: { imports: ImportInfo[]; next: string | null }
	}
	'import.upload': { takes: { id: string; part: number; key: string; bytes: number }; answers: { import: ImportInfo } }
	'tenant.get': { takes: Record<never, never>; answers: { tenant: TenantInfo } }
	'tenant.update': {
		takes: {
			/** Only a handover changes it, which has made sure of the claim. */
			slug?: string
			tenantName?: string | undefined
			status?: TenantStatus | undefined
			limits?: { [L in keyof TenantLimits]?: number | undefined } | undefined
		}
		answers: { tenant: TenantInfo; position: number }
	}
	/** `after` names the request that the first page opened, and the last record of the page before. */
	'subject.read': {
		takes: { subject: string; limit: number; after: SubjectPosition | null }
		answers: { records: { collection: string; record: StoredRecord }[]; next: SubjectPosition | null; position: number }
	}
	'subject.erase': { takes: { subject: string }; answers: { receipt: SubjectRequest; position: number } }
	/** Restricting twice, or releasing nobody, opens a request that finds no records. */
	'subject.restrict': { takes: { subject: string }; answers: { receipt: SubjectRequest; position: number } }
	'subject.release': { takes: { subject: string }; answers: { receipt: SubjectRequest; position: number } }
	/** `since` is in milliseconds; null where nothing is restricted. */
	'subject.restriction': { takes: { subject: string }; answers: { since: number | null } }
	'subject.requests': {
		takes: { limit: number; after: string | null }
		answers: { requests: SubjectRequest[]; next: string | null }
	}
	/** Begins a rotation of the tenant's own key, or answers the one that is running. */
	'rotation.start': { takes: Record<never, never>; answers: { rotation: KeyRotation; position: number } }
	/** The last one. */
	'rotation.get': { takes: Record<never, never>; answers: { rotation: KeyRotation } }
	'audit.list': {
		takes: { filter: AuditFilter; limit: number; after: number }
		answers: { entries: JournalEntry[]; next: number | null }
	}
	/** `brokenAt` is the first position that the chain does not vouch for. */
	'audit.verify': {
		takes: { after: number }
		answers: { from: number; to: number; head: number; brokenAt: number | null; chain: string | null }
	}
	/**
	 * Notes a decision about the erasure of the tenant; the control object puts it in force. Whoever asks by a key repeats the
	 * slug. `erasure` is the id for a new request; a request that is known already keeps its own.
	 */
	'tenant.erasure': {
		takes: { intent: 'request' | 'cancel' | 'hold' | 'release'; slug: string | null; erasure: string }
		answers: { slug: string; erasure: string; position: number }
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

/** What a shard says besides its outcome; `rate` is the tenant's token bucket after this call, null while at least half of it is left. */
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
	/** How records that were there before a property was encrypted come to be; null where there were none, absent from older objects. */
	encryption?: Encryption | null
}

/** Times are milliseconds since 1970. */
interface Encryption {
	recordsDone: number
	recordsTotal: number
	startedAt: number
	/** Null while it is running. */
	finishedAt: number | null
}

/** A rotation of the tenant's own key. Times are milliseconds since 1970. */
export interface KeyRotation {
	id: string
	/** Of the key that everything is to rest under. */
	version: number
	/** The older key is destroyed. */
	isDone: boolean
	recordsDone: number
	recordsTotal: number
	startedAt: number
	finishedAt: number | null
}

export interface SchemaChange {
	status: 'running' | 'failed'
	recordsDone: number
	recordsTotal: number
	errors: { pointer: string; detail: string }[]
}

/**
 * `rebuild` asks the view to read a collection anew, or all of them where it names none. `restrict` and `release` point at a record
 * that leaves the view or comes back, as it is.
 */
export const changeOps = [
	'create',
	'update',
	'delete',
	'schema',
	'key',
	'tenant',
	'webhook',
	'erasure',
	'rebuild',
	'export',
	'access',
	'import',
	'restrict',
	'release',
	'encryption',
	'restore',
	'rotation',
] as const
export type ChangeOp = (typeof changeOps)[number]

/** One entry of the journal: a pointer, never a body. `collection` and `version` are null where an entry is not about a record. */
export interface Change {
	seq: number
	op: ChangeOp
	collection: string | null
	id: string | null
	version: number | null
	/** `key:<key id>`, `operator:<token name>`, or `system`. */
	actor: string
	/** The id of the request that caused it; null for what the shard did by itself, absent from objects of older code. */
	request?: string | null
	at: number
}

export interface SubjectPosition {
	request: string
	collection: string
	id: string
}

export const subjectRequestKinds = ['access', 'erasure', 'restriction', 'release'] as const
export type SubjectRequestKind = (typeof subjectRequestKinds)[number]

/** One request about a data subject. Times are milliseconds since 1970. */
export interface SubjectRequest {
	id: string
	kind: SubjectRequestKind
	/** A keyed hash of the subject's id: the register outlives the person's records. */
	subject: string
	/** Records handed out, erased, restricted or released. */
	records: number
	actor: string
	createdAt: number
	dueAt: number
	finishedAt: number | null
	/** When the person's key was destroyed; null where there was none, or not yet, and absent where older code answers. */
	keyDestroyedAt?: number | null
}

/** What an auditor asks the journal for. Times are milliseconds; `until` is not included. */
export interface AuditFilter {
	actor?: string
	collection?: string
	/** The id of a record, or of what an entry that is about none names. */
	record?: string
	op?: ChangeOp
	from?: number
	until?: number
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

/** A webhook's secret as the edge minted it; the shard stores `sealed`, which it cannot open, and hands `secret` back. */
interface NewWebhookSecret {
	secret: string
	sealed: string
}

interface WebhookChanges {
	url?: string | undefined
	description?: string | null | undefined
	events?: WebhookEvent[] | null | undefined
	collections?: string[] | null | undefined
	status?: WebhookStatus | undefined
	after?: number | undefined
}

type WebhookStatus = 'active' | 'disabled'

/** Why an endpoint is disabled: its owner wished it, it answered 410, it failed for too long, or no secret of it opens any more. */
export const webhookDisabledReasons = ['requested', 'gone', 'failing', 'secret_unreadable'] as const
export type WebhookDisabledReason = (typeof webhookDisabledReasons)[number]

export interface WebhookInfo extends WebhookFilter {
	id: string
	url: string
	description: string | null
	disabled: { reason: WebhookDisabledReason; at: number } | null
	/** Everything up to here was delivered, or not wanted. */
	position: number
	/** The failures since the last success; null when the last attempt succeeded. */
	failing: { failures: number; since: number; nextAttemptAt: number } | null
	/** Entries that were pruned before they could be delivered; null when there never were any. */
	missed: { from: number; to: number } | null
	/** When the secrets before the last rotation stop signing; null when only the newest signs. */
	previousSecretUntil: number | null
	createdAt: number
	updatedAt: number
}

/** What came of one request to an endpoint. */
export interface WebhookAttempt {
	message: string
	event: string
	/** The journal position; null for a test. */
	seq: number | null
	at: number
	/** Milliseconds. */
	duration: number
	/** The HTTP status; null where there was none. */
	status: number | null
	failure: WebhookFailure | null
}

export const webhookFailures = [
	'status',
	'redirect',
	'timeout',
	'unreachable',
	'unresolved',
	'address_refused',
] as const
export type WebhookFailure = (typeof webhookFailures)[number]

export interface TenantInfo {
	id: TenantId
	slug: string
	name: string
	status: TenantStatus
	createdAt: number
	limits: TenantLimits
	/** When a legal hold was put on the tenant, in milliseconds; absent from an older object. */
	heldSince?: number | null
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

/** The same for one endpoint of a tenant's webhooks, on a queue of its own. */
export interface WebhookWakeUp {
	kind: 'webhook'
	tenant: TenantId
	shard: number
	epoch: number
	webhook: string
}

/** What a shard's alarm sends. */
export type Announcement = WakeUp | WebhookWakeUp | JobWakeUp | ErasureCall

export interface WebhookPull {
	tenant: TenantId
	shard: number
	epoch: number
	webhook: string
	/** Names the consumer's turn. While one has the endpoint, another is told `idle`. */
	run: string
}

export type WebhookPullReply =
	| { kind: 'page'; page: WebhookPage }
	/** Nothing to deliver, not yet, not any more, or somebody else is at it. */
	| { kind: 'idle' }

export interface WebhookPage {
	url: string
	/** The secrets that sign, newest first, as `core/webhook-secret.ts` sealed them. */
	secrets: string[]
	/** Of the endpoint's row; a report with another one changes nothing. */
	revision: number
	changes: Change[]
	/** With all of `changes` delivered, the endpoint is up to date as far as here. */
	to: number
	/** A test that somebody asked for. */
	test: { message: string; at: number } | null
}

/** What a consumer did with a page. It is recorded only while the endpoint's row is as it was when the page was read. */
export interface WebhookReport extends WebhookPull {
	revision: number
	/** Everything up to here is delivered. */
	to: number
	attempts: WebhookAttempt[]
	/** How the turn ended before the end of the page: the last attempt failed, or nothing may be sent there any more. */
	stopped: 'failed' | 'gone' | 'secret_unreadable' | null
	/** Secrets that rested under an older signing secret: `[as they rested, as they shall rest]`. */
	resealed: [string, string][]
	/** The consumer goes on with another page. */
	goesOn: boolean
}

/** The consumer asks for what follows `after`, or, with `base`, for a key range as it is now. */
export interface PullRequest {
	tenant: TenantId
	shard: number
	epoch: number
	after: number
	/** What the view has, which the request acknowledges; `after` itself unless a page is read ahead. */
	applied?: number
	/** The audit chain's link at `after`, if the view knows one: a shard that has another there answers `diverged`. */
	chain?: string | null
	/** Null for what follows `after`. Absent in requests of a Worker that knows no bases: such a one is not told to start any. */
	base?: BaseRange | null
	/** True when the view holds rows of another history: the answer has to begin a base of everything. Then `after` is 0. */
	anew?: boolean
	entriesMax: number
	bytesMax: number
}

/** Records of one collection in the order of their ids: those after `after` (null for the first), or exactly `only`. */
export interface BaseRange {
	collection: string
	after: string | null
	only: string | null
}

export type PullReply =
	| Reading
	/** Another epoch, an unprovisioned shard, or a position that this shard never had or has in another form: nothing to apply. */
	| { kind: 'refused'; reason: 'epoch' | 'unknown_shard' | 'diverged' | 'pruned' }

/** What a shard lets the consumer read: what changed after a position, or the records of a key range. */
export type Reading = { kind: 'page'; page: Page } | { kind: 'base'; page: BasePage }

/**
 * One page of changes: for every record changed in (`from`, `to`] its state at `head`, without personal fields.
 * An entry of op `schema` or `rebuild` is always a page of its own (`schema` or `base` is set), so that no record is touched
 * twice in one statement.
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
	/** Absent in pages of an object that knows no bases. */
	base?: BaseStart | null
	/** The audit chain's link at `to`; null inside an operation, and before the chain began. Absent from an older object. */
	chain?: string | null
	/** What the view must come to once this page is applied; null unless `to` is the head and the digest is known. */
	checksum?: Checksum | null
	/**
	 * Whether the shard announces by itself within `announceIntervalMs`, because of writes since it last did: nobody need ask for
	 * what comes after the head, or confirm what was applied, until then. Absent from an older object.
	 */
	willAnnounce?: boolean
	/** Absent from an older object. */
	report?: ShardReport
}

/** All records of a shard: how many, and the sum of their row hashes modulo 2^64 as decimal text (`core/row-hash.ts`). */
export interface Checksum {
	count: number
	digest: string
}

/** What a shard tells about itself with a page. The meter counts from the start of its instance, which `instance` names. */
export interface ShardReport {
	sizeBytes: number
	records: number
	/** API keys that are valid now. */
	keys: number
	meter: { instance: string; rowsWritten: number; rowsRead: number; messages: number }
}

/** Tells the view to read collections anew, by key, while changes go on. */
export interface BaseStart {
	collections: string[]
	/** True when these are all of the shard's collections: whatever else the view holds of it goes. */
	all: boolean
	/**
	 * True when the page passes over changes whose records it does not bring: the journal has lost them, is longer than the
	 * records, or has no entry for each. Until the base has ended, the view may lack what those changes made.
	 */
	hollow: boolean
	/** Records to be read, about. */
	records: number
}

/** The records of a key range at `head`, without personal fields: whatever else the view holds in that range goes. */
export interface BasePage {
	epoch: number
	head: number
	range: BaseRange
	/** The last id of the range, null when it goes to the end of the collection. Null with `only`. */
	last: string | null
	/** The collection itself, with the range that starts it; `dropped` when there is none at `head`. Else null. */
	definition: SchemaPage | null
	/** As in a page of changes. */
	upserts: JsonText
	upsertCount: number
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

export interface RebuildRequest {
	tenant: TenantId
	shard: number
	/** Time-ordered, as `mintId` makes it. */
	id: string
	/** When the rebuild was asked for, in milliseconds: an entry of the same id is not older. */
	askedAt: number
}

/** `seq` is the entry's position. */
export type RebuildReply = { kind: 'accepted'; seq: number } | { kind: 'refused'; reason: 'unknown_shard' }

/** A record's place among all of a shard's: by collection, then by id. */
export interface RowName {
	collection: string
	id: string
}

/** Asks which rows the view should hold: those after a place (null for the first), or those of these names. */
export type SurveyRequest = { tenant: TenantId; shard: number } & (
	| { what: 'range'; after: RowName | null; rowsMax: number }
	/** `since` is how far the view had come. */
	| { what: 'names'; names: RowName[]; since: number }
)

export type SurveyReply =
	| {
			kind: 'rows'
			epoch: number
			/** The journal's end as the rows were read. */
			head: number
			/** All records of the shard. */
			records: number
			/**
			 * In the order that was asked for. `hash` is 16 hexadecimal digits (`core/row-hash.ts`), null where there is no such
			 * record; `changed` tells whether the record, or what the view shows of it, has changed after `since`.
			 */
			rows: (RowName & { hash: string | null; changed: boolean })[]
			/** The last of the rows; null when the shard has no more, and with names. */
			last: RowName | null
	  }
	/** While a schema changes nobody can say it; of a position that is not the journal's, or lies far back, neither. */
	| { kind: 'refused'; reason: 'unknown_shard' | 'changing' | 'position' }

/** A shard as the rest of the system sees it. */
export interface Shard {
	execute<N extends OperationName>(command: Command<N>): Promise<Reply<Answer<N>>>
	provision(provisioning: Provisioning): Promise<Outcome<{ head: number }>>
	pull(request: PullRequest): Promise<PullReply>
	/** Tells which rows the view should hold, record by record. */
	survey(request: SurveyRequest): Promise<SurveyReply>
	/** Asks the view, by an entry in the journal, to read all collections anew; the same id leaves one entry only. */
	rebuild(request: RebuildRequest): Promise<RebuildReply>
	/** A consumer at a job of this tenant asks and reports. */
	job<N extends JobCallName>(request: JobRequest<N>): Promise<JobReply<N>>
	/** Brings the tenant back to a moment of its history, with a restart in which it answers nobody. */
	rewind(order: RewindOrder): Promise<Outcome<Rewinding>>
	/** Takes part in the erasure of its tenant, as far as the control object says so. */
	erase(order: ErasureOrder): Promise<Outcome<ShardRemains>>
	/**
	 * Accepts a WebSocket that brings `{"head": <seq>}` after every commit, and in the first message `until`, the millisecond
	 * at which the caller's key expires; the request carries a command for `changes.list`.
	 */
	fetch(request: Request): Promise<Response>
}

/** A shard as those see it who deliver its webhooks. */
export interface WebhookShard {
	pullWebhook(asked: WebhookPull): Promise<WebhookPullReply>
	/** False when the report came too late to count. */
	reportWebhook(report: WebhookReport): Promise<boolean>
}
