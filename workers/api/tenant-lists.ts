import type { z } from '@hono/zod-openapi'
import { forTenant } from './auth.ts'
import type { Handled, TenantCall } from './call.ts'
import { collectionExample, listCollections } from './collections.ts'
import { exportExample, listExports } from './exports.ts'
import { importExample, listImports } from './imports.ts'
import { keyExample, listKeys } from './keys.ts'
import { pageHeaders } from './page.ts'
import { operatorRoute, type Route } from './route.ts'
import { collectionList, exportList, importList, keyList, pageQuery, tenantParams } from './schemas.ts'

interface TenantList {
	name: string
	summary: string
	schema: z.ZodObject
	example: unknown
	list: (call: TenantCall) => Handled
}

/** What an operator may see of a tenant besides itself: how it is set up and what runs for it, never a record. */
const lists: TenantList[] = [
	{
		name: 'collections',
		summary: "List a tenant's collections with their schemas",
		schema: collectionList,
		example: { collections: [collectionExample] },
		list: listCollections,
	},
	{
		name: 'keys',
		summary: "List a tenant's API keys, without their secrets",
		schema: keyList,
		example: { keys: [keyExample] },
		list: listKeys,
	},
	{
		name: 'exports',
		summary: "List a tenant's exports and their progress",
		schema: exportList,
		example: { exports: [exportExample] },
		list: listExports,
	},
	{
		name: 'imports',
		summary: "List a tenant's imports and their progress",
		schema: importList,
		example: { imports: [importExample] },
		list: listImports,
	},
]

export const tenantListRoutes: readonly Route[] = lists.map(({ name, summary, schema, example, list }) =>
	operatorRoute(
		{
			method: 'get',
			path: `/v1/tenants/{id}/${name}`,
			scope: 'read',
			tag: 'Tenants (operator)',
			summary,
			params: tenantParams,
			query: pageQuery,
			answers: { 200: { description: 'A page of them', schema, example, headers: pageHeaders } },
			refusals: ['not_found', 'tenant_erased', 'invalid_cursor', 'unknown_field'],
		},
		(call) => forTenant(call, list),
	),
)
