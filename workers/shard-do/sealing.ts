/** How records come to rest as their schema says: under the tenant's key, or under that of the person whom they are about. */
import type { JsonObject } from '../../core/json.ts'
import type { Schema } from '../../core/schema.ts'
import type { Definition } from './definition.ts'
import type { Work } from './work.ts'

type Kept = Pick<Definition, 'number' | 'schema'>

/** Whether records of this schema rest under the keys of those whom they are about. */
export function keyedByPerson({ subject, encrypted }: Pick<Schema, 'subject' | 'encrypted'>): boolean {
	return subject !== null && encrypted.length > 0
}

/** Under whose key the encrypted properties of a record belong; null for the tenant's. */
export function ownerOf({ subject }: Pick<Schema, 'subject'>, data: JsonObject): string | null {
	const value = subject !== null && Object.hasOwn(data, subject) ? data[subject] : null
	return typeof value === 'string' ? value : null
}

/** A record as its readers see it. */
export function opened<R extends { id: string; data: string }>(work: Work, definition: Kept, record: R): R {
	return definition.schema.encrypted.length === 0
		? record
		: { ...record, data: textFromStore(work, definition, record) }
}

/** The text that rests for a record's data, of which `data` is the parsed form. */
export function textToStore(work: Work, { number, schema }: Kept, id: string, text: string, data: JsonObject): string {
	if (schema.encrypted.length === 0) return text
	return work.vault.seal({ collection: number, record: id }, ownerOf(schema, data), schema.encrypted, data)
}

export function textFromStore(
	{ vault }: Work,
	{ number, schema }: Kept,
	{ id, data }: { id: string; data: string },
): string {
	return schema.encrypted.length === 0 ? data : vault.open({ collection: number, record: id }, data)
}

/**
 * Asks for all the keys at once that reading these stored records and writing data of these texts needs, so that they are
 * fetched together and not one after the other. @throws PagesAbsent
 */
export function requireKeys(
	{ vault }: Work,
	{ schema }: Kept,
	stored: readonly { data: string }[],
	written: readonly string[] = [],
): void {
	if (!keyedByPerson(schema)) return
	const owners = written.flatMap((text) => ownerOf(schema, JSON.parse(text)) ?? [])
	vault.subjects.require(
		owners,
		stored.map(({ data }) => data),
	)
}
