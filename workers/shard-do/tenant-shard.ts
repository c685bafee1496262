import { DurableObject } from 'cloudflare:workers'
import type {
	Announcement,
	Answer,
	Command,
	OperationName,
	Provisioning,
	PullReply,
	PullRequest,
	RebuildReply,
	RebuildRequest,
	Reply,
	SurveyReply,
	SurveyRequest,
	WebhookPull,
	WebhookPullReply,
	WebhookReport,
} from '../../core/contract.ts'
import type { Control, LedgerEntry } from '../../core/control.ts'
import type { ErasureOrder, ShardRemains } from '../../core/erasure.ts'
import { parseTenantId, type TenantId } from '../../core/ids.ts'
import type { JobCallName, JobReply, JobRequest } from '../../core/job.ts'
import { pooled } from '../../core/random.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Rewinding, RewindOrder, Rewound } from '../../core/rewind.ts'
import type { KeyPageStore } from '../../core/subject-key.ts'
import type { WrappedKey } from '../../core/tenant-key.ts'
import { Admission } from './admission.ts'
import { KeyFetch } from './key-fetch.ts'
import type { KeyOrder } from './key-rotation.ts'
import { objectSql } from './object-sql.ts'
import { beginRestored } from './restore.ts'
import { type History, rewind } from './rewind.ts'
import { Shard } from './shard.ts'
import { SubjectErasing } from './subject-erasing.ts'
import { Turn } from './turn.ts'

/** What `workers/main.ts` gives the object: the way to the consumer and to the log. */
export interface TenantShardPorts {
	announce(message: Announcement): Promise<void>
	/** A keyed hash of a data subject's id. */
	hashSubject(tenant: TenantId, subject: string): string
	/** What any object may hold in this deployment. */
	shardBytesMax: number
	/** Notes in the control object that a data subject was erased; noting it again changes nothing. */
	enterLedger(tenant: TenantId, entry: LedgerEntry): Promise<Outcome<true>>
	/** Begins the tenant's next epoch, unless another one than this is in force already; the shard goes on under it. */
	beginEpoch(tenant: TenantId, epoch: number): Promise<Control | null>
	/** Notes a rewind in the control object and begins the tenant's next epoch. */
	beginRewind(tenant: TenantId, epoch: number, rewound: Omit<Rewound, 'epoch'>): Promise<Outcome<Control>>
	/** Opens a key of the tenant's; null when no master secret of this deployment does. */
	unwrapKey(tenant: TenantId, wrapped: WrappedKey): Uint8Array | null
	/** Gives the tenant a key in its control object, unless it has one. */
	ensureKey(tenant: TenantId): Promise<void>
	/** Adds a version to the tenant's keys, or destroys those before one. */
	changeKeys(tenant: TenantId, order: KeyOrder, epoch: number): Promise<void>
	/** Where the keys of data subjects lie. */
	keyPagesOf(tenant: TenantId): KeyPageStore
	/** Reads the control object of this object's tenant. */
	readControl(tenant: TenantId): Promise<Control | null>
	log(level: 'info' | 'error', event: string, fields: Record<string, string | number | boolean | null>): void
}

/** After an alarm that failed, the next one; an alarm that throws seven times would be deleted by the platform for good. */
const alarmRetryMs = 5_000

/** So long an answer has to leave the object before the object ends. */
const restartAfterMs = 100

/** Of all objects in this isolate. */
const random = pooled((bytes) => crypto.getRandomValues(bytes))

/** The Durable Object: wires a `Shard` to the platform and decides nothing itself. Its name is `<tenant id>/<n>`. */
export class TenantShard<Env> extends DurableObject<Env> {
	readonly #shard: Shard
	readonly #turn: Turn
	readonly #admission: Admission
	readonly #ports: TenantShardPorts
	readonly #keys: KeyFetch
	readonly #erasing: SubjectErasing
	/** The position that followers were told last; a new follower is told its own. */
	#told = 0
	/** Counts from the start of this instance. */
	readonly #meter = { instance: crypto.randomUUID(), rowsWritten: 0, rowsRead: 0, messages: 0 }

