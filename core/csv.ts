/**
 * Records as comma-separated values (RFC 4180) for a spreadsheet: one column for each property that the schema names, and the
 * others of a record as JSON in the last. A text that a spreadsheet would take for a formula gets an apostrophe in front.
 */
import { isJsonObject, type JsonValue } from './json.ts'

const fixed = ['id', 'version', 'created_at', 'updated_at']
const otherProperties = '(other)'

export function csvHeader(schema: string): string {
	return lineOf([...fixed, ...namesIn(schema), otherProperties])
}

/** `lines` are records as an archive has them, one JSON object a line. */
export function csvLines(schema: string, lines: Uint8Array): string {
	const names = namesIn(schema)
	const known = new Set(names)
	const rows = new TextDecoder().decode(lines).split('\n').filter(Boolean)
	return rows.map((row) => lineOfRecord(JSON.parse(row), names, known)).join('')
}

interface ArchivedRecord {
	id: string
	version: number
	created_at: string
	updated_at: string
	data: { [name: string]: JsonValue }
}

function lineOfRecord(record: ArchivedRecord, names: string[], known: Set<string>): string {
	const { id, version, created_at, updated_at, data } = record
	const others = Object.entries(data).filter(([name]) => !known.has(name))
	return lineOf([
		...[id, version, created_at, updated_at],
		...names.map((name) => (Object.hasOwn(data, name) ? (data[name] ?? null) : null)),
		others.length > 0 ? Object.fromEntries(others) : null,
	])
}

function namesIn(schema: string): string[] {
	const { properties } = JSON.parse(schema) as { properties?: JsonValue }
	return isJsonObject(properties) ? Object.keys(properties) : []
}

function lineOf(cells: JsonValue[]): string {
	return `${cells.map(cellOf).join(',')}\r\n`
}

/** What a spreadsheet takes for the beginning of a formula, or skips before one. */
const formulaStart = /^[\t\r\n =+\-@|%＝＋－＠]/

function cellOf(value: JsonValue): string {
	if (value === null) return ''
	if (typeof value === 'number' || typeof value === 'boolean') return String(value)
	const text = typeof value === 'string' ? value : JSON.stringify(value)
	const safe = formulaStart.test(text) ? `'${text}` : text
	return /[",\r\n]/.test(safe) || safe !== text ? `"${safe.replaceAll('"', '""')}"` : safe
}
