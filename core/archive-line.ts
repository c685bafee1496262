import { recordIdPattern } from './ids.ts'
import { isJsonObject, type JsonObject, readJson } from './json.ts'

/** A record as an import stores it: id, version, created_at and updated_at in milliseconds, and its data as text. */
export type ArchivedRow = [id: string, version: number, createdAt: number, updatedAt: number, data: string]

const members = ['id', 'version', 'created_at', 'updated_at', 'data']

/** Reads a line of `records.ndjson`; answers what is wrong with it as text. Errors name members, never values. */
export function readLine(line: string): ArchivedRow | string {
	const read = readJson(line)
	if (!read.ok) return read.refusal.errors?.[0]?.detail ?? read.refusal.detail
	const record = read.value
	if (!isJsonObject(record)) return 'must be an object'
	const unknown = Object.keys(record).some((name) => !members.includes(name))
	if (unknown || Object.keys(record).length !== members.length)
		return `must have ${members.join(', ')} and nothing else`
	const { id, version, data } = record
	if (typeof id !== 'string' || !recordIdPattern.test(id) || id === '.' || id === '..') return 'id is not well-formed'
	if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1)
		return 'version must be an integer from 1'
	const createdAt = timeIn(record, 'created_at')
	const updatedAt = timeIn(record, 'updated_at')
	if (createdAt === null || updatedAt === null)
		return 'created_at and updated_at must be times with milliseconds in UTC'
	if (!isJsonObject(data)) return 'data must be an object'
	return [id, version, createdAt, updatedAt, JSON.stringify(data)]
}

function timeIn(record: JsonObject, name: string): number | null {
	const text = record[name]
	if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return null
	const ms = Date.parse(text)
	// What does not print the same would not be exported the same.
	return ms >= 0 && new Date(ms).toISOString() === text ? ms : null
}
