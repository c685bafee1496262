import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '../../stack-client.ts'
import type { Attempt, ClientOperation } from '../history.ts'
import type { Random } from './nemesis.ts'
import type { Recorder } from './recorder.ts'
import { isWrite, readAnswer, requestOf } from './requests.ts'
import type { Known, Workload } from './workload.ts'

/** How long a client waits for an answer. */
const answerMsMax = 4_000
/** Up to so long between two operations of a client, so that the machine is left with time for faults. */
const thinkMsMax = 40
/** Shares of the writes: sent with an idempotency key, given up after an unknown outcome, and sent again after an answer. */
const keyed = 0.85
const givenUp = 0.1
const repeated = 0.05
/** A Worker that is gone for good must not keep its clients for ever; what is unknown by then stays so. */
const triesWanted = 200

export interface Actor {
	name: string
	tenant: string
	client: Client
	workload: Workload
	known: Known
	random: Random
	recorder: Recorder
	/** Milliseconds; never goes back. */
	now(): number
}

/** A client as the documentation wants it: what is unknown is sent again with the same key until it is settled. */
export async function act(actor: Actor, stopped: () => boolean): Promise<void> {
	const { random, workload } = actor
	let operations = 0
	while (!stopped()) {
		const operation = workload.next()
		operations += 1
		const key = isWrite(operation) && random() < keyed ? `${actor.name}-${operations}` : null
		const triesMax = key === null || random() < givenUp ? 1 : triesWanted
		let tries = 0
		let outcome: Attempt['outcome'] = 'info'
		while (outcome === 'info' && tries < triesMax) {
			tries += 1
			outcome = await attempt(actor, operation, key, `${actor.name}.${operations}.${tries}`)
			if (outcome === 'info') await pause(50 + random() * 200)
		}
		if (outcome === 'ok' && key !== null && random() < repeated) {
			await attempt(actor, operation, key, `${actor.name}.${operations}.${tries + 1}`)
		}
		await pause(random() * thinkMsMax)
	}
}

/** Makes one request, and keeps and learns from what was told. */
export async function attempt(
	{ client, known, now, recorder, tenant }: Actor,
	operation: ClientOperation,
	idempotencyKey: string | null,
	request: string,
): Promise<Attempt['outcome']> {
	const invokedAt = now()
	const told = await ask(client, operation, idempotencyKey, request)
	recorder.attempt({ tenant, request, idempotencyKey, operation, invokedAt, returnedAt: now(), ...told })
	if (told.outcome === 'ok') learn(known, operation, told.answer)
	if (told.code === 'not_found' && 'id' in operation) known.saw(operation.collection, operation.id, null)
	return told.outcome
}

type Told = Pick<Attempt, 'outcome' | 'status' | 'code' | 'answer'>

async function ask(client: Client, operation: ClientOperation, key: string | null, request: string): Promise<Told> {
	const { method, path, body, headers } = requestOf(operation)
	const more = { ...headers, 'X-Request-Id': request, ...(key !== null && { 'Idempotency-Key': key }) }
	// A timeout, a reset, or an answer that was cut off.
	const answer = await client.send(method, path, body, more, answerMsMax).catch(() => null)
	if (answer === null) return { outcome: 'info', status: null, code: null, answer: null }
	const { status } = answer
	if (status < 300) return { outcome: 'ok', status, code: null, answer: readAnswer(operation, answer) }
	const code = String(answer.body?.code ?? '')
	return { outcome: status < 500 ? 'fail' : 'info', status, code, answer: null }
}

function learn(known: Known, operation: ClientOperation, answer: Attempt['answer']): void {
	if (operation.op === 'define') return
	if (operation.op === 'drop') {
		known.dropped(operation.collection)
		return
	}
	if (operation.op === 'list') {
		for (const { id } of answer?.records ?? []) known.heard(operation.collection, id)
		return
	}
	const parts = operation.op === 'batch' ? operation.operations : [operation]
	for (const [index, part] of parts.entries()) {
		const record = answer?.records[index]
		if (part.op === 'delete') known.saw(part.collection, part.id, null)
		else if (record) known.saw(part.collection, record.id, `${record.version}-${record.seq}`)
	}
}
