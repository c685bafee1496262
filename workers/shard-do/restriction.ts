/**
 * Restricting what is known about a person (Art. 18 GDPR): the records are kept and can be read, nothing changes or deletes them,
 * and they leave the view by an entry each, as they come back by one. Nothing new is stored about the person meanwhile.
 */
import type { Answer } from '../../core/contract.ts'
import { restrictionsMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { type Definition, listSubjectDefinitions, loadNumbered } from './definition.ts'
import { hashOf, readRecord } from './records.ts'
import { isRestricted } from './restricted.ts'
import { idsOf } from './subject-records.ts'
import { openRequest, settleRequest } from './subject-register.ts'
import type { Work } from './work.ts'

export function restrictSubject(work: Work, { subject }: { subject: string }): Outcome<Answer<'subject.restrict'>> {
	const { subjects } = work.catalog.restrictions()
	if (!subjects.has(subject) && subjects.size >= restrictionsMax)
		return refuse('limit_exceeded', `a tenant may restrict ${restrictionsMax} people at the same time`)
	insertRestriction(work, subject)
	const request = openRequest(work, 'restriction', subject)
	const records = listSubjectDefinitions(work.sql).reduce(
		(sum, definition) => sum + restrictRecords(work, definition, subject),
		0,
	)
	return accept({ receipt: settleRequest(work, request, records), position: noteRequest(work, 'restrict', request) })
}

export function releaseSubject(work: Work, { subject }: { subject: string }): Outcome<Answer<'subject.release'>> {
	const request = openRequest(work, 'release', subject)
	work.sql.all('DELETE FROM restriction WHERE subject = ?', subject)
	const freed = work.sql.all<{ number: number; id: string }>(
		'DELETE FROM restricted_record WHERE subject = ? RETURNING number, id',
		subject,
	)
	work.catalog.change()
	let records = 0
	for (const [number, rows] of Map.groupBy(freed, (row) => row.number)) {
		const definition = loadNumbered(work.sql, number)
		// While the property that names the person was changed, a record may be somebody else's, too.
		for (const { id } of rows) if (!isRestricted(work, number, id)) records += letOut(work, definition, id)
	}
	return accept({ receipt: settleRequest(work, request, records), position: noteRequest(work, 'release', request) })
}

export function getRestriction(work: Work, { subject }: { subject: string }): Outcome<Answer<'subject.restriction'>> {
	const [row] = work.sql.all<{ since: number }>(
		'SELECT created_at AS since FROM restriction WHERE subject = ?',
		subject,
	)
	return accept({ since: row?.since ?? null })
}

/** Takes over the people that were restricted where an archive was made. */
export function takeOverRestrictions(work: Work, subjects: readonly string[]): void {
	for (const subject of subjects) insertRestriction(work, subject)
	for (const definition of listSubjectDefinitions(work.sql)) restrictAnew(work, definition)
}

/** Restricts the records of everybody who is restricted, where a collection says anew whose they are. */
export function restrictAnew(work: Work, definition: Definition): void {
	for (const subject of work.catalog.restrictions().subjects) restrictRecords(work, definition, subject)
}

function insertRestriction(work: Work, subject: string): void {
	work.sql.all('INSERT OR IGNORE INTO restriction (subject, created_at) VALUES (?, ?)', subject, work.now)
	work.catalog.change()
}

/** Answers how many of the person's records were not restricted yet. */
function restrictRecords(work: Work, definition: Definition, subject: string): number {
	const { number } = definition
	let records = 0
	for (const id of idsOf(work.sql, definition, subject)) {
		const isNew = !isRestricted(work, number, id)
		if (isNew) takeIn(work, definition, id)
		work.sql.all('INSERT OR IGNORE INTO restricted_record (number, id, subject) VALUES (?, ?, ?)', number, id, subject)
		records += isNew ? 1 : 0
	}
	work.catalog.change()
	return records
}

function takeIn(work: Work, definition: Definition, id: string): void {
	const record = readRecord(work, definition, id)
	if (!record) throw new Error('a record vanished while it was restricted')
	work.journal.totals.add(definition.number, 0, -hashOf(work, definition, record))
	work.journal.append({ op: 'restrict', collection: definition, id, version: record.version })
}

function letOut(work: Work, definition: Definition, id: string): 1 {
	const record = readRecord(work, definition, id)
	if (!record) throw new Error('a restricted record vanished')
	work.journal.totals.add(definition.number, 0, hashOf(work, definition, record))
	work.journal.append({ op: 'release', collection: definition, id, version: record.version })
	return 1
}

/** Who asked is in the journal even where the person has no records. */
function noteRequest(work: Work, op: 'restrict' | 'release', request: string): number {
	return work.journal.append({ op, collection: null, id: request, version: null })
}
