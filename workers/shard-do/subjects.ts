import type { Answer, Operations, SubjectRequest } from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import { mintId } from '../../core/ids.ts'
import { bodyBytesMax, collectionsMax, subjectDueMs } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import { fieldExpression } from '../../db/shard/list.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { type Definition, listDefinitions } from './definition.ts'
import { clearExport } from './export.ts'
import { dropAnswersAbout } from './idempotency.ts'
import { listJobs } from './jobs.ts'
import { deleteRecord } from './records.ts'
import type { Work } from './work.ts'

interface Row {
	id: string
	kind: 'access' | 'erasure'
	subject: string
	records: number
	actor: string
	created_at: number
	due_at: number
	finished_at: number | null
}

/**
 * A page of one person's records over all collections whose schema says where the person's id is. The first page opens a
 * request in the register, the last one closes it, and each is in the journal (Art. 15 GDPR).
 */
export function readSubject(work: Work, takes: Operations['subject.read']['takes']): Outcome<Answer<'subject.read'>> {
	const { subject, after, limit } = takes
	const found = recordsOf(work, subject, after, limit)
	const request = after?.request ?? openRequest(work, 'access', work.hashSubject(subject))
	const next = found.more ? { request, ...found.last } : null
	work.sql.all(
		'UPDATE subject_request SET records = records + ?, finished_at = ? WHERE id = ?',
		found.records.length,
		next ? null : work.now,
		request,
	)
	const entry = { op: 'access', collection: null, id: request, version: null } as const
	return accept({ records: found.records, next, position: work.journal.append(entry) })
}

/**
 * Erases one person's records in all collections, with what else holds copies of them: kept answers of patches, and exports,
 * which were made before. Each record leaves by an entry of its own, which the view and webhooks follow.
 */
export function eraseSubject(
	work: Work,
	takes: Operations['subject.erase']['takes'],
): Outcome<Answer<'subject.erase'>> {
	const id = openRequest(work, 'erasure', work.hashSubject(takes.subject))
	const records = eraseRecords(work, id, takes.subject)
	const [row] = work.sql.all<Row>(`SELECT ${columns} FROM subject_request WHERE id = ?`, id)
	if (!row) throw new Error('a request that was just opened is not there')
	return accept({ receipt: { ...requestOf(row), records }, position: work.journal.head })
}

export function listSubjectRequests(
	work: Work,
	takes: { limit: number; after: string | null },
): Outcome<Answer<'subject.requests'>> {
	const rows = work.sql.all<Row>(
		`SELECT ${columns} FROM subject_request WHERE id > ? ORDER BY id LIMIT ?`,
		takes.after ?? '',
		takes.limit + 1,
	)
	const page = rows.slice(0, takes.limit)
	return accept({ requests: page.map(requestOf), next: rows.length > page.length ? (page.at(-1)?.id ?? null) : null })
}

/**
 * Applies the entries of the erasure ledger that this database does not know: it came back from a time before them. People are
 * found by hashing every id that is there. True when something was written.
 */
export function applyLedger(work: Work, ledger: NonNullable<Control['ledger']>): boolean {
	const known = new Set(work.sql.all<{ id: string }>('SELECT id FROM subject_request').map(({ id }) => id))
	const missed = ledger.filter(({ request }) => !known.has(request))
	if (missed.length === 0) return false
	const subjects = new Map(subjectsOf(work.sql).map((subject) => [work.hashSubject(subject), subject]))
	for (const { request, subject: hashed, at } of missed) {
		insertRequest(work, { id: request, kind: 'erasure', subject: hashed, created_at: at })
		const subject = subjects.get(hashed)
		if (subject !== undefined) eraseRecords(work, request, subject)
	}
	return true
}

/** Far more than a tenant keeps, with those that are being cleared. */
const exportsListed = 1_000

const columns = 'id, kind, subject, records, actor, created_at, due_at, finished_at'

function openRequest(work: Work, kind: Row['kind'], subject: string): string {
	const id = mintId(work.now, work.random)
	insertRequest(work, { id, kind, subject, created_at: work.now })
	return id
}

