import {
	type Announcement,
	type Answer,
	scopes as allScopes,
	type Caller,
	type Command,
	type Operation,
	type OperationName,
	type Provisioning,
	type PullReply,
	type PullRequest,
	type RebuildReply,
	type RebuildRequest,
	type Reply,
	type ShardReport,
	type SurveyReply,
	type SurveyRequest,
	type WebhookPull,
	type WebhookPullReply,
	type WebhookReport,
} from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import type { ErasureOrder, ShardRemains } from '../../core/erasure.ts'
import type { RandomBytes } from '../../core/ids.ts'
import type { JobCall, JobCallName, JobReply, JobRequest } from '../../core/job.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Rewound, Standing } from '../../core/rewind.ts'
import type { WrappedKey } from '../../core/tenant-key.ts'
import { isProvisioned, migrate } from '../../db/shard/migrate.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { type Authorised, authorise, tenantErased, unknownKey } from './access.ts'
import { Announcer, type Rings } from './announcer.ts'
import { recallAnswer, rememberAnswer } from './answers.ts'
import { Catalog } from './catalog.ts'
import type { Duty, Moment } from './duty.ts'
import { Erasing } from './erasing.ts'
import { Idempotencies } from './idempotency.ts'
import { isReplacing } from './import.ts'
import { expireJob, runJobCall } from './job-calls.ts'
import { JobAnnouncer, overdueJobs } from './jobs.ts'
import { Journal } from './journal.ts'
import { KeyPages, type TenantPages } from './key-pages.ts'
import { followKeys, type KeyOrder, leastVersion } from './key-rotation.ts'
import { insertKey, validKeyCount } from './keys.ts'
import { costOf, ruleOf } from './operations.ts'
import { PageReader } from './pull.ts'
import { Rate } from './rate.ts'
import { hasComeBack, readStanding, takeOver } from './rewind.ts'
import { Segments } from './segments.ts'
import {
	beginErasure,
	doomedKeys,
	type ErasureEntry,
	isErasing,
	noteDestroyed,
	planErasure,
} from './subject-destruction.ts'
import type { PagesAbsent } from './subject-keys.ts'
import { applyLedger, finishErasures } from './subjects.ts'
import { survey } from './survey.ts'
import { insertTenant, isSame, noteHold, type TenantRow } from './tenant.ts'
import { Upkeep } from './upkeep.ts'
import { Vault } from './vault.ts'
import { WebhookFeed } from './webhook-feed.ts'
import { attempt, StorageGauge, seal, type Work } from './work.ts'

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
	/** What any shard may hold in this deployment, whatever its tenant is allowed. */
	shardBytesMax: number
	/** Opens a key of this tenant's; null when no master secret of this deployment does. */
	unwrapKey(wrapped: WrappedKey): Uint8Array | null
	/**
	 * Adds a version to the tenant's keys in the control object, or destroys those before one there, which the shard of `epoch` has
	 * left. Resolves once the shard was held against the control object again.
	 */
	changeKeys(order: KeyOrder, epoch: number): Promise<void>
	/** Where the keys of this tenant's data subjects lie. */
	keyPages: TenantPages
	/** Empties the storage for good, the alarm included. */
	deleteAll(): Promise<void>
}

/** How far the clock of whoever asked for a rebuild may be ahead of an object's. */
const clockSkewMsMax = 60_000

/**
 * One tenant's data and everything that is decided about it. All methods are synchronous and expect one caller at a time;
 * a write runs inside the transaction of its turn (`turn.ts`).
 */
export class Shard {
	readonly #ports: ShardPorts
	readonly #catalog: Catalog
	readonly #vault: Vault
	readonly keyPages: KeyPages
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
	readonly #upkeep: Upkeep
	/** Whether a person's key may have to be destroyed, or records whose key was; true until a look has found none. */
	#erasesSubjects = true

