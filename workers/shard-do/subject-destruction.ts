/**
 * The erasure of a person who has a key, as it rests here: what was begun is written down before the key is destroyed, and stays
 * until the records are gone, so that a crash anywhere is made good by the next alarm.
 */
import { mintId } from '../../core/ids.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { insertRequest } from './subject-register.ts'
import type { Work } from './work.ts'

/** What is to be noted in the erasure ledger before anything is destroyed. */
export interface ErasureEntry {
	/** Names the request in the register. */
	request: string
	/** HMAC of the data subject's id. */
	subject: string
	at: number
}

/** Null for a person without a key: nothing has to be destroyed before the records. @throws PagesAbsent */
export function planErasure(work: Work, subject: string): ErasureEntry | null {
	const entry = { subject: work.hashSubject(subject), at: work.now }
	const begun = begunErasure(work, subject)
	if (begun !== null) return { request: begun, ...entry }
	return work.vault.subjects.slotOf(subject) === null ? null : { request: mintId(work.now, work.random), ...entry }
}

/** From here on the erasure comes to its end. Repeating it changes nothing. @throws PagesAbsent */
export function beginErasure(work: Work, { request, subject: hashed, at }: ErasureEntry, subject: string): void {
	if (begunErasure(work, subject) !== null) return
	const slot = work.vault.subjects.slotOf(subject)
	if (slot === null) return
	insertRequest(work, { id: request, kind: 'erasure', subject: hashed, created_at: at }, false)
	work.sql.all('INSERT INTO subject_erasure (request, subject) VALUES (?, ?)', request, subject)
	doomKeys(work, request, [slot])
}

export function begunErasure({ sql }: Work, subject: string): string | null {
	const [row] = sql.all<{ request: string }>('SELECT request FROM subject_erasure WHERE subject = ?', subject)
	return row?.request ?? null
}

/** Erasures whose keys are destroyed and whose records are still there, with who asked for them. */
export function openErasures(sql: Sql): { request: string; subject: string; actor: string }[] {
	return sql.all(
		`SELECT e.request, e.subject, r.actor FROM subject_erasure AS e JOIN subject_request AS r ON r.id = e.request
		WHERE e.request NOT IN (SELECT request FROM doomed_key) ORDER BY e.request`,
	)
}

export function endErasure({ sql }: Work, request: string): void {
	sql.all('DELETE FROM subject_erasure WHERE request = ?', request)
}

/** Takes the slots from whoever has them. Nobody is given them again, and their keys are to be destroyed. */
export function doomKeys({ sql }: Work, request: string, slots: Iterable<number>): void {
	for (const slot of slots) {
		const taken = sql.all(
			'UPDATE subject_slot SET subject = NULL WHERE slot = ? AND subject IS NOT NULL RETURNING 1 AS one',
			slot,
		)
		if (taken.length > 0) sql.all('INSERT INTO doomed_key (slot, request) VALUES (?, ?)', slot, request)
	}
}

/** Whether an erasure is under way, or a key is to be destroyed. */
export function isErasing(sql: Sql): boolean {
	return sql.all('SELECT request FROM doomed_key UNION ALL SELECT request FROM subject_erasure LIMIT 1').length > 0
}

export function doomedKeys(sql: Sql): number[] {
	return sql.all<{ slot: number }>('SELECT slot FROM doomed_key ORDER BY slot').map(({ slot }) => slot)
}

/** Notes that the keys of these slots are destroyed. */
export function noteDestroyed({ sql, now }: Work, slots: readonly number[]): void {
	const gone = JSON.stringify(slots)
	sql.all(
		`UPDATE subject_request SET key_destroyed_at = ? WHERE id IN
			(SELECT request FROM doomed_key WHERE slot IN (SELECT value FROM json_each(?)))`,
		now,
		gone,
	)
	sql.all('DELETE FROM doomed_key WHERE slot IN (SELECT value FROM json_each(?))', gone)
}
