import { expect, test } from 'vitest'
import { mintTenantId, type Region } from '../../core/ids.ts'
import type { Refusal } from '../../core/refusal.ts'
import { Edge } from '../api-ports.ts'

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)

test('an erasure that was asked for is in the control object and has a record that names nobody', async () => {
	const edge = new Edge()
	const { id, key } = await edge.tenant('acme')
	const asked = await edge.fetch('DELETE', '/v1/tenant?grace_seconds=60', { as: key, body: { slug: 'acme' } })
	expect(asked.status).toBe(202)
	const erasure = await asked.json<{ id: string }>()
	expect(asked.headers.get('Location')).toBe(`/v1/erasures/${erasure.id}`)
	expect(erasure).toMatchObject({ tenant: id, status: 'scheduled', steps: [], certificate: null })
	const control = edge.controls.get(id)?.control
	expect(control).toMatchObject({ state: 'active', erasure: { id: erasure.id, dueAt: edge.now + 60_000 } })
	expect(edge.objectCalls.at(-1)).toBe(`${id}/0 erase.reconsider`)
	expect(JSON.stringify([...edge.erasures.values()])).not.toContain('Acme')
})

test('[E2] a request that is lost at any step, before or after its effect, is completed by a retry with one erasure', async () => {
	for (let n = 1, answered = false; !answered; n += 0.5) {
		const edge = new Edge()
		const { id } = await edge.tenant('acme')
		edge.failAt = edge.calls + n
		const first = await edge.fetch('DELETE', `/v1/tenants/${id}`, { as: 'root-token' })
		// The hint to the shard may be lost: it looks at its control object by itself.
		answered = first.status === 202 && edge.calls < (edge.failAt ?? 0)
		expect([202, 503]).toContain(first.status)
		edge.failAt = null
		const second = await edge.fetch('DELETE', `/v1/tenants/${id}`, { as: 'root-token' })
		expect(second.status).toBe(202)
		const named = edge.controls.get(id)?.control.erasure?.id
		expect(second.headers.get('Location')).toBe(`/v1/erasures/${named}`)
		if (first.status === 202) expect(first.headers.get('Location')).toBe(second.headers.get('Location'))
		expect(edge.erasures.has(named ?? '')).toBe(true)
		if (n > 40) throw new Error('a request with no end')
	}
})

test('[T3] a made-up erasure or tenant id calls no object', async () => {
	const edge = new Edge()
	const madeUp = ['eu', 'global', 'mars'].map((region) => mintTenantId(region as Region, edge.now, random))
	for (const id of [...madeUp, 'x', '..', 'eu_0']) {
		for (const [method, path] of [
			['GET', `/v1/erasures/${id}`],
			['DELETE', `/v1/erasures/${id}`],
			['DELETE', `/v1/tenants/${id}`],
			['PUT', `/v1/tenants/${id}/hold`],
			['DELETE', `/v1/tenants/${id}/hold`],
			['GET', `/v1/tenants/${id}/hold`],
		] as const)
			expect((await edge.fetch(method, path, { as: 'root-token' })).status, `${method} ${path}`).toBe(404)
	}
	expect(edge.objectCalls).toEqual([])
})

test('what has begun cannot be cancelled, and what is over answers 410 everywhere', async () => {
	const edge = new Edge()
	const { id } = await edge.tenant('acme')
	const asked = await edge.fetch('DELETE', `/v1/tenants/${id}`, { as: 'root-token' })
	const location = asked.headers.get('Location') ?? ''
	const found = edge.controls.get(id)
	if (!found) throw new Error('no control object')
	edge.controls.set(id, { ...found, control: { ...found.control, state: 'erasing', epoch: 2 } })
	const cancelled = await edge.fetch('DELETE', location, { as: 'root-token' })
	expect([cancelled.status, await cancelled.json()]).toMatchObject([409, { code: 'erasure_started' }])
	for (const state of ['erasing', 'erased'] as const) {
		edge.controls.set(id, { ...found, control: { ...found.control, state, epoch: 2 } })
		for (const [method, body] of [['GET'], ['PATCH', { name: 'Back' }]] as const) {
			const response = await edge.fetch(method, `/v1/tenants/${id}`, { as: 'root-token', ...(body && { body }) })
			expect([response.status, await response.json()]).toMatchObject([410, { code: 'tenant_erased' }])
		}
		const again = await edge.fetch('DELETE', `/v1/tenants/${id}`, { as: 'root-token' })
		expect([again.status, again.headers.get('Location')]).toEqual([202, location])
	}
})

