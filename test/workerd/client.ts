import { env, exports } from 'cloudflare:workers'
import type { Env } from '../../workers/env.ts'

const bindings = env as unknown as Env
const main = (exports as unknown as { default: Fetcher }).default

export interface NewTenant {
	id: string
	slug: string
	/** The whole API key. */
	secret: string
}

export function request(
	method: string,
	path: string,
	bearer: string | null,
	body?: unknown,
	headers: Record<string, string> = {},
): Request {
	const type = method === 'PATCH' && path.includes('/records/') ? 'application/merge-patch+json' : 'application/json'
	return new Request(`http://freehold.test${path}`, {
		method,
		headers: {
			...(bearer === null ? {} : { Authorization: `Bearer ${bearer}` }),
			...(body === undefined ? {} : { 'Content-Type': type }),
			...headers,
		},
		...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
	})
}

/** Sends a request that was made elsewhere. */
export function sendRequest(made: Request): Promise<Response> {
	return main.fetch(made)
}

/** Sends a request to the Worker under test. */
export function send(
	method: string,
	path: string,
	bearer: string | null,
	body?: unknown,
	headers?: Record<string, string>,
): Promise<Response> {
	return main.fetch(request(method, path, bearer, body, headers))
}

let tenants = 0

export async function newTenant(region = 'eu'): Promise<NewTenant> {
	const slug = `tenant-${++tenants}-${crypto.randomUUID().slice(0, 8)}`
	const response = await send('POST', '/v1/tenants', bindings.OPERATOR_TOKEN, { slug, name: 'Tenant', region })
	if (response.status !== 201) throw new Error(`tenant creation answered ${response.status}: ${await response.text()}`)
	const created = await response.json<{ id: string; api_key: { secret: string } }>()
	return { id: created.id, slug, secret: created.api_key.secret }
}
