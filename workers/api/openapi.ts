import { OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi'
import { problemOf } from '../../core/problem.ts'
import { type RefusalCode, statusByCode } from '../../core/refusal.ts'
import type { ApiPorts } from './ports.ts'
import { respondJson } from './respond.ts'
import { type AnswerDefinition, publicRoute, type Route } from './route.ts'
import { openApi, problem } from './schemas.ts'

/** The route that answers with the OpenAPI document of itself and all others. */
export function openApiRoute(others: readonly Route[]): Route {
	let text: string | null = null
	const route = publicRoute(
		{
			method: 'get',
			path: '/openapi.json',
			tag: 'About',
			summary: 'The OpenAPI document',
			answers: { 200: { description: 'The OpenAPI 3.1 document', schema: openApi } },
			refusals: [],
		},
		async (call) => {
			// Made once, when somebody asks: most isolates never need it.
			text ??= JSON.stringify(openApiDocument([...others, route], call.ports.config))
			return respondJson(call, 200, text)
		},
	)
	return route
}

function openApiDocument(routes: readonly Route[], { version, regions }: ApiPorts['config']): object {
	const described = new OpenAPIHono()
	const registry = described.openAPIRegistry
	registry.registerComponent('securitySchemes', 'apiKey', {
		type: 'http',
		scheme: 'bearer',
		description: 'An API key of a tenant, `fhk_…`. The key decides the tenant.',
	})
	registry.registerComponent('securitySchemes', 'operatorToken', {
		type: 'http',
		scheme: 'bearer',
		description: 'A token of the operator.',
	})
	for (const route of routes) registry.registerPath(describeRoute(route))
	const document = described.getOpenAPI31Document({
		openapi: '3.1.0',
		info: {
			title: 'Freehold',
			version,
			description:
				'A serverless, multi-tenant backend. Every answer carries `X-Request-Id`; a client may choose it. Errors are problem details (RFC 9457) whose `code` is stable.',
		},
		servers: [{ url: '/' }],
	})
	// Which regions there are is configuration: the routes only know how one is written.
	const schemas = { ...document.components?.schemas, Region: { type: 'string', enum: [...regions] } }
	return { ...document, components: { ...document.components, schemas } }
}

const securityByAudience = { public: [], operator: [{ operatorToken: [] }], tenant: [{ apiKey: [] }] }

function describeRoute({ definition, access }: Route): RouteConfig {
	const { method, path, tag, summary, description, params, query, headers, body, answers, mutates } = definition
	const taken = (headers ?? z.object({})).extend({ 'X-Request-Id': requestId.optional() })
	const scoped = access.audience === 'public' ? '' : `Needs the scope \`${access.scope}\`.`
	const common = [
		'X-Request-Id',
		...(access.audience === 'tenant' ? rateHeaders : []),
		...(mutates ? ['Idempotency-Replayed'] : []),
	]
	return {
		method,
		path,
		tags: [tag],
		summary,
		description: [description, scoped].filter(Boolean).join('\n\n'),
		operationId: operationId(method, path),
		security: securityByAudience[access.audience],
		request: {
			...(params && { params }),
			...(query && { query }),
			headers: mutates ? taken.extend({ 'Idempotency-Key': idempotencyKey.optional() }) : taken,
			...(body && {
				body: { required: true, content: { [body.media]: { schema: body.schema, example: body.example } } },
			}),
		},
		responses: {
			...Object.fromEntries(
				Object.entries(answers).map(([status, answer]) => [status, describeAnswer(answer, common)]),
			),
			...describeRefusals(refusalsOf({ definition, access })),
		},
	}
}

const requestId = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)
const idempotencyKey = z
	.string()
	.min(1)
	.max(255)
	.openapi({ description: 'Makes a retry safe for 24 hours: the same key and request give the first answer again.' })

/** The names of the path in the order of the path, e.g. `getV1CollectionsCollectionRecordsId`. */
function operationId(method: string, path: string): string {
	const words = path.split(/[^A-Za-z0-9]+/).filter(Boolean)
	return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

const rateHeaders = ['RateLimit', 'RateLimit-Policy']

function describeAnswer(answer: AnswerDefinition, common: readonly string[]) {
	const { description, schema, example, media, alternative, headers } = answer
	const content = schema && {
		[media ?? 'application/json']: { schema, ...(example !== undefined && { example }) },
		...(alternative && { [alternative.media]: { schema: alternative.schema, example: alternative.example } }),
	}
	return {
		description,
		...(content && { content }),
		headers: Object.fromEntries(
			[...common, ...(headers ?? [])].map((name) => [
				name,
				{ description: headerDescriptions[name] ?? name, schema: { type: 'string' as const } },
			]),
		),
	}
}

const headerDescriptions: Record<string, string> = {
	'X-Request-Id': 'Names this request in the logs',
	RateLimit: 'What is left of the rate limit, and when it is full again; sent once less than half is left',
	'RateLimit-Policy': 'The rate limit of the tenant; sent with RateLimit',
	'Idempotency-Replayed': 'true when this is the first answer again',
	Location: 'Where the new resource is',
	ETag: 'The entity tag of this version',
	Link: 'The next page, as rel="next"; absent on the last',
	'Freehold-Position': 'The journal position of this write',
	'Content-Range': 'The range and, with Prefer: count=exact, the number of matching records',
	'Accept-Ranges': 'bytes: a download can be resumed with Range',
	'Content-Disposition': 'The name of the file to save',
	'Preference-Applied': 'The preference that was honoured',
	'Freehold-View-Exact': 'Whether every shard is known to equal the view at its applied position',
	'Freehold-View-As-Of': 'The moment up to which all changes are in the view',
}

function refusalsOf({ definition, access }: Pick<Route, 'definition' | 'access'>): RefusalCode[] {
	const codes: RefusalCode[] = ['invalid_request', ...definition.refusals, 'internal']
	if (access.audience !== 'public') codes.push('unauthorized', 'insufficient_scope', 'unavailable')
	if (access.audience === 'tenant') codes.push('tenant_suspended', 'tenant_erased', 'rate_limited')
	const alters = access.audience === 'tenant' && (access.scope === 'write' || access.scope === 'schema')
	if (alters && definition.mutates) codes.push('tenant_restricted')
	if (definition.mutates) codes.push('idempotency_mismatch')
	return [...new Set(codes)]
}

function describeRefusals(codes: readonly RefusalCode[]) {
	const byStatus = Map.groupBy(codes, (code) => statusByCode[code])
	return Object.fromEntries(
		[...byStatus].map(([status, same]) => {
			const code = same[0] ?? 'internal'
			const example = problemOf({ code, detail: 'What was wrong with this request.' }, '01k9zq4m3c8t5w2x7v6y0r1n4p')
			const content = { 'application/problem+json': { schema: problem, example } }
			return [status, { description: `Refused: ${same.map((one) => `\`${one}\``).join(', ')}`, content }]
		}),
	)
}
