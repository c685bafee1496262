import type { Answer, Operations } from '../../core/contract.ts'
import { webhookSecretsMax, webhooksMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import {
	askForTest,
	attemptsOf,
	infoOf,
	insertWebhook,
	listText,
	readWebhook,
	readWebhooks,
	secretsOf,
	storeWebhook,
	type WebhookRow,
	webhookCount,
} from './webhook-row.ts'
import type { Work } from './work.ts'

/** What the owner of a webhook endpoint may do with it; `webhook-feed.ts` delivers. Each change is an entry of the journal. */

type Takes<N extends keyof Operations> = Operations[N]['takes']

export function createWebhook(work: Work, takes: Takes<'webhook.create'>): Outcome<Answer<'webhook.create'>> {
	const { sql, now } = work
	const full = work.storage.refuseGrowth(0, work.storageBytesMax)
	if (full) return full
	if (webhookCount(sql) >= webhooksMax) return refuse('limit_exceeded', `a tenant may have ${webhooksMax} webhooks`)
	const ahead = refuseAhead(work, takes.after)
	if (ahead) return ahead
	const { id, secret, sealed } = takes.prepared
	const position = work.journal.append({ op: 'webhook', collection: null, id, version: 1 })
	insertWebhook(sql, {
		id,
		url: takes.url,
		description: takes.description,
		events: listText(takes.events),
		collections: listText(takes.collections),
		secrets: JSON.stringify([{ sealed, until: null }]),
		// The entry about itself is not the first thing that a new endpoint hears of.
		position: takes.after ?? position,
		created_at: now,
	})
	return changed(work, id, (row) => ({ webhook: infoOf(row, now), secret, position }))
}

export function listWebhooks(work: Work, takes: Takes<'webhook.list'>): Outcome<Answer<'webhook.list'>> {
	const rows = readWebhooks(work.sql, takes.after ?? '', takes.limit + 1)
	const webhooks = rows.slice(0, takes.limit).map((row) => infoOf(row, work.now))
	return accept({ webhooks, next: rows.length > webhooks.length ? (webhooks.at(-1)?.id ?? null) : null })
}

export function getWebhook(work: Work, takes: Takes<'webhook.get'>): Outcome<Answer<'webhook.get'>> {
	return changed(work, takes.id, (row) => ({ webhook: infoOf(row, work.now), attempts: attemptsOf(row) }))
}

/** An endpoint that is set active, or moved, tries at once and counts its failures anew. */
export function updateWebhook(work: Work, takes: Takes<'webhook.update'>): Outcome<Answer<'webhook.update'>> {
	const { sql, now } = work
	const { url, description, events, collections, status, after } = takes.changes
	const row = readWebhook(sql, takes.id)
	if (!row) return unknown()
	const ahead = refuseAhead(work, after ?? null)
	if (ahead) return ahead
	const restarts = status === 'active' || after !== undefined || url !== undefined
	storeWebhook(sql, {
		...row,
		url: url ?? row.url,
		description: description === undefined ? row.description : description,
		events: events === undefined ? row.events : listText(events),
		collections: collections === undefined ? row.collections : listText(collections),
		...(status === 'active' && { disabled_reason: null, disabled_at: null }),
		...(status === 'disabled' && {
			disabled_reason: row.disabled_reason ?? 'requested',
			disabled_at: row.disabled_at ?? now,
		}),
		...(restarts && { failures: 0, failing_since: null, next_attempt_at: null }),
		position: after ?? row.position,
		version: row.version + 1,
		updated_at: now,
	})
	return recorded(work, row, (updated, position) => ({ webhook: infoOf(updated, now), position }))
}

export function rotateWebhook(work: Work, takes: Takes<'webhook.rotate'>): Outcome<Answer<'webhook.rotate'>> {
	const { sql, now } = work
	const row = readWebhook(sql, takes.id)
	if (!row) return unknown()
	const { secret, sealed } = takes.prepared
	const until = now + takes.keepPreviousMs
	const previous = secretsOf(row, now)
		.map((held) => ({ sealed: held.sealed, until: Math.min(held.until ?? until, until) }))
		.filter((held) => held.until > now)
	if (previous.length >= webhookSecretsMax)
		return refuse(
			'limit_exceeded',
			`an endpoint has at most ${webhookSecretsMax} secrets at a time; let older ones end first`,
		)
	const secrets = JSON.stringify([{ sealed, until: null }, ...previous])
	storeWebhook(sql, { ...row, secrets, version: row.version + 1, updated_at: now })
	return recorded(work, row, (updated, position) => ({ webhook: infoOf(updated, now), secret, position }))
}

/** The test is sent by the consumer, once, also to an endpoint that is disabled or waits; a later one takes its place. */
export function testWebhook(work: Work, takes: Takes<'webhook.test'>): Outcome<Answer<'webhook.test'>> {
	const row = readWebhook(work.sql, takes.id)
	if (!row) return unknown()
	askForTest(work.sql, row.id, takes.message, work.now)
	return accept({ message: takes.message })
}

export function deleteWebhook(work: Work, takes: Takes<'webhook.delete'>): Outcome<Answer<'webhook.delete'>> {
	const deleted = work.sql.all('DELETE FROM webhook WHERE id = ? RETURNING id', takes.id)
	if (deleted.length === 0) return unknown()
	const position = work.journal.append({ op: 'webhook', collection: null, id: takes.id, version: null })
	return accept({ position })
}

function recorded<T>(work: Work, row: WebhookRow, answer: (row: WebhookRow, position: number) => T): Outcome<T> {
	const position = work.journal.append({ op: 'webhook', collection: null, id: row.id, version: row.version + 1 })
	return changed(work, row.id, (updated) => answer(updated, position))
}

function changed<T>(work: Work, id: string, answer: (row: WebhookRow) => T): Outcome<T> {
	const row = readWebhook(work.sql, id)
	return row ? accept(answer(row)) : unknown()
}

function unknown(): Outcome<never> {
	return refuse('not_found', 'there is no webhook with this id')
}

function refuseAhead(work: Work, after: number | null): Outcome<never> | null {
	if (after === null || after <= work.journal.head) return null
	const errors = [{ pointer: '/after', detail: 'must not lie beyond the end of the journal' }]
	return refuse('validation_failed', 'the input violates its schema', { errors })
}
