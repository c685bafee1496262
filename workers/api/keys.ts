import { mintKey } from '../../core/keys.ts'
import { refuse } from '../../core/refusal.ts'
import type { Handled, TenantCall } from './call.ts'
import { pageHeaders, readPage } from './page.ts'
import { execute } from './reach.ts'
import { showKey } from './representation.ts'
import { readIdempotency, readShape } from './request.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import { key, keyInput, keyList, keyParams, mintedKey, pageQuery } from './schemas.ts'

const tag = 'API keys'
export const keyExample = {
	id: '01k9zq4m3c8t5w2x7v6y0r1n4p',
	name: 'nightly import',
	scopes: ['read', 'write'],
	created_at: '2026-11-22T19:50:49.120Z',
	expires_at: null,
}

export const keyRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'post',
			path: '/v1/keys',
			scope: 'keys',
			tag,
			summary: 'Create an API key',
			description: 'The secret is shown in this answer only. A key can hand on only the scopes that it has itself.',
			body: {
				media: 'application/json',
				schema: keyInput,
				example: { name: 'nightly import', scopes: ['read', 'write'] },
			},
			answers: {
				201: {
					description: 'Created',
					schema: mintedKey,
					example: { ...keyExample, secret: 'fhk_eu_01k9…' },
					headers: ['Location', 'Freehold-Position'],
				},
			},
			refusals: [
				'invalid_json',
				'payload_too_large',
				'unsupported_media_type',
				'validation_failed',
				'limit_exceeded',
				'storage_full',
			],
			mutates: true,
		},
		async (call) => {
			const body = await readShape(call, keyInput)
			if (!body.ok) return body
			const { name, scopes, expires_at: expiresAt } = body.value.value
			const idempotency = readIdempotency(call, body.value.text, 'secret')
			if (!idempotency.ok) return idempotency
			const { config, clock, random } = call.ports
			const prepared = mintKey(call.tenant, config.signingSecrets[0], clock(), random)
			const wanted = {
				keyName: name ?? null,
				scopes: [...new Set(scopes)],
				expiresAt: expiresAt ? Date.parse(expiresAt) : null,
			}
			const reply = await execute(call, { name: 'key.create', ...wanted, prepared }, idempotency.value)
			if (!reply.ok) return reply
			const { key: created, secret, position } = reply.value
			const headers = { Location: `/v1/keys/${created.id}`, 'Freehold-Position': String(position) }
			return respondReply(call, reply, 201, JSON.stringify({ ...showKey(created), secret }), headers)
		},
	),
	tenantRoute(
		{
			method: 'get',
			path: '/v1/keys',
			scope: 'keys',
			tag,
			summary: 'List the API keys, without their secrets',
			query: pageQuery,
			answers: {
				200: { description: 'A page of keys', schema: keyList, example: { keys: [keyExample] }, headers: pageHeaders },
			},
			refusals: ['invalid_cursor', 'unknown_field'],
		},
		listKeys,
	),
	tenantRoute(
		{
			method: 'delete',
			path: '/v1/keys/{id}',
			scope: 'keys',
			tag,
			summary: 'Revoke an API key',
			params: keyParams,
			answers: { 204: { description: 'Revoked: its next request is refused', headers: ['Freehold-Position'] } },
			refusals: ['not_found'],
			mutates: true,
		},
		async (call) => {
			const id = call.c.req.param('id') ?? ''
			if (!key.shape.id.safeParse(id).success) return refuse('not_found', 'there is no key with this id')
			const idempotency = readIdempotency(call, '')
			if (!idempotency.ok) return idempotency
			const reply = await execute(call, { name: 'key.delete', id }, idempotency.value)
			if (!reply.ok) return reply
			return respondReply(call, reply, 204, null, { 'Freehold-Position': String(reply.value.position) })
		},
	),
]

export async function listKeys(call: TenantCall): Handled {
	const page = readPage(call, 'keys')
	if (!page.ok) return page
	const reply = await execute(call, { name: 'key.list', ...page.value.page })
	if (!reply.ok) return reply
	const { keys, next } = reply.value
	const link = page.value.link(next)
	if (!link.ok) return link
	return respondReply(call, reply, 200, JSON.stringify({ keys: keys.map(showKey) }), link.value)
}
