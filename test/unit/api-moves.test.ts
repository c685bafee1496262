import { expect, test } from 'vitest'
import type { TenantId } from '../../core/ids.ts'
import { Edge } from '../api-ports.ts'

const as = 'root-token'

interface Pair {
	edge: Edge
	from: TenantId
	to: TenantId
	/** The place of the tenant that moves. */
	path: string
	slug: string
}

/** A tenant, and another of the other region that could take its place. */
async function pair(): Promise<Pair> {
	const edge = new Edge()
	const { id: from } = await edge.tenant('acme', 'global')
	const slug = `moving-${from.split('_')[1]}`
	const { id: to } = await edge.tenant(slug, 'eu')
	return { edge, from, to, slug, path: `/v1/tenants/${from}/move` }
}

async function ask(
	{ edge }: Pair,
	method: string,
	path: string,
	body?: object,
	key?: string,
): Promise<[number, unknown]> {
	const headers = key === undefined ? {} : { 'Idempotency-Key': key }
	const response = await edge.fetch(method, path, { as, headers, ...(body && { body }) })
	const text = await response.text()
	const shown = text === '' ? null : JSON.parse(text)
	return [response.status, shown?.code ?? shown?.state ?? shown]
}

const begin = (pair: Pair, key?: string) => ask(pair, 'PUT', pair.path, { to: pair.to }, key)
const cancel = (pair: Pair, key?: string) => ask(pair, 'DELETE', pair.path, undefined, key)
const handOver = (pair: Pair) => ask(pair, 'POST', `${pair.path}/handover`, { as_of_seq: 2 })
const holderOf = ({ edge }: Pair, slug: string) => edge.claims.get(`slug/${slug}`)?.tenant
const statusOf = ({ edge }: Pair, id: TenantId) => edge.shards.get(`${id}/0`)?.told.status

test('a tenant that moves is suspended, hands its name over, and can then be erased', async () => {
	const pairs = await pair()
	const { edge, from, to, path, slug } = pairs
	expect(await ask(pairs, 'GET', path)).toEqual([404, 'not_found'])
	expect(await begin(pairs)).toEqual([200, 'copying'])
	expect(await begin(pairs)).toEqual([200, 'copying'])
	expect(await ask(pairs, 'GET', path)).toEqual([200, 'copying'])
	expect(statusOf(pairs, from)).toBe('suspended')
	for (const id of [from, to]) expect(await ask(pairs, 'DELETE', `/v1/tenants/${id}`)).toEqual([409, 'move_running'])
	expect(await ask(pairs, 'PATCH', `/v1/tenants/${from}`, { status: 'active' })).toEqual([409, 'move_running'])
	expect((await ask(pairs, 'PATCH', `/v1/tenants/${from}`, { name: 'Other' }))[0]).toBe(200)

	expect(await handOver(pairs)).toEqual([200, 'handed_over'])
	expect([holderOf(pairs, 'acme'), holderOf(pairs, slug)]).toEqual([to, from])
	expect(edge.shards.get(`${to}/0`)?.told).toMatchObject({ slug: 'acme', status: 'active' })
	expect(edge.shards.get(`${from}/0`)?.told).toMatchObject({ slug, status: 'suspended' })
	expect(await handOver(pairs)).toEqual([200, 'handed_over'])
	expect(await ask(pairs, 'DELETE', path)).toEqual([409, 'move_running'])
	expect(await ask(pairs, 'PATCH', `/v1/tenants/${from}`, { status: 'active' })).toEqual([409, 'move_running'])
	expect((await ask(pairs, 'DELETE', `/v1/tenants/${from}`))[0]).toBe(202)
	expect([...edge.erasures.values()].map(({ record }) => record.claims)).toEqual([[`slug/${slug}`]])
	expect((await ask(pairs, 'DELETE', `/v1/tenants/${to}`))[0]).toBe(202)
})

test('[U2] a handover that is lost at any step leaves the name with one owner, and a retry completes it', async () => {
	for (let n = 1, answered = false; !answered; n += 0.5) {
		const pairs = await pair()
		const { edge, from, to, slug } = pairs
		await begin(pairs)
		edge.failAt = edge.calls + n
		const [status] = await handOver(pairs)
		answered = status === 200
		expect([200, 503], `step ${n}`).toContain(status)
		expect([from, to], `step ${n}`).toContain(holderOf(pairs, 'acme'))
		edge.failAt = null
		expect(await handOver(pairs), `step ${n}`).toEqual([200, 'handed_over'])
		expect([holderOf(pairs, 'acme'), holderOf(pairs, slug)]).toEqual([to, from])
		expect(edge.shards.get(`${to}/0`)?.told).toMatchObject({ slug: 'acme', status: 'active' })
		expect(edge.shards.get(`${from}/0`)?.told.slug).toBe(slug)
		if (n > 60) throw new Error('a handover with no end')
	}
})

