import { type Context, Hono } from 'hono'
import { cors } from 'hono/cors'
import { RegExpRouter } from 'hono/router/reg-exp-router'
import { mintId } from '../../core/ids.ts'
import { type RefusalCode, refuse } from '../../core/refusal.ts'
import type { Call } from './call.ts'
import type { ApiPorts } from './ports.ts'
import { describe } from './reach.ts'
import { respond, respondProblem } from './respond.ts'
import type { Method, Route } from './route.ts'
import { routes } from './routes.ts'

/**
 * The HTTP edge. It holds nothing of a request, so one app serves an isolate for its whole life.
 */
export function createApp(ports: ApiPorts): Hono {
	// One regular expression finds a route. Paths that it cannot tell apart make it throw at the first request, where the default
	// router would silently walk a tree for each one.
	const app = new Hono({ router: new RegExpRouter() })
	if (ports.config.corsOrigins.length > 0) app.use(corsFor(ports.config.corsOrigins))
	for (const route of routes) {
		const path = route.definition.path.replaceAll(/\{([a-z]+)\}/g, ':$1')
		const method = route.definition.method.toUpperCase()
		// Put together once: on each request it would be most of what counting costs.
		const served = { name: `${method} ${route.definition.path}`, path: route.definition.path }
		app.on(method, path, (c) => serve(ports, c, route, served))
	}
	app.notFound((c) => serveUnrouted(ports, c))
	// Reached by what goes wrong outside a route, such as in the router.
	app.onError((error, c) => {
		const call = openCall(ports, c)
		const response = respondFailure(call, error)
		settle(call, unrouted, response.status, ports.clock())
		return response
	})
	return app
}

/** What served a request, as telemetry and the log name it. */
interface Served {
	/** Method and path pattern. */
	name: string
	path: string | null
}

/** Everything that no route serves has one name: others are up to whoever asks. */
const unrouted: Served = { name: 'other', path: null }

/** One request: run its route, make refusals problem documents, count it. */
async function serve(ports: ApiPorts, c: Context, route: Route, served: Served): Promise<Response> {
	const startedAt = ports.clock()
	const call = openCall(ports, c)
	let response: Response
	try {
		const handled = await route.run(call)
		response =
			handled instanceof Response ? handled : respondProblem(call, handled, acceptedMedia(route, handled.refusal.code))
	} catch (error) {
		response = respondFailure(call, error)
	}
	settle(call, served, response.status, startedAt)
	return response
}

/** A client's request id is taken over when it can do no harm in a log. */
const requestIdPattern = /^[A-Za-z0-9._-]{1,64}$/

function openCall(ports: ApiPorts, c: Context): Call {
	const given = c.req.header('X-Request-Id')
	const requestId = given !== undefined && requestIdPattern.test(given) ? given : mintId(ports.clock(), ports.random)
	return { c, ports, requestId, tenant: null }
}

/**
 * Counts a request, and logs it when it was not answered as asked; a line for every request would cost more than the request.
 * Route patterns instead of paths, and no query string: both may hold what is personal.
 */
function settle(call: Call, { name, path }: Served, status: number, startedAt: number): void {
	const { ports, tenant } = call
	const now = ports.clock()
	const ms = now - startedAt
	ports.telemetry.count({ route: name, status, tenant, ms }, now)
	if (status < 400) return
	const { method } = call.c.req.raw
	call.ports.log('info', 'request', {
		request_id: call.requestId,
		tenant,
		method: knownMethods.has(method) ? method : 'other',
		route: path,
		status,
		ms,
	})
}

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

function respondFailure(call: Call, error: unknown): Response {
	call.ports.log('error', 'uncaught', { request_id: call.requestId, tenant: call.tenant, ...describe(error) })
	return respondProblem(call, refuse('internal', 'something went wrong here; the request id finds it in the log'))
}

/** What would have been accepted, with 415 (RFC 9110, 15.5.16; RFC 5789 for PATCH). */
function acceptedMedia({ definition }: Route, code: RefusalCode): Record<string, string> {
	if (code !== 'unsupported_media_type' || !definition.body) return {}
	if (definition.method === 'patch') return { 'Accept-Patch': definition.body.media }
	return definition.method === 'post' ? { 'Accept-Post': definition.body.media } : { Accept: definition.body.media }
}

/** A path that exists under other methods is 405, everything else 404. */
function serveUnrouted(ports: ApiPorts, c: Context): Response {
	const startedAt = ports.clock()
	const call = openCall(ports, c)
	const match = patterns.find(({ pattern }) => pattern.test(c.req.path))
	const response = match
		? respondMethods(call, match.methods)
		: respondProblem(call, refuse('not_found', 'there is nothing at this path'))
	settle(call, { ...unrouted, path: match?.path ?? null }, response.status, startedAt)
	return response
}

function respondMethods(call: Call, methods: readonly string[]): Response {
	const headers = { Allow: methods.join(', ') }
	if (call.c.req.method === 'OPTIONS') return respond(call, 204, null, headers)
	return respondProblem(call, refuse('method_not_allowed', `this path allows ${headers.Allow}`), headers)
}

/** Paths with the methods that they take; a literal segment goes before a parameter. */
const patterns = [...Map.groupBy(routes, (route) => route.definition.path)]
	.map(([path, same]) => ({
		path,
		pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{[a-z]+\}/g, '[^/]+')}$`),
		methods: [...same.flatMap(({ definition }) => allowed(definition.method)), 'OPTIONS'],
	}))
	.sort((a, b) => a.path.split('{').length - b.path.split('{').length)

function allowed(method: Method): string[] {
	return method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]
}

function corsFor(origins: readonly string[]) {
	return cors({
		origin: origins.includes('*') ? '*' : [...origins],
		allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
		allowHeaders: [
			...[
				'Authorization',
				'Content-Type',
				'If-Match',
				'If-None-Match',
				'Idempotency-Key',
				'Last-Event-ID',
				'Prefer',
				'X-Request-Id',
			],
			'Freehold-Min-Position',
		],
		exposeHeaders: [
			...[
				'Content-Range',
				'ETag',
				'Idempotency-Replayed',
				'Link',
				'Location',
				'Preference-Applied',
				'RateLimit',
				'RateLimit-Policy',
			],
			...['Retry-After', 'X-Request-Id', 'Freehold-Position', 'Freehold-View-Exact', 'Freehold-View-As-Of'],
		],
		maxAge: 86_400,
	})
}
