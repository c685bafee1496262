import type { WebhookAttempt, WebhookDisabledReason, WebhookInfo } from '../../core/contract.ts'
import type { Sql } from '../../db/shard/sql.ts'

/** An endpoint as it rests in the tenant's database. */
export interface WebhookRow {
	id: string
	url: string
	description: string | null
	events: string | null
	collections: string | null
	secrets: string
	disabled_reason: WebhookDisabledReason | null
	disabled_at: number | null
	position: number
	failures: number
	failing_since: number | null
	next_attempt_at: number | null
	missed_from: number | null
	missed_to: number | null
	test_message: string | null
	test_at: number | null
	attempts: string
	version: number
	revision: number
	created_at: number
	updated_at: number
}

/** One secret: the newest signs for good, older ones until a moment in milliseconds. */
export interface RestingSecret {
	sealed: string
	until: number | null
}

const columns = `id, url, description, events, collections, secrets, disabled_reason, disabled_at, position, failures,
	failing_since, next_attempt_at, missed_from, missed_to, test_message, test_at, attempts, version, revision, created_at, updated_at`

export function readWebhook(sql: Sql, id: string): WebhookRow | null {
	return sql.all<WebhookRow>(`SELECT ${columns} FROM webhook WHERE id = ?`, id)[0] ?? null
}

export function readWebhooks(sql: Sql, after: string, limit: number): WebhookRow[] {
	return sql.all<WebhookRow>(`SELECT ${columns} FROM webhook WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
}

export function insertWebhook(
	sql: Sql,
	row: Pick<
		WebhookRow,
		'id' | 'url' | 'description' | 'events' | 'collections' | 'secrets' | 'position' | 'created_at'
	>,
): void {
	sql.all(
		`INSERT INTO webhook (id, url, description, events, collections, secrets, position, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.id,
		row.url,
		row.description,
		row.events,
		row.collections,
		row.secrets,
		row.position,
		row.created_at,
		row.created_at,
	)
}

/** Stores what may change of a row under the next revision. */
export function storeWebhook(sql: Sql, row: WebhookRow): void {
	sql.all(
		`UPDATE webhook SET url = ?, description = ?, events = ?, collections = ?, secrets = ?, disabled_reason = ?,
			disabled_at = ?, position = ?, failures = ?, failing_since = ?, next_attempt_at = ?, missed_from = ?, missed_to = ?,
			test_message = ?, test_at = ?, attempts = ?, version = ?, updated_at = ?, revision = revision + 1
		WHERE id = ?`,
		row.url,
		row.description,
		row.events,
		row.collections,
		row.secrets,
		row.disabled_reason,
		row.disabled_at,
		row.position,
		row.failures,
		row.failing_since,
		row.next_attempt_at,
		row.missed_from,
		row.missed_to,
		row.test_message,
		row.test_at,
		row.attempts,
		row.version,
		row.updated_at,
		row.id,
	)
}

/** Leaves the revision alone: what a consumer is just delivering still counts. */
export function askForTest(sql: Sql, id: string, message: string, at: number): void {
	sql.all('UPDATE webhook SET test_message = ?, test_at = ? WHERE id = ?', message, at, id)
}

export function webhookCount(sql: Sql): number {
	return sql.all<{ n: number }>('SELECT count(*) AS n FROM webhook')[0]?.n ?? 0
}

export function secretsOf(row: WebhookRow, now: number): RestingSecret[] {
	const secrets = JSON.parse(row.secrets) as RestingSecret[]
	return secrets.filter(({ until }) => until === null || until > now)
}

export function attemptsOf(row: WebhookRow): WebhookAttempt[] {
	return JSON.parse(row.attempts) as WebhookAttempt[]
}

export function filterOf(row: WebhookRow): Pick<WebhookInfo, 'events' | 'collections'> {
	return {
		events: row.events === null ? null : JSON.parse(row.events),
		collections: row.collections === null ? null : JSON.parse(row.collections),
	}
}

export function listText(list: readonly string[] | null): string | null {
	return list === null ? null : JSON.stringify([...new Set(list)])
}

export function infoOf(row: WebhookRow, now: number): WebhookInfo {
	const { id, url, description, position } = row
	const previous = secretsOf(row, now).flatMap(({ until }) => (until === null ? [] : [until]))
	return {
		id,
		url,
		description,
		...filterOf(row),
		disabled:
			row.disabled_reason === null ? null : { reason: row.disabled_reason, at: row.disabled_at ?? row.updated_at },
		position,
		failing:
			row.failing_since === null
				? null
				: { failures: row.failures, since: row.failing_since, nextAttemptAt: row.next_attempt_at ?? now },
		missed: row.missed_from === null || row.missed_to === null ? null : { from: row.missed_from, to: row.missed_to },
		previousSecretUntil: previous.length === 0 ? null : Math.max(...previous),
		createdAt: row.created_at,
		updatedAt: row.updated_at,
	}
}
