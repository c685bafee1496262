import type {
	Announcement,
	Change,
	WebhookPage,
	WebhookPull,
	WebhookPullReply,
	WebhookReport,
} from '../../core/contract.ts'
import {
	announceAgainMs,
	announceAgainMsMax,
	webhookLeaseMs,
	webhookPageMessages,
	webhookPassedEntries,
	webhookScanEntries,
	webhooksMax,
} from '../../core/limits.ts'
import { passes } from '../../core/webhook.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Duty, Moment } from './duty.ts'
import type { Segments } from './segments.ts'
import { afterReport } from './webhook-report.ts'
import { filterOf, readWebhook, readWebhooks, secretsOf, storeWebhook, type WebhookRow } from './webhook-row.ts'
import type { Work } from './work.ts'

/** What memory holds of an endpoint. Losing it costs a repeated message or a repeated look, never an entry. */
interface Endpoint {
	/** The endpoint wants nothing up to here that it does not have. */
	passed: number
	/** The first entry after its position that it wants, as far as the journal was looked at. */
	next: number | null
	/** Where the journal ended when the consumer was last woken. */
	announcedHead: number
	announceAgainAt: number
	waitMs: number
	/** The consumer's turn that has the endpoint to itself. */
	lease: { run: string; until: number } | null
}

const untouched = { passed: 0, next: null, announcedHead: 0, announceAgainAt: 0, waitMs: announceAgainMs }

/**
 * Wakes the consumer for every endpoint that has something to get, hands it pages of the journal, and records what it
 * reports. An endpoint has one consumer at a time; and a report counts only while the endpoint's row is as it was when the
 * page was read, so a late one moves nothing back and skips nothing.
 */
export class WebhookFeed implements Duty {
	readonly #sql: Sql
	readonly #segments: Segments
	readonly #random: () => number
	#rows: WebhookRow[] | null = null
	readonly #endpoints = new Map<string, Endpoint>()

	/** @param random from 0 up to, not including, 1 */
	constructor(sql: Sql, segments: Segments, random: () => number) {
		this.#sql = sql
		this.#segments = segments
		this.#random = random
	}

