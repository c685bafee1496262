import type { WebhookReport } from '../../core/contract.ts'
import { webhookAttemptsKept, webhookFailingMsMax } from '../../core/limits.ts'
import { retryDelayMs } from '../../core/webhook.ts'
import { attemptsOf, type RestingSecret, type WebhookRow } from './webhook-row.ts'

/**
 * An endpoint's row after a consumer's report that counts.
 * @param random from 0 up to, not including, 1
 */
export function afterReport(row: WebhookRow, report: WebhookReport, now: number, random: number): WebhookRow {
	const tested = report.attempts.some(({ message }) => message === row.test_message)
	const moved: WebhookRow = {
		...row,
		position: report.to,
		attempts: JSON.stringify([...report.attempts.toReversed(), ...attemptsOf(row)].slice(0, webhookAttemptsKept)),
		secrets: JSON.stringify(resealed(row, report.resealed)),
		...(tested && { test_message: null, test_at: null }),
		...(hasDelivered(report) && working),
	}
	switch (report.stopped) {
		case null:
			return moved
		case 'failed':
			return failed(moved, now, random)
		case 'gone':
		case 'secret_unreadable':
			return disabled(moved, report.stopped, now)
	}
}

const working = { failures: 0, failing_since: null, next_attempt_at: null }

/** A test says nothing about whether messages arrive: it may have been sent to an endpoint that is disabled. */
function hasDelivered({ attempts }: WebhookReport): boolean {
	return attempts.some(({ seq, failure }) => seq !== null && failure === null)
}

function failed(row: WebhookRow, now: number, random: number): WebhookRow {
	const failures = row.failures + 1
	const since = row.failing_since ?? now
	const failing = { ...row, failures, failing_since: since, next_attempt_at: now + retryDelayMs(failures, random) }
	return now - since >= webhookFailingMsMax ? disabled(failing, 'failing', now) : failing
}

/** What disables an endpoint is for the audit, like what its owner does. */
function disabled(row: WebhookRow, reason: NonNullable<WebhookRow['disabled_reason']>, now: number): WebhookRow {
	return { ...row, disabled_reason: reason, disabled_at: now, version: row.version + 1, updated_at: now }
}

function resealed(row: WebhookRow, pairs: WebhookReport['resealed']): RestingSecret[] {
	const fresh = new Map(pairs)
	const secrets = JSON.parse(row.secrets) as RestingSecret[]
	return secrets.map((secret) => ({ ...secret, sealed: fresh.get(secret.sealed) ?? secret.sealed }))
}
