import { operator } from './operating-schemas.ts'
import { respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'

const example = { name: 'operator', scope: 'admin', regions: ['global', 'eu'], version: '0.1.0' }

export const operatorRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/operator',
			scope: 'read',
			tag: 'Operating (operator)',
			summary: 'Whose token this is, and what it may do',
			answers: { 200: { description: 'The token and the deployment', schema: operator, example } },
			refusals: [],
		},
		async (call) => {
			const { regions, version } = call.ports.config
			const { name } = call.caller
			return respondJson(call, 200, JSON.stringify({ name, scope: call.scope, regions, version }))
		},
	),
]
