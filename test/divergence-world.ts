import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import type { PullRequest, WakeUp } from '../core/contract.ts'
import type { Control, ControlStore } from '../core/control.ts'
import { DatabaseFailure } from '../db/neon/client.ts'
import type { ViewStore } from '../db/neon/writer.ts'
import { consume } from '../workers/queue-consumer/consumer.ts'
import { message, noJobs } from './consumer-ports.ts'
import { MemoryView } from './fault/memory-view.ts'
import { nodeSql } from './node-sql.ts'
import { ShardFixture } from './shard.ts'

const folder = mkdtempSync(join(tmpdir(), 'freehold-divergence-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0

/** A shard whose file can be replaced by an older copy, its control object, its view, and the queue between them. */
export class World {
	fixture = new ShardFixture()
	control: Control = { state: 'active', epoch: 1, createdAt: 0 }
	readonly view = new MemoryView()
	queue: WakeUp[] = []
	/** Counts every call that leaves the consumer; one of them fails, before or after its effect. */
	calls = 0
	failAt: number | null = null

	async put(id: string, data: object): Promise<void> {
		await this.fixture.ask({
			...{ name: 'record.put', collection: 'c', id, data: JSON.stringify(data), ifMatch: null, ifNoneMatch: null },
		})
	}

	copy(): string {
		const path = join(folder, `${++files}`)
		this.fixture.sql.all('VACUUM INTO ?', path)
		return path
	}

	/** The object starts again over another file. */
	replace(path: string): void {
		const sql = nodeSql(path)
		// The disk is not what is tested here.
		sql.all('PRAGMA synchronous = OFF')
		this.fixture = new ShardFixture({ sql, provision: false })
		this.fixture.shard.admit(this.control)
	}

	wakeUp(): WakeUp {
		const { shard, tenant } = this.fixture
		return { tenant, shard: 0, epoch: 1, head: shard.position() }
	}

	/** Delivers until the queue is empty; what fails comes again. */
	async settle(): Promise<void> {
		for (let deliveries = 0; this.queue.length > 0; deliveries++) {
			if (deliveries > 200) throw new Error('the queue does not come to rest')
			const [body, ...rest] = this.queue
			this.queue = rest
			const one = message(body)
			await consume([one], this.#ports())
			if (one.settled !== 'ack' && body) this.queue.push(body)
		}
	}

	/** What the shard has, as the view should hold it. */
	async rows() {
		const listed = await this.fixture.ask({
			...{ name: 'record.list', collection: 'c' },
			query: {
				filter: null,
				order: [{ field: 'id', descending: false }],
				limit: 1_000,
				after: null,
				select: null,
				count: false,
			},
		})
		return listed.records.map(({ id, version, data }) => ({ collection: 'c', id, version, data: JSON.parse(data) }))
	}

	async expectEqual(): Promise<void> {
		const { rows, exact, filling, epoch, appliedSeq } = this.view.sample(this.fixture.tenant)
		expect({ exact, filling, epoch, appliedSeq }).toEqual({
			...{ exact: true, filling: false },
			...{ epoch: this.control.epoch, appliedSeq: this.fixture.shard.position() },
		})
		expect(rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(await this.rows())
	}

	store(): ControlStore {
		return {
			read: async () => ({ control: this.control, etag: JSON.stringify(this.control) }),
			create: () => Promise.reject(new Error('the tenant exists')),
			replace: async (_tenant, changed, etag) => {
				if (etag !== JSON.stringify(this.control)) return false
				this.control = changed
				return true
			},
		}
	}

	async #call<T>(effect: () => T): Promise<T> {
		const call = ++this.calls
		if (this.failAt === call) throw new DatabaseFailure(null)
		const answer = effect()
		if (this.failAt === call + 0.5) throw new DatabaseFailure(null)
		return answer
	}

	#ports() {
		const { store } = this.view
		const view: ViewStore = {
			readWatermarks: (wakeUps) => this.#call(() => store.readWatermarks(wakeUps)),
			startWatermark: (wakeUp) => this.#call(() => store.startWatermark(wakeUp)),
			startOver: (of, epoch) => this.#call(() => store.startOver(of, epoch)),
			applyPages: (moves) => this.#call(() => store.applyPages(moves)),
			applySchema: (move, schema) => this.#call(() => store.applySchema(move, schema)),
			startBase: (move, start) => this.#call(() => store.startBase(move, start)),
			applyBase: (move) => this.#call(() => store.applyBase(move)),
			setAside: (watermark, reading, entry) => this.#call(() => store.setAside(watermark, reading, entry)),
		}
		const control: ControlStore = {
			read: () => this.#call(() => ({ control: this.control, etag: String(this.control.epoch) })),
			create: () => Promise.reject(new Error('the tenant exists')),
			replace: (_tenant, changed, etag) =>
				this.#call(() => {
					if (etag !== String(this.control.epoch)) return false
					this.control = changed
					return true
				}),
		}
		return {
			view: () => view,
			control: () => control,
			shardOf: () => ({ pull: (request: PullRequest) => this.#call(() => this.#pull(request)) }),
			announce: (wakeUp: object) => this.#call(() => void this.queue.push(wakeUp as WakeUp)),
			erase: () => Promise.reject(new Error('nobody is erased here')),
			now: () => 0,
			sleep: (_ms: number, signal: AbortSignal) =>
				new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
			random: () => 0.5,
			log: () => {},
			jobs: noJobs,
		}
	}

	/** As the object does it: a newer epoch than its own makes it read the control object. */
	#pull(request: PullRequest) {
		const { shard } = this.fixture
		const asked = { ...request, entriesMax: Math.min(request.entriesMax, 3) }
		const reply = shard.pull(asked)
		if (reply.kind !== 'refused' || reply.reason !== 'epoch' || !shard.admit(this.control)) return reply
		return shard.pull(asked)
	}
}
