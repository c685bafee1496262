import type { z } from '@hono/zod-openapi'
import { mintId, regionOf } from '../../core/ids.ts'
import { jobPrefix } from '../../core/job.ts'
import { importPartBytesMax, importPartsMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse, statusByCode } from '../../core/refusal.ts'
import { forTenant } from './auth.ts'
import type { Handled, TenantCall } from './call.ts'
import { readPage } from './page.ts'
import { attempt, execute, reach } from './reach.ts'
import { showImport } from './representation.ts'
import { badParameter, readIdempotency, readInteger, readQuery, readShape } from './request.ts'
import { respondReply } from './respond.ts'
import { operatorRoute, type Route, tenantRoute } from './route.ts'
import {
	archive,
	imported,
	importInput,
	importParams,
	operatorImportInput,
	tenantImportParams,
	tenantParams,
	uploadQuery,
} from './schemas.ts'

const tag = 'Imports'
export const importExample = {
	id: '01k9zq4m3c8t5w2x7v6y0r1n4p',
	status: 'running',
	parts: 1,
	parts_done: 1,
	bytes: 41_900,
	records_done: 400,
	records_total: 1000,
	errors: [],
	created_at: '2026-11-22T19:50:49.120Z',
	finished_at: null,
	expires_at: '2026-11-23T19:50:49.120Z',
}

const create = {
	method: 'post' as const,
	tag,
	description:
		'Then upload the archive of an export, as it was downloaded, in as many parts as are said here: each part is a piece of the file, in order, of at most 95 MB. With the last of them the import begins. Nothing of it is seen before all of it has been checked.',
	body: { media: 'application/json', schema: importInput, example: { parts: 1 } },
	answers: {
		201: {
			description: 'Waits for its archive',
			schema: imported,
			example: { ...importExample, status: 'waiting' },
			headers: ['Location', 'Freehold-Position'],
		},
	},
	refusals: [
		'invalid_json',
		'payload_too_large',
		'unsupported_media_type',
		'validation_failed',
		'limit_exceeded',
		'job_running',
		'tenant_not_empty',
		'storage_full',
	] as const,
	mutates: true,
}
const get = {
	method: 'get' as const,
	tag,
	answers: {
		200: {
			description: 'The import; what was wrong with its archive is told by file and line',
			schema: imported,
			example: importExample,
		},
	},
	refusals: ['not_found'] as const,
}
const upload = {
	method: 'put' as const,
	tag,
	description: 'The body is sent with its `Content-Length`. A part may be sent again until the last one is there.',
	query: uploadQuery,
	body: { media: 'application/zip', schema: archive, example: 'PK…' },
	answers: { 200: { description: 'Taken', schema: imported, example: importExample } },
	refusals: ['not_found', 'not_ready', 'payload_too_large', 'unknown_field'] as const,
}

const scope = 'schema' as const

export const importRoutes: readonly Route[] = [
	tenantRoute({ ...create, scope, path: '/v1/imports', summary: 'Begin an import into this empty tenant' }, (call) =>
		createImport(call, '/v1/imports', importInput),
	),
	tenantRoute(
		{ ...get, scope, path: '/v1/imports/{id}', summary: 'Read an import and its progress', params: importParams },
		(call) => getImport(call, 'id'),
	),
	tenantRoute(
		{
			...upload,
			scope,
			path: '/v1/imports/{id}/archive',
			summary: 'Upload the archive, or a part of it',
			params: importParams,
		},
		(call) => uploadPart(call, 'id'),
	),
	...operatorRoutes(),
]

/** The same for operators, who carry a tenant from one region to another or bring one back. */
function operatorRoutes(): Route[] {
	const all = '/v1/tenants/{id}/imports'
	const one = `${all}/{import}`
	const admin = 'admin' as const
	return [
		operatorRoute(
			{
				...create,
				scope: admin,
				path: all,
				summary: 'Begin an import into a tenant',
				description: `With \`replace\` the tenant need not be empty: its collections are replaced when all of the archive has been checked, and whoever was erased after it was made is erased again. ${create.description}`,
				body: { ...create.body, schema: operatorImportInput, example: { parts: 1, replace: true } },
				params: tenantParams,
				refusals: [...create.refusals, 'not_found', 'tenant_erased'],
			},
			(call) =>
				forTenant(call, (tenantCall) =>
					createImport(tenantCall, `/v1/tenants/${tenantCall.tenant}/imports`, operatorImportInput),
				),
		),
		operatorRoute(
			{
				...get,
				scope: admin,
				path: one,
				summary: "Read a tenant's import",
				params: tenantImportParams,
				refusals: [...get.refusals, 'tenant_erased'],
			},
			(call) => forTenant(call, (tenantCall) => getImport(tenantCall, 'import')),
		),
		operatorRoute(
			{
				...upload,
				scope: admin,
				path: `${one}/archive`,
				summary: 'Upload an archive for a tenant',
				params: tenantImportParams,
				refusals: [...upload.refusals, 'tenant_erased'],
			},
			(call) => forTenant(call, (tenantCall) => uploadPart(tenantCall, 'import')),
		),
	]
}

