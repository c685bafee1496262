/**
 * What is restricted (Art. 18 GDPR), as everything asks that writes a record, deletes it or lets it leave the shard. A restricted
 * record is pointed at when the restriction begins and stays as it is until that ends, so a change of schema frees nobody.
 */
import type { JsonObject } from '../../core/json.ts'
import { type Outcome, refuse } from '../../core/refusal.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import { type Definition, subjectFields } from './definition.ts'

export interface Restrictions {
	/** Ids of the people. */
	subjects: ReadonlySet<string>
	/** Restricted records of all collections. */
	records: number
}

export function readRestrictions(sql: Sql): Restrictions {
	const subjects = new Set(
		sql.all<{ subject: string }>('SELECT subject FROM restriction ORDER BY subject').map((row) => row.subject),
	)
	const [counted] = sql.all<{ records: number }>(
		'SELECT count(*) AS records FROM (SELECT DISTINCT number, id FROM restricted_record)',
	)
	return { subjects, records: counted?.records ?? 0 }
}

interface Place {
	sql: Sql
	catalog: Catalog
}

export function isRestricted({ sql, catalog }: Place, number: number, id: string): boolean {
	if (catalog.restrictions().records === 0) return false
	return sql.all('SELECT 1 AS one FROM restricted_record WHERE number = ? AND id = ?', number, id).length > 0
}

/** Refuses to change or delete a record that is restricted. */
export function refuseChange(place: Place, { number }: Definition, id: string): Outcome<never> | null {
	return isRestricted(place, number, id) ? restricted() : null
}

/** Refuses to store anything about a person who is restricted: storing is what is left, and only of what is there. */
export function refuseData({ catalog }: Pick<Place, 'catalog'>, definition: Definition, data: JsonObject) {
	const { subjects } = catalog.restrictions()
	if (subjects.size === 0) return null
	const about = subjectFields(definition).some((field) => {
		const value = Object.hasOwn(data, field) ? data[field] : null
		return typeof value === 'string' && subjects.has(value)
	})
	return about ? restricted() : null
}

/** Refuses to drop a collection while some of its records must be kept. */
export function refuseDrop({ sql, catalog }: Place, { number }: Definition): Outcome<never> | null {
	if (catalog.restrictions().records === 0) return null
	const kept = sql.all('SELECT 1 AS one FROM restricted_record WHERE number = ? LIMIT 1', number)
	return kept.length > 0 ? restricted() : null
}

/** What is erased needs no restriction any more. */
export function forgetRestricted({ sql, catalog }: Place, number: number, id: string): void {
	if (catalog.restrictions().records === 0) return
	sql.all('DELETE FROM restricted_record WHERE number = ? AND id = ?', number, id)
	catalog.change()
}

export function restrictedRecordsOf(sql: Sql, subject: string): { number: number; id: string }[] {
	return sql.all('SELECT number, id FROM restricted_record WHERE subject = ? ORDER BY number, id', subject)
}

/** SQL that is true of a record `r` of the collection that may leave the shard for the view. */
export function viewable(catalog: Catalog, number: number): string {
	if (catalog.tenant().status === 'restricted') return 'FALSE'
	return catalog.restrictions().records === 0 ? 'TRUE' : unrestricted(number, 'r.id')
}

/** Of so many records, how many the view should have. */
export function viewedRecords(catalog: Catalog, records: number): number {
	return catalog.tenant().status === 'restricted' ? 0 : records - catalog.restrictions().records
}

/** SQL that is true of an id of the collection that is not restricted. */
export function unrestricted(number: number, id: string): string {
	return `NOT EXISTS (SELECT 1 FROM restricted_record AS x WHERE x.number = ${number} AND x.id = ${id})`
}

function restricted(): Outcome<never> {
	return refuse('subject_restricted', 'the records of this person can be read and not changed')
}
