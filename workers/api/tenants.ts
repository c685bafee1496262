import { scopes } from '../../core/contract.ts'
import type { Region } from '../../core/ids.ts'
import { parseRegion, regionOf } from '../../core/ids.ts'
import { nameCharsMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { authoriseTenantId, readControl, tenantErased } from './auth.ts'
import type { OperatorCall } from './call.ts'
import { moving, onTenant } from './moving.ts'
import { pageHeaders, readTenantPage } from './page.ts'
import { provisionTenant } from './provisioning.ts'
import { execute } from './reach.ts'
import { showFreshness, showTenant, showTenantInfo, timeOf } from './representation.ts'
import { badParameter, readIdempotency, readQuery, readShape } from './request.ts'
import { respondJson, respondReply } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import {
	createdTenant,
	tenant,
	tenantInput,
	tenantList,
	tenantListQuery,
	tenantParams,
	tenantPatch,
} from './schemas.ts'
import { freshnessExample, readMaxStaleness, refuseStale, viewHeaderNames, viewHeaders } from './view-answer.ts'

const tag = 'Tenants (operator)'
const summaryExample = {
	id: 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p',
	slug: 'analytical-engines',
	name: 'Analytical Engines Ltd',
	region: 'eu',
	status: 'active',
	created_at: '2026-11-22T19:50:49.120Z',
}
export const tenantExample = {
	...summaryExample,
	held_since: null,
	limits: { requests_per_second: 1_000, storage_bytes: 10_000_000_000 },
	usage: { records: 0, collections: 0, keys: 1, storage_bytes: 114_688, position: 2 },
}

export const tenantsRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'post',
			path: '/v1/tenants',
			scope: 'admin',
			tag,
			summary: 'Create a tenant',
			description: 'The slug is unique over all regions. The secret of the first API key is shown in this answer only.',
			body: {
				media: 'application/json',
				schema: tenantInput,
				example: { slug: 'analytical-engines', name: 'Analytical Engines Ltd', region: 'eu' },
			},
			answers: {
				201: {
					description: 'Created',
					schema: createdTenant,
					example: { ...summaryExample, api_key: { id: '01k9zq4m3c8t5w2x7v6y0r1n4q', secret: 'fhk_eu_01k9…', scopes } },
					headers: ['Location'],
				},
			},
			refusals: [
				'invalid_json',
				'slug_taken',
				'idempotency_in_progress',
				'tenant_erased',
				'payload_too_large',
				'unsupported_media_type',
				'validation_failed',
			],
			mutates: true,
		},
		async (call) => {
			const body = await readShape(call, tenantInput)
			if (!body.ok) return body
			const { slug, name, region: regionText } = body.value.value
			const region = chooseRegion(call, regionText)
			if (!region.ok) return region
			const idempotency = readIdempotency(call, body.value.text, 'secret')
			if (!idempotency.ok) return idempotency
			const provisioned = await provisionTenant(call, { slug, name, region: region.value }, idempotency.value)
			if (!provisioned.ok) return provisioned
			const { tenant: id, createdAt, key, replayed } = provisioned.value
			call.tenant = id
			const text = JSON.stringify({
				...{ id, slug, name, region: regionOf(id), status: 'active', created_at: timeOf(createdAt) },
				api_key: { id: key.id, secret: key.secret, scopes },
			})
			return respondReply(call, { replayed, rate: null }, 201, text, { Location: `/v1/tenants/${id}` })
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/tenants',
			scope: 'read',
			tag,
			summary: 'List the tenants of all regions, from the view',
			description: '`search` keeps those whose id it is, or whose slug or name contains it.',
			query: tenantListQuery,
			answers: {
				200: {
					description: 'A page of tenants',
					schema: tenantList,
					example: { tenants: [summaryExample], freshness: freshnessExample },
					headers: [...pageHeaders, ...viewHeaderNames],
				},
			},
			refusals: ['invalid_cursor', 'unknown_field', 'view_stale', 'view_unavailable'],
		},
		async (call) => {
			const asked = readQuery(call, ['search', 'max_staleness', 'limit', 'cursor'])
			if (!asked.ok) return asked
			const maxMs = readMaxStaleness(asked.value.max_staleness)
			if (!maxMs.ok) return maxMs
			const search = readSearch(asked.value.search)
			if (!search.ok) return search
			const page = readTenantPage(call, asked.value, search.value)
			if (!page.ok) return page
			const { config, view } = call.ports
			const read = await view.tenants(
				{ regions: config.regions, tenant: null },
				{ ...page.value.page, search: search.value },
			)
			if (!read.ok) return read
			const { tenants, next, freshness } = read.value
			const enough = refuseStale(freshness, maxMs.value)
			if (!enough.ok) return enough
			const text = JSON.stringify({ tenants: tenants.map(showTenant), freshness: showFreshness(freshness) })
			const link = page.value.link(next)
			if (!link.ok) return link
			return respondJson(call, 200, text, { ...link.value, ...viewHeaders(freshness) })
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/tenants/{id}',
			scope: 'read',
			tag,
			summary: 'Read a tenant, from its shard',
			params: tenantParams,
			answers: { 200: { description: 'The tenant', schema: tenant, example: tenantExample } },
			refusals: ['not_found', 'tenant_erased'],
		},
		async (call) => {
			const authorised = await authoriseTenantId(call, call.c.req.param('id') ?? '')
			if (!authorised.ok) return authorised
			const reply = await execute(authorised.value, { name: 'tenant.get' })
			return reply.ok ? respondReply(call, reply, 200, JSON.stringify(showTenantInfo(reply.value.tenant))) : reply
		},
	),
	operatorRoute(
		{
			method: 'patch',
			path: '/v1/tenants/{id}',
			scope: 'admin',
			tag,
			summary: 'Rename, suspend, restrict or limit a tenant',
			description:
				'A suspended tenant is answered nothing. A restricted one can read, export and erase its records and not change them, and they leave the view until it is active again (Art. 18 GDPR).',
			params: tenantParams,
			body: { media: 'application/json', schema: tenantPatch, example: { status: 'suspended' } },
			answers: {
				200: { description: 'Changed', schema: tenant, example: tenantExample, headers: ['Freehold-Position'] },
			},
			refusals: [
				'invalid_json',
				'move_running',
				'not_found',
				'payload_too_large',
				'tenant_erased',
				'unsupported_media_type',
				'validation_failed',
			],
			mutates: true,
		},
		async (call) => {
			const registered = await readControl(call, call.c.req.param('id') ?? '')
			if (!registered.ok) return registered
			const { tenant: id, control } = registered.value
			if (control.state !== 'active') return tenantErased()
			const body = await readShape(call, tenantPatch)
			if (!body.ok) return body
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const { name, ...rest } = body.value.value
			// What was suspended to be moved must not be written to, before the handover or after.
			if (control.move && rest.status !== undefined) return moving()
			const change = { ...(name !== undefined && { tenantName: name }), ...rest }
			const reply = await execute(onTenant(call, id), { name: 'tenant.update', ...change }, idempotency.value)
			if (!reply.ok) return reply
			const headers = { 'Freehold-Position': String(reply.value.position) }
			return respondReply(call, reply, 200, JSON.stringify(showTenantInfo(reply.value.tenant)), headers)
		},
	),
]

function readSearch(text: string | undefined): Outcome<string | null> {
	if (text === undefined) return accept(null)
	const fits = text.length > 0 && text.length <= nameCharsMax && text.isWellFormed() && !text.includes('\0')
	return fits ? accept(text) : badParameter('search', `must be 1 to ${nameCharsMax} characters`)
}

function chooseRegion(call: OperatorCall, text: string | undefined): Outcome<Region> {
	const { regions } = call.ports.config
	const region = text === undefined ? regions[0] : parseRegion(text)
	if (region !== null && regions.includes(region)) return accept(region)
	return refuse('validation_failed', 'the input violates its schema', {
		errors: [{ pointer: '/region', detail: `must be one of ${regions.join(', ')}` }],
	})
}
