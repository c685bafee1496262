import fc from 'fast-check'
import { expect, test } from 'vitest'
import { statusByCode } from '../../core/refusal.ts'
import { routeTable } from '../../workers/api/routes.ts'
import { Edge } from '../api-ports.ts'

const nasty = fc.oneof(
	fc.string({ maxLength: 40 }),
	fc.string({ unit: 'grapheme', maxLength: 20 }),
	fc.string({ unit: 'binary', maxLength: 20 }),
	fc.constantFrom(
		'',
		'..',
		'.',
		'%',
		'%00',
		'%2e%2e',
		'%252f',
		'__proto__',
		'constructor',
		'*',
		'"',
		'""',
		'W/"a"',
		'-1',
		'1e309',
		'NaN',
		'=',
		'&',
		'null',
		'[]',
		'{}',
		'\\',
		'({',
		'in.(',
		'or=(',
		'not.not.eq.1',
		'eq.',
		'like.%',
	),
)
const literal = fc.constantFrom(
	'0',
	'-0',
	'1e309',
	'9007199254740993',
	'1e400',
	'"\\ud800"',
	'"\\u0000"',
	'[',
	'{',
	'}',
	'nul',
	'\ufeff{}',
	'{"a":1,"a":2}',
	'{"__proto__":{}}',
	`${'['.repeat(70)}${']'.repeat(70)}`,
)
const operations = fc.array(
	fc.record(
		{
			op: fc.constantFrom('create', 'put', 'patch', 'delete', 'x', 1),
			collection: fc.oneof(fc.constant('c'), nasty),
			id: fc.oneof(fc.constant('r'), nasty),
			data: fc.jsonValue(),
			if_match: fc.oneof(nasty, fc.constant('*')),
		},
		{ requiredKeys: [] },
	),
	{ maxLength: 4 },
)
const body = fc.oneof(
	literal,
	nasty,
	fc.json({ maxDepth: 4 }),
	operations.map((list) => JSON.stringify({ operations: list })),
	fc.record({ slug: nasty, name: nasty, region: fc.constantFrom('eu', 'x') }).map((value) => JSON.stringify(value)),
	fc
		.record({ name: nasty, scopes: fc.array(fc.constantFrom('read', 'x')), expires_at: nasty }, { requiredKeys: [] })
		.map((value) => JSON.stringify(value)),
	fc
		.dictionary(
			fc.constantFrom('limit', 'order', 'select', 'cursor', 'or', 'name', 'a b'),
			fc.oneof(nasty, fc.jsonValue()),
		)
		.map((value) => JSON.stringify(value)),
	fc.uint8Array({ maxLength: 60 }),
)
const headerNames = [
	'If-Match',
	'If-None-Match',
	'Idempotency-Key',
	'Prefer',
	'Accept',
	'Last-Event-ID',
	'Freehold-Min-Position',
	'X-Request-Id',
	'Content-Length',
	'Origin',
	'Upgrade',
]
const headers = fc.oneof(fc.constant({}), fc.dictionary(fc.constantFrom(...headerNames), nasty, { maxKeys: 4 }))
const media = fc.constantFrom('application/json', 'application/json', 'application/merge-patch+json', 'text/plain', '')
const parameterNames = [
	'limit',
	'cursor',
	'order',
	'select',
	'after',
	'collection',
	'tenant',
	'region',
	'or',
	'name',
	'a b',
	'%',
]
const parameter = fc.tuple(fc.constantFrom<string>(...parameterNames), nasty)
const query = fc.oneof(fc.constant<[string, string][]>([]), fc.array(parameter, { maxLength: 3 }))
const segment = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('c', 'r', 'people') }, { weight: 1, arbitrary: nasty })

/** Values that no header or address can carry never arrive; the request cannot even be made. */
function possible(make: () => Request): boolean {
	try {
		make()
		return true
	} catch {
		return false
	}
}

test('[L1] no request gives a 5xx: broken paths, queries, headers and bodies on every route', async () => {
	const edge = new Edge({ corsOrigins: ['https://app.example'] })
	const { id, key } = await edge.tenant()
	const { paths } = await (await edge.fetch('GET', '/openapi.json')).json<{
		paths: Record<string, Record<string, { responses: object }>>
	}>()
	const seen = new Map<number, number>()
	await fc.assert(
		fc.asyncProperty(
			fc.constantFrom(...routeTable),
			fc.record({
				segments: fc.array(segment, { minLength: 2, maxLength: 2 }),
				raw: fc.boolean(),
				query,
				headers,
				media,
				body,
			}),
			async (route, { segments, raw, query: pairs, headers: chosen, media: type, body: sent }) => {
				const parts = [...segments]
				const encode = (text: string) =>
					raw ? text.replaceAll(/[/?#\s\\]/g, '') : encodeURIComponent(text.toWellFormed())
				const path = route.path
					.replace('/tenants/{id}', `/tenants/${id}`)
					.replaceAll(/\{[a-z]+\}/g, () => encode(parts.shift() ?? 'r'))
				const search = new URLSearchParams(pairs.map(([name, value]) => [name, value.toWellFormed()]))
				const url = `http://edge.test${path}?${search}`
				const takesBody = !['get', 'delete'].includes(route.method)
				const all = { ...chosen, 'Content-Type': type }
				if (!possible(() => new Request(url, { headers: all }))) return
				const as = route.access.audience === 'tenant' ? key : 'root-token'
				const response = await edge.fetch(route.method.toUpperCase(), `${path}?${search}`, {
					as,
					headers: all,
					...(takesBody && { body: sent as BodyInit }),
				})
				if (edge.logged.at(-1)?.fields.route === route.path) {
					expect(paths[route.path]?.[route.method]?.responses).toHaveProperty(String(response.status))
				}
				seen.set(response.status, (seen.get(response.status) ?? 0) + 1)
				expect(response.status < 500 || response.status === 503).toBe(true)
				if (response.status >= 400) {
					const problem = await response.json<{ code: keyof typeof statusByCode; status: number }>()
					expect(statusByCode[problem.code]).toBe(response.status)
					// The only 503 of a healthy system is the view that has not come far enough.
					if (response.status === 503) expect(problem.code).toBe('view_behind')
				} else await response.body?.cancel()
			},
		),
		{ numRuns: 10_000 },
	)
	// A run that only ever met one border would prove little. Of the rarest status there are 22 on average.
	for (const status of [200, 201, 400, 415, 422]) expect(seen.get(status) ?? 0).toBeGreaterThan(4)
}, 120_000)