	constructor(ctx: DurableObjectState, env: Env, ports: TenantShardPorts) {
		super(ctx, env)
		this.#ports = ports
		const sql = objectSql(ctx.storage, this.#meter)
		this.#shard = new Shard({
			sql,
			clock: Date.now,
			random,
			arm: (at) => {
				// The platform bills an alarm as a row.
				this.#meter.rowsWritten += 1
				void ctx.storage.setAlarm(at)
			},
			lookAt: (at) => void setTimeout(() => this.#watched(() => this.#shard.look()), Math.max(0, at - Date.now())),
			announce: (wakeUp) => {
				this.#meter.messages += 1
				return ports.announce(wakeUp)
			},
			hashSubject: (subject) => ports.hashSubject(this.#tenant(), subject),
			shardBytesMax: ports.shardBytesMax,
			unwrapKey: (wrapped) => ports.unwrapKey(this.#tenant(), wrapped),
			changeKeys: async (order, epoch) => {
				await ports.changeKeys(this.#tenant(), order, epoch)
				await this.#admission.reconsider()
			},
			keyPages: {
				read: (page) => this.#pages().read(this.#tenant(), page),
				create: (page, made) => this.#pages().create(this.#tenant(), page, made),
				replace: (page, changed, etag) => this.#pages().replace(this.#tenant(), page, changed, etag),
			},
			deleteAll: () => ctx.storage.deleteAll(),
		})
		this.#admission = new Admission({
			readControl: () => this.#readControl(),
			admit: (control) => this.#shard.admit(control),
			log: (level, event, fields) => ports.log(level, event, { shard: ctx.id.name ?? null, ...fields }),
		})
		this.#turn = new Turn({
			// What an object writes without an `await` in between is one transaction already.
			transaction: (work) => work(),
			durable: () => ctx.storage.sync(),
			committed: () => {
				this.#shard.committed()
				this.#tellFollowers()
			},
			failed: () => this.#shard.failed(),
		})
		this.#keys = new KeyFetch({
			ensureKey: () => ports.ensureKey(this.#tenant()),
			reconsider: () => this.#admission.reconsider(),
			fetchPages: (pages) => this.#shard.keyPages.fetch(pages),
			hold: () => this.#shard.holdKeys(),
			log: (event, error) => ports.log('error', event, { shard: ctx.id.name ?? null, error }),
		})
		this.#erasing = new SubjectErasing({
			shard: this.#shard,
			submit: (run) => this.#turn.submit(run),
			enterLedger: (entry) => ports.enterLedger(this.#tenant(), entry),
			keys: this.#keys,
			arm: () => void ctx.storage.setAlarm(Date.now() + alarmRetryMs),
		})
	}

	async execute<N extends OperationName>(command: Command<N>): Promise<Reply<Answer<N>>> {
		if (!this.#admission.admitted) {
			const admitted = await this.#admission.ask()
			if (!admitted.ok) return { ...admitted, replayed: false, rate: null }
		}
		try {
			return await this.#execute(command)
		} catch (error) {
			const fetched = await this.#keys.goOn(error, () => this.#execute(command, true))
			return fetched.ok ? fetched.value : { ...fetched, replayed: false, rate: null }
		}
	}

	async #execute<N extends OperationName>(command: Command<N>, isPaid = false): Promise<Reply<Answer<N>>> {
		if (!Shard.writes(command.operation.name)) return this.#shard.execute(command, isPaid)
		if (command.operation.name !== 'subject.erase') return this.#turn.submit(() => this.#shard.execute(command, isPaid))
		// The name of the operation decides what is answered.
		const erased: Reply<unknown> = await this.#erasing.erase(command as Command<'subject.erase'>, isPaid)
		return erased as Reply<Answer<N>>
	}

	async provision(asked: Provisioning): Promise<Outcome<{ head: number }>> {
		if (this.ctx.id.name !== undefined && this.ctx.id.name !== `${asked.tenant}/${asked.shard}`) {
			return refuse('unavailable', 'this object has another name', { retryAfter: 1 })
		}
		const admitted = await this.#admission.ask()
		return admitted.ok ? this.#shard.provision(asked) : admitted
	}

	async pull(request: PullRequest): Promise<PullReply> {
		if (!this.#admission.admitted && !(await this.#admission.ask()).ok) {
			// The message that asks has to come again: nobody else may wake the object once it has ended.
			if (this.#admission.closed) throw new Error('this object is about to start again')
			return { kind: 'refused', reason: 'unknown_shard' }
		}
		let reply = this.#shard.pull(request)
		// Of another epoch than its own the control object knows whether the shard goes on under it.
		if (reply.kind === 'refused' && reply.reason === 'epoch' && (await this.#admission.reconsider()).ok)
			reply = this.#shard.pull(request)
		if (reply.kind !== 'page' || reply.page.to === reply.page.from) return reply
		const report = { ...this.#shard.gauges(), meter: { ...this.#meter } }
		return { ...reply, page: { ...reply.page, report } }
	}

	async survey(request: SurveyRequest): Promise<SurveyReply> {
		if (!(await this.#admission.ask()).ok) return { kind: 'refused', reason: 'unknown_shard' }
		return this.#shard.survey(request)
	}

	async pullWebhook(asked: WebhookPull): Promise<WebhookPullReply> {
		if (!(await this.#admission.ask()).ok) return { kind: 'idle' }
		return this.#shard.pullWebhook(asked)
	}

	async reportWebhook(report: WebhookReport): Promise<boolean> {
		if (!(await this.#admission.ask()).ok) return false
		return this.#turn.submit(() => this.#shard.reportWebhook(report))
	}

	async rebuild(request: RebuildRequest): Promise<RebuildReply> {
		if (!(await this.#admission.ask()).ok) return { kind: 'refused', reason: 'unknown_shard' }
		return this.#turn.submit(() => this.#shard.rebuild(request))
	}

	async job<N extends JobCallName>(request: JobRequest<N>): Promise<JobReply<N>> {
		if (!(await this.#admission.ask()).ok) return { ok: false, reason: 'gone' }
		const asked = this.#shard.isReplacing(request)
			? await beginRestored(request, {
					begin: (epoch) => this.#ports.beginEpoch(this.#tenant(), epoch),
					announce: (wakeUp) => this.#ports.announce(wakeUp),
					reconsider: () => this.#admission.reconsider(),
				})
			: request
		const run = async () =>
			Shard.reports(asked.call.name) ? this.#turn.submit(() => this.#shard.job(asked)) : this.#shard.job(asked)
		try {
			return await run()
		} catch (error) {
			const fetched = await this.#keys.goOn(error, run)
			if (!fetched.ok) throw error
			return fetched.value
		}
	}

	/** The control object is read anew for every order, so that no message and no caller can erase what it does not name. */
	async erase(order: ErasureOrder): Promise<Outcome<ShardRemains>> {
		const control = await this.#admission.reconsider()
		if (!control.ok) return control
		const remains = await this.#turn.submit(() => this.#shard.obey(order, control.value))
		// A live feed of what is gone has nothing more to say.
		if (control.value?.state !== 'active') for (const socket of this.ctx.getWebSockets()) socket.close(1000)
		return accept(remains)
	}

	async rewind(order: RewindOrder): Promise<Outcome<Rewinding>> {
		return rewind(order, {
			history: historyOf(this.ctx.storage),
			reconsider: () => this.#admission.reconsider(),
			close: () => this.#admission.close(),
			open: () => this.#admission.open(),
			hasCome: (rewound) => this.#shard.hasComeBack(rewound),
			standing: () => this.#turn.submit(() => this.#shard.standing()),
			begin: (epoch, rewound) => this.#ports.beginRewind(this.#tenant(), epoch, rewound),
			announce: (wakeUp) => this.#ports.announce(wakeUp),
			// Whatever ends the instance earlier has the same effect.
			restart: () => void setTimeout(() => this.ctx.abort('rewound'), restartAfterMs),
			clock: Date.now,
		})
	}

	/** Opens the live feed: a hibernating WebSocket that is told the journal's head after every commit. */
	override async fetch(request: Request): Promise<Response> {
		const header = request.headers.get('Freehold-Command')
		if (request.headers.get('Upgrade') !== 'websocket' || header === null) return new Response(null, { status: 400 })
		const command = JSON.parse(header) as Command<'changes.list'>
		const admitted = await this.#admission.ask()
		const reply = admitted.ok ? this.#shard.execute(command) : admitted
		if (!reply.ok) return Response.json({ refusal: reply.refusal }, { status: 403 })
		const { 0: client, 1: server } = new WebSocketPair()
		this.ctx.acceptWebSocket(server)
		server.send(JSON.stringify({ head: this.#shard.position(), until: this.#shard.validUntil(command.caller) }))
		return new Response(null, { status: 101, webSocket: client })
	}

	/** Followers only listen; the platform needs the handler to wake a hibernating object. */
	override async webSocketMessage(): Promise<void> {}

	override async webSocketClose(socket: WebSocket): Promise<void> {
		socket.close()
	}

	override async alarm(): Promise<void> {
		await this.#watched(() => this.#shard.alarm())
	}

	/** Never throws; what failed is tried again by the alarm. */
	async #watched(work: () => Promise<void>): Promise<void> {
		try {
			const admitted = this.#shard.mayBeErased() ? await this.#admission.reconsider() : await this.#admission.ask()
			if (!admitted.ok) throw new NotAdmitted()
			await work()
			await this.#tendKeys()
			// What the shard wrote by itself is news, too.
			this.#tellFollowers()
		} catch (error) {
			this.#ports.log('error', 'alarm_failed', {
				shard: this.ctx.id.name ?? null,
				error: error instanceof Error ? error.name : 'unknown',
			})
			await this.ctx.storage.setAlarm(Date.now() + alarmRetryMs)
		}
	}

	/** What the shard's own work needs of the bucket: keys that it missed, those that are to be destroyed, the next ones. */
	async #tendKeys(): Promise<void> {
		const absent = this.#shard.takeAbsent()
		if (absent)
			await this.#keys.goOn(absent, async () => {
				await this.#shard.look()
				const still = this.#shard.takeAbsent()
				if (still) throw still
			})
		await this.#erasing.goOn()
		await this.#shard.makeKeysAhead()
	}

	async #readControl(): Promise<Control | null> {
		return this.ctx.id.name === undefined ? null : this.#ports.readControl(this.#tenant())
	}

	#pages(): KeyPageStore {
		return this.#ports.keyPagesOf(this.#tenant())
	}

	#tenant(): TenantId {
		const tenant = parseTenantId((this.ctx.id.name ?? '').split('/')[0] ?? '')
		if (tenant === null) throw new Error('this object has no name of a tenant')
		return tenant
	}

	#tellFollowers(): void {
		const head = this.#shard.position()
		const followers = head === this.#told ? [] : this.ctx.getWebSockets()
		this.#told = head
		if (followers.length === 0) return
		const message = JSON.stringify({ head })
		for (const socket of followers) socket.send(message)
	}
}

function historyOf(storage: DurableObjectStorage): History {
	return {
		bookmarkAt: async (ms) => {
			try {
				return accept(await storage.getBookmarkForTime(ms))
			} catch (error) {
				// What the local runtime says; anything else is a failure that may pass.
				if (!(error instanceof Error && error.message.includes('does not implement point-in-time recovery')))
					throw error
				return refuse('history_unavailable', 'this platform keeps no history of its objects; restore an archive')
			}
		},
		restoreAtNextStart: async (bookmark) => {
			await storage.onNextSessionRestoreBookmark(bookmark)
		},
	}
}

/** Tells the log why an alarm did nothing. */
class NotAdmitted extends Error {
	override readonly name = 'NotAdmitted'
}
