import { signerOf } from '../core/certificate.ts'
import type {
	Answer,
	Change,
	CollectionInfo,
	Command,
	KeyInfo,
	Operation,
	OperationName,
	Operations,
	Provisioning,
	Reply,
	Shard,
	StoredRecord,
	TenantInfo,
	WebhookInfo,
} from '../core/contract.ts'
import type { Begun, Claim, Control, ControlStore } from '../core/control.ts'
import type { DeadLetter, DeadLetterOrder } from '../core/dead-letter.ts'
import type { ErasureRecord, ErasureStore } from '../core/erasure.ts'
import { type Region, regionOf, type TenantId } from '../core/ids.ts'
import type { ImportInfo } from '../core/job.ts'
import { hashSecret } from '../core/keys.ts'
import type { Measured, ShardList } from '../core/metrics.ts'
import type { RebuildJob, RebuildStep, RebuildStore } from '../core/rebuild.ts'
import { accept, type Outcome, type Refusal, refuse } from '../core/refusal.ts'
import type { Rewinding } from '../core/rewind.ts'
import type { Rotation } from '../core/rotation.ts'
import type { Sample } from '../core/telemetry.ts'
import { type TrafficSums, trafficOf } from '../core/traffic.ts'
import type { Freshness, View } from '../core/view.ts'
import { createApp } from '../workers/api/app.ts'
import type { ApiPorts, OperatorToken } from '../workers/api/ports.ts'
import { MemoryBucket } from './memory-bucket.ts'
import { TestMonitor } from './monitor.ts'

/** The edge over small in-memory ports. Counters say what the edge called, faults make a port fail. */
export class Edge {
	readonly shards = new Map<string, FakeShard>()
	readonly controls = new Map<TenantId, { control: Control; etag: string }>()
	readonly claims = new Map<string, FakeClaim>()
	readonly erasures = new Map<string, { record: ErasureRecord; etag: string }>()
	readonly logged: { level: string; event: string; fields: Record<string, unknown> }[] = []
	readonly objectCalls: string[] = []
	readonly counted: Sample[] = []
	readonly rebuildJobs = new Map<string, RebuildJob>()
	readonly rotations = new Map<Region, { rotation: Rotation; etag: string }>()
	readonly rebuildSteps: RebuildStep[] = []
	readonly deadLetters: DeadLetter[] = []
	readonly deadLetterOrders: DeadLetterOrder[] = []
	readonly monitors = new Map<Region, TestMonitor>()
	measured: Measured | null = null
	freshness = freshNow
	shardList: ShardList = { regions: [], shards: [] }
	trafficSums: TrafficSums = { periods: [], periodLatency: [], routes: [], routeLatency: [] }
	readonly bucket = new MemoryBucket()
	/** Throws at the n-th call of a port, counted over all ports, before (`n`) or after (`n + 0.5`) its effect. */
	failAt: number | null = null
	calls = 0
	now = Date.UTC(2026, 10, 22)
	view: View = fakeView(this)
	readonly ports: ApiPorts
	readonly #app: ReturnType<typeof createApp>

