import { changesLimitDefault, changesLimitMax } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { TenantCall } from './call.ts'
import { followChanges } from './event-stream.ts'
import { linkTo, pageHeaders } from './page.ts'
import { execute } from './reach.ts'
import { showChange } from './representation.ts'
import { readInteger, readQuery } from './request.ts'
import { respondReply } from './respond.ts'
import { type Route, tenantRoute } from './route.ts'
import { changeList, changeQuery, eventStream, lastEventHeaders } from './schemas.ts'

const example = {
	seq: 17,
	op: 'update',
	collection: 'people',
	id: 'p-7',
	version: 3,
	actor: 'key:01k9zq4m3c8t5w2x7v6y0r1n4p',
	request: '01k9zq5d2n7x4v8s0w3y6t1r9m',
	at: '2026-11-22T19:50:49.120Z',
}

export const changeRoutes: readonly Route[] = [
	tenantRoute(
		{
			method: 'get',
			path: '/v1/changes',
			scope: 'read',
			tag: 'Changes',
			summary: 'Read or follow the journal',
			description:
				'Entries point at what changed and never hold it; `request` is the X-Request-Id of the call that caused one, so a client that was never answered finds out whether it was heard. With Accept: text/event-stream the answer is a stream of server-sent events that goes on live; a client resumes it with Last-Event-ID, which wins over `after`. A refusal in mid-stream is an event of type `problem`, after which the stream ends.',
			query: changeQuery,
			headers: lastEventHeaders,
			answers: {
				200: {
					description: 'Entries after the position, oldest first',
					schema: changeList,
					example: { changes: [example] },
					headers: pageHeaders,
					alternative: {
						media: 'text/event-stream',
						schema: eventStream,
						example: `id: 17\nevent: change\ndata: ${JSON.stringify(example)}\n\n`,
					},
				},
			},
			refusals: ['unknown_field', 'position_pruned'],
		},
		async (call) => {
			const query = readQuery(call, ['after', 'limit'])
			if (!query.ok) return query
			const limit = readInteger('limit', query.value.limit, {
				min: 1,
				max: changesLimitMax,
				absent: changesLimitDefault,
			})
			if (!limit.ok) return limit
			const after = readInteger('after', query.value.after, { min: 0, max: Number.MAX_SAFE_INTEGER, absent: 0 })
			if (!after.ok) return after
			if (wantsStream(call)) {
				const from = readLastEventId(call, after.value)
				return from.ok ? followChanges(call, from.value) : from
			}
			const reply = await execute(call, { name: 'changes.list', after: after.value, limit: limit.value })
			if (!reply.ok) return reply
			const { changes, head } = reply.value
			const last = changes.at(-1)?.seq ?? head
			const next = last < head ? new URLSearchParams({ after: String(last), limit: String(limit.value) }) : null
			return respondReply(call, reply, 200, JSON.stringify({ changes: changes.map(showChange) }), linkTo(call, next))
		},
	),
]

/** A HEAD request has no body to stream into. */
function wantsStream(call: TenantCall): boolean {
	const accepted = (call.c.req.header('Accept') ?? '')
		.split(',')
		.map((media) => media.split(';')[0]?.trim().toLowerCase())
	return accepted.includes('text/event-stream') && call.c.req.raw.method !== 'HEAD'
}

function readLastEventId(call: TenantCall, absent: number): Outcome<number> {
	const header = call.c.req.header('Last-Event-ID')
	if (header === undefined || header === '') return accept(absent)
	return readInteger('Last-Event-ID', header, { min: 0, max: Number.MAX_SAFE_INTEGER, absent })
}