	constructor(ports: ShardPorts) {
		this.#ports = ports
		this.#storage = new StorageGauge(ports.sql)
		this.#catalog = new Catalog(ports.sql, ports.random)
		const epoch = () => this.#catalog.tenant().epoch
		this.#vault = new Vault({ ...ports, tenant: () => this.#catalog.tenant().id, epoch })
		this.keyPages = new KeyPages({ ...ports, pages: ports.keyPages, vault: this.#vault, epoch })
		this.#pages = new PageReader(ports.sql, this.#catalog)
		this.#idempotencies = new Idempotencies(ports.sql)
		this.#segments = new Segments(ports.sql)
		this.#upkeep = new Upkeep(ports.sql, this.#catalog, this.#idempotencies)
		this.#webhooks = new WebhookFeed(ports.sql, this.#segments, () => fractionOf(ports.random))
		this.#jobs = new JobAnnouncer(ports.sql)
		this.#erasing = new Erasing({ ...ports, catalog: this.#catalog })
		this.#duties = [this.#webhooks, this.#jobs, this.#erasing]
		if (!isProvisioned(ports.sql)) return
		migrate(ports.sql)
		const journal = this.#load()
		// An instance that starts while the view is behind, or with work to do, must not wait for the next write to say so.
		if (journal.head > this.#upkeep.acknowledged || journal.totals.unsummed()) this.#arm()
		this.#armForDuties(journal)
		this.#announcer.settle(true)
	}

	/** Whether the operation may write and so belongs into a turn. */
	static writes(name: OperationName): boolean {
		return ruleOf(name).does === 'write'
	}

	/** @param isPaid whether the request's cost was taken before */
	execute<N extends OperationName>(command: Command<N>, isPaid = false): Reply<Answer<N>> {
		const now = this.#ports.clock()
		const { operation } = command
		const caller = this.#authorise(command, now)
		if (!caller.ok) return { ...caller, replayed: false, rate: null }
		const { state, retryAfter } = this.#rate.take(
			isPaid ? 0 : costOf(operation as Operation),
			caller.value.tenant.requests_per_second,
			now,
		)
		const rest = { replayed: false, rate: command.caller.kind === 'key' ? state : null }
		if (retryAfter !== null && command.caller.kind === 'key') {
			return { ...refuse('rate_limited', 'too many requests', { retryAfter }), ...rest }
		}
		const { scopes, tenant, found } = caller.value
		const storageBytesMax = Math.min(tenant.storage_bytes, this.#ports.shardBytesMax)
		const work = { ...this.#workFor(command, now), storageBytesMax, found }
		const rule = ruleOf<N>(operation.name)
		if (command.idempotency) {
			const earlier = recallAnswer(this.#idempotencies, command, command.idempotency, now, this.#vault)
			if (!earlier.ok) return { ...earlier, ...rest }
			if (earlier.value !== null) return { ...accept(earlier.value), ...rest, replayed: true }
		}
		if (rule.does === 'read') return { ...rule.run(work, operation, scopes), ...rest }
		const outcome = attempt(work, () => {
			const ran = rule.run(work, operation, scopes)
			if (ran.ok) seal(work)
			if (ran.ok && command.idempotency)
				rememberAnswer(this.#idempotencies, work, command, command.idempotency, ran.value)
			return ran
		})
		if (operation.name === 'collection.put') this.#upkeep.schemaChanged()
		if (operation.name === 'rotation.start') this.#upkeep.rotationChanged()
		if (operation.name === 'subject.erase') this.#erasesSubjects = true
		if (operation.name === 'subject.release') this.#upkeep.retentionChanged()
		if (operation.name.startsWith('webhook.')) this.#webhooks.forget()
		if (outcome.ok) this.#arm()
		return { ...outcome, ...rest }
	}

	/**
	 * What has to be noted in the ledger before the key of a person is destroyed; null where there is no key, or where the request
	 * is refused or has been answered before. Takes what the request costs.
	 */
	planErasure(command: Command<'subject.erase'>, isPaid: boolean): Reply<ErasureEntry | null> {
		const now = this.#ports.clock()
		const caller = this.#authorise(command, now)
		if (!caller.ok) return { ...caller, replayed: false, rate: null }
		const cost = isPaid ? 0 : costOf(command.operation as Operation)
		const { state, retryAfter } = this.#rate.take(cost, caller.value.tenant.requests_per_second, now)
		const rest = { replayed: false, rate: command.caller.kind === 'key' ? state : null }
		if (retryAfter !== null) return { ...refuse('rate_limited', 'too many requests', { retryAfter }), ...rest }
		const earlier = command.idempotency ? this.#idempotencies.recall(command.idempotency, now) : accept(null)
		if (!earlier.ok || earlier.value !== null) return { ...accept(null), ...rest }
		return { ...accept(planErasure(this.#workFor(command, now), command.operation.subject)), ...rest }
	}

	/** Runs in a turn, as a write does, and so do the next two. */
	beginErasure(command: Command<'subject.erase'>, entry: ErasureEntry): void {
		const work = this.#workFor(command, this.#ports.clock())
		this.#ports.sql.transaction(() => beginErasure(work, entry, command.operation.subject))
		this.#erasesSubjects = true
		this.#arm()
	}

	/** Slots whose keys are to be destroyed. */
	doomedKeys(): number[] {
		return this.#journal ? doomedKeys(this.#ports.sql) : []
	}

	keysDestroyed(slots: readonly number[]): void {
		if (this.#journal) noteDestroyed(this.#systemWork(this.#journal), slots)
	}

	/** Erases the records of those whose keys were destroyed. */
	finishErasures(): void {
		if (!this.#journal || this.#isFenced()) return
		const work = this.#systemWork(this.#journal)
		this.#sealed(work, () => finishErasures(work))
		this.#arm()
	}

	/** Whether keys are to be destroyed, or records erased whose key was; asks storage only where that may be. */
	erasesSubjects(): boolean {
		if (!this.#erasesSubjects || !this.#journal || this.#isFenced()) return false
		this.#erasesSubjects = isErasing(this.#ports.sql)
		return this.#erasesSubjects
	}

	/** Until what this answers is called, keys that were fetched stay in memory. */
	holdKeys(): () => void {
		return this.#vault.subjects.hold()
	}

	/** Keys that the shard's own work missed at the last look; told once. */
	takeAbsent(): PagesAbsent | null {
		return this.#upkeep.takeAbsent()
	}

	/** Makes the next page of keys while there is room in the last one. */
	async makeKeysAhead(): Promise<void> {
		const page = this.#vault.subjects.takeAhead()
		if (page && !this.#isFenced()) await this.keyPages.fetch([page])
	}

	/**
	 * Brings the shard in line with its control object, which is right where the two differ: what was erased is erased again,
	 * whatever copy of the database this is. False when the shard has no right to answer.
	 */
	admit(control: Control | null): boolean {
		if (this.#journal) this.#catalog.refresh()
		const before = this.#journal && this.#catalog.tenant().epoch
		const admitted = this.#erasing.admit(control, this.#journal !== null)
		this.#vault.take(admitted && control?.state === 'active' ? (control.keys ?? []) : [])
		if (!isProvisioned(this.#ports.sql)) this.#journal = null
		if (!admitted || !this.#journal || !control || this.#catalog.fenced()) return admitted
		const { rewound } = control
		if (rewound && before !== null && before < rewound.epoch) this.#takeOver(this.#journal, rewound)
		this.#follow(this.#journal, control)
		return true
	}

	/** This database is of an epoch before the rewind, whether the rewind brought it back or was lost on the way. */
	#takeOver(journal: Journal, rewound: Rewound): void {
		const origin = { now: this.#ports.clock(), actor: rewound.by, request: rewound.request.id }
		const work = this.#workOf(journal, origin)
		this.#sealed(work, () => takeOver(work, rewound))
		journal.commit()
		this.#webhooks.forget()
		this.#arm()
	}

	/** What a rewind must leave as it is, refused where nothing may change. */
	standing(): Outcome<{ tenant: TenantRow; standing: Standing }> {
		if (!this.#journal || this.#isFenced()) return tenantErased()
		return readStanding(this.#systemWork(this.#journal))
	}

	/** Whether this very rewind is what brought the database back. */
	hasComeBack(rewound: Rewound): boolean {
		return this.#journal !== null && hasComeBack(this.#ports.sql, rewound)
	}

	/**
	 * What was erased of a person stays erased, a legal hold is in force, and the newest key seals, also in a copy of the database
	 * from before.
	 */
	#follow(journal: Journal, { hold, ledger = [], keys = [] }: Control): void {
		const work = this.#workOf(journal, { now: this.#ports.clock(), actor: 'system:ledger', request: null })
		this.#ports.sql.transaction(() => {
			const isHoldNews = noteHold(work, hold?.at ?? null)
			const areKeysNews = followKeys(
				work,
				keys.map(({ version }) => version),
			)
			if (areKeysNews) this.#upkeep.rotationChanged()
			const isLedgerNews = applyLedger(work, ledger)
			if (isLedgerNews) this.#erasesSubjects = true
			if (!isLedgerNews && !isHoldNews && !areKeysNews) return
			seal(work)
			this.#arm()
		})
		journal.commit()
		if (keys.length > 0) this.#vault.require(leastVersion(this.#ports.sql))
	}

	/** Expects a turn of its own, like a write. */
	obey(order: ErasureOrder, control: Control | null): ShardRemains {
		const remains = this.#erasing.obey(order, control, this.#journal !== null)
		if (remains.buried) this.#journal = null
		return remains
	}

	/** Whether an erasure was asked for: then the control object has to be read again before the alarm does anything. */
	mayBeErased(): boolean {
		if (this.#journal === null) return false
		this.#catalog.refresh()
		return this.#catalog.erasure() !== null
	}

	/** Creates the tenant's database; repeated with the same values, it changes nothing and answers the same. */
	provision(asked: Provisioning): Outcome<{ head: number }> {
		const { sql } = this.#ports
		if (this.#erasing.isErased()) return tenantErased()
		if (isProvisioned(sql)) {
			return isSame(sql, asked)
				? accept({ head: this.position() })
				: refuse('unavailable', 'the shard belongs to another tenant', { retryAfter: 1 })
		}
		sql.transaction(() => {
			migrate(sql)
			insertTenant(sql, asked)
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
		const reply = this.#pages.read(request, journal, () => this.#upkeep.checksum(journal))
		if (reply.kind !== 'refused') this.#upkeep.acknowledge(request.applied ?? request.after)
		if (reply.kind !== 'page') return reply
		const willAnnounce = this.#announcer.willAnnounce(this.#ports.clock(), journal.head)
		return { ...reply, page: { ...reply.page, willAnnounce } }
	}

	survey(request: SurveyRequest): SurveyReply {
		const journal = this.#journal
		if (!journal || this.#isFenced()) return { kind: 'refused', reason: 'unknown_shard' }
		const own = this.#catalog.tenant()
		if (own.id !== request.tenant || own.shard !== request.shard) return { kind: 'refused', reason: 'unknown_shard' }
		return survey(this.#ports.sql, this.#catalog, journal, request)
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
		const work = this.#systemWork(journal)
		const outcome = attempt(work, () => {
			const seq = journal.append({ op: 'rebuild', collection: null, id, version: null })
			seal(work)
			return accept(seq)
		})
		if (!outcome.ok) throw new Error('an entry was refused')
		this.#arm()
		return { kind: 'accepted', seq: outcome.value }
	}

	/** Whether a call of a job's consumer may write and so belongs into a turn. */
	static reports(name: JobCallName): boolean {
		return name !== 'open' && name !== 'export.read'
	}

	/** Whether what the tenant holds is about to be replaced, so that another epoch has to begin first. */
	isReplacing(request: JobRequest): boolean {
		return this.#journalFor(request) !== null && isReplacing(this.#ports.sql, request)
	}

	/** Answers the consumer of a job. */
	job<N extends JobCallName>(request: JobRequest<N>): JobReply<N> {
		const journal = this.#journalFor(request)
		if (!journal) return { ok: false, reason: 'gone' }
		const now = this.#ports.clock()
		const work = this.#workOf(journal, { now, actor: 'system', request: null })
		const { segments } = journal
		const run = () => runJobCall(work, segments, request.job, request.call as JobCall)
		const reply = Shard.reports(request.call.name) ? this.#sealed(work, run) : run()
		if (reply.ok) this.#jobs.heard(request.job, now)
		// Collections may have come in, whose records have an age already.
		if (request.call.name === 'import.report') {
			this.#upkeep.schemaChanged()
			this.#erasesSubjects = true
		}
		return reply as JobReply<N>
	}

	/** Null when the request is none for this shard under its epoch. */
	#journalFor({ tenant, shard, epoch }: Pick<JobRequest, 'tenant' | 'shard' | 'epoch'>): Journal | null {
		if (!this.#journal || this.#isFenced()) return null
		const own = this.#catalog.tenant()
		return own.id === tenant && own.shard === shard && own.epoch === epoch ? this.#journal : null
	}

	/** Runs what may write entries of the journal, all or nothing. */
	#sealed<T>(work: Work, run: () => T): T {
		const outcome = attempt(work, () => {
			const result = run()
			seal(work)
			return accept(result)
		})
		if (!outcome.ok) throw new Error('nothing here is refused')
		return outcome.value
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
		const work = this.#workOf(journal, { now, actor: 'system', request: null })
		const upkeepAt = this.#upkeep.ring(work)
		if (this.#jobs.isDue(now)) sql.transaction(() => this.#expireJobs(journal, now))
		const moment = this.#moment(journal)
		const messages: Announcement[] = this.#duties.flatMap((duty) => duty.ring(moment))
		const dueAt = Math.min(upkeepAt, ...this.#duties.map((duty) => duty.wants(moment) ?? Number.POSITIVE_INFINITY))
		const due = Number.isFinite(dueAt) ? dueAt : null
		const { announce, ...rings } = this.#announcer.ring(now, moment.head, this.#upkeep.acknowledged, due)
		this.#set(rings)
		const { id: tenant, shard, epoch } = moment.tenant
		if (announce) messages.push({ tenant, shard, epoch, head: moment.head })
		await Promise.all(messages.map((message) => this.#ports.announce(message)))
		// While the messages were on their way, an erasure may have begun.
		if (!this.#upkeep.isRotating || this.#journal !== journal || this.#isFenced()) return
		const order = this.#upkeep.rotate(work)
		if (!order) return
		// What is not in the shard rests under the older key, too.
		if (order.do === 'add' || (await this.keyPages.rewrap())) await this.#ports.changeKeys(order, epoch)
		else this.#ports.arm(now + 1)
	}

	#expireJobs(journal: Journal, now: number): void {
		const work = this.#workOf(journal, { now, actor: 'system', request: null })
		for (const job of overdueJobs(work.sql, now)) expireJob(work, job)
	}

	#load(): Journal {
		this.#journal = new Journal(this.#ports.sql, this.#segments)
		this.#upkeep.load()
		return this.#journal
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

	#authorise(command: Command, now: number): Outcome<Authorised> {
		if (!this.#journal) return this.#erasing.isErased() ? tenantErased() : unknownKey()
		return authorise(this.#catalog, command, now)
	}

	#workFor({ caller, requestId: request }: Command, now: number): Work {
		if (!this.#journal) throw new Error('the shard is not provisioned')
		const actor = caller.kind === 'key' ? `key:${caller.id}` : `operator:${caller.name}`
		return this.#workOf(this.#journal, { now, actor, request })
	}

	#systemWork(journal: Journal): Work {
		return this.#workOf(journal, { now: this.#ports.clock(), actor: 'system', request: null })
	}

	#workOf(journal: Journal, origin: Pick<Work, 'now' | 'actor' | 'request'>): Work {
		return {
			sql: this.#ports.sql,
			random: this.#ports.random,
			catalog: this.#catalog,
			...origin,
			journal,
			storageBytesMax: this.#ports.shardBytesMax,
			shardBytesMax: this.#ports.shardBytesMax,
			storage: this.#storage,
			hashSubject: this.#ports.hashSubject,
			vault: this.#vault,
			jobsChanged: () => {
				this.#jobs.changed()
				this.#arm()
			},
		}
	}
}

function earliest(dates: (number | null)[]): number | null {
	return dates.reduce((first, date) => (date === null ? first : Math.min(first ?? date, date)), null)
}

/** From 0 up to, not including, 1. */
function fractionOf(random: RandomBytes): number {
	return random(new Uint8Array(4)).reduce((value, byte) => value * 256 + byte, 0) / 2 ** 32
}