	constructor(options: { corsOrigins?: string[] } = {}) {
		this.ports = {
			config: {
				operators: [operator('root', 'admin'), operator('reader', 'read'), operator('scraper', 'metrics')],
				signingSecrets: ['signing-new', 'signing-old'],
				corsOrigins: options.corsOrigins ?? [],
				regions: ['global' as Region, 'eu' as Region],
				webhookAddresses: 'public',
				masterSecret: 'new-secret',
				version: '0.1.0',
			},
			shardOf: (tenant, number) => this.#shard(tenant, number),
			control: (region) => this.#control(region),
			bucket: () => this.bucket,
			claim: (kind, value) => this.#claim(`${kind}/${value}`),
			jurisdictionOf: (region) => (region === 'eu' ? 'eu' : null),
			retention: () => ({
				...{ object_history: 30, database_history: 7, bucket: 0 },
				...{ queue: 4, dead_letter_queue: 5, logs: 6 },
			}),
			claimName: (kind, value) => `${kind}/${value}`,
			erasures: () => this.#erasures(),
			certificateKey: async () => (await signerOf(Buffer.alloc(32).toString('base64url'))).publicKey,
			view: {
				records: (...all) => this.view.records(...all),
				collections: (...all) => this.view.collections(...all),
				tenants: (...all) => this.view.tenants(...all),
				freshness: (...all) => this.view.freshness(...all),
				verification: (...all) => this.view.verification(...all),
				heldRange: (...all) => this.view.heldRange(...all),
				heldRows: (...all) => this.view.heldRows(...all),
				deadLetters: (...all) => this.view.deadLetters(...all),
				deadLetter: (...all) => this.view.deadLetter(...all),
				rebuilt: (...all) => this.view.rebuilt(...all),
				reached: (...all) => this.view.reached(...all),
			},
			metrics: {
				read: async (regions) => regions.map((region) => ({ region, measured: this.measured })),
				usage: async () => accept([]),
				shards: async (_scope, limit) => accept({ ...this.shardList, shards: this.shardList.shards.slice(0, limit) }),
				traffic: async (_regions, grain, range) => accept(trafficOf([this.trafficSums], grain, range)),
			},
			rebuilds: (region) => this.#rebuilds(region),
			rotation: (region) => ({ read: () => this.port('rotation.read', () => this.rotations.get(region) ?? null) }),
			startRebuild: (step) => this.port('rebuild.start', () => void this.rebuildSteps.push(step)),
			orderDeadLetter: (order) => this.port('dead_letter.order', () => void this.deadLetterOrders.push(order)),
			monitorOf: (region) => this.#monitor(region),
			clock: () => this.now,
			random: (bytes) => crypto.getRandomValues(bytes),
			log: (level, event, fields) => this.logged.push({ level, event, fields }),
			telemetry: {
				count: (sample) => {
					this.counted.push(sample)
				},
			},
			sized: (stream) => stream,
			assets: {
				fetch: async (request) => {
					const { pathname } = new URL(request.url)
					return new Response(pathname.includes('absent') ? null : `/* ${pathname} */`, {
						status: pathname.includes('absent') ? 404 : 200,
					})
				},
			},
		}
		this.#app = createApp(this.ports)
	}

	async fetch(
		method: string,
		path: string,
		options: { as?: string; body?: BodyInit | object; headers?: Record<string, string>; signal?: AbortSignal } = {},
	): Promise<Response> {
		const headers = new Headers(options.headers)
		if (options.as !== undefined) headers.set('Authorization', `Bearer ${options.as}`)
		const { body } = options
		const plain = body !== undefined && Object.getPrototypeOf(body) === Object.prototype
		if (body !== undefined && !headers.has('Content-Type'))
			headers.set(
				'Content-Type',
				method === 'PATCH' && path.includes('/records/') ? 'application/merge-patch+json' : 'application/json',
			)
		const init = {
			method,
			headers,
			...(body !== undefined && { body: plain ? JSON.stringify(body) : (body as BodyInit) }),
			duplex: 'half',
		}
		return this.#app.fetch(new Request(`http://edge.test${path}`, init as RequestInit))
	}

	/** Creates a tenant over the API. */
	async tenant(slug = 'acme', region = 'eu'): Promise<{ id: TenantId; key: string; shard: FakeShard }> {
		const response = await this.fetch('POST', '/v1/tenants', { as: 'root-token', body: { slug, name: 'Acme', region } })
		const created = await response.json<{ id: TenantId; api_key: { secret: string } }>()
		const shard = this.shards.get(`${created.id}/0`)
		if (!shard) throw new Error(`no tenant: ${response.status}`)
		return { id: created.id, key: created.api_key.secret, shard }
	}

	/** Counts a call of a port and fails where the test wants it to. */
	async port<T>(name: string, effect: () => T): Promise<T> {
		const call = ++this.calls
		if (this.failAt === call) throw new Error(`Network connection lost before ${name}`)
		const result = effect()
		if (this.failAt === call + 0.5) throw new Error(`Network connection lost after ${name}`)
		return result
	}

