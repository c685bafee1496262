import type { Control, Move } from '../../core/control.ts'
import type { TenantId } from '../../core/ids.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { readControl, tenantErased } from './auth.ts'
import type { Handled, OperatorCall } from './call.ts'
import { change, movingSlug, noMove, onTenant, recall, showMove } from './moving.ts'
import { execute, reach } from './reach.ts'
import { readIdempotency, readShape } from './request.ts'
import { respondReply } from './respond.ts'
import { handoverInput } from './schemas.ts'

/** Gives the name of a tenant that moves to the one that takes its place. Every step may be repeated, so a crash anywhere is made good by asking again (U2). */
export async function handOver(call: OperatorCall): Handled {
	const body = await readShape(call, handoverInput)
	if (!body.ok) return body
	const idempotency = readIdempotency(call, body.value.text)
	if (!idempotency.ok) return idempotency
	const registered = await readControl(call, call.c.req.param('id') ?? '')
	if (!registered.ok) return registered
	const { tenant, control: before } = registered.value
	if (before.state !== 'active') return tenantErased()
	const { move: begun } = before
	if (!begun || begun.cancelled) return noMove()
	const first = await recall(call, tenant, idempotency.value)
	if (!first.ok) return first
	if (first.replayed && begun.state === 'handed_over')
		return respondReply(call, first, 200, showMove(tenant, begun, 'handed_over'))
	if (begun.state === 'copying') {
		const ready = await isReady(call, tenant, begun, body.value.value.as_of_seq)
		if (!ready.ok) return ready
	}
	const handing = await change(call, tenant, (control) =>
		control.move?.state === 'copying' && !control.move.cancelled && !control.hold
			? withState(control, control.move, 'handing_over')
			: null,
	)
	if (!handing.ok) return handing
	const present = handing.value.move
	if (!present || present.cancelled) return noMove()
	if (present.state === 'copying') return refuse('not_ready', 'a legal hold keeps this tenant where it is')
	const named = await giveName(call, tenant, present)
	if (!named.ok) return named
	const update = { name: 'tenant.update' as const, slug: movingSlug(tenant) }
	const told = await execute(onTenant(call, tenant), update, idempotency.value)
	if (!told.ok) return told
	const provisional = call.ports.claim('slug', movingSlug(tenant))
	const swapped = await reach(call, 'claim.transfer', () => provisional.transfer(present.to, tenant))
	if (!swapped.ok) return swapped
	const done = await change(call, tenant, (control) =>
		control.move?.state === 'handing_over' ? withState(control, control.move, 'handed_over') : null,
	)
	if (!done.ok) return done
	return respondReply(call, told, 200, showMove(tenant, present, 'handed_over'))
}

/** Whether the other tenant holds all that was ever acknowledged here. */
async function isReady(
	call: OperatorCall,
	tenant: TenantId,
	{ to: target }: Move,
	asOfSeq: number,
): Promise<Outcome<true>> {
	const own = await execute(onTenant(call, tenant), { name: 'tenant.get' })
	if (!own.ok) return own
	if (own.value.tenant.status !== 'suspended')
		return refuse('not_ready', 'this tenant is not suspended; begin the move again')
	const limit = entriesAfterExportMax
	const read = await execute(onTenant(call, tenant), { name: 'audit.list', filter: {}, limit, after: asOfSeq })
	if (!read.ok) return read
	// What a shard deletes by itself because its time is over, it deletes there, too.
	const written = read.value.entries.some(({ op, actor }) => writes.has(op) && !actor.startsWith('system'))
	if (written || read.value.next !== null || asOfSeq > own.value.tenant.usage.position)
		return refuse('not_ready', 'somebody wrote after the position of the archive')
	const registered = await readControl(call, target)
	if (!registered.ok) return registered
	const { state, erasure } = registered.value.control
	if (state !== 'active' || erasure) return refuse('not_ready', 'the other tenant is not in force')
	const other = await execute(onTenant(call, target), { name: 'tenant.get' })
	if (!other.ok) return other
	const [here, there] = [own.value.tenant.usage, other.value.tenant.usage]
	const isSame = here.records === there.records && here.collections === there.collections
	return isSame ? accept(true) : refuse('not_ready', 'the other tenant does not hold as much as this one')
}

/** More than an export, its downloads and the suspension leave. */
const entriesAfterExportMax = 1_000
const writes: ReadonlySet<string> = new Set(['create', 'update', 'delete', 'schema', 'import', 'restrict', 'release'])

/** The claim goes first: from then on the name leads to the other tenant, which then learns how it is called. */
async function giveName(call: OperatorCall, tenant: TenantId, { to: target, status }: Move): Promise<Outcome<true>> {
	const own = await execute(onTenant(call, tenant), { name: 'tenant.get' })
	if (!own.ok) return own
	const { slug, limits } = own.value.tenant
	// Already renamed: the other one has had the name before.
	if (slug === movingSlug(tenant)) return accept(true)
	const given = await reach(call, 'claim.transfer', () => call.ports.claim('slug', slug).transfer(tenant, target))
	if (!given.ok) return given
	if (!given.value) throw new Error('a tenant does not hold its own name')
	const update = { name: 'tenant.update' as const, slug, status, limits }
	const told = await execute(onTenant(call, target), update)
	return told.ok ? accept(true) : told
}

function withState(control: Control, move: Move, state: Move['state']): Control {
	return { ...control, move: { ...move, state } }
}
