/**
 * A tenant moves to another region: an operator carries its archive into a new tenant there, and the name is handed over at
 * once. No cell reaches into another; the control objects of both tenants say what happens to them.
 */
import type { Control, Move } from '../../core/control.ts'
import { parseTenantId, regionOf, type TenantId } from '../../core/ids.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { readControl, tenantErased } from './auth.ts'
import type { Handled, OperatorCall } from './call.ts'
import { handOver } from './handover.ts'
import { change, movingSlug, noMove, onTenant, recall, showMove } from './moving.ts'
import { execute } from './reach.ts'
import { readIdempotency, readShape } from './request.ts'
import { respondJson, respondReply } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { handoverInput, move, moveInput, tenantParams } from './schemas.ts'

const tag = 'Moves (operator)'
const path = '/v1/tenants/{id}/move'
const [from, to] = ['global_01k9zq4m3c8t5w2x7v6y0r1n4p', 'eu_01k9zq4m3c8t5w2x7v6y0r1n4q']
const example = {
	tenant: from,
	to,
	state: 'copying',
	begun_at: '2026-11-22T19:50:49.120Z',
	begun_by: 'operator:operator',
}
const answers = { 200: { description: 'The move', schema: move, example } }
const bodyRefusals = [
	'invalid_json',
	'not_found',
	'payload_too_large',
	'tenant_erased',
	'unsupported_media_type',
	'validation_failed',
] as const

export const moveRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path,
			scope: 'read',
			tag,
			summary: 'How far a move is',
			params: tenantParams,
			answers,
			refusals: ['not_found'],
		},
		async (call) => {
			const registered = await readControl(call, call.c.req.param('id') ?? '')
			if (!registered.ok) return registered
			const { tenant, control } = registered.value
			return control.move ? respondJson(call, 200, showMove(tenant, control.move, control.move.state)) : noMove()
		},
	),
	operatorRoute(
		{
			method: 'put',
			path,
			scope: 'admin',
			tag,
			summary: 'Begin to move a tenant',
			description:
				'Suspends the tenant and ties it to the one that takes its place: an empty tenant of another region with the slug `moving-` and the id without its region. Then export, import, compare, and hand over; `npm run move` does all of it.',
			params: tenantParams,
			body: { media: 'application/json', schema: moveInput, example: { to } },
			answers,
			refusals: [...bodyRefusals, 'erasure_started', 'move_running', 'not_ready', 'tenant_not_empty'],
			mutates: true,
		},
		beginMove,
	),
	operatorRoute(
		{
			method: 'delete',
			path,
			scope: 'admin',
			tag,
			summary: 'Cancel a move',
			description: 'The tenant is what it was before. The other one stays, and can be erased.',
			params: tenantParams,
			answers: { 204: { description: 'It does not move', headers: ['Freehold-Position'] } },
			refusals: ['not_found', 'tenant_erased', 'move_running'],
			mutates: true,
		},
		cancelMove,
	),
	operatorRoute(
		{
			method: 'post',
			path: `${path}/handover`,
			scope: 'admin',
			tag,
			summary: 'Hand the name over',
			description:
				'`as_of_seq` is the position of the archive that the other tenant holds: if anybody wrote after it, this is refused. The other tenant gets slug, status and limits, this one the other slug; it stays suspended and can be erased.',
			params: tenantParams,
			body: { media: 'application/json', schema: handoverInput, example: { as_of_seq: 1017 } },
			answers,
			refusals: [...bodyRefusals, 'not_ready'],
			mutates: true,
		},
		handOver,
	),
]

