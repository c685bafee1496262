/** What the move of a tenant means for what is done to it otherwise, and what the routes of a move share. */
import type { Idempotency } from '../../core/contract.ts'
import { type Control, changeControl, type Move } from '../../core/control.ts'
import { regionOf, type TenantId } from '../../core/ids.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { tenantErased } from './auth.ts'
import type { CallerCall, OperatorCall, Refused, TenantCall } from './call.ts'
import { execute, reach } from './reach.ts'
import { timeOf } from './representation.ts'

/** The slug of the tenant that takes another's place, until the name is handed over. */
export function movingSlug(tenant: TenantId): string {
	return `moving-${tenant.slice(tenant.indexOf('_') + 1)}`
}

/** Refuses what must wait for the end of a move: of the tenant that moves, and of the one that takes its place. */
export async function refuseWhileMoving(call: CallerCall, tenant: TenantId): Promise<Outcome<true>> {
	const read = (id: TenantId) => reach(call, 'control.read', () => call.ports.control(regionOf(id)).read(id))
	const own = await read(tenant)
	if (!own.ok) return own
	const control = own.value?.control
	if (isMoving(control?.move)) return moving()
	if (!control?.movedFrom) return accept(true)
	const former = await read(control.movedFrom)
	if (!former.ok) return former
	const move = former.value?.control.move
	return move?.to === tenant && isMoving(move) ? moving() : accept(true)
}

/** Until the name is handed over. */
export function isMoving(move: Move | undefined): boolean {
	return move !== undefined && move.state !== 'handed_over'
}

export function moving(): Refused {
	return refuse('move_running', 'this tenant is moving to another region, or another one is moving here')
}

/** Looks at the tenant, and whether this request was answered before: that wins over what has become of the move since. */
export function recall(call: OperatorCall, tenant: TenantId, idempotency: Idempotency | null) {
	return execute(onTenant(call, tenant), { name: 'tenant.get' }, idempotency)
}

export function onTenant(call: OperatorCall, tenant: TenantId): TenantCall {
	return Object.assign(call, { tenant })
}

/** Changes the control object of a tenant that is in force. */
export async function change(
	call: OperatorCall,
	tenant: TenantId,
	how: (control: Control) => Control | null,
): Promise<Outcome<Control>> {
	const store = call.ports.control(regionOf(tenant))
	const inForce = (control: Control) => (control.state === 'active' ? how(control) : null)
	const changed = await reach(call, 'control.change', () => changeControl(store, tenant, inForce))
	if (!changed.ok) return changed
	if (changed.value?.state !== 'active') return tenantErased()
	return accept(changed.value)
}

export function noMove(): Refused {
	return refuse('not_found', 'this tenant does not move')
}

/** @param state what it is, or was when this request was answered first */
export function showMove(tenant: TenantId, { to, at, by }: Move, state: Move['state']): string {
	return JSON.stringify({ tenant, to, state, begun_at: timeOf(at), begun_by: by })
}
