/**
 * The hash of a record as the view holds it. The shard keeps the running sum of these hashes and Postgres computes the same
 * sum over its rows (`db/neon/digest.ts`), so that the two can be compared without moving a record. For that, data is printed
 * exactly as Postgres prints jsonb.
 */
import type { JsonObject, JsonValue } from './json.ts'
import { digestHead } from './sha256.ts'

/** What a row's hash covers besides its data. Times are milliseconds since 1970. */
export interface RowHead {
	collection: string
	id: string
	version: number
	createdAt: number
	updatedAt: number
}

/** The first 64 bits of SHA-256 over the row's text, without the properties that stay in the shard. */
export function rowHash(row: RowHead, data: JsonObject, personal: readonly string[]): bigint {
	const { collection, id, version, createdAt, updatedAt } = row
	const text = `${collection}\n${id}\n${version}\n${createdAt}\n${updatedAt}\n${printObject(data, personal)}`
	return digestHead(text)
}

/** As `db/neon/digest.ts` prints it: 16 hexadecimal digits. */
export function printRowHash(hash: bigint): string {
	return hash.toString(16).padStart(16, '0')
}

/** A digest is the sum of row hashes modulo 2^64, so a row can be added and taken out in any order. */
export function addToDigest(digest: bigint, change: bigint): bigint {
	return BigInt.asUintN(64, digest + change)
}

/** Prints what `JSON.parse` gave as Postgres prints `jsonb::text`. */
export function printJsonb(value: JsonValue): string {
	if (typeof value === 'string') return JSON.stringify(value)
	if (typeof value === 'number') return printNumber(value)
	if (typeof value !== 'object' || value === null) return String(value)
	if (Array.isArray(value)) return `[${value.map(printJsonb).join(', ')}]`
	return printObject(value, [])
}

function printObject(value: JsonObject, without: readonly string[]): string {
	let text = ''
	for (const { key, printed } of propertiesOf(value)) {
		if (without.length > 0 && without.includes(key)) continue
		text += `${text === '' ? '' : ', '}${printed}: ${printJsonb(value[key] ?? null)}`
	}
	return `{${text}}`
}

interface Property {
	key: string
	printed: string
}

/** The properties of objects seen lately, by their names as they came: sorting takes longer than all else, and most records look alike. */
const seen = new Map<string, Property[]>()
const seenMax = 500
const seenCharsMax = 500

/** By length in bytes of UTF-8, then by bytes. */
function propertiesOf(value: JsonObject): Property[] {
	const keys = Object.keys(value)
	if (keys.length === 0) return []
	// No name holds U+0000.
	const shape = keys.join('\0')
	const known = seen.get(shape)
	if (known) return known
	const properties = keys.sort(compareBytes).map((key) => ({ key, printed: JSON.stringify(key) }))
	if (seen.size >= seenMax) seen.clear()
	if (shape.length <= seenCharsMax) seen.set(shape, properties)
	return properties
}

function compareBytes(a: string, b: string): number {
	return Buffer.byteLength(a) - Buffer.byteLength(b) || Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** JavaScript prints the shortest digits too, but very large and very small numbers with an exponent. */
function printNumber(value: number): string {
	const text = String(value)
	if (!text.includes('e')) return text
	const [mantissa = '', exponentText] = text.split('e')
	const exponent = Number(exponentText)
	const sign = mantissa.startsWith('-') ? '-' : ''
	const [whole = '', fraction = ''] = mantissa.slice(sign.length).split('.')
	// An exponent appears from 1e21 on, where the digits always end before the point, and below 1e-6, where they begin after it.
	return exponent > 0
		? sign + whole + fraction.padEnd(exponent, '0')
		: `${sign}0.${'0'.repeat(-exponent - 1)}${whole}${fraction}`
}
