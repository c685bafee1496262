import { archivePieces } from '../../core/archive.ts'
import { regionOf } from '../../core/ids.ts'
import type { ExportLayout } from '../../core/job.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { piecesLength } from '../../core/zip.ts'
import { forTenant } from './auth.ts'
import type { CallerCall, Handled, TenantCall } from './call.ts'
import { pageHeaders, readPage } from './page.ts'
import { readRange, streamPieces } from './pieces.ts'
import { execute } from './reach.ts'
import { showExport } from './representation.ts'
import { readIdempotency, readShape } from './request.ts'
import { respond, respondReply } from './respond.ts'
import { operatorRoute, type Route, tenantRoute } from './route.ts'
import {
	archive,
	exported,
	exportInput,
	exportList,
	exportParams,
	pageQuery,
	rangeHeaders,
	tenantExportParams,
	tenantParams,
} from './schemas.ts'

const tag = 'Exports'
export const exportExample = {
	id: '01k9zq4m3c8t5w2x7v6y0r1n4p',
	status: 'running',
	as_of_seq: 1017,
	csv: false,
	records_done: 400,
	records_total: 1000,
	bytes_done: 120_400,
	archive_bytes: null,
	estimated_finish_at: '2026-11-22T19:50:52.300Z',
	errors: [],
	created_at: '2026-11-22T19:50:49.120Z',
	finished_at: null,
	expires_at: '2026-11-23T19:50:49.120Z',
}