test('[E1] a retry of the creation does not bring an erased tenant back', async () => {
	const edge = new Edge()
	const create = () => {
		const body = { slug: 'acme', name: 'Acme', region: 'eu' }
		return edge.fetch('POST', '/v1/tenants', { as: 'root-token', body, headers: { 'Idempotency-Key': 'k' } })
	}
	const first = await create()
	const { id } = await first.json<{ id: string }>()
	const [claim] = [...edge.claims].filter(([name]) => name.startsWith('request/')).map(([, one]) => one)
	for (const finished of [true, false]) {
		if (claim?.request) Object.assign(claim.request, { finished, at: edge.now - 60_000 })
		for (const [tenant, found] of edge.controls)
			edge.controls.set(tenant, { ...found, control: { ...found.control, state: 'erased', epoch: 2 } })
		const retry = await create()
		expect(retry.status).toBe(finished ? 201 : 410)
		expect([...edge.controls.values()].map(({ control }) => control.state)).toEqual(['erased'])
		expect((await edge.fetch('GET', `/v1/tenants/${id}`, { as: 'root-token' })).status).toBe(410)
	}
})

test('a legal hold says since when and by whom, and lifting it leaves nothing', async () => {
	const edge = new Edge()
	const { id } = await edge.tenant('acme')
	const hold = async (method: string) =>
		(await edge.fetch(method, `/v1/tenants/${id}/hold`, { as: 'root-token' })).json<object>()
	expect(await hold('GET')).toEqual({ tenant: id, held: false })
	const since = new Date(edge.now).toISOString()
	expect(await hold('PUT')).toEqual({ tenant: id, held: true, since, by: 'operator:root' })
	edge.now += 1_000
	expect(await hold('PUT')).toMatchObject({ since })
	expect(await hold('GET')).toMatchObject({ held: true })
	expect(await hold('DELETE')).toEqual({ tenant: id, held: false })
})

test.each(['-1', '2592001', '1.5', 'x', ''])('grace_seconds=%s is 400', async (grace) => {
	const edge = new Edge()
	const { id } = await edge.tenant('acme')
	const response = await edge.fetch('DELETE', `/v1/tenants/${id}?grace_seconds=${grace}`, { as: 'root-token' })
	expect([response.status, await response.json()]).toMatchObject([400, { errors: [{ pointer: 'grace_seconds' }] }])
	expect(edge.controls.get(id)?.control.erasure).toBeUndefined()
})

test('[E1] an upload that was under way when its tenant was erased leaves nothing in the bucket, and a doubtful one stays', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const upload = async (uploadRefusal: Refusal) => {
		shard.uploadRefusal = uploadRefusal
		const options = {
			as: key,
			body: new Blob(['PK12']),
			headers: { 'Content-Type': 'application/zip', 'Content-Length': '4' },
		}
		return (await edge.fetch('PUT', `/v1/imports/${'0'.repeat(26)}/archive`, options)).status
	}
	expect(await upload({ code: 'tenant_erased', detail: 'gone' })).toBe(410)
	expect(edge.bucket.objects.size).toBe(0)
	// The shard may have taken note of it.
	expect(await upload({ code: 'unavailable', detail: 'nobody knows', retryAfter: 1 })).toBe(503)
	expect(edge.bucket.objects.size).toBe(1)
})