type ImportInput = z.ZodType<{ parts?: number | undefined; replace?: boolean | undefined }>

async function createImport(call: TenantCall, imports: string, input: ImportInput): Handled {
	const body = await readShape(call, input)
	if (!body.ok) return body
	const idempotency = readIdempotency(call, body.value.text)
	if (!idempotency.ok) return idempotency
	const { parts = 1, replace: replaces = false } = body.value.value
	const reply = await execute(call, { name: 'import.create', parts, replaces }, idempotency.value)
	if (!reply.ok) return reply
	const { import: created, position } = reply.value
	const headers = { Location: `${imports}/${created.id}`, 'Freehold-Position': String(position) }
	return respondReply(call, reply, 201, JSON.stringify(showImport(created)), headers)
}

async function getImport(call: TenantCall, parameter: string): Handled {
	const id = readImportId(call, parameter)
	if (!id.ok) return id
	const reply = await execute(call, { name: 'import.get', id: id.value })
	return reply.ok ? respondReply(call, reply, 200, JSON.stringify(showImport(reply.value.import))) : reply
}

/** For operators; a tenant follows its import by its id. */
export async function listImports(call: TenantCall): Handled {
	const page = readPage(call, 'imports')
	if (!page.ok) return page
	const reply = await execute(call, { name: 'import.list', ...page.value.page })
	if (!reply.ok) return reply
	const { imports, next } = reply.value
	const link = page.value.link(next)
	if (!link.ok) return link
	return respondReply(call, reply, 200, JSON.stringify({ imports: imports.map(showImport) }), link.value)
}

async function uploadPart(call: TenantCall, parameter: string): Handled {
	const id = readImportId(call, parameter)
	if (!id.ok) return id
	const asked = readQuery(call, ['part'])
	if (!asked.ok) return asked
	const part = readInteger('part', asked.value.part, { min: 1, max: importPartsMax, absent: 1 })
	if (!part.ok) return part
	// Only whoever may upload gets anything into the bucket.
	const present = await execute(call, { name: 'import.get', id: id.value })
	if (!present.ok) return present
	const { state, parts } = present.value.import
	if (state !== 'waiting') return refuse('not_ready', 'the import has its archive already')
	if (part.value > parts) {
		const errors = [{ pointer: 'part', detail: `must be an integer from 1 to ${parts}` }]
		return refuse('invalid_request', 'part is not well-formed', { errors })
	}
	const length = readLength(call)
	if (!length.ok) return length
	const { clock, random } = call.ports
	const key = `${jobPrefix({ tenant: call.tenant, job: id.value })}${mintId(clock(), random)}`
	const stored = await store(call, key, length.value)
	if (!stored.ok) return stored
	const reply = await execute(call, { name: 'import.upload', id: id.value, part: part.value, key, bytes: length.value })
	if (reply.ok) return respondReply(call, reply, 200, JSON.stringify(showImport(reply.value.import)))
	// The import ended, or the tenant was erased, while the upload was on its way: nobody would ever find the object.
	if (statusByCode[reply.refusal.code] < 500) await forget(call, key)
	return reply
}

async function forget(call: TenantCall, key: string): Promise<void> {
	await attempt(call, 'bucket.delete', () => call.ports.bucket(regionOf(call.tenant)).delete([key]))
}

async function store(call: TenantCall, key: string, bytes: number): Promise<Outcome<void>> {
	const { body } = call.c.req.raw
	const bucket = call.ports.bucket(regionOf(call.tenant))
	if (body !== null) return reach(call, 'bucket.upload', () => bucket.upload(key, body, bytes))
	return refuse('invalid_request', 'the body is missing', { errors: [{ pointer: '', detail: 'must be an archive' }] })
}

/** An object is stored as a stream, whose length must be known. */
function readLength(call: TenantCall): Outcome<number> {
	const header = call.c.req.header('Content-Length')
	if (header === undefined || !/^[0-9]{1,15}$/.test(header) || Number(header) === 0)
		return badParameter('Content-Length', 'must say how long the body is')
	if (Number(header) > importPartBytesMax)
		return refuse('payload_too_large', `a part of an archive has at most ${importPartBytesMax} bytes`)
	return accept(Number(header))
}

function readImportId(call: TenantCall, parameter: string): Outcome<string> {
	const id = call.c.req.param(parameter) ?? ''
	const isId = importParams.shape.id.safeParse(id).success
	return isId ? accept(id) : refuse('not_found', 'there is no import with this id')
}
