import { expect, test } from 'vitest'
import { openWebhookSecret } from '../../core/webhook-secret.ts'
import { Edge } from '../api-ports.ts'

const url = 'https://hooks.acme.com/x'

test('an endpoint is made with a secret that is shown once and that the shard cannot read', async () => {
	const edge = new Edge()
	const { id: tenant, key, shard } = await edge.tenant()
	const response = await edge.fetch('POST', '/v1/webhooks', { as: key, body: { url } })
	const made = await response.json<{ id: string; secret: string }>()
	expect([response.status, response.headers.get('Location')]).toEqual([201, `/v1/webhooks/${made.id}`])
	expect(made).toMatchObject({ url, status: 'active', disabled: null, failing: null, missed: null })
	expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
	const { sealed = '' } = shard.webhooks.get(made.id) ?? {}
	expect(sealed).not.toContain(made.secret.slice(6, 20))
	expect(openWebhookSecret(sealed, tenant, ['signing-new'])).toEqual({ secret: made.secret, isOld: false })
	expect(openWebhookSecret(sealed, tenant.replace('0', '1') as typeof tenant, ['signing-new'])).toBeNull()
	for (const path of ['/v1/webhooks', `/v1/webhooks/${made.id}`, `/v1/webhooks/${made.id}/attempts`]) {
		const shown = await edge.fetch('GET', path, { as: key })
		expect([shown.status, (await shown.text()).includes('whsec_')]).toEqual([200, false])
	}
	const rotated = await edge.fetch('POST', `/v1/webhooks/${made.id}/rotate-secret`, { as: key, body: {} })
	expect((await rotated.json<{ secret: string }>()).secret).not.toBe(made.secret)
	expect(shard.commands.at(-1)?.operation).toMatchObject({ keepPreviousMs: 24 * 3_600_000 })
})

test('an address that is not for everybody is refused before any object is called', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	const made = await edge.fetch('POST', '/v1/webhooks', { as: key, body: { url } })
	const { id } = await made.json<{ id: string }>()
	const before = edge.objectCalls.length
	for (const wrong of [
		'http://acme.com/',
		'https://127.1/',
		'https://[::1]/',
		'https://a:b@acme.com/',
		'nothing',
		'',
	]) {
		for (const [method, path] of [
			['POST', '/v1/webhooks'],
			['PATCH', `/v1/webhooks/${id}`],
		] as const) {
			const response = await edge.fetch(method, path, { as: key, body: { url: wrong } })
			const problem = await response.json<{ errors: { pointer: string }[] }>()
			expect([response.status, problem.errors[0]?.pointer], `${method} ${wrong}`).toEqual([422, '/url'])
		}
	}
	expect(edge.objectCalls.length).toBe(before)
})

test('the address is kept in its one form', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	await edge.fetch('POST', '/v1/webhooks', { as: key, body: { url: 'HTTPS://Hooks.ACME.com:443/X?q=1' } })
	expect(shard.commands.at(-1)?.operation).toMatchObject({ url: 'https://hooks.acme.com/X?q=1' })
})

test('what is no endpoint is 404, and what is no change is refused', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	for (const id of ['x', '0'.repeat(26)])
		for (const [method, path, body] of [
			['GET', '', undefined],
			['GET', '/attempts', undefined],
			['PATCH', '', {}],
			['DELETE', '', undefined],
		] as const)
			expect((await edge.fetch(method, `/v1/webhooks/${id}${path}`, { as: key, ...(body && { body }) })).status).toBe(
				404,
			)
	const wrong = [
		{},
		{ url, events: [] },
		{ url, events: ['all'] },
		{ url, collections: ['A'] },
		{ url, after: -1 },
		{ url, x: 1 },
	]
	for (const body of wrong) expect((await edge.fetch('POST', '/v1/webhooks', { as: key, body })).status).toBe(422)
})
