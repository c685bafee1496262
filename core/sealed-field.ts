/**
 * How an encrypted property rests: instead of its value, the record's stored JSON holds a text that begins with U+0000, which no
 * text of a tenant can contain. Then follow the key's name and AES-256-GCM over the value's JSON. It opens only at the
 * place that it was sealed for.
 */
import { createHmac } from 'node:crypto'
import type { RandomBytes } from './ids.ts'
import { openBytes, sealBytes } from './seal.ts'

/** Where a value belongs. `collection` is the number that a collection never shares with a later one of its name. */
export interface FieldPlace {
	tenant: string
	collection: number
	record: string
	property: string
}

const mark = '\0'

/** True for what rests sealed; false for every value that a tenant can bring. */
export function isSealed(value: unknown): value is string {
	return typeof value === 'string' && value.startsWith(mark)
}

/** The version of the tenant's key that a sealed text needs. @throws when it is no sealed text */
export function keyVersionOf(sealed: string): number {
	const name = /^\0k([1-9][0-9]*)\./.exec(sealed)?.[1]
	if (name === undefined) throw new Error('a sealed field names no key')
	return Number(name)
}

/**
 * The key of one record. As every record has its own, random nonces never come near the number at which they could meet.
 * @param fields what `deriveKeys` made of the tenant's key
 */
export function recordKey(
	fields: Uint8Array,
	{ collection, record }: Pick<FieldPlace, 'collection' | 'record'>,
): Uint8Array {
	return createHmac('sha256', fields)
		.update(JSON.stringify([collection, record]))
		.digest()
}

/** @param key of the record, of `version` of the tenant's key */
export function sealField(
	key: Uint8Array,
	version: number,
	place: FieldPlace,
	value: unknown,
	random: RandomBytes,
): string {
	const bytes = Buffer.from(JSON.stringify(value))
	return `${mark}k${version}.${sealBytes(key, bytes, contextOf(version, place), random)}`
}

/** @throws when the text was not sealed under this key for this place: somebody has changed what is stored */
export function openField(key: Uint8Array, place: FieldPlace, sealed: string): unknown {
	const version = keyVersionOf(sealed)
	const bytes = openBytes(key, sealed.slice(sealed.indexOf('.') + 1), contextOf(version, place))
	if (bytes === null) throw new Error('a sealed field does not open at its place')
	return JSON.parse(bytes.toString('utf8'))
}

function contextOf(version: number, { tenant, collection, record, property }: FieldPlace): string {
	return JSON.stringify(['freehold field', version, tenant, collection, record, property])
}
