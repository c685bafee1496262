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

/** The key that a sealed text needs: a version of the tenant's, or the one in a slot (`core/subject-key.ts`). */
export type KeyName = { version: number } | { slot: number }

/** @throws when it is no sealed text */
export function keyNameOf(sealed: string): KeyName {
	const [, kind, number] = /^\0([ks])([1-9][0-9]*)\./.exec(sealed) ?? []
	if (number === undefined) throw new Error('a sealed field names no key')
	return kind === 'k' ? { version: Number(number) } : { slot: Number(number) }
}

/** The slots that the sealed properties of a stored record name. In JSON nothing but such a property begins like that. */
export function slotsIn(stored: string): number[] {
	return Array.from(stored.matchAll(/"\\u0000s([1-9][0-9]*)\./g), ([, slot]) => Number(slot))
}

/**
 * The key of one record. As every record has its own, random nonces never come near the number at which they could meet.
 * @param parent what `deriveKeys` made of the tenant's key for fields, or the key of a slot
 */
export function recordKey(
	parent: Uint8Array,
	{ collection, record }: Pick<FieldPlace, 'collection' | 'record'>,
): Uint8Array {
	return createHmac('sha256', parent)
		.update(JSON.stringify([collection, record]))
		.digest()
}

/** @param key of the record, made of the key of this name */
export function sealField(
	key: Uint8Array,
	name: KeyName,
	place: FieldPlace,
	value: unknown,
	random: RandomBytes,
): string {
	const bytes = Buffer.from(JSON.stringify(value))
	return `${mark}${printName(name)}.${sealBytes(key, bytes, contextOf(name, place), random)}`
}

/** @throws when the text was not sealed under this key for this place: somebody has changed what is stored */
export function openField(key: Uint8Array, place: FieldPlace, sealed: string): unknown {
	const bytes = openBytes(key, sealed.slice(sealed.indexOf('.') + 1), contextOf(keyNameOf(sealed), place))
	if (bytes === null) throw new Error('a sealed field does not open at its place')
	return JSON.parse(bytes.toString('utf8'))
}

function contextOf(name: KeyName, { tenant, collection, record, property }: FieldPlace): string {
	const key = 'version' in name ? name.version : printName(name)
	return JSON.stringify(['freehold field', key, tenant, collection, record, property])
}

function printName(name: KeyName): string {
	return 'version' in name ? `k${name.version}` : `s${name.slot}`
}
