import { z } from '@hono/zod-openapi'
import {
	type DeadLetterOrder,
	type DeadLetterPosition,
	parseDeadLetterId,
	printDeadLetterId,
} from '../../core/dead-letter.ts'
import { mintId } from '../../core/ids.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Handled, OperatorCall } from './call.ts'
import { once } from './once.ts'
import { pageHeaders, readDeadLetterPage } from './page.ts'
import { reach } from './reach.ts'
import { showDeadLetter, showFreshness, timeOf } from './representation.ts'
import { readIdempotency, readQuery } from './request.ts'
import { respondJson, respondReply } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import {
	deadLetter,
	deadLetterList,
	deadLetterOrder,
	deadLetterParams,
	deadLetterQuery,
	minPositionHeaders,
} from './schemas.ts'
import {
	awaitPosition,
	freshnessExample,
	readMaxStaleness,
	readScope,
	refuseStale,
	viewHeaderNames,
	viewHeaders,
} from './view-answer.ts'

const tag = 'View (operator)'
const path = '/v1/view/dead-letters/{id}'
const example = {
	id: 'eu_17',
	tenant: 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p',
	shard: 0,
	position: 204,
	op: 'upsert',
	collection: 'people',
	record: 'p-7',
	reason: '22P05 data exception',
	state: 'waiting',
	attempts: 1,
	created_at: '2026-11-22T19:50:49.120Z',
	refused_at: '2026-11-22T19:50:49.120Z',
	replaying_since: null,
	discarded_at: null,
}
const orderExample = { id: example.id, intent: 'replay', ordered_at: '2026-11-22T20:10:00.000Z' }
const orderRefusals = ['not_found', 'idempotency_in_progress'] as const

export const deadLetterRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/view/dead-letters',
			scope: 'read',
			tag,
			summary: 'List the entries that the view went past, the oldest first',
			description:
				"What a letter points at is absent from the view until a later change, a replay or a rebuild brings it, and takes the letter away. Letters hold pointers and the database's error class, never data.",
			query: deadLetterQuery,
			headers: minPositionHeaders,
			answers: {
				200: {
					description: 'A page of dead letters, and how many there are in all',
					schema: deadLetterList,
					example: { dead_letters: [example], waiting: 1, discarded: 0, freshness: freshnessExample },
					headers: [...pageHeaders, ...viewHeaderNames],
				},
			},
			refusals: ['unknown_field', 'invalid_cursor', 'view_behind', 'view_stale', 'view_unavailable'],
		},
		async (call) => {
			const asked = readQuery(call, ['region', 'tenant', 'max_staleness', 'state', 'limit', 'cursor'])
			if (!asked.ok) return asked
			const maxMs = readMaxStaleness(asked.value.max_staleness)
			if (!maxMs.ok) return maxMs
			const scope = readScope(call, asked.value.region ?? null, asked.value.tenant ?? null)
			if (!scope.ok) return scope
			const page = readDeadLetterPage(call, asked.value, scope.value)
			if (!page.ok) return page
			const reached = await awaitPosition(call)
			if (!reached.ok) return reached
			const { state } = page.value
			const read = await call.ports.view.deadLetters(scope.value, { ...page.value.page, state })
			if (!read.ok) return read
			const { deadLetters, next, waiting, discarded, freshness } = read.value
			const enough = refuseStale(freshness, maxMs.value)
			if (!enough.ok) return enough
			const link = page.value.link(next)
			if (!link.ok) return link
			const shown = { dead_letters: deadLetters.map(showDeadLetter), waiting, discarded }
			const text = JSON.stringify({ ...shown, freshness: showFreshness(freshness) })
			return respondJson(call, 200, text, { ...link.value, ...viewHeaders(freshness) })
		},
	),
	operatorRoute(
		{
			method: 'get',
			path,
			scope: 'read',
			tag,
			summary: 'One dead letter',
			params: deadLetterParams,
			answers: { 200: { description: 'The letter', schema: deadLetter, example } },
			refusals: ['not_found', 'view_unavailable'],
		},
		async (call) => {
			const position = readPosition(call)
			if (!position.ok) return position
			const read = await call.ports.view.deadLetter(position.value)
			if (!read.ok) return read
			return read.value === null ? unknown() : respondJson(call, 200, JSON.stringify(showDeadLetter(read.value)))
		},
	),
	operatorRoute(
		{
			method: 'post',
			path: `${path}/replay`,
			scope: 'admin',
			tag,
			summary: 'Try again to bring what a dead letter points at',
			description:
				'The record is read anew from its shard, or all of the collection where its schema was refused. The letter goes once the view has it; else it waits, with one more attempt.',
			params: deadLetterParams,
			answers: {
				202: { description: 'Ordered', schema: deadLetterOrder, example: orderExample, headers: ['Location'] },
			},
			refusals: orderRefusals,
			mutates: true,
		},
		(call) => order(call, 'replay'),
	),
	operatorRoute(
		{
			method: 'delete',
			path,
			scope: 'admin',
			tag,
			summary: 'Discard a dead letter',
			description:
				'It raises no alert any more. The view still lacks what it points at, so its shard is not exact, until a later change or a rebuild brings that and takes the letter away.',
			params: deadLetterParams,
			answers: {
				202: {
					description: 'Ordered',
					schema: deadLetterOrder,
					example: { ...orderExample, intent: 'discard' },
					headers: ['Location'],
				},
			},
			refusals: orderRefusals,
			mutates: true,
		},
		(call) => order(call, 'discard'),
	),
]

/** The API only reads the view, so a wish travels to the consumer. */
async function order(call: OperatorCall, intent: DeadLetterOrder['intent']): Handled {
	const idempotency = readIdempotency(call, '')
	if (!idempotency.ok) return idempotency
	const position = readPosition(call)
	if (!position.ok) return position
	const now = call.ports.clock()
	const minted = { id: mintId(now, call.ports.random), at: now }
	const ordered = await once(call, idempotency.value, { minted, schema: mintedOrder }, async (first, replayed) => {
		const sent = replayed
			? accept(undefined)
			: await send(call, { kind: 'dead_letter', ...position.value, intent, ...first })
		return sent.ok ? accept({ at: first.at, replayed }) : sent
	})
	if (!ordered.ok) return ordered
	const { at, replayed } = ordered.value
	const id = printDeadLetterId(position.value)
	const text = JSON.stringify({ id, intent, ordered_at: timeOf(at) })
	return respondReply(call, { replayed, rate: null }, 202, text, { Location: `/v1/view/dead-letters/${id}` })
}

const mintedOrder = z.object({ id: z.string(), at: z.int() })

/** A view that does not answer keeps nobody from asking: the consumer looks for the letter, too. */
async function send(call: OperatorCall, wish: DeadLetterOrder): Promise<Outcome<void>> {
	const read = await call.ports.view.deadLetter(wish)
	if (read.ok && read.value === null) return unknown()
	return reach(call, 'dead_letter.order', () => call.ports.orderDeadLetter(wish))
}

function readPosition(call: OperatorCall): Outcome<DeadLetterPosition> {
	const position = parseDeadLetterId(call.c.req.param('id') ?? '')
	return position && call.ports.config.regions.includes(position.region) ? accept(position) : unknown()
}

function unknown() {
	return refuse('not_found', 'there is no such dead letter')
}
