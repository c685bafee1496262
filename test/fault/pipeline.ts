import type { Announcement, PullReply, PullRequest, WakeUp } from '../../core/contract.ts'
import { DatabaseFailure } from '../../db/neon/client.ts'
import type { ViewStore } from '../../db/neon/writer.ts'
import { consume, type Message } from '../../workers/queue-consumer/consumer.ts'
import { noJobs, unregistered } from '../consumer-ports.ts'
import type { MemoryView } from './memory-view.ts'
import type { ObjectHost } from './object-host.ts'
import type { Candidate, World } from './world.ts'

const consumersAtOnce = 4
const batchMax = 5
/** As `wrangler.toml` has it: a message that failed so often waits for its shard's next announcement. */
const retriesMax = 5
/** A message whose consumer died comes again after this. */
const redeliveryMs = 30_000

interface Queued {
	body: WakeUp
	attempts: number
	visibleAt: number
}

/** One run of the consumer. When its isolate dies, whatever it waits for never comes. */
interface Delivery {
	dead: boolean
	messages: Queued[]
	settled: Map<Queued, number | null>
	/** Tenants whose wake-ups this run may acknowledge although the view is not there yet, because somebody else will see to it. */
	excused: Set<string>
}

/** The queue, and as many consumers at once as its messages keep busy, over the real `consume`. */
export class Pipeline {
	readonly #world: World
	readonly #view: MemoryView
	readonly #hosts: readonly ObjectHost[]
	readonly #onSample: (tenant: string) => void
	#queue: Queued[] = []
	#running = new Set<Delivery>()