test('a move that is lost at any step begins or is cancelled by a retry', async () => {
	for (const [way, key] of [['begin'], ['cancel'], ['begin', 'k'], ['cancel', 'k']] as const)
		for (let n = 1, answered = false; !answered; n += 0.5) {
			const pairs = await pair()
			const { edge, from } = pairs
			if (way === 'cancel') await begin(pairs)
			const act = () => (way === 'begin' ? begin(pairs, key) : cancel(pairs, key))
			edge.failAt = edge.calls + n
			answered = (await act())[0] < 300
			edge.failAt = null
			expect((await act())[0], `${way} ${n}`).toBe(way === 'begin' ? 200 : 204)
			expect(statusOf(pairs, from)).toBe(way === 'begin' ? 'suspended' : 'active')
			expect(edge.controls.get(from)?.control.move?.state).toBe(way === 'begin' ? 'copying' : undefined)
			if (n > 60) throw new Error(`a ${way} with no end`)
		}
})

test('[I1] what is repeated late neither cancels a move that began since nor begins a cancelled one again', async () => {
	const pairs = await pair()
	const { edge, from } = pairs
	expect(await begin(pairs, 'begin')).toEqual([200, 'copying'])
	expect(await cancel(pairs, 'cancel')).toEqual([204, null])
	expect(await begin(pairs, 'begin')).toEqual([404, 'not_found'])
	expect([statusOf(pairs, from), edge.controls.get(from)?.control.move]).toEqual(['active', undefined])
	expect(await begin(pairs, 'again')).toEqual([200, 'copying'])
	expect(await cancel(pairs, 'cancel')).toEqual([204, null])
	expect([statusOf(pairs, from), edge.controls.get(from)?.control.move?.state]).toEqual(['suspended', 'copying'])
	expect(await handOver(pairs)).toEqual([200, 'handed_over'])
})

test('a move whose cancellation was cut off is not handed over, and another one can begin in its place', async () => {
	const pairs = await pair()
	const { edge, from } = pairs
	await begin(pairs)
	const found = edge.controls.get(from)
	if (!found?.control.move) throw new Error('no move')
	edge.controls.set(from, { ...found, control: { ...found.control, move: { ...found.control.move, cancelled: true } } })
	expect(await handOver(pairs)).toEqual([404, 'not_found'])
	expect(await begin(pairs)).toEqual([200, 'copying'])
	expect(edge.controls.get(from)?.control.move).toMatchObject({ status: 'active' })
	expect(await cancel(pairs)).toEqual([204, null])
	expect(statusOf(pairs, from)).toBe('active')
})

test('what was suspended before it moved is suspended afterwards, or when the move is cancelled', async () => {
	const pairs = await pair()
	const { from, to, path } = pairs
	await ask(pairs, 'PATCH', `/v1/tenants/${from}`, { status: 'suspended' })
	await begin(pairs)
	expect((await ask(pairs, 'DELETE', path))[0]).toBe(204)
	expect(statusOf(pairs, from)).toBe('suspended')
	await begin(pairs)
	await handOver(pairs)
	expect(statusOf(pairs, to)).toBe('suspended')
})

test('only an empty tenant of another region that was made for it takes the place of another', async () => {
	const pairs = await pair()
	const { edge, from, to, path } = pairs
	const { id: beside } = await edge.tenant('beside', 'global')
	const { id: named } = await edge.tenant('named', 'eu')
	for (const other of [beside, named, from, `eu_${'0'.repeat(26)}`])
		expect(await ask(pairs, 'PUT', path, { to: other }), other).toEqual([422, 'validation_failed'])
	const target = edge.shards.get(`${to}/0`)
	if (!target) throw new Error('no such shard')
	target.collections = 1
	expect(await begin(pairs)).toEqual([409, 'tenant_not_empty'])
	target.collections = 0
	await ask(pairs, 'PUT', `/v1/tenants/${from}/hold`)
	expect(await begin(pairs)).toEqual([409, 'not_ready'])
	await ask(pairs, 'DELETE', `/v1/tenants/${from}/hold`)
	await ask(pairs, 'DELETE', `/v1/tenants/${from}?grace_seconds=60`)
	expect(await begin(pairs)).toEqual([409, 'erasure_started'])
	expect(edge.controls.get(from)?.control.move).toBeUndefined()
})

test('a name is handed over only to a tenant that holds everything', async () => {
	const pairs = await pair()
	const { edge, from, to } = pairs
	const [own, other] = [from, to].map((id) => edge.shards.get(`${id}/0`))
	if (!own || !other) throw new Error('no such shard')
	expect(await handOver(pairs)).toEqual([404, 'not_found'])
	await begin(pairs)
	const refused = async () => expect(await handOver(pairs)).toEqual([409, 'not_ready'])

	own.told.status = 'active'
	await refused()
	await begin(pairs)
	own.collections = 1
	await refused()
	other.collections = 1
	for (let seq = 1; seq <= 3; seq++) own.append({ actor: 'system:retention', op: 'delete' })
	await ask(pairs, 'PUT', `/v1/tenants/${from}/hold`)
	await refused()
	await ask(pairs, 'DELETE', `/v1/tenants/${from}/hold`)
	own.append({ op: 'update' })
	await refused()
	own.changes.pop()
	const found = edge.controls.get(to)
	if (!found) throw new Error('no control object')
	edge.controls.set(to, { ...found, control: { ...found.control, state: 'erasing' } })
	expect((await handOver(pairs))[0]).toBe(409)
	edge.controls.set(to, found)
	expect(edge.claims.get('slug/acme')?.tenant).toBe(from)
	expect(await handOver(pairs)).toEqual([200, 'handed_over'])
})
