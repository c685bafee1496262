import type { Answer } from '../../core/contract.ts'
import { mintId } from '../../core/ids.ts'
import { webhookSecretKeptMs } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { parseWebhookUrl } from '../../core/webhook-address.ts'
import { mintWebhookSecret, sealWebhookSecret } from '../../core/webhook-secret.ts'
import type { TenantCall } from './call.ts'
import { pageHeaders, readPage } from './page.ts'
import { execute } from './reach.ts'
import { showWebhook, showWebhookAttempt } from './representation.ts'
import { readIdempotency, readShape } from './request.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import {
	pageQuery,
	sentTest,
	webhook,
	webhookAttemptList,
	webhookInput,
	webhookList,
	webhookParams,
	webhookPatch,
	webhookRotation,
	webhookWithSecret,
} from './schemas.ts'

const tag = 'Webhooks'
const scope = 'export'
const example = {
	id: '01k9zq4m3c8t5w2x7v6y0r1n4p',
	url: 'https://example.com/freehold',
	description: 'search index',
	events: ['record.created', 'record.updated', 'record.deleted'],
	collections: ['people'],
	status: 'active',
	disabled: null,
	position: 17,
	failing: null,
	missed: null,
	previous_secret_until: null,
	created_at: '2026-11-22T19:50:49.120Z',
	updated_at: '2026-11-22T19:50:49.120Z',
}
const secretExample = { ...example, secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDLs3…' }
const attemptExample = {
	message: 'msg_eu_01k9zq4m3c8t5w2x7v6y0r1n4p_0_1_17',
	event: 'record.created',
	seq: 17,
	at: '2026-11-22T19:50:50.220Z',
	duration_ms: 84,
	status: 200,
	failure: null,
}
const bodyRefusals = ['invalid_json', 'payload_too_large', 'unsupported_media_type', 'validation_failed'] as const

export const webhookRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'post',
			path: '/v1/webhooks',
			scope,
			tag,
			summary: 'Create an endpoint for webhooks',
			description:
				'Changes are sent to `url` in the order of the journal, signed as Standard Webhooks has it, each until it is answered with 2xx. A message points at what changed and never holds it. The secret is shown in this answer only.',
			body: {
				media: 'application/json',
				schema: webhookInput,
				example: { url: example.url, events: example.events, collections: example.collections },
			},
			answers: {
				201: {
					description: 'Created',
					schema: webhookWithSecret,
					example: secretExample,
					headers: ['Location', 'Freehold-Position'],
				},
			},
			refusals: [...bodyRefusals, 'limit_exceeded', 'storage_full'],
			mutates: true,
		},
		async (call) => {
			const body = await readShape(call, webhookInput)
			if (!body.ok) return body
			const { url, description = null, events = null, collections = null, after = null } = body.value.value
			const address = readAddress(call, url)
			if (!address.ok) return address
			const idempotency = readIdempotency(call, body.value.text, 'secret')
			if (!idempotency.ok) return idempotency
			const prepared = { id: mintId(call.ports.clock(), call.ports.random), ...prepareSecret(call) }
			const wanted = { url: address.value, description, events, collections, after, prepared }
			const reply = await execute(call, { name: 'webhook.create', ...wanted }, idempotency.value)
			if (!reply.ok) return reply
			const headers = { Location: `/v1/webhooks/${reply.value.webhook.id}`, ...positionOf(reply.value) }
			return respondReply(call, reply, 201, JSON.stringify(showWithSecret(reply.value)), headers)
		},
	),
	tenantRoute(
		{
			method: 'get',
			path: '/v1/webhooks',
			scope,
			tag,
			summary: 'List the endpoints, without their secrets',
			query: pageQuery,
			answers: {
				200: {
					description: 'A page of endpoints',
					schema: webhookList,
					example: { webhooks: [example] },
					headers: pageHeaders,
				},
			},
			refusals: ['invalid_cursor', 'unknown_field'],
		},
		async (call) => {
			const page = readPage(call, 'webhooks')
			if (!page.ok) return page
			const reply = await execute(call, { name: 'webhook.list', ...page.value.page })
			if (!reply.ok) return reply
			const link = page.value.link(reply.value.next)
			if (!link.ok) return link
			const webhooks = reply.value.webhooks.map(showWebhook)
			return respondReply(call, reply, 200, JSON.stringify({ webhooks }), link.value)
		},
	),
	tenantRoute(
		{
			method: 'get',
			path: '/v1/webhooks/{id}',
			scope,
			tag,
			summary: 'Read an endpoint: what it has, and what is wrong with it',
			params: webhookParams,
			answers: { 200: { description: 'The endpoint', schema: webhook, example } },
			refusals: ['not_found'],
		},
		async (call) => {
			const id = readWebhookId(call)
			if (!id.ok) return id
			const reply = await execute(call, { name: 'webhook.get', id: id.value })
			return reply.ok ? respondReply(call, reply, 200, JSON.stringify(showWebhook(reply.value.webhook))) : reply
		},
	),
	tenantRoute(
		{
			method: 'get',
			path: '/v1/webhooks/{id}/attempts',
			scope,
			tag,
			summary: 'Read what came of the last requests to an endpoint, newest first',
			params: webhookParams,
			answers: {
				200: { description: 'The attempts', schema: webhookAttemptList, example: { attempts: [attemptExample] } },
			},
			refusals: ['not_found'],
		},
		async (call) => {
			const id = readWebhookId(call)
			if (!id.ok) return id
			const reply = await execute(call, { name: 'webhook.get', id: id.value })
			if (!reply.ok) return reply
			const attempts = reply.value.attempts.map(showWebhookAttempt)
			return respondReply(call, reply, 200, JSON.stringify({ attempts }))
		},
	),
	tenantRoute(
		{
			method: 'patch',
			path: '/v1/webhooks/{id}',
			scope,
			tag,
			summary: 'Change, disable, enable or move an endpoint',
			description:
				'`status: active` tries at once, where the endpoint stopped. `after` moves it: back to send again, forward to skip.',
			params: webhookParams,
			body: { media: 'application/json', schema: webhookPatch, example: { status: 'active' } },
			answers: { 200: { description: 'Changed', schema: webhook, example, headers: ['Freehold-Position'] } },
			refusals: [...bodyRefusals, 'not_found'],
			mutates: true,
		},
		async (call) => {
			const id = readWebhookId(call)
			if (!id.ok) return id
			const body = await readShape(call, webhookPatch)
			if (!body.ok) return body
			const { url, ...rest } = body.value.value
			const address = url === undefined ? accept(undefined) : readAddress(call, url)
			if (!address.ok) return address
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const changes = { ...rest, url: address.value }
			const reply = await execute(call, { name: 'webhook.update', id: id.value, changes }, idempotency.value)
			if (!reply.ok) return reply
			return respondReply(call, reply, 200, JSON.stringify(showWebhook(reply.value.webhook)), positionOf(reply.value))
		},
	),
	tenantRoute(
		{
			method: 'post',
			path: '/v1/webhooks/{id}/rotate-secret',
			scope,
			tag,
			summary: 'Give an endpoint a new secret',
			description:
				'For `keep_previous_seconds`, a day when absent, messages carry a signature by each: the receiver changes over without losing one. After a leak send 0. The secret is shown in this answer only.',
			params: webhookParams,
			body: { media: 'application/json', schema: webhookRotation, example: { keep_previous_seconds: 3_600 } },
			answers: {
				200: {
					description: 'The endpoint with its new secret',
					schema: webhookWithSecret,
					example: secretExample,
					headers: ['Freehold-Position'],
				},
			},
			refusals: [...bodyRefusals, 'not_found', 'limit_exceeded'],
			mutates: true,
		},
		async (call) => {
			const id = readWebhookId(call)
			if (!id.ok) return id
			const body = await readShape(call, webhookRotation)
			if (!body.ok) return body
			const idempotency = readIdempotency(call, body.value.text, 'secret')
			if (!idempotency.ok) return idempotency
			const seconds = body.value.value.keep_previous_seconds
			const keepPreviousMs = seconds === undefined ? webhookSecretKeptMs : seconds * 1_000
			const wanted = { id: id.value, keepPreviousMs, prepared: prepareSecret(call) }
			const reply = await execute(call, { name: 'webhook.rotate', ...wanted }, idempotency.value)
			if (!reply.ok) return reply
			return respondReply(call, reply, 200, JSON.stringify(showWithSecret(reply.value)), positionOf(reply.value))
		},
	),
	tenantRoute(
		{
			method: 'post',
			path: '/v1/webhooks/{id}/test',
			scope,
			tag,
			summary: 'Send a test message to an endpoint',
			description:
				'A message of type `webhook.test` goes out once, soon, also to a disabled endpoint. The attempts show what came of it.',
			params: webhookParams,
			answers: { 202: { description: 'On its way', schema: sentTest, example: { message: 'msg_test_01k9zq…' } } },
			refusals: ['not_found'],
			mutates: true,
		},
		async (call) => {
			const id = readWebhookId(call)
			if (!id.ok) return id
			const idempotency = readIdempotency(call, '')
			if (!idempotency.ok) return idempotency
			const message = `msg_test_${mintId(call.ports.clock(), call.ports.random)}`
			const reply = await execute(call, { name: 'webhook.test', id: id.value, message }, idempotency.value)
			return reply.ok ? respondReply(call, reply, 202, JSON.stringify({ message: reply.value.message })) : reply
		},
	),
	tenantRoute(
		{
			method: 'delete',
			path: '/v1/webhooks/{id}',
			scope,
			tag,
			summary: 'Delete an endpoint and its secrets',
			params: webhookParams,
			answers: { 204: { description: 'Deleted', headers: ['Freehold-Position'] } },
			refusals: ['not_found'],
			mutates: true,
		},
		async (call) => {
			const id = readWebhookId(call)
			if (!id.ok) return id
			const idempotency = readIdempotency(call, '')
			if (!idempotency.ok) return idempotency
			const reply = await execute(call, { name: 'webhook.delete', id: id.value }, idempotency.value)
			return reply.ok ? respondReply(call, reply, 204, null, positionOf(reply.value)) : reply
		},
	),
]

function readWebhookId(call: TenantCall): Outcome<string> {
	const id = call.c.req.param('id') ?? ''
	return webhook.shape.id.safeParse(id).success ? accept(id) : refuse('not_found', 'there is no webhook with this id')
}

/** As it will be sent to: names in lower case, numbers of an address in their one form. */
function readAddress(call: TenantCall, text: string): Outcome<string> {
	const parsed = parseWebhookUrl(text, call.ports.config.webhookAddresses)
	return parsed.ok ? accept(parsed.value.href) : parsed
}

function prepareSecret({ tenant, ports: { config, random } }: TenantCall): { secret: string; sealed: string } {
	const secret = mintWebhookSecret(random)
	return { secret, sealed: sealWebhookSecret(secret, tenant, config.signingSecrets[0], random) }
}

function showWithSecret({ webhook: shown, secret }: Pick<Answer<'webhook.create'>, 'webhook' | 'secret'>) {
	return { ...showWebhook(shown), secret }
}

function positionOf({ position }: { position: number }): { 'Freehold-Position': string } {
	return { 'Freehold-Position': String(position) }
}
