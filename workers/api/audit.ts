import type { AuditFilter } from '../../core/contract.ts'
import { changeOps } from '../../core/contract.ts'
import { auditVerificationCallsMax } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { TenantCall } from './call.ts'
import { openAuditPage, pageHeaders } from './page.ts'
import { execute } from './reach.ts'
import { showAuditEntry } from './representation.ts'
import { badParameter, readInteger, readQuery } from './request.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import { auditList, auditQuery, auditVerification, auditVerificationQuery } from './schemas.ts'

const tag = 'Audit'
const example = {
	seq: 17,
	at: '2026-11-22T19:50:49.120Z',
	op: 'update',
	collection: 'people',
	record: 'p-7',
	version: 3,
	actor: 'key:01k9zq4m3c8t5w2x7v6y0r1n4p',
	request: '01k9zq4m3c8t5w2x7v6y0r1n4q',
	records: 12,
	digest: '1234567890',
	chain: 'c0jY1mXqz3n4m5p6q7r8s9t0v1w2x3y4z5A6B7C8D9E',
}
const filters = ['actor', 'collection', 'record', 'op', 'from', 'until'] as const

export const auditRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'get',
			path: '/v1/audit',
			scope: 'read',
			tag,
			summary: 'Who did what, when, and by which request',
			description:
				'Every change and every bulk read of personal data, oldest first, for 400 days. Entries hold ids and never values, and stay when a record is erased. `record` wants `collection`. A page may be short, or empty, and go on.',
			query: auditQuery,
			answers: {
				200: {
					description: 'A page of entries',
					schema: auditList,
					example: { entries: [example] },
					headers: pageHeaders,
				},
			},
			refusals: ['invalid_cursor', 'unknown_field'],
		},
		async (call) => {
			const query = readQuery(call, [...filters, 'limit', 'cursor'])
			if (!query.ok) return query
			const filter = readFilter(query.value)
			if (!filter.ok) return filter
			const page = openAuditPage(call, query.value, filter.value)
			if (!page.ok) return page
			const { limit, after } = page.value.page
			const reply = await execute(call, { name: 'audit.list', filter: filter.value, limit, after: after ?? 0 })
			if (!reply.ok) return reply
			const { entries, next } = reply.value
			const link = page.value.link(next)
			if (!link.ok) return link
			return respondReply(call, reply, 200, JSON.stringify({ entries: entries.map(showAuditEntry) }), link.value)
		},
	),
	tenantRoute(
		{
			method: 'get',
			path: '/v1/audit/verification',
			scope: 'read',
			tag,
			summary: 'Whether the audit log is unbroken',
			description:
				'Follows the hash chain from `after`, or from the oldest entry that is kept. `complete` is false when there was too much for one answer: go on with `after` set to `to`. Keep `chain` somewhere else, and nobody can rewrite what came before it.',
			query: auditVerificationQuery,
			answers: {
				200: {
					description: 'How far the chain was followed, and where it broke',
					schema: auditVerification,
					example: { intact: true, complete: true, from: 0, to: 17, head: 17, broken_at: null, chain: example.chain },
				},
			},
			refusals: ['unknown_field'],
		},
		async (call) => {
			const query = readQuery(call, ['after'])
			if (!query.ok) return query
			const after = readInteger('after', query.value.after, { min: 0, max: Number.MAX_SAFE_INTEGER, absent: 0 })
			if (!after.ok) return after
			const reply = await followChain(call, after.value)
			if (!reply.ok) return reply
			const { from, to, head, brokenAt, chain } = reply.value
			const shown = { intact: brokenAt === null, complete: to >= head, from, to, head, broken_at: brokenAt, chain }
			return respondReply(call, reply, 200, JSON.stringify(shown))
		},
	),
]

/** Page after page, until the chain ends, breaks, or was followed for long enough. */
async function followChain(call: TenantCall, after: number) {
	const first = await execute(call, { name: 'audit.verify', after })
	let reply = first
	for (let calls = 1; calls < auditVerificationCallsMax; calls++) {
		if (!reply.ok || !first.ok || reply.value.brokenAt !== null || reply.value.to >= reply.value.head) break
		reply = await execute(call, { name: 'audit.verify', after: reply.value.to })
		if (reply.ok) reply.value.from = first.value.from
	}
	return reply
}

function readFilter(query: Partial<Record<(typeof filters)[number], string>>): Outcome<AuditFilter> {
	const { actor, collection, record, op: opText, from: fromText, until: untilText } = query
	if (actor !== undefined && !/^(key:|operator:|system)[a-z0-9_:-]{0,60}$/.test(actor))
		return badParameter('actor', 'must be key:<id>, operator:<name> or system')
	if (record !== undefined && collection === undefined) return badParameter('record', 'wants collection beside it')
	const op = changeOps.find((one) => one === opText)
	if (opText !== undefined && op === undefined) return badParameter('op', `must be one of ${changeOps.join(', ')}`)
	const from = readMoment('from', fromText)
	if (!from.ok) return from
	const until = readMoment('until', untilText)
	if (!until.ok) return until
	return accept({
		...(actor !== undefined && { actor }),
		...(collection !== undefined && { collection }),
		...(record !== undefined && { record }),
		...(op !== undefined && { op }),
		...(from.value !== null && { from: from.value }),
		...(until.value !== null && { until: until.value }),
	})
}

const momentPattern = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/

/** RFC 3339, or a day, which begins in UTC. */
function readMoment(name: string, text: string | undefined): Outcome<number | null> {
	if (text === undefined) return accept(null)
	const ms = momentPattern.test(text) ? Date.parse(text) : Number.NaN
	return Number.isNaN(ms) ? badParameter(name, 'must be a day or a moment as RFC 3339 writes them') : accept(ms)
}
