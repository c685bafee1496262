import type {
	Answer,
	Caller,
	Command,
	OperationName,
	PullReply,
	PullRequest,
	RebuildReply,
	Reply,
	WakeUp,
} from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import { shardBytesMax } from '../../core/limits.ts'
import { Shard } from '../../workers/shard-do/shard.ts'
import { Turn } from '../../workers/shard-do/turn.ts'
import { MemoryPages } from '../memory-pages.ts'
import { nodeSql } from '../node-sql.ts'
import type { JournalEntry } from './history.ts'
import type { World } from './world.ts'

/** The alarm that failed rings again so much later, as `tenant-shard.ts` has it. */
const alarmRetryMs = 5_000
/** The platform repeats an alarm whose handler did not come to its end. */
const platformRetryMs = 2_000

/** One instance of the object in memory. */
interface Life {
	shard: Shard
	turn: Turn
	/** Rejects when the instance ends; never resolves. */
	ended: Promise<never>
	end(): void
}

/** The platform around one object ended; whoever called it learns nothing else. */
class ObjectReset extends Error {}

export interface HostPorts {
	announce(wakeUp: WakeUp): Promise<void>
	/** How far the view has come, which bounds what may be pruned (J2). */
	applied(): number
}

/**
 * A tenant's object on a simulated platform: the real `Shard` and the real `Turn` over a real SQLite. What an event writes is
 * confirmed by a later commit, and nothing that depends on it leaves the object before (the output gate); a crash in between
 * takes back what was written, or only forgets to say that it is there.
 */
export class ObjectHost {
	readonly tenant: TenantId
	/** Null when none is set. */
	alarmAt: number | null = null
	/** An object that answers nobody; its callers wait. */
	frozen = false
	/** The committed journal as it grew, with the requests that caused it. */
	readonly journal: JournalEntry[] = []
	readonly #world: World
	readonly #ports: HostPorts
	readonly #observer: Caller
	readonly #sql = nodeSql()
	#committedAlarmAt: number | null = null
	#life: Life | null = null
	#dirty = false
	#commit: Promise<void> | null = null
	#ringing = false
	#busy = 0

	constructor(world: World, tenant: TenantId, observer: Caller, ports: HostPorts) {
		this.#world = world
		this.tenant = tenant
		this.#observer = observer
		this.#ports = ports
		this.#sql.all('BEGIN')
	}

