import { z } from 'zod'
import type { Region } from '../../core/ids.ts'
import { probeRequestMsMax, probeViewMsMax } from '../../core/limits.ts'
import type { ProbeResult } from '../../core/monitor.ts'

export interface ProbePorts {
	/** The public origin, as a client would reach it. */
	url: string
	region: Region
	operatorToken: string
	fetch(url: string, init: RequestInit): Promise<Response>
	/** Milliseconds since 1970. */
	clock(): number
	/** The canary of this cell, as it was remembered last. */
	recall(): Canary | null
	remember(canary: Canary): void
	/** Lower-case letters and digits that were never minted before. */
	mintSuffix(): string
}

/** The tenant that the probe writes to. It is named before it is created, so that a crash in between creates no second one. */
export const canaryShape = z.object({
	slug: z.string(),
	tenant: z.object({ id: z.string(), key: z.string() }).nullable(),
})
type Canary = z.infer<typeof canaryShape>

const record = '/v1/collections/probe/records/canary'
const schema = { type: 'object', properties: { run: { type: 'string' } } }

/**
 * One run from outside: writes a record of the canary through the public URL, reads it back, and waits until the view has it.
 * Never throws: whatever goes wrong is the result.
 */
export async function probe(ports: ProbePorts): Promise<ProbeResult> {
	const run = { at: ports.clock(), failed: null, writeMs: null, readMs: null, viewMs: null } satisfies ProbeResult
	const tenant = await canary(ports)
	if (tenant === null) return { ...run, failed: 'tenant' }
	const id = ports.mintSuffix()
	const write = await timed(ports, 'PUT', record, tenant.key, { run: id })
	if (write === null) return { ...run, failed: 'write' }
	const read = await timed(ports, 'GET', record, tenant.key)
	const there = written.safeParse(read?.body)
	if (read === null || !there.success || there.data.data.run !== id)
		return { ...run, failed: 'read', writeMs: write.ms }
	const viewMs = await untilInView(ports, tenant.id, id)
	return { ...run, failed: viewMs === null ? 'view' : null, writeMs: write.ms, readMs: read.ms, viewMs }
}

const written = z.object({ data: z.object({ run: z.string() }) })
const created = z.object({ id: z.string(), api_key: z.object({ secret: z.string() }) })
const seen = z.object({ records: z.array(written) })

/** The canary's id and key; created on the first run, and again when the one that is remembered is no more. */
async function canary(ports: ProbePorts): Promise<{ id: string; key: string } | null> {
	const remembered = ports.recall()
	if (remembered?.tenant) {
		const asked = await send(ports, 'GET', '/v1/tenant', remembered.tenant.key)
		// Only what says that it is gone makes another one; a failure is for the next step to find.
		if (asked === null || ![401, 404, 410].includes(asked.status)) return remembered.tenant
	}
	const fresh = remembered === null || remembered.tenant !== null
	const slug = fresh ? `canary-${ports.region}-${ports.mintSuffix()}` : remembered.slug
	if (fresh) ports.remember({ slug, tenant: null })
	const body = { slug, name: `Canary of ${ports.region}`, region: ports.region }
	const answer = await send(ports, 'POST', '/v1/tenants', ports.operatorToken, body, { 'Idempotency-Key': slug })
	const parsed = created.safeParse(answer?.body)
	if (!parsed.success) return null
	const tenant = { id: parsed.data.id, key: parsed.data.api_key.secret }
	const collection = await send(ports, 'PUT', '/v1/collections/probe', tenant.key, { schema })
	if (collection === null || collection.status >= 300) return null
	ports.remember({ slug, tenant })
	return tenant
}

async function untilInView(ports: ProbePorts, tenant: string, id: string): Promise<number | null> {
	const start = ports.clock()
	const path = `/v1/view/records?collection=probe&tenant=${tenant}&run=eq.${id}`
	while (ports.clock() - start < probeViewMsMax) {
		const answer = await send(ports, 'GET', path, ports.operatorToken)
		if (seen.safeParse(answer?.body).data?.records.length === 1) return ports.clock() - start
		await pause(probePauseMs)
	}
	return null
}

const probePauseMs = 250

function pause(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Null unless the answer is a 2xx. */
async function timed(ports: ProbePorts, method: string, path: string, bearer: string, body?: object) {
	const start = ports.clock()
	const answer = await send(ports, method, path, bearer, body)
	return answer !== null && answer.status < 300 ? { body: answer.body, ms: ports.clock() - start } : null
}

/** Null when no answer came, or one that is no JSON. */
async function send(
	{ url, fetch }: ProbePorts,
	method: string,
	path: string,
	bearer: string,
	body?: object,
	headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown } | null> {
	try {
		const response = await fetch(`${url}${path}`, {
			method,
			headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json', ...headers },
			...(body && { body: JSON.stringify(body) }),
			signal: AbortSignal.timeout(probeRequestMsMax),
		})
		return { status: response.status, body: await response.json() }
	} catch {
		return null
	}
}
