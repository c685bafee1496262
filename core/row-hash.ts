/**
 * The hash of a record as the view holds it. The shard keeps the running sum of these hashes and Postgres computes the same
 * sum over its rows (`db/neon/digest.ts`), so that the two can be compared without moving a record. For that, data is printed
 * exactly as Postgres prints jsonb.
 */
import { hash } from 'node:crypto'
import type { JsonObject, JsonValue } from './json.ts'

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
	return hash('sha256', text, 'buffer').readBigUInt64BE(0)
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
	for (const key of sortedKeys(value)) {
		if (without.includes(key)) continue
		if (text !== '') text += ', '
		text += `${JSON.stringify(key)}: ${printJsonb(value[key] ?? null)}`
	}
	return `{${text}}`
}

const beyondAscii = /[^\0-\x7f]/

/** By length in bytes of UTF-8, then by bytes. */
function sortedKeys(value: JsonObject): string[] {
	const keys = Object.keys(value)
	if (keys.some((key) => beyondAscii.test(key))) return keys.sort(compareBytes)
	return keys.sort((a, b) => a.length - b.length || (a < b ? -1 : 1))
}

function compareBytes(a: string, b: string): number {
	return Buffer.byteLength(a) - Buffer.byteLength(b) || Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** JavaScript prints the shortest digits too, but very large and very small numbers with an exponent. */
function printNumber(value: number): string {
	const text = String(value)
	const [mantissa = '', exponentText] = text.split('e')
	if (exponentText === undefined) return text
	const exponent = Number(exponentText)
	const sign = mantissa.startsWith('-') ? '-' : ''
	const [whole = '', fraction = ''] = mantissa.slice(sign.length).split('.')
	// An exponent appears from 1e21 on, where the digits always end before the point, and below 1e-6, where they begin after it.
	return exponent > 0
		? sign + whole + fraction.padEnd(exponent, '0')
		: `${sign}0.${'0'.repeat(-exponent - 1)}${whole}${fraction}`
}