	/** Creates the tenant's database before the faults begin. */
	provision(key: { id: string; secretHash: string }, epoch: number): void {
		const { tenant } = this
		const asked = { tenant, shard: 0, epoch, slug: 'acme', name: 'Acme', createdAt: this.#world.now, key }
		const outcome = this.#wake().shard.provision({ ...asked, actor: 'operator:test' })
		if (!outcome.ok) throw new Error(outcome.refusal.detail)
		this.#commitNow()
	}

	execute<N extends OperationName>(command: Command<N>): Promise<Reply<Answer<N>>> {
		return this.#event(async ({ shard, turn }) => {
			if (!Shard.writes(command.operation.name)) return shard.execute(command)
			return turn.submit(() => shard.execute(command))
		})
	}

	pull(request: PullRequest): Promise<PullReply> {
		return this.#event(async ({ shard }) => shard.pull(request))
	}

	rebuild(id: string): Promise<RebuildReply> {
		const request = { tenant: this.tenant, shard: 0, id, askedAt: this.#world.now }
		return this.#event(({ shard, turn }) => turn.submit(() => shard.rebuild(request)))
	}

	/** True when the platform would ring the alarm now. */
	isDue(): boolean {
		return this.alarmAt !== null && this.alarmAt <= this.#world.now && !this.#ringing && !this.frozen
	}

	/** When it will; infinite for never. */
	dueAt(): number {
		return this.alarmAt === null || this.#ringing || this.frozen || this.isDue()
			? Number.POSITIVE_INFINITY
			: this.alarmAt
	}

	async ring(): Promise<void> {
		this.alarmAt = null
		this.#ringing = true
		try {
			await this.#event(({ shard }) => shard.alarm().catch(() => this.#arm(this.#world.now + alarmRetryMs)))
			this.#ringing = false
		} catch {
			// The instance ended in the middle, or did not even start.
			this.#ringing = false
			this.alarmAt ??= this.#world.now + platformRetryMs
			this.#committedAlarmAt ??= this.alarmAt
		}
	}

	/** A timer of the instance, which ends with it. */
	async #lookLater(at: number, isOver: () => boolean): Promise<void> {
		await this.#world.timer(Math.max(0, at - this.#world.now))
		if (isOver()) return
		const look = ({ shard }: Life) => shard.look().catch(() => this.#arm(this.#world.now + alarmRetryMs))
		// Nobody waits for it; when the instance ends meanwhile, the alarm stands behind it.
		await this.#event(look).catch(() => {})
	}

	/** Memory is lost. What was written and not confirmed is taken back, or stays although nobody was told. */
	crash(keepsUnconfirmed: boolean): true {
		this.#sql.all(keepsUnconfirmed ? 'COMMIT' : 'ROLLBACK')
		this.#sql.all('BEGIN')
		if (keepsUnconfirmed) this.#committedAlarmAt = this.alarmAt
		else this.alarmAt = this.#committedAlarmAt
		this.#dirty = false
		this.#commit = null
		this.#life?.end()
		this.#life = null
		return true
	}

	/** Memory is lost between events, when nothing waits. */
	evict(): boolean {
		if (this.#busy > 0 || this.#dirty || this.#life === null) return false
		this.crash(true)
		return true
	}

	/** Reads on in the journal, as far as it is committed. */
	observe(): void {
		while (this.#wake().shard.position() > this.journal.length) {
			const changes = this.#changes(this.journal.length)
			if (changes.length === 0) this.#world.violated('[J1] the journal ends before its head')
			for (const { seq, op, collection, id, version, request = null } of changes) {
				if (seq !== this.journal.length + 1) this.#world.violated(`[J1] position ${seq} follows ${this.journal.length}`)
				this.journal.push({ seq, op, collection, id, version, request })
			}
			if (changes.length === 0) break
		}
		// What the view has not applied must be there still; asking for it is refused when it was pruned (J2).
		if (this.#ringing) this.#changes(this.#ports.applied())
	}

	/** Memory and storage agree about what is there (D2), and what was once in the journal has not changed. */
	audit(): void {
		const kept = this.#changes(this.#ports.applied())
		for (const { seq, op, collection, id, version, request = null } of kept) {
			const now = { seq, op, collection, id, version, request }
			if (JSON.stringify(this.journal[seq - 1]) !== JSON.stringify(now))
				this.#world.violated(`[J1] the entry at ${seq} has changed`)
		}
		const warm = this.#collections()
		this.crash(true)
		const cold = this.#collections()
		if (warm !== cold) this.#world.violated(`[D2] a warm object counts ${warm}, a cold one ${cold}`)
	}

	close(): void {
		this.#life?.end()
		this.#sql.close()
	}

	#collections(): string {
		const reply = this.#wake().shard.execute(this.#command({ name: 'collection.list', limit: 100, after: null }))
		if (!reply.ok) return reply.refusal.code
		return JSON.stringify(reply.value.collections.map(({ name, records }) => [name, records]))
	}

	#changes(after: number): Answer<'changes.list'>['changes'] {
		const reply = this.#wake().shard.execute(this.#command({ name: 'changes.list', after, limit: 1_000 }))
		if (reply.ok) return reply.value.changes
		this.#world.violated(`[J2] after ${after}, where the view is at ${this.#ports.applied()}: ${reply.refusal.detail}`)
		return []
	}

	#command<N extends OperationName>(operation: Command<N>['operation']): Command<N> {
		const { tenant } = this
		return { tenant, shard: 0, caller: this.#observer, requestId: 'observer', idempotency: null, operation }
	}

	/** Runs one event; its result leaves the object once what it may depend on is confirmed. */
	async #event<T>(run: (life: Life) => Promise<T>): Promise<T> {
		const life = this.#wake()
		this.#busy++
		try {
			return structuredClone(await Promise.race([life.ended, run(life)]))
		} finally {
			this.#busy--
			await this.#confirmed(life)
		}
	}

	#wake(): Life {
		if (this.#life) return this.#life
		const ended = Promise.withResolvers<never>()
		ended.promise.catch(() => {})
		let isOver = false
		// An instance that has ended may still run, but reaches no storage any more.
		const reachStorage = () => {
			if (isOver) throw new ObjectReset()
		}
		const shard = new Shard({
			sql: {
				all: (query, ...bindings) => {
					reachStorage()
					const writes = !/^\s*(SELECT|WITH)\b/i.test(query)
					if (writes && this.#world.happens('statement_fails')) throw new Error('disk I/O error')
					if (writes) this.#dirty = true
					return this.#sql.all(query, ...bindings)
				},
				transaction: (work) => {
					reachStorage()
					return this.#transaction(work)
				},
				sizeBytes: () => this.#sql.sizeBytes(),
			},
			clock: () => this.#world.now,
			random: this.#world.chance.bytes,
			arm: (at) => {
				reachStorage()
				this.#arm(at)
			},
			lookAt: (at) => void this.#lookLater(at, () => isOver),
			announce: async (message) => {
				await this.#confirmed(life)
				// There are no webhooks and no erasures in this world.
				if ('head' in message) await this.#ports.announce(message)
			},
			hashSubject: () => '',
			shardBytesMax,
			unwrapKey: () => null,
			changeKeys: () => Promise.reject(new Error('nothing is encrypted in this world')),
			keyPages: new MemoryPages(),
			deleteAll: () => Promise.reject(new Error('nobody is erased in this world')),
		})
		const turn = new Turn({
			transaction: (work) => {
				reachStorage()
				return this.#transaction(() => {
					const results = work()
					if (this.#world.happens('turn_fails')) throw new Error('disk is full')
					return results
				})
			},
			durable: () => this.#confirmed(life),
			committed: () => shard.committed(),
			failed: () => shard.failed(),
		})
		const end = () => {
			isOver = true
			ended.reject(new ObjectReset())
		}
		const life: Life = { shard, turn, ended: ended.promise, end }
		this.#life = life
		return life
	}

	#transaction<T>(work: () => T): T {
		const alarmBefore = this.alarmAt
		try {
			return this.#sql.transaction(work)
		} catch (error) {
			this.alarmAt = alarmBefore
			throw error
		}
	}

	#arm(at: number): void {
		this.alarmAt = at
		this.#dirty = true
	}

	/** Resolves when all that was written until now is committed; rejects when the instance ended before. */
	#confirmed(life: Life): Promise<void> {
		if (this.#life !== life) return life.ended
		if (!this.#dirty) return Promise.resolve()
		this.#commit ??= this.#commitLater(life)
		return Promise.race([life.ended, this.#commit])
	}

	async #commitLater(life: Life): Promise<void> {
		await this.#world.step('commit')
		if (this.#life !== life) return
		if (this.#world.happens('commit_fails')) this.crash(false)
		else if (this.#world.happens('commit_unknown')) this.crash(true)
		else this.#commitNow()
	}

	#commitNow(): void {
		this.#sql.all('COMMIT')
		this.#sql.all('BEGIN')
		this.#committedAlarmAt = this.alarmAt
		this.#dirty = false
		this.#commit = null
		this.observe()
	}
}
