import type { Idempotency, Operations } from '../../core/contract.ts'
import { type Control, changeControl } from '../../core/control.ts'
import { type ErasureRecord, erasureSteps } from '../../core/erasure.ts'
import { mintTenantId, parseTenantId, regionOf, type TenantId } from '../../core/ids.ts'
import { erasuresShownMax, graceSecondsMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { homeShard } from '../../core/shard-map.ts'
import { readControl } from './auth.ts'
import type { CallerCall, OperatorCall, TenantCall } from './call.ts'
import { isMoving, moving, refuseWhileMoving } from './moving.ts'
import { attempt, execute, reach } from './reach.ts'
import { showErasure, timeOf } from './representation.ts'
import { readIdempotency, readInteger, readQuery, readShape } from './request.ts'
import { respondJson, respondReply } from './respond.ts'
import { operatorRoute, publicRoute, type Route, tenantRoute } from './route.ts'
import {
	erasure,
	erasureList,
	erasureParams,
	erasureQuery,
	hold,
	jwks,
	tenantErasureInput,
	tenantParams,
} from './schemas.ts'

const tag = 'Erasure'
const tenantId = 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p'
const example = {
	id: 'eu_01k9zq4m3c8t5w2x7v6y0r1n4q',
	tenant: tenantId,
	region: 'eu',
	status: 'running',
	requested_by: 'operator:operator',
	requested_at: '2026-11-22T19:50:49.120Z',
	due_at: '2026-11-22T19:50:49.120Z',
	held_since: null,
	steps: [{ step: 'control', done_at: '2026-11-22T19:50:50.004Z' }],
	steps_to_come: erasureSteps.slice(1),
	horizon: null,
	certificate: null,
	certificate_jws: null,
}
const accepted = {
	202: {
		description: 'Accepted: its progress is at the Location',
		schema: erasure,
		example: { ...example, status: 'scheduled', steps: [], steps_to_come: erasureSteps },
		headers: ['Location'],
	},
}
const grace =
	'Begins after `grace_seconds`, at once by default; until then it can be cancelled. Asking again answers the same erasure.'

export const erasureRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'delete',
			path: '/v1/tenants/{id}',
			scope: 'admin',
			tag,
			summary: 'Erase a tenant',
			description: grace,
			params: tenantParams,
			query: erasureQuery,
			answers: accepted,
			refusals: ['not_found', 'tenant_erased', 'move_running', 'unknown_field'],
			mutates: true,
		},
		async (call) => {
			const graceSeconds = readGrace(call)
			if (!graceSeconds.ok) return graceSeconds
			const idempotency = readIdempotency(call, String(graceSeconds.value))
			if (!idempotency.ok) return idempotency
			const registered = await readControl(call, call.c.req.param('id') ?? '')
			if (!registered.ok) return registered
			const { tenant, control } = registered.value
			if (control.state !== 'active') return answerPresent(call, control)
			const asked = { slug: null, graceSeconds: graceSeconds.value }
			return requestErasure(Object.assign(call, { tenant }), asked, idempotency.value)
		},
	),
	tenantRoute(
		{
			method: 'delete',
			path: '/v1/tenant',
			scope: 'erase',
			tag,
			summary: 'Erase the own tenant',
			description: `The body repeats the slug of the tenant. ${grace}`,
			query: erasureQuery,
			body: { media: 'application/json', schema: tenantErasureInput, example: { slug: 'analytical-engines' } },
			answers: accepted,
			refusals: [
				...(['invalid_json', 'move_running', 'payload_too_large', 'unknown_field'] as const),
				...(['unsupported_media_type', 'validation_failed'] as const),
			],
			mutates: true,
		},
		async (call) => {
			const graceSeconds = readGrace(call)
			if (!graceSeconds.ok) return graceSeconds
			const body = await readShape(call, tenantErasureInput)
			if (!body.ok) return body
			const idempotency = readIdempotency(call, `${graceSeconds.value}${body.value.text}`)
			if (!idempotency.ok) return idempotency
			const asked = { slug: body.value.value.slug, graceSeconds: graceSeconds.value }
			return requestErasure(call, asked, idempotency.value)
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/erasures',
			scope: 'read',
			tag,
			summary: 'List the last erasures of all regions, the newest first',
			answers: {
				200: { description: 'The last erasures', schema: erasureList, example: { erasures: [example] } },
			},
			refusals: ['unknown_field'],
		},
		async (call) => {
			const asked = readQuery(call, [])
			if (!asked.ok) return asked
			const records = await reach(call, 'erasure.list', () => recentErasures(call))
			if (!records.ok) return records
			const erasures = []
			for (const record of records.value) {
				const { tenant } = record
				const read = await reach(call, 'control.read', () => call.ports.control(regionOf(tenant)).read(tenant))
				if (!read.ok) return read
				if (read.value) erasures.push(showErasure(record, read.value.control, call.ports.clock()))
			}
			return respondJson(call, 200, JSON.stringify({ erasures }))
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/erasures/{id}',
			scope: 'read',
			tag,
			summary: 'Follow an erasure, and read its certificate',
			description:
				'`certificate_jws` is the signed certificate (RFC 7515, Ed25519); `certificate` is what it says. `npm run certificate -- verify` checks this answer when it is saved as a file.',
			params: erasureParams,
			answers: { 200: { description: 'The erasure', schema: erasure, example } },
			refusals: ['not_found'],
		},
		async (call) => {
			const found = await readErasure(call)
			if (!found.ok) return found
			const control = await readControl(call, found.value.tenant)
			if (!control.ok) return control
			return respondJson(call, 200, shown(call, found.value, control.value.control))
		},
	),
	operatorRoute(
		{
			method: 'delete',
			path: '/v1/erasures/{id}',
			scope: 'admin',
			tag,
			summary: 'Cancel an erasure that has not begun',
			params: erasureParams,
			answers: { 200: { description: 'Cancelled', schema: erasure, example: { ...example, status: 'cancelled' } } },
			refusals: ['not_found', 'erasure_started', 'tenant_erased'],
			mutates: true,
		},
		async (call) => {
			const idempotency = readIdempotency(call, '')
			if (!idempotency.ok) return idempotency
			const found = await readErasure(call)
			if (!found.ok) return found
			const { id, tenant } = found.value
			const registered = await readControl(call, tenant)
			if (!registered.ok) return registered
			const begun = refuse('erasure_started', 'this erasure has begun: what is erased cannot come back')
			if (registered.value.control.state !== 'active') return begun
			const told = await tellShard(call, tenant, { intent: 'cancel' }, idempotency.value)
			if (!told.ok) return told
			const control = await change(call, tenant, (present) =>
				present.state === 'active' && present.erasure?.id === id ? without(present, 'erasure') : null,
			)
			if (!control.ok) return control
			if (control.value.state !== 'active') return begun
			await hint(call, tenant)
			return respondReply(call, told, 200, shown(call, found.value, control.value))
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/tenants/{id}/hold',
			scope: 'read',
			tag,
			summary: 'Whether a legal hold keeps a tenant from being erased',
			params: tenantParams,
			answers: { 200: { description: 'The hold', schema: hold, example: { tenant: tenantId, held: false } } },
			refusals: ['not_found'],
		},
		async (call) => {
			const registered = await readControl(call, call.c.req.param('id') ?? '')
			if (!registered.ok) return registered
			const { tenant, control } = registered.value
			return respondJson(call, 200, shownHold(tenant, control))
		},
	),
	...(['put', 'delete'] as const).map((method) =>
		operatorRoute(
			{
				method,
				path: '/v1/tenants/{id}/hold',
				scope: 'admin',
				tag,
				summary: method === 'put' ? 'Put a legal hold on a tenant' : 'Lift the legal hold from a tenant',
				description:
					method === 'put'
						? 'An erasure waits as long as the hold lasts, also one that has begun, and nothing is deleted by its age (Art. 17(3) GDPR).'
						: 'An erasure that waited goes on, and what has come of age goes.',
				params: tenantParams,
				answers: {
					200: {
						description: method === 'put' ? 'Held' : 'Not held',
						schema: hold,
						example: { tenant: tenantId, held: method === 'put' },
					},
				},
				refusals: ['not_found', 'tenant_erased'],
				mutates: true,
			},
			async (call) => {
				const idempotency = readIdempotency(call, '')
				if (!idempotency.ok) return idempotency
				const registered = await readControl(call, call.c.req.param('id') ?? '')
				if (!registered.ok) return registered
				const { tenant, control: before } = registered.value
				if (before.state === 'erased') return refuse('tenant_erased', 'this tenant was erased')
				const intent = method === 'put' ? 'hold' : 'release'
				// A shard that is being erased answers nothing any more; the hold itself is in the control object.
				const told =
					before.state === 'active'
						? await tellShard(call, tenant, { intent }, idempotency.value)
						: { ...accept(null), replayed: false, rate: null }
				if (!told.ok) return told
				const at = call.ports.clock()
				const by = `operator:${call.caller.name}`
				const control = await change(call, tenant, (present) => {
					if (method === 'delete') return present.hold ? without(present, 'hold') : null
					return present.hold || present.state === 'erased' ? null : { ...present, hold: { at, by } }
				})
				if (!control.ok) return control
				await hint(call, tenant)
				return respondReply(call, told, 200, shownHold(tenant, control.value))
			},
		),
	),
	publicRoute(
		{
			method: 'get',
			path: '/.well-known/jwks.json',
			tag,
			summary: 'The public key of the certificates',
			description: 'A JWK Set (RFC 7517). Keep it beside a certificate: it verifies as long as both exist.',
			answers: { 200: { description: 'The key', schema: jwks } },
			refusals: [],
		},
		async (call) => respondJson(call, 200, JSON.stringify({ keys: [await call.ports.certificateKey()] })),
	),
]

