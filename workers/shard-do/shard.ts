import {
	type Announcement,
	type Answer,
	scopes as allScopes,
	type Caller,
	type Checksum,
	type Command,
	type Operation,
	type OperationName,
	type Provisioning,
	type PullReply,
	type PullRequest,
	type RebuildReply,
	type RebuildRequest,
	type Reply,
	type Scope,
	type ShardReport,
	type WebhookPull,
	type WebhookPullReply,
	type WebhookReport,
} from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import type { ErasureOrder, ShardRemains } from '../../core/erasure.ts'
import type { RandomBytes } from '../../core/ids.ts'
import type { JobCall, JobCallName, JobReply, JobRequest } from '../../core/job.ts'
import {
	announceIntervalMs,
	journalKeptMs,
	journalSegmentEntriesMax,
	journalSegmentMs,
	requestsPerSecondDefault,
	shardBytesMax,
} from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { isProvisioned, migrate } from '../../db/shard/migrate.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { Announcer, type Rings } from './announcer.ts'
import { recallAnswer, rememberAnswer } from './answers.ts'
import { listAudit, verifyAudit } from './audit.ts'
import { runBatch } from './batch.ts'
import { Catalog } from './catalog.ts'
import { deleteCollection, getCollection, listCollections, putCollection } from './collections.ts'
import { runningChange } from './definition.ts'
import type { Duty, Moment } from './duty.ts'
import { Erasing } from './erasing.ts'
import { noteErasure, readErasure } from './erasure.ts'
import { createExport, deleteExport, downloadExport, getExport, listExports } from './export.ts'
import { expire, Idempotencies } from './idempotency.ts'
import { expireJob, runJobCall } from './job-calls.ts'
import { JobAnnouncer, overdueJobs } from './jobs.ts'
import { Journal } from './journal.ts'
import { createKey, deleteKey, insertKey, listKeys, validKeyCount } from './keys.ts'
import { PageReader } from './pull.ts'
import { Rate } from './rate.ts'
import { createRecord, deleteRecord, getRecord, listCollectionRecords, patchRecord, putRecord } from './records.ts'
import { failChange, stepChange } from './schema-change.ts'
import { Segments } from './segments.ts'
import { applyLedger, eraseSubject, listSubjectRequests, readSubject } from './subjects.ts'
import { stepDigest } from './summing.ts'
import { getTenant, readTenant, type TenantRow, updateTenant } from './tenant.ts'
import { readCheckpoint } from './totals.ts'
import { WebhookFeed } from './webhook-feed.ts'
import {
	createWebhook,
	deleteWebhook,
	getWebhook,
	listWebhooks,
	rotateWebhook,
	testWebhook,
	updateWebhook,
} from './webhooks.ts'
import { attempt, StorageGauge, type Work } from './work.ts'

/** What a shard needs of its surroundings; the object wires it to Cloudflare, the tests to `node:sqlite`. */
export interface ShardPorts {
	sql: Sql
	/** Milliseconds since 1970. */
	clock(): number
	random: RandomBytes
	/** Sets the one alarm, inside the transaction that is open. */
	arm(atMs: number): void
	/** Calls `look` then, if this instance lives until then; costs nothing. */
	lookAt(atMs: number): void
	/** Sends the message to its consumer in this tenant's region; may fail. */
	announce(message: Announcement): Promise<void>
	/** A keyed hash of a data subject's id. */
	hashSubject(subject: string): string
	/** Empties the storage for good, the alarm included. */
	deleteAll(): Promise<void>
}

/** The scope that each operation asks of a key; null for what only operators do. */
const scopeOf: Record<OperationName, Scope | null> = {
	'record.create': 'write',
	'record.put': 'write',
	'record.patch': 'write',
	'record.delete': 'write',
	'record.get': 'read',
	'record.list': 'read',
	batch: 'write',
	'collection.put': 'schema',
	'collection.get': 'read',
	'collection.list': 'read',
	'collection.delete': 'schema',
	'changes.list': 'read',
	'key.create': 'keys',
	'key.list': 'keys',
	'key.delete': 'keys',
	// An endpoint carries the journal out of the house for as long as it exists. Who may export could read all of it anyway,
	// while `keys` alone is no way to what other scopes allow.
	'webhook.create': 'export',
	'webhook.list': 'export',
	'webhook.get': 'export',
	'webhook.update': 'export',
	'webhook.rotate': 'export',
	'webhook.test': 'export',
	'webhook.delete': 'export',
	'export.create': 'export',
	'export.get': 'export',
	'export.list': 'export',
	'export.download': 'export',
	'export.delete': 'export',
	'tenant.get': 'read',
	'tenant.update': null,
	'tenant.erasure': 'erase',
	'subject.read': 'export',
	'subject.erase': 'erase',
	'subject.requests': 'export',
	'audit.list': 'read',
	'audit.verify': 'read',
}

