import type { Caller, Command, JsonText, Operation } from '../../core/contract.ts'
import { statusByCode } from '../../core/refusal.ts'
import type { Answered, Attempt, ClientOperation, Data, RecordOperation, SeenRecord } from './history.ts'
import type { ObjectHost } from './object-host.ts'
import { arrival } from './pipeline.ts'
import type { World } from './world.ts'

/** A client repeats a request under the same key for so long; after a day the key would stand for a new request. */
const retriedMs = 20 * 3_600_000

/**
 * A client of one tenant, together with the edge before it: it asks for one thing after another, repeats under the same
 * idempotency key what it was not told the end of, and writes down what it saw.
 */
export class Client {
	readonly #world: World
	readonly #host: ObjectHost
	readonly #caller: Caller & { kind: 'key' }
	readonly #attempts: Attempt[]
	/** Requests that have not ended, also those whose client has given up. */
	open = 0

	constructor(world: World, host: ObjectHost, caller: Caller & { kind: 'key' }, attempts: Attempt[]) {
		this.#world = world
		this.#host = host
		this.#caller = caller
		this.#attempts = attempts
	}

	/** One request, and the same again until somebody answers or it is no longer worth it. */
	async ask(operation: ClientOperation, tries: number): Promise<Attempt> {
		const { chance } = this.#world
		const key = isWrite(operation) && (tries > 2 || chance.happens(0.7)) ? `key-${this.#world.tick()}` : null
		const since = this.#world.now
		let last = await this.#once(operation, key)
		for (let round = 1; round < tries && last.outcome === 'info'; round++) {
			await this.#world.step('retry')
			if (this.#world.now - since > retriedMs) break
			// Sometimes another request under the same key, which must not be taken for it.
			const other = tries < 10 && chance.happens(0.1) && operation.op === 'put'
			last = await this.#once(other ? { ...operation, data: { n: this.#world.tick() } } : operation, key)
		}
		// A client that asks again although it was told gets the same answer.
		if (last.outcome === 'ok' && key !== null && chance.happens(0.1) && this.#world.now - since < retriedMs)
			await this.#once(last.operation, key)
		return last
	}

	async #once(operation: ClientOperation, idempotencyKey: string | null): Promise<Attempt> {
		const world = this.#world
		const attempt: Attempt = {
			tenant: this.#host.tenant,
			request: `request-${this.#attempts.length + 1}`,
			idempotencyKey: idempotencyKey && `${this.#caller.id}/${idempotencyKey}`,
			operation,
			invokedAt: world.tick(),
			returnedAt: Number.POSITIVE_INFINITY,
			outcome: 'info',
			status: null,
			code: null,
			answer: null,
		}
		this.#attempts.push(attempt)
		world.note(`${attempt.request} ${JSON.stringify(operation)}`)
		const answered = this.#send(this.#commandOf(attempt))
		await Promise.race(
			world.happens('client_gives_up') ? [answered, world.timer(world.chance.below(5_000))] : [answered],
		).then(
			(reply) => reply && note(attempt, reply),
			() => {},
		)
		attempt.returnedAt = world.tick()
		world.note(`${attempt.request} ${attempt.outcome} ${attempt.code ?? ''} ${JSON.stringify(attempt.answer)}`)
		return attempt
	}

	async #send(command: Command) {
		this.open++
		try {
			await this.#world.step('request')
			if (this.#world.happens('request_lost')) throw new Error('the request was lost')
			await arrival(this.#host, this.#world)
			const reply = await this.#host.execute(command)
			await this.#world.step('reply')
			if (this.#world.happens('reply_lost')) throw new Error('the answer was lost')
			return { command, reply }
		} finally {
			this.open--
		}
	}

	#commandOf({ operation, request: requestId, idempotencyKey }: Attempt): Command {
		const fingerprint = JSON.stringify(operation)
		const idempotency = idempotencyKey === null ? null : { key: idempotencyKey, fingerprint, seal: null }
		const { tenant } = this.#host
		return { tenant, shard: 0, caller: this.#caller, requestId, idempotency, operation: shardOperation(operation) }
	}
}

function isWrite({ op }: ClientOperation): boolean {
	return op !== 'get' && op !== 'list'
}

/** Writes the end of a request into its attempt. */
function note(attempt: Attempt, { reply }: { reply: Awaited<ReturnType<ObjectHost['execute']>> }): void {
	if (reply.ok) {
		Object.assign(attempt, { outcome: 'ok', status: 200, answer: answerOf(attempt.operation, reply.value) })
		return
	}
	const status = statusByCode[reply.refusal.code]
	Object.assign(attempt, { outcome: status < 500 ? 'fail' : 'info', status, code: reply.refusal.code })
}

/** What the edge would make of the client's request. */
function shardOperation(operation: ClientOperation): Operation {
	switch (operation.op) {
		case 'create':
			return { name: 'record.create', collection: operation.collection, data: text(operation.data) }
		case 'put': {
			const { collection, id, data, ifMatch = null, ifNoneMatch = null } = operation
			return { name: 'record.put', collection, id, data: text(data), ifMatch, ifNoneMatch }
		}
		case 'patch': {
			const { collection, id, patch, ifMatch = null } = operation
			return { name: 'record.patch', collection, id, patch: text(patch), ifMatch }
		}
		case 'delete': {
			const { collection, id, ifMatch = null } = operation
			return { name: 'record.delete', collection, id, ifMatch }
		}
		case 'batch':
			return { name: 'batch', operations: operation.operations.map(batchOperation) }
		case 'define':
			return { name: 'collection.put', collection: operation.collection, schema: text(operation.schema) }
		case 'drop':
			return { name: 'collection.delete', collection: operation.collection }
		case 'get':
			return { name: 'record.get', collection: operation.collection, id: operation.id }
		case 'list': {
			const query = { filter: null, order: [], limit: 1_000, after: null, select: null, count: false }
			return { name: 'record.list', collection: operation.collection, query }
		}
	}
}

function batchOperation(operation: RecordOperation) {
	const { op, collection } = operation
	const id = 'id' in operation ? { id: operation.id } : {}
	const data =
		'data' in operation ? { data: text(operation.data) } : 'patch' in operation ? { data: text(operation.patch) } : {}
	const ifMatch = 'ifMatch' in operation && operation.ifMatch ? { ifMatch: operation.ifMatch } : {}
	return { op, collection, ...id, ...data, ...ifMatch }
}

function text(data: Data): JsonText {
	return JSON.stringify(data)
}

/** What the edge would show of the shard's answer. */
function answerOf({ op }: ClientOperation, value: object): Answered {
	const position = 'position' in value ? Number(value.position) : null
	if (op === 'batch' && 'results' in value)
		return { position, records: (value.results as BatchResult[]).map(fromBatch) }
	if ('record' in value) return { position, records: [seen(value.record as Stored)] }
	if ('records' in value) return { position, records: (value.records as Stored[]).map(seen) }
	return { position, records: [] }
}

type Stored = { id: string; version: number; seq: number; data: JsonText }
type BatchResult = { id: string; version: number; etag: string }

function seen({ id, version, seq, data }: Stored): SeenRecord {
	return { id, version, seq, data: JSON.parse(data) }
}

function fromBatch({ id, version, etag }: BatchResult): SeenRecord {
	return { id, version, seq: Number(/-(\d+)"$/.exec(etag)?.[1]), data: null }
}