interface Asked {
	/** The slug that a tenant repeats; an operator names the tenant by its id. */
	slug: string | null
	graceSeconds: number
}

/**
 * Asks for the erasure of a tenant: the shard authorises and remembers the request, the record says who asked, and the
 * control object puts it in force. If a crash comes in between, the shard forgets the request, or a retry completes it.
 */
async function requestErasure(call: TenantCall, { slug, graceSeconds }: Asked, idempotency: Idempotency | null) {
	const { tenant, caller, ports } = call
	const still = await refuseWhileMoving(call, tenant)
	if (!still.ok) return still
	const now = ports.clock()
	const erasures = ports.erasures(regionOf(tenant))
	const minted = mintTenantId(regionOf(tenant), now, ports.random)
	const told = await execute(call, { name: 'tenant.erasure', intent: 'request', slug, erasure: minted }, idempotency)
	if (!told.ok) return told
	const { erasure: id, slug: own } = told.value
	const record: ErasureRecord = {
		id,
		tenant,
		requestedBy: caller.kind === 'key' ? `key:${caller.id}` : `operator:${caller.name}`,
		requestedAt: now,
		claims: [ports.claimName('slug', own)],
		done: [],
		found: [],
		after: [],
		certificate: null,
	}
	const created = await reach(call, 'erasure.create', () => erasures.create(record))
	if (!created.ok) return created
	const dueAt = now + graceSeconds * 1_000
	const inForce = await change(call, tenant, (present) =>
		present.erasure || present.state !== 'active' || isMoving(present.move)
			? null
			: { ...present, erasure: { id, dueAt } },
	)
	if (!inForce.ok) return inForce
	if (isMoving(inForce.value.move)) return moving()
	await hint(call, tenant)
	return answerPresent(call, inForce.value, told)
}