	#shard(tenant: TenantId, number: number): Shard {
		const name = `${tenant}/${number}`
		const shard = this.shards.get(name) ?? new FakeShard(this)
		const called = <T>(method: string, effect: () => T) => {
			this.objectCalls.push(`${name} ${method}`)
			this.shards.set(name, shard)
			return this.port(method, effect)
		}
		return {
			execute: (command) => called(command.operation.name, () => shard.execute(command)),
			provision: (asked) => called('provision', () => shard.provision(asked)),
			pull: () => Promise.reject(new Error('the edge never pulls')),
			rebuild: () => Promise.reject(new Error('the edge never rebuilds')),
			rewind: ({ request, to }) => called('rewind', () => shard.rewind(request.key, to)),
			survey: ({ what }) =>
				called('survey', () => ({
					kind: 'rows',
					epoch: 1,
					head: 2,
					records: 1,
					rows: what === 'range' ? [held] : [],
					last: null,
				})),
			job: () => Promise.reject(new Error('the edge performs no jobs')),
			erase: (order) => called(`erase.${order.do}`, () => accept({ tables: 1, records: 0, keys: 1, buried: false })),
			fetch: (request) => called('fetch', () => shard.fetch(request)),
		}
	}

	#monitor(region: Region): TestMonitor {
		const present = this.monitors.get(region)
		if (present) return present
		const monitor = new TestMonitor(region)
		monitor.now = this.now
		this.monitors.set(region, monitor)
		return monitor
	}

	#rebuilds(region: Region): RebuildStore {
		const here = () => [...this.rebuildJobs.values()].filter((job) => job.region === region).reverse()
		return {
			read: (id) =>
				this.port('rebuild.read', () => {
					const job = here().find((one) => one.id === id)
					return job ? { job, etag: 'etag' } : null
				}),
			create: (job) =>
				this.port('rebuild.create', () => {
					this.rebuildJobs.set(`${region}/${job.id}`, job)
					return true
				}),
			replace: () => Promise.reject(new Error('the edge only begins rebuilds')),
			recent: (limit) => this.port('rebuild.recent', () => here().slice(0, limit)),
		}
	}

	#control(region: Region): ControlStore {
		const inside = (tenant: TenantId) => {
			if (regionOf(tenant) !== region) throw new Error('a control object outside its region')
		}
		return {
			read: (tenant) => this.port('control.read', () => this.controls.get(tenant) ?? null),
			create: (tenant, control) =>
				this.port('control.create', () => {
					inside(tenant)
					if (this.controls.has(tenant)) return false
					this.controls.set(tenant, { control, etag: crypto.randomUUID() })
					return true
				}),
			replace: (tenant, control, etag) =>
				this.port('control.replace', () => {
					if (this.controls.get(tenant)?.etag !== etag) return false
					this.controls.set(tenant, { control, etag: crypto.randomUUID() })
					return true
				}),
		}
	}

	#erasures(): ErasureStore {
		return {
			read: (id) => this.port('erasures.read', () => this.erasures.get(id) ?? null),
			create: (record) =>
				this.port('erasures.create', () => {
					if (this.erasures.has(record.id)) return false
					this.erasures.set(record.id, { record, etag: crypto.randomUUID() })
					return true
				}),
			replace: () => Promise.reject(new Error('the edge never replaces the record of an erasure')),
			recent: (limit) =>
				this.port('erasures.recent', () =>
					[...this.erasures.values()]
						.map(({ record }) => record)
						.slice(-limit)
						.toReversed(),
				),
		}
	}

	#claim(name: string): Claim {
		const claim = this.claims.get(name) ?? new FakeClaim()
		this.claims.set(name, claim)
		return {
			acquire: (tenant) => this.port('claim.acquire', () => claim.acquire(tenant)),
			confirm: (tenant) => this.port('claim.confirm', () => claim.confirm(tenant)),
			holder: () => this.port('claim.holder', () => claim.tenant),
			transfer: (from, to) => this.port('claim.transfer', () => claim.transfer(from, to)),
			release: (tenant) => this.port('claim.release', () => claim.release(tenant)),
			begin: (request) => this.port('claim.begin', () => claim.begin(request, this.now)),
			finish: () => this.port('claim.finish', () => claim.finish()),
			withdraw: () => this.port('claim.withdraw', () => claim.withdraw(this.now)),
		}
	}
}

function operator(name: string, scope: OperatorToken['scope']): OperatorToken {
	return { name, scope, tokenHash: hashSecret(`${name}-token`) }
}

export class FakeClaim {
	tenant: TenantId | null = null
	confirmed = false
	request: { fingerprint: string; draft: string; at: number; finished: boolean } | null = null

	acquire(tenant: TenantId): boolean {
		this.tenant ??= tenant
		return this.tenant === tenant
	}

	confirm(tenant: TenantId): boolean {
		if (this.tenant === tenant) this.confirmed = true
		return this.tenant === tenant
	}

	transfer(from: TenantId, to: TenantId): boolean {
		if (this.tenant !== from && this.tenant !== to) return false
		this.tenant = to
		this.confirmed = true
		return true
	}

