import type { RetentionDays } from '../../core/certificate.ts'
import { readCertificate } from '../../core/certificate.ts'
import type { JournalEntry } from '../../core/chain.ts'
import type {
	Change,
	CollectionInfo,
	KeyInfo,
	StoredRecord,
	SubjectRequest,
	TenantInfo,
	TenantLimits,
	TenantStatus,
	WebhookAttempt,
	WebhookInfo,
} from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import { type DeadLetter, printDeadLetterId } from '../../core/dead-letter.ts'
import { type ErasureRecord, erasureStatus, erasureSteps } from '../../core/erasure.ts'
import { type Region, regionOf, type TenantId } from '../../core/ids.ts'
import type { ExportInfo, ImportInfo, JobState } from '../../core/job.ts'
import type { Freshness, RegionFreshness, ViewCollection, ViewRecord, ViewTenant } from '../../core/view.ts'

/** How the shard's and the view's plain data look to a client: snake_case names and RFC 3339 times. */

export function timeOf(ms: number): string {
	return new Date(ms).toISOString()
}

/**
 * A record as JSON text, put together around the stored text of its data: parsing and printing that again would cost more
 * than all the rest of a read. An id needs no escaping.
 */
export function recordText(record: StoredRecord): string {
	const { id, version, createdAt, updatedAt, data } = record
	return `{"id":"${id}","version":${version},"created_at":"${timeOf(createdAt)}","updated_at":"${timeOf(updatedAt)}","data":${data}}`
}

export function viewRecordText(record: ViewRecord): string {
	const { tenant, id, version, createdAt, updatedAt, data } = record
	return `{"tenant":"${tenant}","id":"${id}","version":${version},"created_at":"${timeOf(createdAt)}","updated_at":"${timeOf(updatedAt)}","data":${data}}`
}

export const dayMs = 86_400_000

export function collectionText(collection: CollectionInfo, { object_history: historyDays }: RetentionDays): string {
	const { name, schema, records, createdAt, updatedAt, change, encryption = null } = collection
	const shownChange = change && {
		status: change.status,
		records_done: change.recordsDone,
		records_total: change.recordsTotal,
		errors: change.errors,
	}
	const shownEncryption = encryption && {
		status: encryption.finishedAt === null ? 'running' : 'done',
		records_done: encryption.recordsDone,
		records_total: encryption.recordsTotal,
		started_at: timeOf(encryption.startedAt),
		finished_at: encryption.finishedAt === null ? null : timeOf(encryption.finishedAt),
		history_until: encryption.finishedAt === null ? null : timeOf(encryption.finishedAt + historyDays * dayMs),
	}
	return `{"name":"${name}","schema":${schema},"records":${records},"created_at":"${timeOf(createdAt)}","updated_at":"${timeOf(updatedAt)}","change":${JSON.stringify(shownChange)},"encryption":${JSON.stringify(shownEncryption)}}`
}

export interface ShownChange {
	seq: number
	op: string
	collection: string | null
	id: string | null
	version: number | null
	actor: string
	request: string | null
	at: string
}

export function showChange(change: Change): ShownChange {
	const { seq, op, collection, id, version, actor, request = null, at } = change
	return { seq, op, collection, id, version, actor, request, at: timeOf(at) }
}

export function showAuditEntry(entry: JournalEntry) {
	const { seq, at, op, collection, id: record, version, actor, request, records, digest, chain } = entry
	return { seq, at: timeOf(at), op, collection, record, version, actor, request, records, digest, chain }
}

export function showSubjectRequest(request: SubjectRequest) {
	const { id, kind, subject, records, actor, createdAt, dueAt, finishedAt, keyDestroyedAt = null } = request
	return {
		id,
		kind,
		subject_hash: subject,
		records,
		requested_by: actor,
		created_at: timeOf(createdAt),
		due_at: timeOf(dueAt),
		finished_at: finishedAt === null ? null : timeOf(finishedAt),
		key_destroyed_at: keyDestroyedAt === null ? null : timeOf(keyDestroyedAt),
	}
}

export interface ShownKey {
	id: string
	name: string | null
	scopes: string[]
	created_at: string
	expires_at: string | null
}

export function showKey(key: KeyInfo): ShownKey {
	const { id, name, scopes, createdAt, expiresAt } = key
	return { id, name, scopes, created_at: timeOf(createdAt), expires_at: expiresAt === null ? null : timeOf(expiresAt) }
}

export function showWebhook(webhook: WebhookInfo) {
	const { id, url, description, events, collections, disabled, position, failing, missed } = webhook
	return {
		id,
		url,
		description,
		events,
		collections,
		status: disabled === null ? 'active' : 'disabled',
		disabled: disabled && { reason: disabled.reason, at: timeOf(disabled.at) },
		position,
		failing: failing && {
			failures: failing.failures,
			since: timeOf(failing.since),
			next_attempt_at: timeOf(failing.nextAttemptAt),
		},
		missed,
		previous_secret_until: webhook.previousSecretUntil === null ? null : timeOf(webhook.previousSecretUntil),
		created_at: timeOf(webhook.createdAt),
		updated_at: timeOf(webhook.updatedAt),
	}
}