async function beginMove(call: OperatorCall): Handled {
	const body = await readShape(call, moveInput)
	if (!body.ok) return body
	const idempotency = readIdempotency(call, body.value.text)
	if (!idempotency.ok) return idempotency
	const registered = await readControl(call, call.c.req.param('id') ?? '')
	if (!registered.ok) return registered
	const { tenant, control } = registered.value
	if (control.state !== 'active') return tenantErased()
	const own = await recall(call, tenant, idempotency.value)
	if (!own.ok) return own
	// The move that was answered first may have been cancelled since; to begin it again would be another wish.
	if (own.replayed) {
		const { move: present } = control
		return present ? respondReply(call, own, 200, showMove(tenant, present, 'copying')) : noMove()
	}
	const earlier = control.move?.cancelled ? null : (control.move ?? null)
	const target = await readTarget(call, tenant, earlier, body.value.value.to)
	if (!target.ok) return target
	const status = control.move?.status ?? own.value.tenant.status
	const fresh: Move = {
		...{ to: target.value, state: 'copying', status },
		...{ at: call.ports.clock(), by: `operator:${call.caller.name}` },
	}
	// From here on neither of the two can be erased, and this one not be put back to work, before the move has ended.
	const noted = await change(call, target.value, (other) =>
		other.movedFrom === tenant ? null : { ...other, movedFrom: tenant },
	)
	if (!noted.ok) return noted
	const begun = await change(call, tenant, (before) =>
		(before.move && !before.move.cancelled) || before.erasure || before.hold ? null : { ...before, move: fresh },
	)
	if (!begun.ok) return begun
	const { move: present, erasure, hold } = begun.value
	if (present && present.to !== target.value) return refuse('move_running', 'this tenant moves to another one already')
	if (erasure) return refuse('erasure_started', 'the erasure of this tenant was asked for; cancel it first')
	if (hold || !present) return refuse('not_ready', 'a legal hold keeps this tenant where it is')
	const update = { name: 'tenant.update' as const, status: 'suspended' as const }
	const told = await execute(onTenant(call, tenant), update, idempotency.value)
	return told.ok ? respondReply(call, told, 200, showMove(tenant, present, 'copying')) : told
}

/** The tenant that shall take the place of another: of another region, named for it, and, when it begins, without a collection. */
async function readTarget(
	call: OperatorCall,
	tenant: TenantId,
	begun: Move | null,
	text: string,
): Promise<Outcome<TenantId>> {
	const target = parseTenantId(text)
	const wrong = (detail: string) =>
		refuse('validation_failed', 'the input violates its schema', { errors: [{ pointer: '/to', detail }] })
	if (target === null || !call.ports.config.regions.includes(regionOf(target))) return wrong('must be a tenant')
	if (regionOf(target) === regionOf(tenant)) return wrong('must be a tenant of another region')
	const registered = await readControl(call, target)
	if (!registered.ok || registered.value.control.state !== 'active') return wrong('must be a tenant')
	if (begun?.to === target) return accept(target)
	const read = await execute(onTenant(call, target), { name: 'tenant.get' })
	if (!read.ok) return read
	const { slug, usage } = read.value.tenant
	if (slug !== movingSlug(tenant)) return wrong(`must have the slug ${movingSlug(tenant)}`)
	if (usage.collections > 0)
		return refuse('tenant_not_empty', 'the tenant that takes the place must have no collections')
	return accept(target)
}

async function cancelMove(call: OperatorCall): Handled {
	const idempotency = readIdempotency(call, '')
	if (!idempotency.ok) return idempotency
	const registered = await readControl(call, call.c.req.param('id') ?? '')
	if (!registered.ok) return registered
	const { tenant, control } = registered.value
	if (control.state !== 'active') return tenantErased()
	// A repetition ends what it has begun: a move that began since is somebody else's.
	const known = await recall(call, tenant, idempotency.value)
	if (!known.ok) return known
	const noted = await change(call, tenant, ({ move: present, ...rest }) =>
		present?.state === 'copying' && !known.replayed ? { ...rest, move: { ...present, cancelled: true } } : null,
	)
	if (!noted.ok) return noted
	const { move: cancelled } = noted.value
	if (cancelled && !cancelled.cancelled && !known.replayed)
		return refuse('move_running', 'the name is being handed over, or was: that cannot be taken back')
	const status = cancelled?.cancelled && { status: cancelled.status }
	const told = await execute(onTenant(call, tenant), { name: 'tenant.update', ...status }, idempotency.value)
	if (!told.ok) return told
	const left = await change(call, tenant, ({ move: present, ...rest }) =>
		present?.cancelled ? (rest as Control) : null,
	)
	if (!left.ok) return left
	return respondReply(call, told, 204, null, { 'Freehold-Position': String(told.value.position) })
}