	release(tenant: TenantId): void {
		if (this.tenant === tenant) this.tenant = null
	}

	begin({ fingerprint, draft }: { fingerprint: string; draft: string }, now: number): Begun {
		if (!this.request) {
			this.request = { fingerprint, draft, at: now, finished: false }
			return { state: 'started', draft }
		}
		if (this.request.fingerprint !== fingerprint) return { state: 'mismatch' }
		if (this.request.finished) return { state: 'finished', draft: this.request.draft }
		return this.request.at + 30_000 > now ? { state: 'running' } : { state: 'resumed', draft: this.request.draft }
	}

	finish(): void {
		if (this.request) this.request.finished = true
	}

	withdraw(now: number): void {
		if (this.request && !this.request.finished && this.request.at + 30_000 > now) this.request = null
	}
}

/** Enough of a shard to see what the edge makes of its answers; it knows no schema and merges nothing. */
export class FakeShard {
	readonly #edge: Edge
	readonly records = new Map<string, StoredRecord>()
	readonly commands: Command[] = []
	readonly keys = new Map<string, { hash: string; info: KeyInfo }>()
	readonly changes: Change[] = []
	readonly webhooks = new Map<string, { sealed: string; url: string }>()
	readonly #answers = new Map<string, { fingerprint: string; reply: Reply<never> }>()
	readonly sockets: FakeSocket[] = []
	/** By the key of the request. */
	readonly rewinds = new Map<string, { to: number; at: number }>()
	provisioned: Provisioning | null = null
	/** What operators have changed. */
	readonly told: Operations['tenant.update']['takes'] = {}
	/** As many as it says that it has. */
	collections = 0
	/** In their order. */
	collectionNames = ['a', 'b', 'c']
	/** Answers that an import waits for its archive, and refuses what was uploaded. */
	uploadRefusal: Refusal | null = null
	/** Refuses the next commands. */
	refusal: Refusal | null = null
	rate: Reply<unknown>['rate'] = null

	constructor(edge: Edge) {
		this.#edge = edge
	}

