import type { Answer, Operations, SubjectRequest } from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import { bodyBytesMax } from '../../core/limits.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import { slotsIn } from '../../core/sealed-field.ts'
import { fieldExpression } from '../../db/shard/list.ts'
import { type Definition, listSubjectDefinitions, loadNumbered, subjectFields } from './definition.ts'
import { clearExport } from './export.ts'
import { dropAnswersAbout } from './idempotency.ts'
import { listJobs } from './jobs.ts'
import { removeRecord } from './records.ts'
import { restrictedRecordsOf } from './restricted.ts'
import { opened } from './sealing.ts'
import { begunErasure, doomKeys, endErasure, openErasures } from './subject-destruction.ts'
import { idsOf, subjectsOf } from './subject-records.ts'
import { insertRequest, openRequest, settleRequest } from './subject-register.ts'
import type { Work } from './work.ts'

/**
 * A page of one person's records over all collections whose schema says where the person's id is. The first page opens a
 * request in the register, the last one closes it, and each is in the journal (Art. 15 GDPR).
 */
export function readSubject(work: Work, takes: Operations['subject.read']['takes']): Outcome<Answer<'subject.read'>> {
	const { subject, after, limit } = takes
	const found = recordsOf(work, subject, after, limit)
	const request = after?.request ?? openRequest(work, 'access', subject)
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
 * which were made before. Each record leaves by an entry of its own, which the view and webhooks follow. A person who has a
 * key loses that first (`beginErasure`).
 */
export function eraseSubject(
	work: Work,
	takes: Operations['subject.erase']['takes'],
): Outcome<Answer<'subject.erase'>> {
	const id = begunErasure(work, takes.subject) ?? openRequest(work, 'erasure', takes.subject)
	const receipt = eraseRecords(work, id, takes.subject)
	return accept({ receipt, position: work.journal.head })
}

/** Erases the records of those whose keys were destroyed, where nobody has come to it: the request ended before. */
export function finishErasures(work: Work): void {
	for (const { request, subject, actor } of openErasures(work.sql)) {
		const origin = { ...work, actor }
		eraseRecords(origin, request, subject)
	}
}

/**
 * Applies the entries of the erasure ledger that this database does not know: it came back from a time before them. People are
 * found by hashing every id that is there. True when something was written.
 */
export function applyLedger(work: Work, ledger: NonNullable<Control['ledger']>): boolean {
	if (ledger.length === 0) return false
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

/** Erases those people once more whose erasure was asked for at `since`, in milliseconds, or later: a copy from before has come back. */
export function eraseAgain(work: Work, since: number): void {
	const erased = work.sql.all<{ id: string; subject: string; records: number }>(
		"SELECT id, subject, records FROM subject_request WHERE kind = 'erasure' AND created_at >= ? ORDER BY id",
		since,
	)
	if (erased.length === 0) return
	const subjects = new Map(subjectsOf(work.sql).map((subject) => [work.hashSubject(subject), subject]))
	for (const { id, subject: hashed, records } of erased) {
		const subject = subjects.get(hashed)
		if (subject === undefined) continue
		eraseRecords(work, id, subject)
		// The register keeps saying how many there were.
		work.sql.all('UPDATE subject_request SET records = max(records, ?) WHERE id = ?', records, id)
	}
}

/** Far more than a tenant keeps, with those that are being cleared. */
const exportsListed = 1_000

function eraseRecords(work: Work, request: string, subject: string): SubjectRequest {
	// What an export has read or will read holds the person's records as they were.
	for (const job of listJobs(work.sql, 'export', '', exportsListed))
		if (job.state !== 'clearing') clearExport(work, job)
	let records = 0
	const slots = new Set<number>()
	const remove = (definition: Definition, id: string) => {
		for (const slot of slotsIn(removeRecord(work, definition, id).data)) slots.add(slot)
	}
	for (const definition of listSubjectDefinitions(work.sql)) {
		const ids = idsOf(work.sql, definition, subject)
		for (const id of ids) remove(definition, id)
		if (ids.length > 0) dropAnswersAbout(work.sql, ids)
		records += ids.length
	}
	// A schema may have stopped saying whose they are while they were restricted.
	for (const { number, id } of restrictedRecordsOf(work.sql, subject)) {
		remove(loadNumbered(work.sql, number), id)
		dropAnswersAbout(work.sql, [id])
		records += 1
	}
	if (work.catalog.restrictions().subjects.has(subject)) {
		work.sql.all('DELETE FROM restriction WHERE subject = ?', subject)
		work.catalog.change()
	}
	// They came while the key was being destroyed, or with a copy from before.
	doomKeys(work, request, slots)
	endErasure(work, request)
	work.journal.append({ op: 'erasure', collection: null, id: request, version: null })
	return settleRequest(work, request, records)
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
	for (const definition of listSubjectDefinitions(work.sql)) {
		const { name: collection, table } = definition
		if (after && collection < after.collection) continue
		const from = after?.collection === collection ? after.id : ''
		const conditions = subjectFields(definition).map((field) => `${fieldExpression(field)} = ?2`)
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
			found.records.push({ collection, record: opened(work, definition, record) })
			found.last = { collection, id: record.id }
		}
	}
	return found
}
