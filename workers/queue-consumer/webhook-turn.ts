import type { WebhookAttempt, WebhookPage, WebhookReport, WebhookWakeUp } from '../../core/contract.ts'
import { mintId } from '../../core/ids.ts'
import { pullMsMax, webhookTurnMsMax } from '../../core/limits.ts'
import { changeMessage, testMessage, type WebhookMessage } from '../../core/webhook.ts'
import { openWebhookSecret, sealWebhookSecret } from '../../core/webhook-secret.ts'
import { within } from './deadline.ts'
import { attemptMessage } from './webhook-attempt.ts'
import type { WebhookPorts } from './webhooks.ts'

/**
 * Brings one endpoint its messages, in the order of the journal, each after the one before was taken; ends when there is
 * nothing to bring, when one is not taken, or when the turn is over.
 * @returns whether there may be more to bring
 * @throws what the shard throws; what was not reported is brought again
 */
export async function takeTurn(wakeUp: WebhookWakeUp, ports: WebhookPorts): Promise<boolean> {
	const { tenant, shard, epoch, webhook } = wakeUp
	const endsAt = ports.now() + webhookTurnMsMax
	const asked = { tenant, shard, epoch, webhook, run: mintId(ports.now(), ports.random) }
	const stub = ports.shardOf(tenant, shard)
	for (;;) {
		const reply = await within(pullMsMax, stub.pullWebhook(asked), ports.sleep)
		if (reply.kind === 'idle') return false
		const done = await deliver(reply.page, wakeUp, endsAt, ports)
		const goesOn = done.stopped === null && ports.now() < endsAt
		const report: WebhookReport = { ...asked, revision: reply.page.revision, ...done, goesOn }
		const counted = await within(pullMsMax, stub.reportWebhook(report), ports.sleep)
		if (!counted || done.stopped !== null) return false
		if (!goesOn) return true
	}
}

type Done = Pick<WebhookReport, 'to' | 'attempts' | 'stopped' | 'resealed'>

async function deliver(page: WebhookPage, wakeUp: WebhookWakeUp, endsAt: number, ports: WebhookPorts): Promise<Done> {
	const { secrets, resealed } = openSecrets(page, wakeUp, ports)
	const before = (page.changes[0]?.seq ?? page.to + 1) - 1
	if (secrets.length === 0) return { to: before, attempts: [], stopped: 'secret_unreadable', resealed }
	const attempts: WebhookAttempt[] = []
	const attempt = async (message: WebhookMessage) => {
		const made = await attemptMessage(message, { url: page.url, secrets }, ports)
		attempts.push(made)
		if (made.failure !== null) logFailure(made, wakeUp, ports)
		return made
	}
	if (page.test) await attempt(testMessage(page.test.message, wakeUp.webhook, page.test.at))
	for (const [index, change] of page.changes.entries()) {
		// The first one goes out whatever the time, so that every turn brings something.
		if (index > 0 && ports.now() >= endsAt) return { to: change.seq - 1, attempts, stopped: null, resealed }
		const { status, failure } = await attempt(changeMessage(wakeUp, change))
		if (failure === null) continue
		// 410 is how a receiver says that it wants no more (Standard Webhooks).
		return { to: change.seq - 1, attempts, stopped: status === 410 ? 'gone' : 'failed', resealed }
	}
	return { to: page.to, attempts, stopped: null, resealed }
}

/** Secrets that open, newest first. Those that rest under an older signing secret are sealed anew, before that one is given up. */
function openSecrets(page: WebhookPage, { tenant }: WebhookWakeUp, { signingSecrets, random }: WebhookPorts) {
	const secrets: string[] = []
	const resealed: [string, string][] = []
	for (const sealed of page.secrets) {
		const opened = openWebhookSecret(sealed, tenant, signingSecrets)
		if (opened === null) continue
		secrets.push(opened.secret)
		if (opened.isOld) resealed.push([sealed, sealWebhookSecret(opened.secret, tenant, signingSecrets[0], random)])
	}
	return { secrets, resealed }
}

/** The address may hold what is secret, so it is not in the log. */
function logFailure(
	{ status, failure }: WebhookAttempt,
	{ tenant, webhook }: WebhookWakeUp,
	ports: WebhookPorts,
): void {
	ports.log('warn', 'webhook_not_taken', { tenant, webhook, status, failure })
}