	/** Keeps no history, and only notes to when it would have gone back. */
	rewind(key: string, to: number): Outcome<Rewinding> {
		const earlier = this.rewinds.get(key)
		this.rewinds.set(key, earlier ?? { to, at: this.#edge.now })
		return accept({ at: earlier?.at ?? this.#edge.now, replayed: earlier !== undefined })
	}

	provision(asked: Provisioning): Outcome<{ head: number }> {
		const { key } = asked
		this.provisioned ??= asked
		const scopes = ['read' as const]
		this.keys.set(key.id, {
			hash: key.secretHash,
			info: { id: key.id, name: null, scopes, createdAt: asked.createdAt, expiresAt: null },
		})
		return accept({ head: 2 })
	}

	execute<N extends OperationName>(command: Command<N>): Reply<Answer<N>> {
		this.commands.push(command as unknown as Command)
		const rest = { replayed: false, rate: this.rate }
		const { caller, idempotency } = command
		if (caller.kind === 'key' && this.keys.get(caller.id)?.hash !== caller.secretHash)
			return { ...refuse('unauthorized', 'revoked'), ...rest }
		if (this.refusal) return { ok: false, refusal: this.refusal, ...rest }
		const earlier = idempotency && this.#answers.get(idempotency.key)
		if (earlier) {
			if (earlier.fingerprint !== idempotency.fingerprint)
				return { ...refuse('idempotency_mismatch', 'another request'), ...rest }
			return { ...earlier.reply, replayed: true }
		}
		const reply = { ...this.#run(command.operation as Operation), ...rest } as Reply<Answer<N>>
		// What only looks leaves nothing behind, as in a shard.
		if (reply.ok && idempotency && command.operation.name !== 'tenant.get')
			this.#answers.set(idempotency.key, { fingerprint: idempotency.fingerprint, reply: reply as Reply<never> })
		return reply
	}

	fetch(request: Request): Response {
		const reply = this.execute(JSON.parse(request.headers.get('Freehold-Command') ?? '') as Command<'changes.list'>)
		if (!reply.ok) return Response.json({ refusal: reply.refusal }, { status: 403 })
		const webSocket = new FakeSocket()
		this.sockets.push(webSocket)
		return Object.assign(new Response(), { webSocket }) as unknown as Response
	}

	/** Appends an entry, as a write of somebody else would, and tells the followers. */
	append(entry: Partial<Change> = {}): void {
		const seq = (this.changes.at(-1)?.seq ?? 0) + 1
		this.changes.push({
			seq,
			op: 'create',
			collection: 'c',
			id: `r${seq}`,
			version: 1,
			actor: 'key:k',
			at: this.#edge.now,
			...entry,
		})
		for (const socket of this.sockets) socket.say(JSON.stringify({ head: seq }))
	}

	#write(id: string, data: string) {
		const before = this.records.get(id)
		this.append({ id, op: before ? 'update' : 'create' })
		const seq = this.changes.length
		const { now } = this.#edge
		const record = {
			id,
			version: (before?.version ?? 0) + 1,
			seq,
			createdAt: before?.createdAt ?? now,
			updatedAt: now,
			data,
		}
		this.records.set(id, record)
		return accept({ record, created: !before, position: seq })
	}

	#run(operation: Operation): Outcome<unknown> {
		switch (operation.name) {
			case 'record.create':
				return this.#write(`minted-${this.changes.length + 1}`, operation.data)
			case 'record.put':
			case 'record.patch': {
				const etags = operation.ifMatch
				const present = this.records.get(operation.id)
				if (!present && operation.name === 'record.patch') return refuse('not_found', 'no record')
				const matches = present && (etags === '*' || etags?.includes(`${present.version}-${present.seq}`))
				if (etags !== null && !matches) return refuse('precondition_failed', 'If-Match')
				if (operation.name === 'record.put' && operation.ifNoneMatch === '*' && present)
					return refuse('precondition_failed', 'If-None-Match')
				return this.#write(operation.id, operation.name === 'record.put' ? operation.data : operation.patch)
			}
			case 'record.get': {
				const record = this.records.get(operation.id)
				return record ? accept({ record }) : refuse('not_found', 'no record')
			}
			case 'record.delete':
				return this.records.delete(operation.id) ? accept({ position: 9 }) : refuse('not_found', 'no record')
			case 'record.list': {
				const { after, limit, count } = operation.query
				const all = [...this.records.values()]
					.filter((record) => after === null || record.id > after.id)
					.sort((a, b) => (a.id < b.id ? -1 : 1))
				const records = all.slice(0, limit)
				const next = all.length > limit ? { values: [], id: records.at(-1)?.id ?? '' } : null
				return accept({ records, next, count: count ? this.records.size : null })
			}
			case 'batch':
				return accept({
					results: operation.operations.map(({ id = 'minted' }) => ({ id, version: 1, etag: '"1-1"' })),
					position: 7,
				})
			case 'collection.put':
			case 'collection.get': {
				const schema = operation.name === 'collection.put' ? operation.schema : '{}'
				const collection: CollectionInfo = {
					name: operation.collection,
					schema,
					records: 0,
					createdAt: 0,
					updatedAt: 0,
					change: null,
				}
				return accept({ collection, created: true, position: 3 })
			}
			case 'collection.list': {
				const names = this.collectionNames.filter((name) => name > (operation.after ?? ''))
				const collections = names
					.slice(0, operation.limit)
					.map((name) => ({ name, schema: '{}', records: 0, createdAt: 0, updatedAt: 0, change: null }))
				return accept({ collections, next: names.length > operation.limit ? (collections.at(-1)?.name ?? null) : null })
			}
			case 'collection.delete':
				return accept({ position: 4 })
			case 'changes.list': {
				const changes = this.changes.filter((change) => change.seq > operation.after).slice(0, operation.limit)
				return accept({ changes, head: this.changes.at(-1)?.seq ?? 0 })
			}
			case 'key.create': {
				const { prepared, keyName: name, scopes, expiresAt } = operation
				const key = { id: prepared.id, name, scopes, createdAt: this.#edge.now, expiresAt }
				this.keys.set(prepared.id, { hash: prepared.secretHash, info: key })
				return accept({ key, secret: prepared.secret, position: 5 })
			}
			case 'key.list':
				return accept({ keys: [...this.keys.values()].map(({ info }) => info), next: null })
			case 'key.delete':
				return this.keys.delete(operation.id) ? accept({ position: 6 }) : refuse('not_found', 'no key')
			case 'webhook.create':
			case 'webhook.rotate': {
				const { sealed, secret } = operation.prepared
				const id = operation.name === 'webhook.create' ? operation.prepared.id : operation.id
				const url = operation.name === 'webhook.create' ? operation.url : 'https://hooks.freehold.dev/x'
				this.webhooks.set(id, { sealed, url })
				return accept({ webhook: this.#webhook(id), secret, position: 10 })
			}
			case 'webhook.list':
				return accept({ webhooks: [...this.webhooks.keys()].map((id) => this.#webhook(id)), next: null })
			case 'webhook.get':
				if (!this.webhooks.has(operation.id)) return refuse('not_found', 'no webhook')
				return accept({ webhook: this.#webhook(operation.id), attempts: [] })
			case 'webhook.update':
				if (!this.webhooks.has(operation.id)) return refuse('not_found', 'no webhook')
				return accept({ webhook: this.#webhook(operation.id), position: 11 })
			case 'webhook.test':
				return accept({ message: operation.message })
			case 'webhook.delete':
				return this.webhooks.delete(operation.id) ? accept({ position: 12 }) : refuse('not_found', 'no webhook')
			case 'rotation.start':
				return refuse('not_ready', 'this shard has no key')
			case 'rotation.get':
				return refuse('not_found', 'this shard has no key')
			case 'tenant.get':
				return accept({ tenant: this.#info() })
			case 'import.create':
			case 'export.create':
				return refuse('job_running', 'this shard performs no jobs')
			case 'import.list':
				return accept({ imports: [], next: null })
			case 'export.list':
				return accept({ exports: [], next: null })
			case 'import.get':
				return this.uploadRefusal ? accept({ import: waitingImport(operation.id) }) : refuse('not_found', 'no import')
			case 'import.upload':
				return { ok: false, refusal: this.uploadRefusal ?? { code: 'not_found', detail: 'no import' } }
			case 'export.get':
			case 'export.download':
			case 'export.delete':
				return refuse('not_found', 'this shard performs no jobs')
			case 'tenant.update':
				Object.assign(this.told, JSON.parse(JSON.stringify(operation)))
				return accept({ tenant: this.#info(), position: 8 })
			case 'subject.read':
				return accept({ records: [], next: null, position: 11 })
			case 'subject.erase': {
				const times = { createdAt: this.#edge.now, dueAt: this.#edge.now, finishedAt: this.#edge.now }
				const receipt = { id: '0'.repeat(26), kind: 'erasure' as const, subject: 'h', records: 0, actor: 'key:k' }
				return accept({ receipt: { ...receipt, ...times }, position: 12 })
			}
			case 'subject.restrict':
			case 'subject.release': {
				const times = { createdAt: this.#edge.now, dueAt: this.#edge.now, finishedAt: this.#edge.now }
				const receipt = { id: '0'.repeat(26), kind: 'release' as const, subject: 'h', records: 0, actor: 'key:k' }
				return accept({ receipt: { ...receipt, ...times }, position: 12 })
			}
			case 'subject.restriction':
				return accept({ since: null })
			case 'subject.requests':
				return accept({ requests: [], next: null })
			case 'audit.list': {
				const entries = this.changes
					.filter(({ seq }) => seq > operation.after)
					.slice(0, operation.limit)
					.map((change) => ({ ...change, request: null, records: null, digest: null, chain: null }))
				const last = entries.at(-1)?.seq ?? operation.after
				return accept({ entries, next: last < this.changes.length ? last : null })
			}
			case 'audit.verify': {
				const head = this.changes.length
				const to = Math.min(operation.after + 2, head)
				return accept({ from: operation.after, to, head, brokenAt: null, chain: 'c' })
			}
			case 'tenant.erasure': {
				const { slug } = this.#info()
				return operation.slug === null || operation.slug === slug
					? accept({ slug, erasure: operation.erasure, position: 10 })
					: refuse('validation_failed', 'another slug')
			}
		}
	}

	#webhook(id: string): WebhookInfo {
		const { now } = this.#edge
		const url = this.webhooks.get(id)?.url ?? ''
		const nothing = { description: null, events: null, collections: null, disabled: null, failing: null, missed: null }
		return { id, url, ...nothing, position: 3, previousSecretUntil: null, createdAt: now, updatedAt: now }
	}

	#info(): TenantInfo {
		const { provisioned } = this
		if (!provisioned) throw new Error('not provisioned')
		const { tenant: id, createdAt } = provisioned
		const { slug = provisioned.slug, tenantName: name = provisioned.name, status = 'active' } = this.told
		return {
			id,
			slug,
			name,
			status,
			createdAt,
			limits: { requests_per_second: 1_000, storage_bytes: 10 },
			usage: { records: this.records.size, collections: this.collections, keys: 1, storage_bytes: 1, position: 2 },
		}
	}
}

function waitingImport(id: string): ImportInfo {
	const counts = { parts: 1, partsDone: 0, bytes: 0, recordsDone: 0, recordsTotal: null }
	return { id, state: 'waiting', ...counts, faults: [], createdAt: 0, finishedAt: null, expiresAt: 0 }
}

/** The shard's end and the edge's end in one. */
export class FakeSocket extends EventTarget {
	closed = false

	accept(): void {}

	close(): void {
		this.closed = true
	}

	say(data: string): void {
		this.dispatchEvent(Object.assign(new Event('message'), { data }))
	}

	drop(): void {
		this.dispatchEvent(new Event('close'))
	}
}

const freshNow: Freshness = {
	exact: true,
	complete: true,
	asOf: Date.UTC(2026, 10, 22),
	shards: 1,
	shardsBehind: 0,
	worstLagMs: 0,
	shardsRebuilding: 0,
	deadLetters: 0,
	tenantsMissing: 0,
	registryComparedAt: Date.UTC(2026, 10, 22),
	regions: [],
}

function fakeView(edge: Edge): View {
	const tenants = () =>
		[...edge.controls]
			.filter(([, { control }]) => control.state === 'active')
			.map(([id]) => id)
			.sort()
	return {
		verification: async ({ regions }) => accept(regions.map((region) => ({ ...neverVerified, region }))),
		heldRange: async () => accept([held]),
		heldRows: async () => accept({ rows: [], epoch: 1, appliedSeq: 2, hollow: false }),
		deadLetters: async (_scope, { state, limit, after }) => {
			const all = edge.deadLetters.filter((one) => state === null || one.state === state)
			const left = all.filter(({ number }) => after === null || number > after.number)
			const [waiting, discarded] = (['waiting', 'discarded'] as const).map(
				(one) => edge.deadLetters.filter((letter) => letter.state === one).length,
			)
			const deadLetters = left.slice(0, limit)
			const next = left.length > limit ? (deadLetters.at(-1) ?? null) : null
			return accept({
				deadLetters,
				next: next && { region: next.region, number: next.number },
				...{ waiting: waiting ?? 0, discarded: discarded ?? 0, freshness: edge.freshness },
			})
		},
		deadLetter: async ({ region, number }) =>
			accept(edge.deadLetters.find((one) => one.region === region && one.number === number) ?? null),
		rebuilt: async () => accept({ shards: { done: 1, total: 2 }, records: { done: 3, total: 4 } }),
		records: async (scope, { after, limit }) => {
			const all = ['r1', 'r2', 'r3'].filter((id) => after === null || id > after.id)
			const tenant = scope.tenant ?? tenants()[0]
			if (!tenant) return accept({ records: [], next: null, count: null, freshness: edge.freshness })
			const records = all
				.slice(0, limit)
				.map((id) => ({ tenant, id, version: 1, createdAt: 0, updatedAt: 0, data: '{"n":1}' }))
			const next = all.length > limit ? { values: [null], tenant, id: records.at(-1)?.id ?? '' } : null
			return accept({ records, next, count: 3, freshness: edge.freshness })
		},
		collections: async () =>
			accept({
				collections: tenants().map((tenant) => ({ tenant, name: 'c', records: 3 })),
				next: null,
				freshness: edge.freshness,
			}),
		tenants: async (_scope, { limit, after }) => {
			const all = tenants().filter((id) => after === null || id > after)
			const page = all
				.slice(0, limit)
				.map((id) => ({ id, slug: 's', name: 'n', status: 'active' as const, createdAt: 0 }))
			return accept({
				tenants: page,
				next: all.length > limit ? (page.at(-1)?.id ?? null) : null,
				freshness: edge.freshness,
			})
		},
		freshness: async () => accept(edge.freshness),
		reached: async (_tenant, position) =>
			position > 100 ? refuse('view_behind', 'not there yet', { retryAfter: 1 }) : accept(true),
	}
}

const held = { collection: 'c', id: 'r1', hash: '00000000000000ff', changed: false }
const neverVerified = {
	...{ equal: 0, differing: 0, unknown: 1, repairs: 0, oldestCheckAt: null, newestCheckAt: null },
	shards: [],
}