const create = {
	method: 'post' as const,
	tag,
	description:
		'The archive will hold the exact state at the position of this call, whatever is written meanwhile. One export of a tenant runs at a time.',
	body: { media: 'application/json', schema: exportInput, example: { csv: true } },
	answers: {
		202: {
			description: 'Begun',
			schema: exported,
			example: exportExample,
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
		'storage_full',
	] as const,
	mutates: true,
}
const get = {
	method: 'get' as const,
	tag,
	answers: { 200: { description: 'The export and its progress', schema: exported, example: exportExample } },
	refusals: ['not_found'] as const,
}
const download = {
	method: 'get' as const,
	tag,
	description:
		'A zip with manifest.json, which names a SHA-256 for every file, schema.json and records.ndjson of each collection, and audit.ndjson. Each download is entered in the audit log; `Range` resumes one.',
	headers: rangeHeaders,
	answers: {
		200: {
			description: 'The archive',
			schema: archive,
			media: 'application/zip',
			example: 'PK…',
			headers: ['Accept-Ranges', 'Content-Disposition', 'ETag'],
		},
		206: {
			description: 'The range of it that was asked for',
			schema: archive,
			media: 'application/zip',
			example: 'PK…',
			headers: ['Accept-Ranges', 'Content-Disposition', 'Content-Range', 'ETag'],
		},
	},
	refusals: ['not_found', 'not_ready', 'range_not_satisfiable'] as const,
}
const remove = {
	method: 'delete' as const,
	tag,
	answers: { 204: { description: 'Stopped, and its archive is no longer there', headers: ['Freehold-Position'] } },
	refusals: ['not_found'] as const,
	mutates: true,
}

const scope = 'export' as const

export const exportRoutes: readonly Route[] = [
	tenantRoute({ ...create, scope, path: '/v1/exports', summary: 'Begin an export' }, (call) =>
		createExport(call, '/v1/exports'),
	),
	tenantRoute(
		{
			method: 'get',
			path: '/v1/exports',
			scope,
			tag,
			summary: 'List the exports',
			query: pageQuery,
			answers: {
				200: {
					description: 'A page of exports, oldest first',
					schema: exportList,
					example: { exports: [exportExample] },
					headers: pageHeaders,
				},
			},
			refusals: ['invalid_cursor', 'unknown_field'],
		},
		listExports,
	),
	tenantRoute(
		{ ...get, scope, path: '/v1/exports/{id}', summary: 'Read an export and its progress', params: exportParams },
		(call) => getExport(call, 'id'),
	),
	tenantRoute(
		{ ...download, scope, path: '/v1/exports/{id}/archive', summary: 'Download an archive', params: exportParams },
		(call) => downloadExport(call, 'id'),
	),
	tenantRoute(
		{ ...remove, scope, path: '/v1/exports/{id}', summary: 'Stop or delete an export', params: exportParams },
		(call) => deleteExport(call, 'id'),
	),
	...operatorRoutes(),
]

/** The same for operators, who carry a tenant elsewhere or answer for one that lost its keys; the audit log names them. */
function operatorRoutes(): Route[] {
	const all = '/v1/tenants/{id}/exports'
	const one = `${all}/{export}`
	const admin = 'admin' as const
	return [
		operatorRoute(
			{
				...create,
				scope: admin,
				path: all,
				summary: 'Export a tenant',
				params: tenantParams,
				refusals: [...create.refusals, 'not_found'],
			},
			(call) => forTenant(call, (tenantCall) => createExport(tenantCall, `/v1/tenants/${tenantCall.tenant}/exports`)),
		),
		operatorRoute(
			{ ...get, scope: admin, path: one, summary: "Read a tenant's export", params: tenantExportParams },
			(call) => forTenant(call, (tenantCall) => getExport(tenantCall, 'export')),
		),
		operatorRoute(
			{
				...download,
				scope: admin,
				path: `${one}/archive`,
				summary: "Download a tenant's archive",
				params: tenantExportParams,
			},
			(call) => forTenant(call, (tenantCall) => downloadExport(tenantCall, 'export')),
		),
		operatorRoute(
			{ ...remove, scope: admin, path: one, summary: "Stop or delete a tenant's export", params: tenantExportParams },
			(call) => forTenant(call, (tenantCall) => deleteExport(tenantCall, 'export')),
		),
	]
}

async function createExport(call: TenantCall, exports: string): Handled {
	const body = await readAsked(call)
	if (!body.ok) return body
	const idempotency = readIdempotency(call, body.value.text)
	if (!idempotency.ok) return idempotency
	const { csv = false } = body.value.value
	const reply = await execute(call, { name: 'export.create', csv }, idempotency.value)
	if (!reply.ok) return reply
	const { export: created, position } = reply.value
	const headers = { Location: `${exports}/${created.id}`, 'Freehold-Position': String(position) }
	return respondReply(call, reply, 202, JSON.stringify(showExport(created, call.ports.clock())), headers)
}

/** Without a body, everything is as it is by default. */
async function readAsked(call: CallerCall): Promise<Outcome<{ value: { csv?: boolean | undefined }; text: string }>> {
	return call.c.req.raw.body === null ? accept({ value: {}, text: '{}' }) : readShape(call, exportInput)
}

export async function listExports(call: TenantCall): Handled {
	const page = readPage(call, 'exports')
	if (!page.ok) return page
	const reply = await execute(call, { name: 'export.list', ...page.value.page })
	if (!reply.ok) return reply
	const { exports, next } = reply.value
	const link = page.value.link(next)
	if (!link.ok) return link
	const now = call.ports.clock()
	const text = JSON.stringify({ exports: exports.map((one) => showExport(one, now)) })
	return respondReply(call, reply, 200, text, link.value)
}

async function getExport(call: TenantCall, parameter: string): Handled {
	const id = readExportId(call, parameter)
	if (!id.ok) return id
	const reply = await execute(call, { name: 'export.get', id: id.value })
	if (!reply.ok) return reply
	return respondReply(call, reply, 200, JSON.stringify(showExport(reply.value.export, call.ports.clock())))
}

async function downloadExport(call: TenantCall, parameter: string): Handled {
	const id = readExportId(call, parameter)
	if (!id.ok) return id
	const reply = await execute(call, { name: 'export.download', id: id.value })
	if (!reply.ok) return reply
	return respondArchive(call, reply.value.layout)
}

function respondArchive(call: TenantCall, layout: ExportLayout): Response | Awaited<Handled> {
	const pieces = archivePieces(layout)
	const length = piecesLength(pieces)
	const range = readRange(call.c.req.header('Range'), length)
	if (!range.ok) return range
	const { first, last } = range.value ?? { first: 0, last: length - 1 }
	const stream = streamPieces(pieces, { first, last }, call.ports.bucket(regionOf(call.tenant)))
	return respond(call, range.value ? 206 : 200, call.ports.sized(stream, last - first + 1), {
		'Content-Type': 'application/zip',
		'Content-Disposition': `attachment; filename="${layout.tenant.slug}-${layout.asOfSeq}.zip"`,
		'Accept-Ranges': 'bytes',
		ETag: `"${layout.exportId}"`,
		...(range.value && { 'Content-Range': `bytes ${first}-${last}/${length}` }),
	})
}

async function deleteExport(call: TenantCall, parameter: string): Handled {
	const idempotency = readIdempotency(call, '')
	if (!idempotency.ok) return idempotency
	const id = readExportId(call, parameter)
	if (!id.ok) return id
	const reply = await execute(call, { name: 'export.delete', id: id.value }, idempotency.value)
	if (!reply.ok) return reply
	return respondReply(call, reply, 204, null, { 'Freehold-Position': String(reply.value.position) })
}

function readExportId(call: TenantCall, parameter: string): Outcome<string> {
	const id = call.c.req.param(parameter) ?? ''
	const isId = exportParams.shape.id.safeParse(id).success
	return isId ? accept(id) : refuse('not_found', 'there is no export with this id')
}
