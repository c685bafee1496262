import type { z } from '@hono/zod-openapi'
import type { Idempotency } from '../../core/contract.ts'
import { type Outcome, statusByCode } from '../../core/refusal.ts'
import type { OperatorCall } from './call.ts'
import { unanswered } from './provisioning.ts'
import { attempt, reach } from './reach.ts'

/**
 * Runs what no shard remembers. With an idempotency key, what was minted for the request rests in its claim: a retry after
 * any crash does the same again, and one after the answer is told `replayed`, to answer the same and do nothing. What is refused
 * at once leaves no trace: a retry is answered as it stands then, and does not wait for the end of what did not begin.
 */
export async function once<M, T>(
	call: OperatorCall,
	idempotency: Idempotency | null,
	{ minted, schema }: { minted: M; schema: z.ZodType<M> },
	run: (minted: M, replayed: boolean) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
	if (idempotency === null) return run(minted, false)
	const { fingerprint } = idempotency
	const request = call.ports.claim('request', idempotency.key)
	const opened = await reach(call, 'claim.begin', () => request.begin({ fingerprint, draft: JSON.stringify(minted) }))
	if (!opened.ok) return opened
	if (!('draft' in opened.value)) return unanswered(opened.value.state)
	const { state, draft } = opened.value
	const replayed = state === 'finished'
	const done = await run(schema.parse(JSON.parse(draft)), replayed)
	// After a failure, and of an earlier attempt, nobody knows what has come of it.
	if (!done.ok && state === 'started' && statusByCode[done.refusal.code] < 500)
		await attempt(call, 'claim.withdraw', () => request.withdraw(fingerprint))
	if (!done.ok || replayed) return done
	const finished = await reach(call, 'claim.finish', () => request.finish(fingerprint))
	return finished.ok ? done : finished
}