/** What operators may do for a tenant: look at it, limit it, and carry it elsewhere as a whole. */
const operatorOperations: readonly OperationName[] = [
	'tenant.get',
	'tenant.update',
	'tenant.erasure',
	'export.create',
	'export.get',
	'export.list',
	'export.download',
	'export.delete',
]

/** Operations that write nothing, besides those of the scope `read`. */
const readingOperations: readonly OperationName[] = [
	'key.list',
	'webhook.list',
	'webhook.get',
	'export.get',
	'export.list',
	'subject.requests',
]

/** Records that one alarm checks of a running change of schema; about 50 ms. */
const changeStepRecords = 10_000

/** How far the clock of whoever asked for a rebuild may be ahead of an object's. */
const clockSkewMsMax = 60_000

/** Entries after which the counts are saved even though the view has acknowledged nothing; bounds the work of a cold start. */
const checkpointEntries = 10_000

/**
 * One tenant's data and everything that is decided about it. All methods are synchronous and expect one caller at a time;
 * a write runs inside the transaction of its turn (`turn.ts`).
 */
export class Shard {
	readonly #ports: ShardPorts
	readonly #catalog: Catalog
	readonly #idempotencies: Idempotencies
	readonly #pages: PageReader
	readonly #rate = new Rate()
	readonly #storage: StorageGauge
	readonly #announcer = new Announcer()
	readonly #jobs: JobAnnouncer
	#journal: Journal | null = null
	readonly #segments: Segments
	readonly #webhooks: WebhookFeed
	readonly #erasing: Erasing
	/** What else wants the alarm. */
	readonly #duties: readonly Duty[]
	#acknowledged = 0
	/** What the last checkpoint in storage says. */
	#saved = { seq: 0, acknowledged: 0 }
	/** When rows may have to go next, in milliseconds; a new instance looks at once. */
	#maintenanceAt = 0
	/** When the alarm rang last, in milliseconds, and the journal's head then. */
	#rung = { at: Number.NEGATIVE_INFINITY, head: 0 }
	/** The position at which the journal's segment is looked at; a new instance looks at once. */
	#segmentLookAt = 0
	/** Whether a segment is overdue that the view had not applied. */
	#dropWaits = false
	/** Whether a change of schema may be running; true until an alarm has found none. */
	#changing = true
	/** Whether digests have become whole that no checkpoint holds. */
	#digested = false

