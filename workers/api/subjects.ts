import { z } from '@hono/zod-openapi'
import type { Answer, Reply, SubjectPosition } from '../../core/contract.ts'
import { subjectCharsMax } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { TenantCall } from './call.ts'
import { openListPage, pageHeaders, readPage } from './page.ts'
import { execute } from './reach.ts'
import { recordText, showSubjectRequest, timeOf } from './representation.ts'
import { badParameter, readIdempotency, readQuery } from './request.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import {
	pageQuery,
	restriction,
	subjectParams,
	subjectReceipt,
	subjectRecordList,
	subjectRequestList,
} from './schemas.ts'

const tag = 'Data subjects'
const restrictionPath = '/v1/subjects/{subject}/restriction'
const request = {
	id: '01k9zq4m3c8t5w2x7v6y0r1n4p',
	kind: 'erasure',
	subject_hash: 'c0jY1mXqz3n4m5p6q7r8s9t0v1w2x3y4z5A6B7C8D9E',
	records: 3,
	requested_by: 'key:01k9zq4m3c8t5w2x7v6y0r1n4p',
	created_at: '2026-11-22T19:50:49.120Z',
	due_at: '2026-12-22T19:50:49.120Z',
	finished_at: '2026-11-22T19:50:49.120Z',
	key_destroyed_at: '2026-11-22T19:50:49.080Z',
}
const record = {
	collection: 'people',
	id: 'p-7',
	version: 3,
	created_at: '2026-11-22T19:50:49.120Z',
	updated_at: '2026-11-22T19:50:49.120Z',
	data: { person: 'u-1', name: 'Ada' },
}
const position: z.ZodType<SubjectPosition> = z.strictObject({
	request: z.string(),
	collection: z.string(),
	id: z.string(),
})

