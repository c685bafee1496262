import type { Answer, Idempotency, OperationName, Operations, Reply } from '../../core/contract.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { homeShard } from '../../core/shard-map.ts'
import type { Call, TenantCall } from './call.ts'

/** Runs a tenant's operation on its shard. A shard that cannot be reached is a refusal, too: its outcome is unknown. */
export async function execute<N extends OperationName>(
	call: TenantCall,
	operation: { name: N } & Operations[N]['takes'],
	idempotency: Idempotency | null = null,
): Promise<Reply<Answer<N>>> {
	const { tenant, caller, requestId } = call
	const command = { tenant, shard: homeShard, caller, requestId, idempotency, operation }
	const reply = await reach(call, operation.name, () => call.ports.shardOf(tenant, homeShard).execute(command))
	return reply.ok ? reply.value : { ...reply, replayed: false, rate: null }
}

/** Calls another part of the system, which may be unreachable, overloaded or lost on the way; that is answered with 503. */
export async function reach<T>(call: Call, part: string, work: () => Promise<T>): Promise<Outcome<T>> {
	try {
		return accept(await work())
	} catch (error) {
		if (isBug(error)) throw error
		call.ports.log('error', 'unreachable', {
			request_id: call.requestId,
			tenant: call.tenant,
			part,
			...describe(error),
		})
		return refuse('unavailable', 'the outcome is unknown; a retry with the same Idempotency-Key settles it', {
			retryAfter: 1,
		})
	}
}

/** A step that completes itself later when it is lost. */
export async function attempt(call: Call, part: string, work: () => Promise<void>): Promise<void> {
	try {
		await work()
	} catch (error) {
		call.ports.log('warn', 'unreachable', { request_id: call.requestId, tenant: call.tenant, part, ...describe(error) })
	}
}

/** What a log may say about an error: its kind and where it came from. Its message may hold what a client sent. */
export function describe(error: unknown): { error: string; stack: string } {
	if (!(error instanceof Error)) return { error: typeof error, stack: '' }
	const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
	return { error: error.name, stack: frames.slice(0, stackFramesMax).join('\n') }
}

const stackFramesMax = 8

/** An error of the language itself, here or (by its name) in an object, is a bug; all others come from the platform. */
function isBug(error: unknown): boolean {
	return error instanceof Error && ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError'].includes(error.name)
}
