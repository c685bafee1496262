/** The Worker as it is deployed, with a counter at everything that is billed. `GET /counts` tells and forgets them. */
import type { Answer, Command, OperationName, PullReply, PullRequest, Reply } from '../../core/contract.ts'
import type { Env } from '../../workers/env.ts'
import deployed, { TenantShard as Deployed } from '../../workers/main.ts'

export { Monitor, UniqueClaim } from '../../workers/main.ts'

const none = { workerRequests: 0, objectRequests: 0, rowsWritten: 0, rowsRead: 0, messages: 0, activeMs: 0 }
let counts = { ...none }

export class TenantShard extends Deployed {
	#running = 0
	#activeSince = 0

	constructor(ctx: DurableObjectState, env: Env) {
		countRows(ctx.storage)
		super(ctx, countMessages(env))
	}

	override execute<N extends OperationName>(command: Command<N>): Promise<Reply<Answer<N>>> {
		return this.#count(() => super.execute(command))
	}

	override pull(request: PullRequest): Promise<PullReply> {
		return this.#count(() => super.pull(request))
	}

	override alarm(): Promise<void> {
		return this.#count(() => super.alarm())
	}

	/** An object is billed for the time in which at least one request is inside it. */
	async #count<T>(work: () => Promise<T>): Promise<T> {
		counts.objectRequests += 1
		if (this.#running === 0) this.#activeSince = Date.now()
		this.#running += 1
		try {
			return await work()
		} finally {
			this.#running -= 1
			if (this.#running === 0) counts.activeMs += Date.now() - this.#activeSince
		}
	}
}

export default {
	fetch(request: Request, env: Env, context: ExecutionContext): Response | Promise<Response> {
		if (new URL(request.url).pathname === '/counts') {
			const told = counts
			counts = { ...none }
			return Response.json(told)
		}
		counts.workerRequests += 1
		return deployed.fetch(request, env, context)
	},

	queue(batch: MessageBatch, env: Env): Promise<void> {
		counts.workerRequests += 1
		return Promise.resolve(deployed.queue(batch, countMessages(env)))
	},
} satisfies ExportedHandler<Env>

function countRows(storage: DurableObjectStorage): void {
	const { sql } = storage
	const exec = sql.exec.bind(sql)
	sql.exec = (query, ...bindings) => {
		const cursor = exec(query, ...bindings)
		const toArray = cursor.toArray.bind(cursor)
		// What a statement has cost is known when its last row has been read.
		cursor.toArray = () => {
			const rows = toArray()
			counts.rowsWritten += cursor.rowsWritten
			counts.rowsRead += cursor.rowsRead
			return rows
		}
		return cursor as never
	}
	const setAlarm = storage.setAlarm.bind(storage)
	storage.setAlarm = (time, options) => {
		counts.rowsWritten += 1
		return setAlarm(time, options)
	}
}

const counting = new WeakMap<Env, Env>()

/** The same environment for the same environment: the Worker builds what it needs once for each. */
function countMessages(env: Env): Env {
	const known = counting.get(env)
	if (known) return known
	const queues = Object.entries(env).filter(([name]) => name.startsWith('CHANGES'))
	const counted = queues.map(([name, queue]) => [name, countingQueue(queue as Queue)])
	const made = { ...env, ...Object.fromEntries(counted) }
	counting.set(env, made)
	return made
}

function countingQueue(queue: Queue): Pick<Queue, 'send'> {
	return {
		send: (body, options) => {
			counts.messages += 1
			return queue.send(body, options)
		},
	}
}