/** 202 with the erasure that the control object names. */
async function answerPresent(
	call: CallerCall,
	control: Control,
	reply: Pick<Awaited<ReturnType<typeof execute>>, 'replayed' | 'rate'> & { value?: { position: number } } = {
		replayed: false,
		rate: null,
	},
) {
	const id = control.erasure?.id ?? ''
	const found = await reach(call, 'erasure.read', () => call.ports.erasures(regionOf(parsed(id))).read(id))
	if (!found.ok) return found
	if (!found.value) throw new Error('a control object names an erasure that has no record')
	return respondReply(call, reply, 202, shown(call, found.value.record, control), {
		Location: `/v1/erasures/${id}`,
		...(reply.value && { 'Freehold-Position': String(reply.value.position) }),
	})
}

function readGrace(call: CallerCall): Outcome<number> {
	const query = readQuery(call, ['grace_seconds'])
	if (!query.ok) return query
	return readInteger('grace_seconds', query.value.grace_seconds, { min: 0, max: graceSecondsMax, absent: 0 })
}

async function recentErasures({ ports: { config, erasures } }: OperatorCall): Promise<ErasureRecord[]> {
	const found = await Promise.all(config.regions.map((region) => erasures(region).recent(erasuresShownMax)))
	return found
		.flat()
		.sort((a, b) => b.requestedAt - a.requestedAt)
		.slice(0, erasuresShownMax)
}