	constructor(ports: ShardPorts) {
		this.#ports = ports
		this.#storage = new StorageGauge(ports.sql)
		this.#catalog = new Catalog(ports.sql, ports.random)
		this.#pages = new PageReader(ports.sql, this.#catalog)
		this.#idempotencies = new Idempotencies(ports.sql)
		this.#segments = new Segments(ports.sql)
		this.#webhooks = new WebhookFeed(ports.sql, this.#segments, () => fractionOf(ports.random))
		this.#jobs = new JobAnnouncer(ports.sql)
		this.#erasing = new Erasing({ ...ports, catalog: this.#catalog })
		this.#duties = [this.#webhooks, this.#jobs, this.#erasing]
		if (!isProvisioned(ports.sql)) return
		migrate(ports.sql)
		const journal = this.#load()
		// An instance that starts while the view is behind, or with work to do, must not wait for the next write to say so.
		if (journal.head > this.#acknowledged || journal.totals.unsummed()) this.#arm()
		this.#armForDuties(journal)
		this.#announcer.settle(true)
	}

	/** Whether the operation may write and so belongs into a turn. */
	static writes(name: OperationName): boolean {
		return scopeOf[name] !== 'read' && !readingOperations.includes(name)
	}

	execute<N extends OperationName>(command: Command<N>): Reply<Answer<N>> {
		const now = this.#ports.clock()
		const operation = command.operation as Operation
		const caller = this.#authorise(command, now)
		if (!caller.ok) return { ...caller, replayed: false, rate: null }
		const { state, retryAfter } = this.#rate.take(costOf(operation), caller.value.tenant.requests_per_second, now)
		const rest = { replayed: false, rate: command.caller.kind === 'key' ? state : null }
		if (retryAfter !== null && command.caller.kind === 'key') {
			return { ...refuse('rate_limited', 'too many requests', { retryAfter }), ...rest }
		}
		const work = this.#work(command, caller.value, now)
		if (command.idempotency) {
			const earlier = recallAnswer(this.#idempotencies, command, command.idempotency, now)
			if (!earlier.ok) return { ...earlier, ...rest }
			if (earlier.value !== null) return { ...accept(earlier.value), ...rest, replayed: true }
		}
		if (!Shard.writes(operation.name))
			return { ...this.#run(work, operation, caller.value.scopes), ...rest } as Reply<Answer<N>>
		const outcome = attempt(work, () => {
			const ran = this.#run(work, operation, caller.value.scopes) as Outcome<Answer<N>>
			if (ran.ok) seal(work)
			if (ran.ok && command.idempotency)
				rememberAnswer(this.#idempotencies, work, command, command.idempotency, ran.value)
			return ran
		})
		if (operation.name === 'collection.put') this.#changing = true
		if (operation.name.startsWith('webhook.')) this.#webhooks.forget()
		if (outcome.ok) this.#arm()
		return { ...outcome, ...rest }
	}

	/**
	 * Brings the shard in line with its control object, which is right where the two differ: what was erased is erased again,
	 * whatever copy of the database this is. False when the shard has no right to answer.
	 */
	admit(control: Control | null): boolean {
		const admitted = this.#erasing.admit(control, this.#journal !== null)
		if (!isProvisioned(this.#ports.sql)) this.#journal = null
		if (admitted && this.#journal && control?.ledger && !this.#isFenced())
			this.#applyLedger(this.#journal, control.ledger)
		return admitted
	}

	/** What was erased of a person stays erased, also in a copy of the database from before. */
	#applyLedger(journal: Journal, ledger: NonNullable<Control['ledger']>): void {
		const work = this.#workOf(journal, { now: this.#ports.clock(), actor: 'system:ledger', request: null })
		this.#ports.sql.transaction(() => {
			if (!applyLedger(work, ledger, this.#ports.hashSubject)) return
			seal(work)
			this.#arm()
		})
		journal.commit()
	}

	/** Expects a turn of its own, like a write. */
	obey(order: ErasureOrder, control: Control | null): ShardRemains {
		const remains = this.#erasing.obey(order, control, this.#journal !== null)
		if (remains.buried) this.#journal = null
		return remains
	}

	/** Whether an erasure was asked for: then the control object has to be read again before the alarm does anything. */
	mayBeErased(): boolean {
		return this.#journal !== null && readErasure(this.#ports.sql) !== null
	}

	/** Creates the tenant's database; repeated with the same values, it changes nothing and answers the same. */
	provision(asked: Provisioning): Outcome<{ head: number }> {
		const { sql } = this.#ports
		if (this.#erasing.isErased()) return tenantErased()
		if (isProvisioned(sql)) {
			const tenant = readTenant(sql)
			const same = tenant.id === asked.tenant && tenant.shard === asked.shard && tenant.slug === asked.slug
			const key = sql.all(
				'SELECT 1 AS one FROM api_key WHERE id = ? AND secret_hash = ?',
				asked.key.id,
				asked.key.secretHash,
			)
			return same && key.length > 0
				? accept({ head: this.position() })
				: refuse('unavailable', 'the shard belongs to another tenant', { retryAfter: 1 })
		}
		sql.transaction(() => {
			migrate(sql)
			sql.all(
				`INSERT INTO tenant (only_row, id, shard, epoch, slug, name, status, created_at, requests_per_second, storage_bytes, collections_created, catalog)
				VALUES (1, ?, ?, ?, ?, ?, 'active', ?, ?, ?, 0, '')`,
				asked.tenant,
				asked.shard,
				asked.epoch,
				asked.slug,
				asked.name,
				asked.createdAt,
				requestsPerSecondDefault,
				shardBytesMax,
			)
			sql.all("INSERT INTO checkpoint (only_row, seq, acknowledged, totals) VALUES (1, 0, 0, '{}')")
			const origin = { now: asked.createdAt, actor: asked.actor, request: asked.requestId ?? null }
			const work = this.#workOf(new Journal(sql, this.#segments), origin)
			insertKey(work, asked.key, { name: null, scopes: allScopes, expiresAt: null })
			work.journal.append({ op: 'tenant', collection: null, id: null, version: 1 })
			work.journal.append({ op: 'key', collection: null, id: asked.key.id, version: 1 })
			seal(work)
		})
		this.#load()
		this.#arm()
		return accept({ head: this.position() })
	}

	pull(request: PullRequest): PullReply {
		const journal = this.#journal
		if (!journal) return { kind: 'refused', reason: 'unknown_shard' }
		this.#catalog.refresh()
		if (this.#catalog.fenced()) return { kind: 'refused', reason: 'epoch' }
		const reply = this.#pages.read(request, journal, () => this.#checksum(journal))
		if (reply.kind !== 'refused') this.#acknowledge(request.applied ?? request.after)
		return reply
	}

	pullWebhook(asked: WebhookPull): WebhookPullReply {
		const journal = this.#journal
		if (!journal || this.#isFenced()) return { kind: 'idle' }
		const reply = this.#webhooks.pull(asked, this.#moment(journal))
		// A look reads so many entries; what lies beyond them is the alarm's to find.
		if (reply.kind === 'idle') this.#armForDuties(journal)
		return reply
	}

	/** Expects a turn of its own, like a write. */
	reportWebhook(report: WebhookReport): boolean {
		const journal = this.#journal
		if (!journal || this.#isFenced()) return false
		const moment = this.#moment(journal)
		const work = this.#workOf(journal, { now: moment.now, actor: 'system', request: null })
		const outcome = attempt(work, () => {
			const counted = this.#webhooks.report(report, moment, work)
			seal(work)
			return accept(counted)
		})
		this.#armForDuties(journal)
		return outcome.ok && outcome.value
	}

	/** How much the shard holds now. */
	gauges(): Omit<ShardReport, 'meter'> {
		const { sql, clock } = this.#ports
		const records = this.#journal?.totals.sum().records ?? 0
		return { sizeBytes: sql.sizeBytes(), records, keys: validKeyCount(sql, clock()) }
	}

	/** Runs in a turn, as a write does. */
	rebuild({ tenant, shard, id, askedAt }: RebuildRequest): RebuildReply {
		const journal = this.#journal
		if (!journal || this.#isFenced()) return { kind: 'refused', reason: 'unknown_shard' }
		const own = this.#catalog.tenant()
		if (own.id !== tenant || own.shard !== shard) return { kind: 'refused', reason: 'unknown_shard' }
		const present = journal.segments.rebuildEntry(id, askedAt - clockSkewMsMax, journal.head)
		if (present !== null) return { kind: 'accepted', seq: present }
		const work = this.#workOf(journal, { now: this.#ports.clock(), actor: 'system', request: null })
		const seq = journal.append({ op: 'rebuild', collection: null, id, version: null })
		seal(work)
		this.#arm()
		return { kind: 'accepted', seq }
	}

	/** Whether a call of a job's consumer may write and so belongs into a turn. */
	static reports(name: JobCallName): boolean {
		return name !== 'open' && name !== 'export.read'
	}

	/** Answers the consumer of a job. */
	job<N extends JobCallName>(request: JobRequest<N>): JobReply<N> {
		if (!this.#journal || this.#isFenced()) return { ok: false, reason: 'gone' }
		const { id, shard, epoch } = this.#catalog.tenant()
		if (id !== request.tenant || shard !== request.shard || epoch !== request.epoch)
			return { ok: false, reason: 'gone' }
		const now = this.#ports.clock()
		const work = this.#workOf(this.#journal, { now, actor: 'system', request: null })
		const reply = runJobCall(work, this.#journal.segments, request.job, request.call as JobCall)
		if (reply.ok) this.#jobs.heard(request.job, now)
		return reply as JobReply<N>
	}

	/** The journal's last position, which the live feed is told; 0 before provisioning. */
	position(): number {
		return this.#journal?.head ?? 0
	}

	/** When the caller's key expires, in milliseconds; null for never. */
	validUntil(caller: Caller): number | null {
		return caller.kind === 'key' ? (this.#catalog.key(caller.id)?.expiresAt ?? null) : null
	}

	/** Memory follows the commit of a turn. */
	committed(): void {
		this.#journal?.commit()
		this.#announcer.settle(true)
	}

	/** The turn did not commit, or nobody knows: what was counted for it is forgotten. */
	failed(): void {
		this.#journal?.abandon()
		this.#idempotencies.forget()
		this.#webhooks.forget()
		this.#announcer.settle(false)
		// The transaction that buried the shard may be the one that failed.
		if (!this.#journal && isProvisioned(this.#ports.sql)) this.#load()
	}

	async alarm(): Promise<void> {
		this.#announcer.alarmRang()
		await this.look()
	}

	/** Looks for what there is to do: goes on with a change of schema, maintains, announces. Sets what rings next whatever happens. */
	async look(): Promise<void> {
		const { sql } = this.#ports
		const journal = this.#journal
		const now = this.#ports.clock()
		if (!journal) return this.#erasing.rest(now)
		if (this.#isFenced()) return this.#erasing.alarm(this.#moment(journal))
		if (this.#changing) this.#changing = sql.transaction(() => this.#stepChange(journal, now))
		journal.commit()
		if (journal.totals.unsummed()) this.#digested = stepDigest(sql, this.#catalog, journal.totals)
		const last = journal.head
		const busy = last !== this.#rung.head && now - this.#rung.at <= 2 * announceIntervalMs
		this.#rung = { at: now, head: last }
		this.#checkpoint(journal, busy)
		if (this.#idempotencies.takeNews() || now >= this.#maintenanceAt || last >= this.#segmentLookAt) {
			this.#maintenanceAt =
				earliest([expire(sql, now), this.#closeSegment(journal, now), this.#dropSegment(journal, now)]) ??
				Number.POSITIVE_INFINITY
		}
		if (this.#jobs.isDue(now)) sql.transaction(() => this.#expireJobs(journal, now))
		const unfinished = this.#changing || journal.totals.unsummed() !== null
		const moment = { now, head: last, tenant: this.#catalog.tenant() }
		const messages: Announcement[] = this.#duties.flatMap((duty) => duty.ring(moment))
		const dueAt = Math.min(
			this.#maintenanceAt,
			unfinished ? now + 1 : Number.POSITIVE_INFINITY,
			...this.#duties.map((duty) => duty.wants(moment) ?? Number.POSITIVE_INFINITY),
		)
		const due = Number.isFinite(dueAt) ? dueAt : null
		const { announce, ...rings } = this.#announcer.ring(now, last, this.#acknowledged, due)
		this.#set(rings)
		const { id: tenant, shard, epoch } = moment.tenant
		if (announce) messages.push({ tenant, shard, epoch, head: last })
		await Promise.all(messages.map((message) => this.#ports.announce(message)))
	}

	#expireJobs(journal: Journal, now: number): void {
		const work = this.#workOf(journal, { now, actor: 'system', request: null })
		for (const job of overdueJobs(work.sql, now)) expireJob(work, job)
	}

	/** While writes go on, a checkpoint a second would be one more row to pay; it waits for a ring after the last of them. */
	#checkpoint({ head: last, totals }: Journal, busy: boolean): void {
		const settled = !busy && this.#acknowledged === last && this.#saved.acknowledged < last
		if (!settled && !this.#digested && last - this.#saved.seq < checkpointEntries) return
		totals.save(this.#ports.sql, last, this.#acknowledged)
		this.#saves(last)
	}

	#saves(seq: number): void {
		this.#digested = false
		this.#saved = { seq, acknowledged: this.#acknowledged }
		if (this.#dropWaits) this.#maintenanceAt = 0
	}

	#load(): Journal {
		this.#journal = new Journal(this.#ports.sql, this.#segments)
		this.#saved = readCheckpoint(this.#ports.sql)
		this.#acknowledged = this.#saved.acknowledged
		return this.#journal
	}

	/** What the view should come to at the head; null while nobody can say. */
	#checksum({ totals }: Journal): Checksum | null {
		const { records: count, digest } = totals.sum()
		// While a change of schema runs, the view already lacks what the new schema calls personal.
		if (digest === null || (this.#changing && runningChange(this.#ports.sql))) return null
		return { count, digest: digest.toString() }
	}

	#arm(): void {
		this.#set(this.#announcer.afterWrite(this.#ports.clock()))
	}

	#set({ alarmAt, timerAt }: Rings): void {
		if (alarmAt !== null) this.#ports.arm(alarmAt)
		if (timerAt !== null) this.#ports.lookAt(timerAt)
	}

	#armForDuties(journal: Journal): void {
		const moment = this.#moment(journal)
		const wanted = this.#duties.flatMap((duty) => duty.wants(moment) ?? [])
		const at = this.#announcer.wanted(moment.now, earliest(wanted))
		if (at !== null) this.#ports.arm(at)
	}

	#isFenced(): boolean {
		this.#catalog.refresh()
		return this.#catalog.fenced()
	}

	#moment({ head }: Journal): Moment {
		this.#catalog.refresh()
		return { now: this.#ports.clock(), head, tenant: this.#catalog.tenant() }
	}

	#acknowledge(applied: number): void {
		this.#acknowledged = Math.max(this.#acknowledged, applied)
	}

	#stepChange(journal: Journal, now: number): boolean {
		const { sql } = this.#ports
		const running = runningChange(sql)
		if (!running) return false
		const work = this.#workOf(journal, { now, actor: 'system', request: null })
		const outcome = attempt(work, () => {
			const stepped = stepChange(work, running.name, changeStepRecords)
			if (stepped.ok) seal(work)
			return stepped
		})
		if (!outcome.ok) failChange(work, running, outcome.refusal.errors ?? [])
		return outcome.ok && !outcome.value.done
	}

	/** Begins a new segment of the journal when this one is full or old, and answers when it will be old, in milliseconds. */
	#closeSegment({ head, segments, totals }: Journal, now: number): number | null {
		const { sql } = this.#ports
		const current = segments.current()
		// How old a segment is shows once it has an entry.
		this.#segmentLookAt = current ? current.first + journalSegmentEntriesMax - 1 : head + 1
		if (!current) return null
		if (head < this.#segmentLookAt && now < current.since + journalSegmentMs) return current.since + journalSegmentMs
		sql.transaction(() => {
			// A cold start reads the entries since the checkpoint, and looks for them in the new segment only.
			totals.save(sql, head, this.#acknowledged)
			segments.close()
		})
		this.#saves(head)
		this.#segmentLookAt = head + 1
		return null
	}

	/** Drops the oldest segment if its time is over and the view has it (J2), and answers when there will be more to do. */
	#dropSegment({ segments }: Journal, now: number): number | null {
		const { oldest } = segments
		const overdue = oldest !== null && oldest.lastAt + journalKeptMs <= now
		this.#dropWaits = overdue && oldest.last > Math.min(this.#saved.acknowledged, this.#saved.seq)
		if (!oldest || this.#dropWaits) return null
		if (!overdue) return oldest.lastAt + journalKeptMs
		this.#ports.sql.transaction(() => segments.drop(oldest))
		return now + 1
	}

	/** Holds the caller against what the catalog says now; reading it touches storage at every event (S1). */
	#authorise(command: Command, now: number): Outcome<Authorised> {
		const unknown = refuse('unauthorized', 'the key is not valid')
		if (!this.#journal) return this.#erasing.isErased() ? tenantErased() : unknown
		const { caller, operation } = command
		this.#catalog.refresh()
		if (this.#catalog.fenced()) return tenantErased()
		const tenant = this.#catalog.tenant()
		if (tenant.id !== command.tenant || tenant.shard !== command.shard) return unknown
		if (caller.kind === 'operator') {
			if (operatorOperations.includes(operation.name)) return accept({ scopes: allScopes, tenant })
			return refuse('insufficient_scope', 'operators do not act inside a tenant')
		}
		const key = this.#catalog.key(caller.id)
		// Both are SHA-256 sums of 160 random bits: how far they agree tells nothing about a secret that fits.
		if (!key || key.secretHash !== caller.secretHash) return unknown
		if (key.expiresAt !== null && key.expiresAt <= now) return refuse('unauthorized', 'the key has expired')
		const needed = scopeOf[operation.name]
		if (needed === null) return refuse('insufficient_scope', 'this is for operators')
		if (!key.scopes.includes(needed)) return refuse('insufficient_scope', `this needs a key with the scope ${needed}`)
		if (tenant.status === 'suspended' && operation.name !== 'tenant.get') {
			return refuse('tenant_suspended', 'this tenant is suspended')
		}
		return accept({ scopes: key.scopes, tenant })
	}

	#work({ caller, requestId: request }: Command, authorised: Authorised, now: number): Work {
		if (!this.#journal) throw new Error('the shard is not provisioned')
		const actor = caller.kind === 'key' ? `key:${caller.id}` : `operator:${caller.name}`
		return { ...this.#workOf(this.#journal, { now, actor, request }), storageBytesMax: authorised.tenant.storage_bytes }
	}

	#workOf(journal: Journal, origin: Pick<Work, 'now' | 'actor' | 'request'>): Work {
		return {
			sql: this.#ports.sql,
			random: this.#ports.random,
			catalog: this.#catalog,
			...origin,
			journal,
			storageBytesMax: shardBytesMax,
			storage: this.#storage,
			jobsChanged: () => {
				this.#jobs.changed()
				this.#arm()
			},
		}
	}

	#run(work: Work, operation: Operation, scopes: readonly Scope[]): Outcome<object> {
		switch (operation.name) {
			case 'record.create':
				return createRecord(work, operation)
			case 'record.put':
				return putRecord(work, operation)
			case 'record.patch':
				return patchRecord(work, operation)
			case 'record.delete':
				return deleteRecord(work, operation)
			case 'record.get':
				return getRecord(work, operation)
			case 'record.list':
				return listCollectionRecords(work, operation)
			case 'batch':
				return runBatch(work, operation)
			case 'collection.put':
				return putCollection(work, operation)
			case 'collection.get':
				return getCollection(work, operation)
			case 'collection.list':
				return listCollections(work, operation)
			case 'collection.delete':
				return deleteCollection(work, operation)
			case 'changes.list':
				return work.journal.segments.changesAfter(operation.after, operation.limit, work.journal.head)
			case 'key.create':
				return createKey(work, { kind: 'key', scopes }, operation)
			case 'key.list':
				return listKeys(work, operation)
			case 'key.delete':
				return deleteKey(work, operation)
			case 'webhook.create':
				return createWebhook(work, operation)
			case 'webhook.list':
				return listWebhooks(work, operation)
			case 'webhook.get':
				return getWebhook(work, operation)
			case 'webhook.update':
				return updateWebhook(work, operation)
			case 'webhook.rotate':
				return rotateWebhook(work, operation)
			case 'webhook.test':
				return testWebhook(work, operation)
			case 'webhook.delete':
				return deleteWebhook(work, operation)
			case 'export.create':
				return createExport(work, operation)
			case 'export.get':
				return getExport(work, operation)
			case 'export.list':
				return listExports(work, operation)
			case 'export.download':
				return downloadExport(work, operation)
			case 'export.delete':
				return deleteExport(work, operation)
			case 'tenant.get':
				return getTenant(work)
			case 'tenant.update':
				return updateTenant(work, operation)
			case 'tenant.erasure':
				return noteErasure(work, operation)
			case 'subject.read':
				return readSubject(work, operation, this.#ports.hashSubject)
			case 'subject.erase':
				return eraseSubject(work, operation, this.#ports.hashSubject)
			case 'subject.requests':
				return listSubjectRequests(work, operation)
			case 'audit.list':
				return listAudit(work, operation)
			case 'audit.verify':
				return verifyAudit(work, operation)
		}
	}
}

function tenantErased(): Outcome<never> {
	return refuse('tenant_erased', 'this tenant was erased')
}

/** Writes the journal's entries of an operation that has ended well. */
function seal({ journal, now: at, actor, request }: Work): void {
	journal.seal({ at, actor, request })
}

function earliest(dates: (number | null)[]): number | null {
	return dates.reduce((first, date) => (date === null ? first : Math.min(first ?? date, date)), null)
}

/** From 0 up to, not including, 1. */
function fractionOf(random: RandomBytes): number {
	return random(new Uint8Array(4)).reduce((value, byte) => value * 256 + byte, 0) / 2 ** 32
}

interface Authorised {
	scopes: readonly Scope[]
	tenant: TenantRow
}

function costOf(operation: Operation): number {
	return operation.name === 'batch' ? 1 + Math.floor(operation.operations.length / 50) : 1
}