function insertRequest(work: Work, row: Pick<Row, 'id' | 'kind' | 'subject' | 'created_at'>): void {
	work.sql.all(
		`INSERT INTO subject_request (${columns}) VALUES (?, ?, ?, 0, ?, ?, ?, ?)`,
		...[row.id, row.kind, row.subject, work.actor, row.created_at, row.created_at + subjectDueMs],
		row.kind === 'erasure' ? work.now : null,
	)
}

function requestOf(row: Row): SubjectRequest {
	const { id, kind, subject, records, actor, created_at: createdAt, due_at: dueAt, finished_at: finishedAt } = row
	return { id, kind, subject, records, actor, createdAt, dueAt, finishedAt }
}

function eraseRecords(work: Work, request: string, subject: string): number {
	// What an export has read or will read holds the person's records as they were.
	for (const job of listJobs(work.sql, 'export', '', exportsListed))
		if (job.state !== 'clearing') clearExport(work, job)
	let records = 0
	for (const definition of definitionsOf(work.sql)) {
		const ids = new Set(
			fieldsOf(definition).flatMap((field) =>
				work.sql
					.all<{ id: string }>(
						`SELECT id FROM ${definition.table} WHERE ${fieldExpression(field)} = ? ORDER BY id`,
						subject,
					)
					.map(({ id }) => id),
			),
		)
		for (const id of ids) {
			const deleted = deleteRecord(work, { collection: definition.name, id, ifMatch: null })
			if (!deleted.ok) throw new Error('a record vanished inside its own erasure')
		}
		if (ids.size > 0) dropAnswersAbout(work.sql, [...ids])
		records += ids.size
	}
	work.journal.append({ op: 'erasure', collection: null, id: request, version: null })
	work.sql.all('UPDATE subject_request SET records = ? WHERE id = ?', records, request)
	return records
}

interface Found {
	records: Answer<'subject.read'>['records']
	last: { collection: string; id: string }
	more: boolean
}

function recordsOf(
	work: Work,
	subject: string,
	after: { collection: string; id: string } | null,
	limit: number,
): Found {
	const found: Found = { records: [], last: after ?? { collection: '', id: '' }, more: false }
	let bytes = 0
	for (const definition of definitionsOf(work.sql)) {
		const { name: collection, table } = definition
		if (after && collection < after.collection) continue
		const from = after?.collection === collection ? after.id : ''
		const conditions = fieldsOf(definition).map((field) => `${fieldExpression(field)} = ?2`)
		const rows = work.sql.all<Found['records'][number]['record']>(
			`SELECT id, version, seq, created_at AS createdAt, updated_at AS updatedAt, data FROM ${table}
			WHERE id > ?1 AND (${conditions.join(' OR ')}) ORDER BY id LIMIT ?3`,
			from,
			subject,
			limit + 1 - found.records.length,
		)
		for (const record of rows) {
			bytes += Buffer.byteLength(record.data)
			const isFull = found.records.length === limit || (found.records.length > 0 && bytes > bodyBytesMax)
			if (isFull) return { ...found, more: true }
			found.records.push({ collection, record })
			found.last = { collection, id: record.id }
		}
	}
	return found
}

/** Collections that say where a person's id is, now or once a running change of schema is done. */
function definitionsOf(sql: Sql): Definition[] {
	return listDefinitions(sql, '', collectionsMax).filter((definition) => fieldsOf(definition).length > 0)
}

function fieldsOf({ schema, next }: Definition): string[] {
	return [...new Set([schema.subject, next?.schema.subject ?? null])].filter((field) => field !== null)
}

function subjectsOf(sql: Sql): string[] {
	return definitionsOf(sql).flatMap((definition) =>
		fieldsOf(definition).flatMap((field) =>
			sql
				.all<{ subject: string | null }>(
					`SELECT DISTINCT ${fieldExpression(field)} AS subject FROM ${definition.table}`,
				)
				.flatMap(({ subject }) => subject ?? []),
		),
	)
}