export function showWebhookAttempt({ message, event, seq, at, duration, status, failure }: WebhookAttempt) {
	return { message, event, seq, at: timeOf(at), duration_ms: duration, status, failure }
}

export interface ShownTenant {
	id: TenantId
	slug: string
	name: string
	region: Region
	status: TenantStatus
	created_at: string
}

export function showTenant(tenant: ViewTenant): ShownTenant {
	const { id, slug, name, status, createdAt } = tenant
	return { id, slug, name, region: regionOf(id), status, created_at: timeOf(createdAt) }
}

export function showTenantInfo(
	tenant: TenantInfo,
): ShownTenant & { held_since: string | null; limits: TenantLimits; usage: TenantInfo['usage'] } {
	const { heldSince = null, limits, usage } = tenant
	return { ...showTenant(tenant), held_since: heldSince === null ? null : timeOf(heldSince), limits, usage }
}

export function showErasure(record: ErasureRecord, control: Control, now: number) {
	const { id, tenant, requestedBy, requestedAt, certificate: jws } = record
	const certificate = jws === null ? null : readCertificate(jws)
	const inForce = control.erasure?.id === id ? control : null
	return {
		id,
		tenant,
		region: regionOf(tenant),
		status: erasureStatus(control, record, now),
		requested_by: requestedBy,
		requested_at: timeOf(requestedAt),
		due_at: inForce?.erasure ? timeOf(inForce.erasure.dueAt) : null,
		held_since: inForce?.hold ? timeOf(inForce.hold.at) : null,
		steps: record.done.map(({ step, at }) => ({ step, done_at: timeOf(at) })),
		steps_to_come: erasureSteps.filter((step) => !record.done.some((one) => one.step === step)),
		horizon: certificate?.horizon ?? null,
		certificate,
		certificate_jws: jws,
	}
}

export function showViewCollection({ tenant, name, records }: ViewCollection): ViewCollection {
	return { tenant, name, records }
}

export function showDeadLetter(letter: DeadLetter) {
	const { tenant, shard, seq, op, collection, record, reason, state, attempts } = letter
	const { createdAt, refusedAt, replayingSince, discardedAt } = letter
	return {
		...{ id: printDeadLetterId(letter), tenant, shard, position: seq, op, collection, record, reason, state, attempts },
		created_at: timeOf(createdAt),
		refused_at: timeOf(refusedAt),
		replaying_since: replayingSince === null ? null : timeOf(replayingSince),
		discarded_at: discardedAt === null ? null : timeOf(discardedAt),
	}
}

export function showFreshness(freshness: Freshness) {
	const { exact, complete, asOf, regions, ...totals } = freshness
	return {
		exact,
		complete,
		as_of: asOf === null ? null : timeOf(asOf),
		...showCounts(totals),
		regions: regions.map(({ region, ...counts }) => ({ region, ...showCounts(counts) })),
	}
}

function showCounts(counts: Omit<RegionFreshness, 'region'>) {
	const { registryComparedAt: comparedAt } = counts
	return {
		shards: counts.shards,
		shards_behind: counts.shardsBehind,
		worst_lag_ms: counts.worstLagMs,
		shards_rebuilding: counts.shardsRebuilding,
		dead_letters: counts.deadLetters,
		tenants_missing: counts.tenantsMissing,
		registry_compared_at: comparedAt === null ? null : timeOf(comparedAt),
	}
}

/** What is being deleted is gone for its owner. */
const shownStates: Record<JobState, string> = {
	waiting: 'waiting',
	running: 'running',
	done: 'done',
	failed: 'failed',
	clearing: 'expired',
}

export function showExport(job: ExportInfo, now: number) {
	const { id, state, asOfSeq, csv, recordsDone, recordsTotal, bytesDone, archiveBytes, faults } = job
	return {
		id,
		status: shownStates[state],
		as_of_seq: asOfSeq,
		csv,
		records_done: recordsDone,
		records_total: recordsTotal,
		bytes_done: bytesDone,
		archive_bytes: archiveBytes,
		estimated_finish_at: state === 'running' ? estimateOf(job.createdAt, now, recordsDone, recordsTotal) : null,
		errors: faults,
		created_at: timeOf(job.createdAt),
		finished_at: job.finishedAt === null ? null : timeOf(job.finishedAt),
		expires_at: timeOf(job.expiresAt),
	}
}

export function showImport(job: ImportInfo) {
	const { id, state, parts, partsDone, bytes, recordsDone, recordsTotal, faults } = job
	return {
		id,
		status: shownStates[state],
		parts,
		parts_done: partsDone,
		bytes,
		records_done: recordsDone,
		records_total: recordsTotal,
		errors: faults,
		created_at: timeOf(job.createdAt),
		finished_at: job.finishedAt === null ? null : timeOf(job.finishedAt),
		expires_at: timeOf(job.expiresAt),
	}
}

/** When it will be finished if it goes on like this; null before anything was done. */
function estimateOf(startedAt: number, now: number, done: number, total: number): string | null {
	if (done === 0 || now <= startedAt) return null
	return timeOf(Math.round(now + ((now - startedAt) / done) * Math.max(0, total - done)))
}
