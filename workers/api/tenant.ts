import { execute } from './reach.ts'
import { showTenantInfo } from './representation.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import { tenant } from './schemas.ts'
import { tenantExample } from './tenants.ts'

export const tenantRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'get',
			path: '/v1/tenant',
			scope: 'read',
			tag: 'Tenant',
			summary: 'Read the own tenant, its limits and its usage',
			answers: { 200: { description: 'The tenant of the key', schema: tenant, example: tenantExample } },
			refusals: [],
		},
		async (call) => {
			const reply = await execute(call, { name: 'tenant.get' })
			return reply.ok ? respondReply(call, reply, 200, JSON.stringify(showTenantInfo(reply.value.tenant))) : reply
		},
	),
]