	constructor(world: World, view: MemoryView, hosts: readonly ObjectHost[], onSample: (tenant: string) => void) {
		this.#world = world
		this.#view = view
		this.#hosts = hosts
		this.#onSample = onSample
		world.sources.push(() => this.#candidates())
		world.alarms.push(() => this.#nextVisible())
	}

	async send(wakeUp: WakeUp): Promise<void> {
		await this.#world.step('send')
		if (this.#world.happens('send_fails')) throw new Error('the queue did not answer')
		this.enqueue(wakeUp)
	}

	enqueue(body: WakeUp): void {
		if (this.#world.happens('message_lost')) return
		const visibleAt = this.#world.now + (this.#world.happens('message_delayed') ? this.#world.chance.below(600_000) : 0)
		this.#queue.push({ body, attempts: 0, visibleAt })
		if (this.#world.happens('message_doubled')) this.#queue.push({ body, attempts: 0, visibleAt })
	}

	#candidates(): Candidate[] {
		if (this.#running.size >= consumersAtOnce) return []
		const visible = this.#queue.filter(({ visibleAt }) => visibleAt <= this.#world.now)
		return visible.length > 0 ? [{ name: 'deliver', run: () => this.#deliver(visible) }] : []
	}

	#nextVisible(): number {
		return Math.min(...this.#queue.flatMap(({ visibleAt }) => (visibleAt > this.#world.now ? [visibleAt] : [])))
	}

	/** Any of the visible messages in any order: the queue promises none. */
	#deliver(visible: Queued[]): void {
		const { chance } = this.#world
		const taken: Queued[] = []
		const wanted = 1 + chance.below(Math.min(batchMax, visible.length))
		while (taken.length < wanted) taken.push(...visible.splice(chance.below(visible.length), 1))
		this.#queue = this.#queue.filter((one) => !taken.includes(one))
		const delivery: Delivery = { dead: false, messages: taken, settled: new Map(), excused: new Set() }
		this.#running.add(delivery)
		for (const message of taken) message.attempts++
		const messages = taken.map((message) => this.#messageOf(delivery, message))
		void consume(messages, this.#portsOf(delivery)).then(
			() => this.#finish(delivery),
			() => this.#world.violated('consume() threw'),
		)
	}

	#messageOf(delivery: Delivery, message: Queued): Message {
		return {
			body: message.body,
			attempts: message.attempts,
			ack: () => {
				delivery.settled.set(message, null)
				const { tenant, head } = message.body
				// What a lost view had left, or where it was, is not known any more.
				if (this.#view.lost.has(tenant)) return
				const { epoch } = this.#view.sample(tenant)
				const appliedSeq = this.#view.furthest(tenant)
				if (epoch > message.body.epoch || appliedSeq >= head || delivery.excused.has(tenant)) return
				this.#world.violated(`[V1] a wake-up to ${head} was acknowledged when the view was at ${appliedSeq}`)
			},
			retry: ({ delaySeconds }) => delivery.settled.set(message, delaySeconds),
		}
	}

	#portsOf(delivery: Delivery) {
		return {
			view: () => this.#storeOf(delivery),
			shardOf: (tenant: string) => ({ pull: (request: PullRequest) => this.#pull(delivery, tenant, request) }),
			control: () => unregistered,
			announce: async (wakeUp: Announcement) => {
				if (!('head' in wakeUp)) throw new Error('only wake-ups are announced in this world')
				await this.#hop(delivery, 'announce again')
				if (this.#world.happens('send_fails')) throw new Error('the queue did not answer')
				this.enqueue(wakeUp)
				delivery.excused.add(wakeUp.tenant)
			},
			erase: () => Promise.reject(new Error('nobody is erased in this world')),
			now: () => this.#world.now,
			sleep: (ms: number, signal: AbortSignal) => this.#world.timer(ms, signal),
			random: () => this.#world.chance.fraction(),
			log: (level: string, event: string, fields: Record<string, string | number | null>) => {
				this.#world.note(`${level} ${event} ${JSON.stringify(fields)}`)
				if (event === 'pull_refused') delivery.excused.add(String(fields.tenant))
			},
			jobs: noJobs,
		}
	}

	async #pull(delivery: Delivery, tenant: string, request: PullRequest): Promise<PullReply> {
		const host = this.#hosts.find((one) => one.tenant === tenant)
		if (!host) throw new Error('no such object')
		await this.#hop(delivery, 'pull')
		if (this.#world.happens('pull_fails')) throw new Error('the object is unreachable')
		const { epoch } = this.#view.sample(tenant)
		const appliedSeq = this.#view.furthest(tenant)
		const acknowledged = request.applied ?? request.after
		if (epoch === request.epoch && acknowledged > appliedSeq)
			this.#world.violated(`[J2] a pull acknowledged ${acknowledged} when the view was at ${appliedSeq}`)
		await arrival(host, this.#world)
		// Small pages make many of them, and the shard may always answer with less than it was asked for.
		const entriesMax = Math.min(request.entriesMax, 1 + this.#world.chance.below(12))
		const bytesMax = this.#world.chance.happens(0.3) ? 1 + this.#world.chance.below(600) : request.bytesMax
		const reply = await host.pull({ ...request, entriesMax, bytesMax })
		await this.#hop(delivery, 'pulled')
		if (this.#world.happens('pull_fails')) throw new Error('the answer was lost')
		return reply
	}

	#storeOf(delivery: Delivery): ViewStore {
		const { store } = this.#view
		const ask = async <T>(statement: () => T): Promise<T> => {
			await this.#hop(delivery, 'statement')
			if (this.#world.happens('database_refuses'))
				throw new DatabaseFailure(this.#world.chance.pick([null, '57P01', '53300', '40001']))
			const answer = statement()
			for (const { body } of delivery.messages) this.#onSample(body.tenant)
			await this.#hop(delivery, 'answer')
			if (this.#world.happens('answer_lost')) throw new DatabaseFailure(null)
			return answer
		}
		return {
			readWatermarks: (wakeUps) => ask(() => store.readWatermarks(wakeUps)),
			startWatermark: (wakeUp) => ask(() => store.startWatermark(wakeUp)),
			startOver: (of, epoch) => ask(() => store.startOver(of, epoch)),
			applyPages: (moves) => ask(() => store.applyPages(moves)),
			applySchema: (move, schema) => ask(() => store.applySchema(move, schema)),
			startBase: (move, start) => ask(() => store.startBase(move, start)),
			applyBase: (move) => ask(() => store.applyBase(move)),
			setAside: (watermark, reading, entry) => ask(() => store.setAside(watermark, reading, entry)),
		}
	}

	/** Where a consumer waits, and may die: before a pull, after it, before a statement, after its commit. */
	async #hop(delivery: Delivery, name: string): Promise<void> {
		if (!delivery.dead && this.#world.happens('consumer_dies')) {
			delivery.dead = true
			this.#running.delete(delivery)
			for (const message of delivery.messages) this.#redeliver(message, redeliveryMs)
		}
		if (delivery.dead) await new Promise(() => {})
		await this.#world.step(name)
		if (delivery.dead) await new Promise(() => {})
	}

	/** What was settled counts when the run has come to its end; a consumer that dies before has settled nothing. */
	#finish(delivery: Delivery): void {
		if (delivery.dead) return
		this.#running.delete(delivery)
		const dies = this.#world.happens('consumer_dies')
		for (const message of delivery.messages) {
			const delaySeconds = delivery.settled.get(message)
			if (delaySeconds === undefined) this.#world.violated('a message was neither acknowledged nor retried')
			if (dies) this.#redeliver(message, redeliveryMs)
			else if (typeof delaySeconds === 'number') this.#redeliver(message, delaySeconds * 1_000)
		}
	}

	#redeliver(message: Queued, afterMs: number): void {
		if (message.attempts <= retriesMax && !this.#world.happens('message_lost'))
			this.#queue.push({ ...message, visibleAt: this.#world.now + afterMs })
	}
}

/** A call reaches the object when it is no longer frozen, however late that is. */
export async function arrival(host: ObjectHost, world: World): Promise<void> {
	while (host.frozen) await world.timer(1_000)
}
