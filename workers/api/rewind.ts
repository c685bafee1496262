/** An operator brings a tenant back to a moment of its object's own history, as the platform keeps it. */
import { mintId } from '../../core/ids.ts'
import { rewindDaysMax } from '../../core/limits.ts'
import { refuse } from '../../core/refusal.ts'
import { homeShard } from '../../core/shard-map.ts'
import { readControl, tenantErased } from './auth.ts'
import type { Handled, OperatorCall, Refused } from './call.ts'
import { refuseWhileMoving } from './moving.ts'
import { reach } from './reach.ts'
import { timeOf } from './representation.ts'
import { readIdempotency, readShape } from './request.ts'
import { respondReply } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { rewindInput, rewindStarted, tenantParams } from './schemas.ts'

/** A tenant may have got its database later than its control object says that it was created. */
const creationMsMax = 3_600_000

const to = '2026-11-22T19:50:49.120Z'

export const rewindRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'post',
			path: '/v1/tenants/{id}/rewind',
			scope: 'admin',
			tag: 'Tenants (operator)',
			summary: 'Bring a tenant back to a moment',
			description: `Puts the database of the tenant back to what it was then, up to ${rewindDaysMax} days ago; everything written since is lost, while whoever was erased stays erased and revoked keys stay revoked. For seconds the tenant is answered with 503, then the view reads it anew.`,
			params: tenantParams,
			body: { media: 'application/json', schema: rewindInput, example: { at: to } },
			answers: {
				202: {
					description: 'It starts again with what it was',
					schema: rewindStarted,
					example: {
						...{ tenant: 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p', at: to, requested_at: '2026-11-23T08:00:00.000Z' },
						requested_by: 'operator:operator',
					},
				},
			},
			refusals: [
				...([
					'erasure_started',
					'history_unavailable',
					'invalid_json',
					'move_running',
					'not_found',
					'not_ready',
				] as const),
				...(['payload_too_large', 'subject_restricted', 'tenant_erased', 'tenant_restricted'] as const),
				...(['unsupported_media_type', 'validation_failed'] as const),
			],
			mutates: true,
		},
		rewindTenant,
	),
]

async function rewindTenant(call: OperatorCall): Handled {
	const registered = await readControl(call, call.c.req.param('id') ?? '')
	if (!registered.ok) return registered
	const { tenant, control } = registered.value
	if (control.state !== 'active') return tenantErased()
	const body = await readShape(call, rewindInput)
	if (!body.ok) return body
	const idempotency = readIdempotency(call, body.value.text)
	if (!idempotency.ok) return idempotency
	const moment = Date.parse(body.value.value.at)
	const now = call.ports.clock()
	if (moment > now) return wrongTime('must be in the past')
	if (moment < control.createdAt + creationMsMax)
		return wrongTime('must be an hour after the creation of the tenant, or later')
	if (moment < now - rewindDaysMax * 86_400_000) return wrongTime(`must be of the last ${rewindDaysMax} days`)
	const free = await refuseWhileMoving(call, tenant)
	if (!free.ok) return free
	const { key, fingerprint } = idempotency.value ?? { key: mintId(now, call.ports.random), fingerprint: '' }
	const by = `operator:${call.caller.name}`
	const order = { request: { id: call.requestId, key, fingerprint }, to: moment, by }
	const begun = await reach(call, 'rewind', () => call.ports.shardOf(tenant, homeShard).rewind(order))
	if (!begun.ok) return begun
	if (!begun.value.ok) return begun.value
	const { at: requestedAt, replayed } = begun.value.value
	const shown = { tenant, at: timeOf(moment), requested_at: timeOf(requestedAt), requested_by: by }
	return respondReply(call, { replayed, rate: null }, 202, JSON.stringify(shown))
}

function wrongTime(detail: string): Refused {
	return refuse('validation_failed', 'the input violates its schema', { errors: [{ pointer: '/at', detail }] })
}
