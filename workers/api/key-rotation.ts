/** An operator has a tenant's own encryption key replaced. */
import type { KeyRotation } from '../../core/contract.ts'
import { authoriseTenantId, readControl, tenantErased } from './auth.ts'
import { onTenant } from './moving.ts'
import { execute } from './reach.ts'
import { dayMs, timeOf } from './representation.ts'
import { readIdempotency } from './request.ts'
import { respondReply } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { keyRotation, tenantParams } from './schemas.ts'

const tag = 'Tenants (operator)'
const path = '/v1/tenants/{id}/key-rotation'
const example = {
	...{ id: '01k9zq4m3c8t5w2x7v6y0r1n4q', version: 2, status: 'running', records_done: 2_000, records_total: 12_000 },
	...{ started_at: '2026-11-22T19:50:49.120Z', finished_at: null, history_until: null },
}

export const keyRotationRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'post',
			path,
			scope: 'admin',
			tag,
			summary: "Replace a tenant's own encryption key",
			description:
				'Everything that is encrypted comes to rest under a new key, in the background, while the tenant is served; then the older key is destroyed. While one rotation runs, this answers it and begins no other. A running export or import is waited for. Once it is done, the tenant cannot be rewound to a moment before.',
			params: tenantParams,
			answers: {
				202: { description: 'It is running', schema: keyRotation, example, headers: ['Freehold-Position'] },
			},
			refusals: ['not_found', 'not_ready', 'tenant_erased'],
			mutates: true,
		},
		async (call) => {
			const registered = await readControl(call, call.c.req.param('id') ?? '')
			if (!registered.ok) return registered
			const { tenant, control } = registered.value
			if (control.state !== 'active') return tenantErased()
			const idempotency = readIdempotency(call, '')
			if (!idempotency.ok) return idempotency
			const reply = await execute(onTenant(call, tenant), { name: 'rotation.start' }, idempotency.value)
			if (!reply.ok) return reply
			const headers = { 'Freehold-Position': String(reply.value.position) }
			return respondReply(call, reply, 202, shown(reply.value.rotation, call.ports.retention().object_history), headers)
		},
	),
	operatorRoute(
		{
			method: 'get',
			path,
			scope: 'read',
			tag,
			summary: "How far the last rotation of a tenant's own key has come",
			description:
				'`history_until` is the moment until which the platform may recover what was encrypted under the older key, which nobody has any more.',
			params: tenantParams,
			answers: { 200: { description: 'The last rotation', schema: keyRotation, example } },
			refusals: ['not_found', 'tenant_erased'],
		},
		async (call) => {
			const authorised = await authoriseTenantId(call, call.c.req.param('id') ?? '')
			if (!authorised.ok) return authorised
			const reply = await execute(authorised.value, { name: 'rotation.get' })
			if (!reply.ok) return reply
			return respondReply(call, reply, 200, shown(reply.value.rotation, call.ports.retention().object_history))
		},
	),
]

function shown(rotation: KeyRotation, historyDays: number): string {
	const { id, version, isDone, recordsDone, recordsTotal, startedAt, finishedAt } = rotation
	return JSON.stringify({
		...{ id, version, status: isDone ? 'done' : 'running', records_done: recordsDone, records_total: recordsTotal },
		started_at: timeOf(startedAt),
		finished_at: finishedAt === null ? null : timeOf(finishedAt),
		history_until: finishedAt === null ? null : timeOf(finishedAt + historyDays * dayMs),
	})
}