export const subjectRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'get',
			path: '/v1/subjects/{subject}',
			scope: 'export',
			tag,
			summary: "Read one person's records, over all collections",
			description:
				'Finds them by the property that `x-subject` marks. Each page is entered in the audit log, and the whole in the register of requests. A short page with a next link is normal.',
			params: subjectParams,
			query: pageQuery,
			answers: {
				200: {
					description: 'A page of records',
					schema: subjectRecordList,
					example: { records: [record] },
					headers: [...pageHeaders, 'Freehold-Position'],
				},
			},
			refusals: ['invalid_cursor', 'unknown_field'],
		},
		async (call) => {
			const subject = readSubject(call)
			if (!subject.ok) return subject
			const query = readQuery(call, ['limit', 'cursor'])
			if (!query.ok) return query
			const page = openListPage(call, `subjects/${subject.value}`, query.value, position)
			if (!page.ok) return page
			const reply = await execute(call, { name: 'subject.read', subject: subject.value, ...page.value.page })
			if (!reply.ok) return reply
			const link = page.value.link(reply.value.next)
			if (!link.ok) return link
			const records = reply.value.records.map(
				({ collection, record: one }) => `{"collection":"${collection}",${recordText(one).slice(1)}`,
			)
			const headers = { ...link.value, 'Freehold-Position': String(reply.value.position) }
			return respondReply(call, reply, 200, `{"records":[${records.join()}]}`, headers)
		},
	),
	tenantRoute(
		{
			method: 'delete',
			path: '/v1/subjects/{subject}',
			scope: 'erase',
			tag,
			summary: "Erase one person's records, in all collections",
			description:
				'The answer is the receipt. The key under which encrypted properties of the person rest is destroyed first, so that no copy opens any more, wherever it is. The view and webhooks follow; kept answers with a copy go, and so do exports that were made before. It is entered in the erasure ledger, so that no older copy of the database undoes it.',
			params: subjectParams,
			answers: {
				200: {
					description: 'Erased',
					schema: subjectReceipt,
					example: request,
					headers: ['Freehold-Position'],
				},
			},
			refusals: ['limit_exceeded'],
			mutates: true,
		},
		async (call) => {
			const subject = readSubject(call)
			if (!subject.ok) return subject
			const idempotency = readIdempotency(call, '')
			if (!idempotency.ok) return idempotency
			const reply = await execute(call, { name: 'subject.erase', subject: subject.value }, idempotency.value)
			return reply.ok ? respondReceipt(call, reply) : reply
		},
	),
	tenantRoute(
		{
			method: 'get',
			path: restrictionPath,
			scope: 'export',
			tag,
			summary: "Whether one person's records are restricted",
			params: subjectParams,
			answers: {
				200: {
					description: 'The restriction',
					schema: restriction,
					example: { restricted: true, since: '2026-11-22T19:50:49.120Z' },
				},
			},
			refusals: [],
		},
		async (call) => {
			const subject = readSubject(call)
			if (!subject.ok) return subject
			const reply = await execute(call, { name: 'subject.restriction', subject: subject.value })
			if (!reply.ok) return reply
			const { since } = reply.value
			const shown = { restricted: since !== null, since: since === null ? null : timeOf(since) }
			return respondReply(call, reply, 200, JSON.stringify(shown))
		},
	),
	...(['put', 'delete'] as const).map((method) =>
		tenantRoute(
			{
				method,
				path: restrictionPath,
				scope: 'erase',
				tag,
				summary:
					method === 'put' ? "Restrict one person's records (Art. 18)" : "Lift the restriction of one person's records",
				description:
					method === 'put'
						? 'They can be read, exported and erased, and neither changed nor deleted; nothing new is stored about the person, and the records leave the view. The answer is the receipt.'
						: 'The records come back to the view. The answer is the receipt.',
				params: subjectParams,
				answers: {
					200: {
						description: method === 'put' ? 'Restricted' : 'Not restricted any more',
						schema: subjectReceipt,
						example: { ...request, kind: method === 'put' ? 'restriction' : 'release', key_destroyed_at: null },
						headers: ['Freehold-Position'],
					},
				},
				refusals: method === 'put' ? ['limit_exceeded'] : [],
				mutates: true,
			},
			async (call) => {
				const subject = readSubject(call)
				if (!subject.ok) return subject
				const idempotency = readIdempotency(call, '')
				if (!idempotency.ok) return idempotency
				const name = method === 'put' ? 'subject.restrict' : 'subject.release'
				const reply = await execute(call, { name, subject: subject.value }, idempotency.value)
				return reply.ok ? respondReceipt(call, reply) : reply
			},
		),
	),
	tenantRoute(
		{
			method: 'get',
			path: '/v1/subject-requests',
			scope: 'export',
			tag,
			summary: 'The register of requests about data subjects',
			description:
				'Each is due a month after it came in. People are named by a keyed hash, which the receipts carry too.',
			query: pageQuery,
			answers: {
				200: {
					description: 'A page of requests, oldest first',
					schema: subjectRequestList,
					example: { requests: [request] },
					headers: pageHeaders,
				},
			},
			refusals: ['invalid_cursor', 'unknown_field'],
		},
		async (call) => {
			const page = readPage(call, 'subject-requests')
			if (!page.ok) return page
			const reply = await execute(call, { name: 'subject.requests', ...page.value.page })
			if (!reply.ok) return reply
			const link = page.value.link(reply.value.next)
			if (!link.ok) return link
			const requests = reply.value.requests.map(showSubjectRequest)
			return respondReply(call, reply, 200, JSON.stringify({ requests }), link.value)
		},
	),
]

type Receipt = Extract<Reply<Answer<'subject.erase'>>, { ok: true }>

function respondReceipt(call: TenantCall, reply: Receipt): Response {
	const { receipt, position: at } = reply.value
	const headers = { 'Freehold-Position': String(at) }
	return respondReply(call, reply, 200, JSON.stringify(showSubjectRequest(receipt)), headers)
}

/** The segment arrives percent-decoded once. What no record could hold is no subject's id either. */
function readSubject(call: TenantCall): Outcome<string> {
	const subject = call.c.req.param('subject') ?? ''
	const fits = subject.length <= subjectCharsMax && subject.isWellFormed() && !subject.includes('\0')
	return fits && subject !== ''
		? accept(subject)
		: badParameter('subject', `must have 1 to ${subjectCharsMax} characters that a record may hold`)
}