/** An erasure's id has the form of a tenant's, so it names the region whose bucket has the record. */
async function readErasure(call: OperatorCall): Promise<Outcome<ErasureRecord>> {
	const id = parseTenantId(call.c.req.param('id') ?? '')
	const unknown = refuse('not_found', 'there is no such erasure')
	if (id === null || !call.ports.config.regions.includes(regionOf(id))) return unknown
	const found = await reach(call, 'erasure.read', () => call.ports.erasures(regionOf(id)).read(id))
	if (!found.ok) return found
	return found.value ? accept(found.value.record) : unknown
}

function parsed(id: string): TenantId {
	const form = parseTenantId(id)
	if (form === null) throw new Error('a control object names no erasure')
	return form
}

type Intent = Pick<Operations['tenant.erasure']['takes'], 'intent'>

/** Lets the shard's journal say who decided what. */
function tellShard(call: OperatorCall, tenant: TenantId, { intent }: Intent, idempotency: Idempotency | null) {
	const operation = { name: 'tenant.erasure' as const, intent, slug: null, erasure: '' }
	return execute(Object.assign(call, { tenant }), operation, idempotency)
}

async function change(
	call: CallerCall,
	tenant: TenantId,
	how: (control: Control) => Control | null,
): Promise<Outcome<Control>> {
	const store = call.ports.control(regionOf(tenant))
	const changed = await reach(call, 'control.change', () => changeControl(store, tenant, how))
	if (!changed.ok) return changed
	if (!changed.value) throw new Error('a control object that was just read is not there')
	return accept(changed.value)
}

/** Spares the shard the wait until it looks at its control object by itself. */
async function hint(call: CallerCall, tenant: TenantId): Promise<void> {
	await attempt(call, 'shard.erase', async () => {
		await call.ports.shardOf(tenant, homeShard).erase({ tenant, shard: homeShard, do: 'reconsider' })
	})
}

function without<K extends 'hold' | 'erasure'>(control: Control, field: K): Control {
	const { [field]: _, ...rest } = control
	return rest as Control
}

function shown(call: CallerCall, record: ErasureRecord, control: Control): string {
	return JSON.stringify(showErasure(record, control, call.ports.clock()))
}

function shownHold(tenant: TenantId, { hold: present }: Control): string {
	return JSON.stringify({
		tenant,
		held: present !== undefined,
		...(present && { since: timeOf(present.at), by: present.by }),
	})
}
