import type { Region } from '../../core/ids.ts'
import type { Rotation } from '../../core/rotation.ts'
import { reach } from './reach.ts'
import { timeOf } from './representation.ts'
import { readQuery } from './request.ts'
import { respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { masterSecret } from './schemas.ts'

const example = {
	secret: '9f86d081884c7d65',
	regions: [
		{
			...{ region: 'eu', status: 'running', tenants: 1_200, rewrapped: 1_200, unreadable: 0 },
			...{ begun_at: '2026-11-22T19:50:49.120Z', finished_at: null },
		},
	],
}

export const masterSecretRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/master-secret',
			scope: 'read',
			tag: 'Operating (operator)',
			summary: 'How far a rotation of the master secret has come',
			description:
				'`secret` names the newest one without telling anything about it. While a previous one is configured, each region goes through its tenants and wraps their keys anew; the counts are of the present way through. A region that is `done` needs the previous secret no more.',
			answers: { 200: { description: 'The regions', schema: masterSecret, example } },
			refusals: ['unknown_field', 'unavailable'],
		},
		async (call) => {
			const asked = readQuery(call, [])
			if (!asked.ok) return asked
			const { config, rotation } = call.ports
			const read = await reach(call, 'rotation.read', () =>
				Promise.all(config.regions.map(async (region) => ({ region, found: await rotation(region).read() }))),
			)
			if (!read.ok) return read
			const secret = config.masterSecret
			const regions = read.value.map(({ region, found }) =>
				showRotation(region, found?.rotation.master === secret ? found.rotation : null),
			)
			return respondJson(call, 200, JSON.stringify({ secret, regions }))
		},
	),
]

/** Null where the newest secret was the only one from the start. */
function showRotation(region: Region, rotation: Rotation | null) {
	if (rotation === null)
		return { region, status: 'none', tenants: 0, rewrapped: 0, unreadable: 0, begun_at: null, finished_at: null }
	const { tenants, rewrapped, unreadable, begunAt, finishedAt } = rotation
	return {
		region,
		status: finishedAt === null ? 'running' : 'done',
		...{ tenants, rewrapped, unreadable },
		begun_at: timeOf(begunAt),
		finished_at: finishedAt === null ? null : timeOf(finishedAt),
	}
}