	/** Must follow whatever may have changed a row, and a transaction that failed. */
	forget(): void {
		this.#rows = null
		for (const endpoint of this.#endpoints.values()) Object.assign(endpoint, untouched)
	}

	ring(moment: Moment): Announcement[] {
		if (moment.tenant.status === 'suspended') return []
		const { id: tenant, shard, epoch } = moment.tenant
		return this.#all()
			.filter((row) => this.#isDue(row, moment) && this.#announces(row, moment))
			.map(({ id: webhook }) => ({ kind: 'webhook', tenant, shard, epoch, webhook }))
	}

	wants(moment: Moment): number | null {
		if (moment.tenant.status === 'suspended') return null
		const times = this.#all().flatMap((row) => this.#wantedAt(row, moment) ?? [])
		return times.length === 0 ? null : Math.max(moment.now + 1, Math.min(...times))
	}

	pull(asked: WebhookPull, moment: Moment): WebhookPullReply {
		const row = this.#kept(readWebhook(this.#sql, asked.webhook), moment)
		if (!row || !isOwn(asked, moment) || moment.tenant.status === 'suspended') return { kind: 'idle' }
		const endpoint = this.#endpoint(row)
		if (isLeased(endpoint, moment) && endpoint.lease?.run !== asked.run) return { kind: 'idle' }
		const waits = row.disabled_reason !== null || (row.next_attempt_at ?? 0) > moment.now
		const found = waits ? { changes: [], to: row.position } : this.#read(row, moment)
		const test = row.test_message === null ? null : { message: row.test_message, at: row.test_at ?? moment.now }
		if (found.changes.length === 0 && test === null) {
			if (!waits) endpoint.passed = found.to
			endpoint.lease = null
			return { kind: 'idle' }
		}
		endpoint.lease = { run: asked.run, until: moment.now + webhookLeaseMs }
		const secrets = secretsOf(row, moment.now).map(({ sealed }) => sealed)
		return { kind: 'page', page: { url: row.url, secrets, revision: row.revision, ...found, test } }
	}

	/** Records what a consumer did; false when it comes too late to count. Expects a transaction. */
	report(report: WebhookReport, moment: Moment, { journal }: Work): boolean {
		const row = readWebhook(this.#sql, report.webhook)
		if (!row || !isOwn(report, moment)) return false
		const endpoint = this.#endpoint(row)
		const counts = row.revision === report.revision && report.to >= row.position && report.to <= moment.head
		if (endpoint.lease?.run === report.run && !(counts && report.goesOn)) endpoint.lease = null
		this.forget()
		if (!counts) return false
		const updated = afterReport(row, report, moment.now, this.#random())
		storeWebhook(this.#sql, updated)
		if (updated.version !== row.version)
			journal.append({ op: 'webhook', collection: null, id: row.id, version: updated.version })
		return true
	}

	/** Whether a consumer would find work, if none is at it. */
	#isDue(row: WebhookRow, moment: Moment): boolean {
		const endpoint = this.#endpoint(row)
		if (isLeased(endpoint, moment)) return false
		if (row.test_message !== null) return true
		if (row.disabled_reason !== null || (row.next_attempt_at ?? 0) > moment.now) return false
		if (endpoint.next === null && this.#passed(row) < moment.head) this.#look(row, endpoint, moment)
		return endpoint.next !== null
	}

	/** Whether to wake the consumer now: at news, and again and again until it has come. */
	#announces(row: WebhookRow, { now, head }: Moment): boolean {
		const endpoint = this.#endpoint(row)
		const fresh = head > endpoint.announcedHead
		if (!fresh && now < endpoint.announceAgainAt) return false
		endpoint.waitMs = fresh ? announceAgainMs : Math.min(endpoint.waitMs * 2, announceAgainMsMax)
		endpoint.announcedHead = head
		endpoint.announceAgainAt = now + endpoint.waitMs
		return true
	}

	#wantedAt(row: WebhookRow, moment: Moment): number | null {
		const endpoint = this.#endpoint(row)
		if (isLeased(endpoint, moment)) return endpoint.lease?.until ?? null
		if (row.test_message !== null) return endpoint.announceAgainAt
		if (row.disabled_reason !== null || this.#passed(row) >= moment.head) return null
		if ((row.next_attempt_at ?? 0) > moment.now) return row.next_attempt_at
		return endpoint.next === null ? moment.now : endpoint.announceAgainAt
	}

	/** Looks for the first entry that the endpoint wants; what it does not want is passed over without waking anybody. */
	#look(row: WebhookRow, endpoint: Endpoint, moment: Moment): void {
		const { changes, to } = this.#read(row, moment)
		endpoint.next = changes[0]?.seq ?? null
		endpoint.passed = endpoint.next === null ? to : endpoint.next - 1
		if (endpoint.passed - row.position < webhookPassedEntries) return
		storeWebhook(this.#sql, { ...row, position: endpoint.passed })
		this.#rows = null
	}

	/** The next entries that the endpoint wants, and how far it is up to date when it has them. */
	#read(row: WebhookRow, { head }: Moment): Pick<WebhookPage, 'changes' | 'to'> {
		const after = Math.max(this.#passed(row), this.#segments.firstKept(head) - 1)
		const looked = this.#segments.changesAfter(after, webhookScanEntries, head)
		if (!looked.ok) throw new Error('the journal was pruned while it was read')
		const filter = filterOf(row)
		const wanted: Change[] = looked.value.changes.filter((change) => passes(filter, change))
		const changes = wanted.slice(0, webhookPageMessages)
		const last = wanted.length > changes.length ? changes.at(-1) : looked.value.changes.at(-1)
		return { changes, to: last?.seq ?? after }
	}

	/** An endpoint that is behind what the journal keeps goes on with the oldest entry, and its status says what it missed. */
	#kept(row: WebhookRow | null, { head }: Moment): WebhookRow | null {
		const before = this.#segments.firstKept(head) - 1
		if (row === null || row.position >= before) return row
		storeWebhook(this.#sql, {
			...row,
			position: before,
			missed_from: row.missed_from ?? row.position + 1,
			missed_to: before,
		})
		this.forget()
		return readWebhook(this.#sql, row.id)
	}

	#passed(row: WebhookRow): number {
		return Math.max(this.#endpoint(row).passed, row.position)
	}

	#all(): WebhookRow[] {
		this.#rows ??= readWebhooks(this.#sql, '', webhooksMax)
		return this.#rows
	}

	#endpoint(row: WebhookRow): Endpoint {
		const endpoint = this.#endpoints.get(row.id) ?? { ...untouched, lease: null }
		this.#endpoints.set(row.id, endpoint)
		return endpoint
	}
}

function isLeased({ lease }: Endpoint, { now }: Moment): boolean {
	return lease !== null && lease.until > now
}

function isOwn(asked: WebhookPull, { tenant }: Moment): boolean {
	return tenant.id === asked.tenant && tenant.shard === asked.shard && tenant.epoch === asked.epoch
}
