import { type Blind, bindQuery } from '../../core/bind.ts'
import type { Operations, Precondition, RecordPage, StoredRecord, Written } from '../../core/contract.ts'
import { mintId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/json.ts'
import { recordBytesMax, scanRowsMax } from '../../core/limits.ts'
import { mergePatch } from '../../core/merge-patch.ts'
import { isBuiltIn, propertyKey, type RawFilter, type Scalar } from '../../core/query.ts'
import { accept, type Fault, type Outcome, refuse } from '../../core/refusal.ts'
import { rowHash } from '../../core/row-hash.ts'
import { listRecords } from '../../db/shard/list.ts'
import type { SqlValue } from '../../db/shard/sql.ts'
import { columnsToFill, columnValue, columnValues } from './columns.ts'
import type { Definition } from './definition.ts'
import { forgetRestricted, isRestricted, refuseChange, refuseData } from './restricted.ts'
import { opened, requireKeys, textFromStore, textToStore } from './sealing.ts'
import { keepRecord } from './snapshot.ts'
import type { Work } from './work.ts'

/** The ETag of a record without its quotes. The position in it tells a recreated record from the one before. */
export function etagOf(record: Pick<StoredRecord, 'version' | 'seq'>): string {
	return `${record.version}-${record.seq}`
}

export function createRecord(work: Work, takes: { collection: string; data: string }): Outcome<Written> {
	const definition = work.catalog.definition(takes.collection)
	if (!definition) return unknownCollection(takes.collection)
	return write(work, definition, null, mintId(work.now, work.random), takes.data)
}

export function putRecord(
	work: Work,
	takes: {
		collection: string
		id: string
		data: string
		ifMatch: Precondition | null
		ifNoneMatch: Precondition | null
	},
): Outcome<Written> {
	const definition = work.catalog.definition(takes.collection)
	if (!definition) return unknownCollection(takes.collection)
	const present = readRecord(work, definition, takes.id)
	const failed = preconditionFailed(present, takes.ifMatch, takes.ifNoneMatch)
	return failed ?? write(work, definition, present, takes.id, takes.data)
}

export function patchRecord(
	work: Work,
	takes: { collection: string; id: string; patch: string; ifMatch: Precondition | null },
): Outcome<Written> {
	const definition = work.catalog.definition(takes.collection)
	if (!definition) return unknownCollection(takes.collection)
	const present = recordFor(work, definition, takes.id)
	if (!present) return unknownRecord()
	const failed = preconditionFailed(present, takes.ifMatch, null)
	if (failed) return failed
	const merged = mergePatch(JSON.parse(textFromStore(work, definition, present)), JSON.parse(takes.patch))
	return write(work, definition, present, takes.id, JSON.stringify(merged))
}

export function deleteRecord(
	work: Work,
	takes: { collection: string; id: string; ifMatch: Precondition | null },
): Outcome<{ position: number; version: number }> {
	const definition = work.catalog.definition(takes.collection)
	if (!definition) return unknownCollection(takes.collection)
	const present = recordFor(work, definition, takes.id)
	if (!present) return unknownRecord()
	const failed = preconditionFailed(present, takes.ifMatch, null) ?? refuseChange(work, definition, takes.id)
	return failed ?? accept(deletePresent(work, definition, present))
}

/** Deletes a record that is there, whether it is restricted or not. Answers what rested of it. */
export function removeRecord(work: Work, definition: Definition, id: string): StoredRecord {
	const present = readRecord(work, definition, id)
	if (!present) throw new Error('a record that was just found is not there')
	deletePresent(work, definition, present)
	forgetRestricted(work, definition.number, id)
	return present
}

export function getRecord(work: Work, takes: { collection: string; id: string }): Outcome<{ record: StoredRecord }> {
	const definition = work.catalog.definition(takes.collection)
	if (!definition) return unknownCollection(takes.collection)
	const record = recordFor(work, definition, takes.id)
	return record ? accept({ record: opened(work, definition, record) }) : unknownRecord()
}

export function listCollectionRecords(work: Work, takes: Operations['record.list']['takes']): Outcome<RecordPage> {
	const definition = work.catalog.definition(takes.collection)
	if (!definition) return unknownCollection(takes.collection)
	const exposed = takes.inAddress ? exposedFields(takes.query.filter, definition) : []
	if (exposed.length > 0)
		return refuse('invalid_filter', 'an encrypted value must not stand in an address', { errors: exposed })
	const { schema } = definition
	const bound = bindQuery(takes.query, fieldsToBind(work, definition), schema.properties)
	if (!bound.ok) return bound
	const listed = listRecords(
		work.sql,
		{
			number: definition.number,
			count: work.journal.totals.records(definition.number),
			indexed: indexedFields(definition),
			unique: new Map(definition.uniques.map((unique) => [unique.property, unique])),
		},
		bound.value,
		{ scanRowsMax },
	)
	if (!listed.ok) return listed
	const { next, count } = listed.value
	requireKeys(work, definition, listed.value.rows)
	const rows = listed.value.rows.map((row) => opened(work, definition, row))
	const { select } = takes.query
	return accept({ records: select ? rows.map((row) => ({ ...row, data: pick(row.data, select) })) : rows, next, count })
}

export function unknownCollection(name: string): Outcome<never> {
	return refuse('not_found', `there is no collection ${name}`)
}

/** What an index of this collection can serve: properties with `x-index`, and the times that the root's `x-index` names. */
function indexedFields(definition: Definition): Set<string> {
	const indexed = new Set<string>(definition.schema.indexMeta)
	for (const field of definition.schema.fields.values()) if (field.index) indexed.add(propertyKey(field.name))
	return indexed
}

/** The fields of a collection, with the way to the values of those that are encrypted. */
function fieldsToBind(work: Work, definition: Definition): Parameters<typeof bindQuery>[1] {
	const { schema, uniques } = definition
	if (schema.encrypted.length === 0) return schema.fields
	const blindOf = (name: string): Blind | null => {
		const column = uniques.find(({ property }) => property === name)
		if (!column) return null
		const hide = (value: Scalar) => String(columnValue(work, definition, column, { [name]: value }))
		return { column: column.column, hide }
	}
	const fields = [...schema.fields.values()].map(({ name, type, encrypted }) =>
		encrypted ? ([name, { type, blind: blindOf(name) }] as const) : ([name, { type }] as const),
	)
	return new Map(fields)
}

/** Conditions on encrypted properties in an address, which others write down: proxies, histories, logs. */
function exposedFields(filter: RawFilter | null, definition: Definition): Fault[] {
	if (filter === null || definition.schema.encrypted.length === 0) return []
	if (filter.kind === 'not') return exposedFields(filter.filter, definition)
	if ('filters' in filter) return filter.filters.flatMap((part) => exposedFields(part, definition))
	if (isBuiltIn(filter.field)) return []
	const property = filter.field.startsWith('data.') ? filter.field.slice('data.'.length) : filter.field
	if (!definition.schema.encrypted.includes(property)) return []
	const detail = `is encrypted: ask by POST /v1/collections/${definition.name}/records/search`
	return [{ pointer: filter.pointer, detail }]
}

function unknownRecord(): Outcome<never> {
	return refuse('not_found', 'there is no record with this id')
}

/** The record that the operation is about. */
function recordFor(work: Work, definition: Definition, id: string): StoredRecord | null {
	return work.found ?? readRecord(work, definition, id)
}

export function readRecord(work: Work, definition: Definition, id: string): StoredRecord | null {
	const rows = work.sql.all<StoredRecord>(
		`SELECT id, version, seq, created_at AS createdAt, updated_at AS updatedAt, data FROM ${definition.table} WHERE id = ?`,
		id,
	)
	return rows[0] ?? null
}

function deletePresent(
	work: Work,
	definition: Definition,
	present: StoredRecord,
): { position: number; version: number } {
	const { id } = present
	const version = present.version + 1
	if (work.catalog.snapshot()) keepRecord(work.sql, definition.number, id)
	work.sql.all(`DELETE FROM ${definition.table} WHERE id = ?`, id)
	work.journal.totals.add(definition.number, -1, -hashOf(work, definition, present))
	return { position: work.journal.append({ op: 'delete', collection: definition, id, version }), version }
}

function preconditionFailed(
	present: StoredRecord | null,
	ifMatch: Precondition | null,
	ifNoneMatch: Precondition | null,
): Outcome<never> | null {
	if (ifMatch !== null && !matches(present, ifMatch)) {
		return refuse('precondition_failed', 'the record is not at a version that If-Match names')
	}
	if (ifNoneMatch !== null && matches(present, ifNoneMatch)) {
		return refuse('precondition_failed', 'the record exists at a version that If-None-Match names')
	}
	return null
}

function matches(present: StoredRecord | null, condition: Precondition): boolean {
	if (present === null) return false
	return condition === '*' || condition.includes(etagOf(present))
}

/** Validates, checks uniqueness, and stores one version of a record with its journal entry. */
function write(
	work: Work,
	definition: Definition,
	present: StoredRecord | null,
	id: string,
	text: string,
): Outcome<Written> {
	const full = work.storage.refuseGrowth(text.length, work.storageBytesMax)
	if (full) return full
	const data = readData(work, definition, text)
	if (!data.ok) return data
	const kept = (present && refuseChange(work, definition, id)) ?? refuseData(work, definition, data.value)
	if (kept) return kept
	const checked = columnValues(work, definition, data.value)
	if (!checked.ok) return checked
	const values = checked.value
	const stored = textToStore(work, definition, id, text, data.value)

	const version = (present?.version ?? 0) + 1
	const createdAt = present?.createdAt ?? work.now
	if (present && work.catalog.snapshot()) keepRecord(work.sql, definition.number, id)
	const op = present ? 'update' : 'create'
	const seq = work.journal.append({ op, collection: definition, id, version })
	const columns = columnsToFill(definition).map(({ column }) => column)
	const written = present
		? work.sql.all(updateStatement(definition.table, columns), version, seq, work.now, stored, ...values, id)
		: work.sql.all(insertStatement(definition.table, columns), id, version, seq, createdAt, work.now, stored, ...values)
	// What a unique index kept out is told by name; the journal entry goes with the operation's savepoint (U1).
	if (written.length === 0) return uniqueClash(work, definition, id, values)
	const record = { id, version, seq, createdAt, updatedAt: work.now, data: text }
	const before = present ? hashOf(work, definition, present) : 0n
	work.journal.totals.add(definition.number, present ? 0 : 1, hashOf(work, definition, record, data.value) - before)
	return accept({ record, created: present === null, position: seq })
}

/** Parses a record's text and holds it against the schema, and against the one that a running change will put in force. */
export function readData(work: Work, definition: Definition, text: string): Outcome<JsonObject> {
	// A character is at most three bytes here (a pair of surrogates is four for two), so most texts need no counting.
	if (text.length * 3 > recordBytesMax && Buffer.byteLength(text) > recordBytesMax) {
		return refuse('payload_too_large', `a record's data may take ${recordBytesMax} bytes`)
	}
	const data = JSON.parse(text) as JsonObject
	const faults = definition.schema.validate(data, work.meter)
	if (faults.length === 0 && definition.next) faults.push(...definition.next.schema.validate(data, work.meter))
	if (faults.length === 0) return accept(data)
	return refuse('validation_failed', 'the data does not fit the schema of the collection', { errors: faults })
}

function insertStatement(table: string, columns: string[]): string {
	const names = ['id', 'version', 'seq', 'created_at', 'updated_at', 'data', ...columns]
	return `INSERT OR IGNORE INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')}) RETURNING 1 AS one`
}

function updateStatement(table: string, columns: string[]): string {
	const names = ['version', 'seq', 'updated_at', 'data', ...columns]
	return `UPDATE OR IGNORE ${table} SET ${names.map((name) => `${name} = ?`).join(', ')} WHERE id = ? RETURNING 1 AS one`
}

/** Names the first unique property whose value another record has. */
function uniqueClash(work: Work, definition: Definition, id: string, values: SqlValue[]): Outcome<never> {
	for (const [index, { column, property, shared }] of definition.uniques.entries()) {
		const value = values[index] ?? null
		if (value === null || shared) continue
		const holder = work.sql.all(`SELECT 1 AS one FROM ${definition.table} WHERE ${column} = ? AND id <> ?`, value, id)
		if (holder.length === 0) continue
		const constraint = `${definition.name}.${property}`
		const errors: Fault[] = [{ pointer: `/${property}`, detail: 'another record has this value' }]
		return refuse('unique_violation', `the unique property ${property} has this value in another record`, {
			constraint,
			errors,
		})
	}
	throw new Error('a write was ignored without a unique value that explains it')
}

/** What a record adds to the digest of its collection, which is that of the view; `data` is its text parsed, if that is at hand. */
export function hashOf(work: Work, definition: Definition, record: StoredRecord, data?: JsonObject): bigint {
	const { number } = definition
	if (!work.journal.totals.covers(number, record.id) || isRestricted(work, number, record.id)) return 0n
	const { id, version, createdAt, updatedAt } = record
	const head = { collection: definition.name, id, version, createdAt, updatedAt }
	return rowHash(head, data ?? JSON.parse(record.data), definition.schema.personal)
}

function pick(text: string, select: string[]): string {
	const data = JSON.parse(text) as Record<string, unknown>
	return JSON.stringify(
		Object.fromEntries(select.filter((name) => Object.hasOwn(data, name)).map((name) => [name, data[name]])),
	)
}
