import { expect, test } from 'vitest'
import { Edge } from '../api-ports.ts'

const day = 86_400_000

async function world() {
	const edge = new Edge()
	const { id, shard } = await edge.tenant('acme', 'eu')
	edge.now += 40 * day
	const ask = async (at: unknown, key?: string) => {
		const headers = key === undefined ? {} : { 'Idempotency-Key': key }
		const response = await edge.fetch('POST', `/v1/tenants/${id}/rewind`, { as: 'root-token', body: { at }, headers })
		const body = await response.json<{ code?: string; errors?: { pointer: string }[]; requested_at?: string }>()
		return { status: response.status, replayed: response.headers.get('Idempotency-Replayed'), body }
	}
	return { edge, id, shard, ask, ago: (ms: number) => new Date(edge.now - ms).toISOString() }
}

test('a tenant goes back to a moment that lies in its history, and to no other', async () => {
	const { edge, id, shard, ask, ago } = await world()
	const refused = { status: 422, body: { code: 'validation_failed', errors: [{ pointer: '/at' }] } }
	for (const at of [ago(-1_000), ago(30 * day + 1), 'yesterday', 5]) expect(await ask(at)).toMatchObject(refused)
	expect(await ask(ago(41 * day))).toMatchObject(refused)
	// It may have got its database a while after its control object.
	const { id: young } = await edge.tenant('young', 'eu')
	const body = { at: ago(-1_800_000) }
	edge.now += 7_200_000
	expect((await edge.fetch('POST', `/v1/tenants/${young}/rewind`, { as: 'root-token', body })).status).toBe(422)
	expect(shard.rewinds.size).toBe(0)
	const at = ago(30 * day)
	const shown = { tenant: id, at, requested_at: ago(0), requested_by: 'operator:root' }
	expect(await ask(at)).toEqual({ status: 202, replayed: null, body: shown })
	expect([...shard.rewinds.values()]).toEqual([{ to: edge.now - 30 * day, at: edge.now }])
})

test('[I1] a rewind that is asked for again, its answer lost, is the first one', async () => {
	const { edge, shard, ask, ago } = await world()
	const at = ago(day)
	edge.failAt = edge.calls + 3.5
	expect(await ask(at, 'key')).toMatchObject({ status: 503, body: { code: 'unavailable' } })
	edge.failAt = null
	edge.now += 5_000
	const again = await ask(at, 'key')
	expect(again).toMatchObject({ status: 202, replayed: 'true', body: { requested_at: ago(5_000) } })
	expect(shard.rewinds.size).toBe(1)
})

test('a tenant that moves, or is erased, is not rewound', async () => {
	const { edge, id, shard, ask, ago } = await world()
	const { id: to } = await edge.tenant(`moving-${id.split('_')[1]}`, 'global')
	await edge.fetch('PUT', `/v1/tenants/${id}/move`, { as: 'root-token', body: { to } })
	expect(await ask(ago(day))).toMatchObject({ status: 409, body: { code: 'move_running' } })
	const found = edge.controls.get(id)
	if (!found) throw new Error('no control object')
	edge.controls.set(id, { ...found, control: { state: 'erasing', epoch: 1, createdAt: 0 } })
	expect(await ask(ago(day))).toMatchObject({ status: 410, body: { code: 'tenant_erased' } })
	expect(shard.rewinds.size).toBe(0)
})
