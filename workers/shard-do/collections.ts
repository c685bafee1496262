import type { CollectionInfo } from '../../core/contract.ts'
import { collectionsMax, keyedRowsMax, schemaChangeSyncRecordsMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { escapeToken } from '../../core/schema/json.ts'
import { parseSchema, type Schema, sameRules } from '../../core/schema.ts'
import { identifier } from '../../db/shard/sql.ts'
import { planColumns } from './columns.ts'
import { type Definition, listDefinitions, saveDefinition, type ValueColumn } from './definition.ts'
import { unknownCollection } from './records.ts'
import { refuseDrop } from './restricted.ts'
import { beginChange, finishChange, journalSchema, stepChange } from './schema-change.ts'
import { keyedByPerson } from './sealing.ts'
import { keepsTable } from './snapshot.ts'
import { createColumnIndex, createIndexes } from './tables.ts'
import type { Work } from './work.ts'

type Put = Outcome<{ collection: CollectionInfo; created: boolean; position: number }>

/** Creates a collection or changes its schema; over many records the change is a job that the alarm goes on with. */
export function putCollection(work: Work, takes: { collection: string; schema: string }): Put {
	// A change of schema builds its indexes at once, so the size is looked at whatever was written since the last look.
	const full = work.storage.refuseGrowth(Number.POSITIVE_INFINITY, work.storageBytesMax)
	if (full) return full
	const parsed = parseSchema(JSON.parse(takes.schema))
	if (!parsed.ok) return parsed
	const present = work.catalog.definition(takes.collection)
	return present
		? changeSchema(work, present, parsed.value, takes.schema)
		: createCollection(work, takes.collection, parsed.value, takes.schema)
}

export function getCollection(work: Work, takes: { collection: string }): Outcome<{ collection: CollectionInfo }> {
	const definition = work.catalog.definition(takes.collection)
	return definition ? accept({ collection: infoOf(work, definition) }) : unknownCollection(takes.collection)
}

export function listCollections(
	work: Work,
	takes: { limit: number; after: string | null },
): Outcome<{ collections: CollectionInfo[]; next: string | null }> {
	const found = listDefinitions(work.sql, takes.after ?? '', takes.limit + 1)
	const page = found.slice(0, takes.limit)
	const next = found.length > page.length ? (page.at(-1)?.name ?? null) : null
	return accept({ collections: page.map((definition) => infoOf(work, definition)), next })
}

export function deleteCollection(work: Work, takes: { collection: string }): Outcome<{ position: number }> {
	const definition = work.catalog.definition(takes.collection)
	if (!definition) return unknownCollection(takes.collection)
	const kept = refuseDrop(work, definition)
	if (kept) return kept
	if (!keepsTable(work.sql, definition.number)) work.sql.all(`DROP TABLE ${definition.table}`)
	work.sql.all('DELETE FROM collection WHERE name = ?', takes.collection)
	work.catalog.change()
	work.journal.totals.forget(definition.number)
	return accept({ position: journalSchema(work, definition, null) })
}

function infoOf(work: Work, definition: Definition): CollectionInfo {
	const { name, schemaText, createdAt, updatedAt, change, resealing } = definition
	return {
		name,
		schema: schemaText,
		records: work.journal.totals.records(definition.number),
		createdAt,
		updatedAt,
		change,
		encryption: resealing && {
			recordsDone: resealing.recordsDone,
			recordsTotal: resealing.recordsTotal,
			startedAt: resealing.startedAt,
			finishedAt: resealing.finishedAt,
		},
	}
}

function createCollection(work: Work, name: string, schema: Schema, schemaText: string): Put {
	const { collections } = work.sql.all<{ collections: number }>(
		'SELECT count(*) AS collections FROM collection',
	)[0] ?? { collections: 0 }
	if (collections >= collectionsMax) return refuse('limit_exceeded', `a tenant may have ${collectionsMax} collections`)
	const { number, uniques } = createTable(work, schema)
	saveDefinition(work, {
		name,
		number,
		version: 1,
		schema: schemaText,
		uniques,
		coming: [],
		change: null,
		resealing: null,
		createdAt: work.now,
		updatedAt: work.now,
	})
	const position = journalSchema(work, { name, number }, 1)
	return accept({ collection: getInfo(work, name), created: true, position })
}

/** Makes the table of a new collection, with its indexes. @throws KeyAbsent when it needs a key of the tenant's to be kept */
export function createTable({ sql, vault }: Work, schema: Schema): { number: number; uniques: ValueColumn[] } {
	// A collection that encrypts must not come into being before there is a key.
	if (schema.encrypted.length > 0) vault.newest()
	const number = sql.all<{ number: number }>(
		'UPDATE tenant SET collections_created = collections_created + 1 RETURNING collections_created AS number',
	)[0]?.number
	if (number === undefined) throw new Error('the tenant row is missing')

	const table = identifier(`c_${number}`)
	const uniques = planColumns(schema, [], () => vault.newest())
	const columns = uniques.map(({ column }) => `, ${identifier(column)}`).join('')
	// Without a rowid an insert is billed as one written row instead of two.
	sql.all(
		`CREATE TABLE ${table} (id TEXT PRIMARY KEY, version INTEGER NOT NULL, seq INTEGER NOT NULL, created_at INTEGER NOT NULL,
			updated_at INTEGER NOT NULL, data TEXT NOT NULL${columns}) WITHOUT ROWID`,
	)
	for (const column of uniques) createColumnIndex(sql, number, column)
	createIndexes(sql, number, schema)
	return { number, uniques }
}

function changeSchema(work: Work, present: Definition, schema: Schema, schemaText: string): Put {
	if (present.next) return refuse('schema_conflict', 'a change of this schema is still being applied')
	if (present.schemaText === schemaText) {
		return accept({ collection: infoOf(work, present), created: false, position: work.journal.head })
	}
	const records = work.journal.totals.records(present.number)
	const refused =
		records > 0 ? (refuseDecryption(present.schema, schema) ?? refuseNewOwners(present.schema, schema)) : null
	if (refused) return refused
	const checks = !sameRules(JSON.parse(present.schemaText), JSON.parse(schemaText))
	beginChange(work, present, schema, schemaText, records)
	const reads = checks || needsFilling(present, work)
	const atOnce = keyedByPerson(present.schema) && reads ? keyedRowsMax : schemaChangeSyncRecordsMax
	if (records <= atOnce) {
		const outcome = reads ? stepChange(work, present.name, records) : finishChange(work, present.name)
		if (!outcome.ok) return outcome
	}
	return accept({ collection: getInfo(work, present.name), created: false, position: work.journal.head })
}

/** Records that rest encrypted stay so; null when the change asks for nothing else. */
function refuseDecryption(before: Schema, after: Schema): Outcome<never> | null {
	const opened = before.encrypted.filter((name) => !after.encrypted.includes(name))
	if (opened.length === 0) return null
	return refuse('schema_conflict', 'encryption cannot be taken off a property while there are records', {
		errors: opened.map((name) => ({
			pointer: `/schema/properties/${escapeToken(name)}/x-personal`,
			detail: 'must stay "encrypted" while the collection has records',
		})),
	})
}

/** Records stay under the keys of those whom they are about: erasing these would destroy what belongs to others by now. */
function refuseNewOwners(before: Schema, after: Schema): Outcome<never> | null {
	if (!keyedByPerson(before) || before.subject === null || after.subject === before.subject) return null
	return refuse('schema_conflict', 'whose keys encrypt the records cannot change while there are records', {
		errors: [
			{
				pointer: `/schema/properties/${escapeToken(before.subject)}/x-subject`,
				detail: 'must stay while the collection has encrypted records',
			},
		],
	})
}

/** Whether the change that just began has unique values to compute. */
function needsFilling(before: Definition, work: Work): boolean {
	const coming = work.catalog.definition(before.name)?.next
	return coming?.uniques.some((unique) => !before.uniques.some((present) => present.column === unique.column)) ?? false
}

function getInfo(work: Work, name: string): CollectionInfo {
	const definition = work.catalog.definition(name)
	if (!definition) throw new Error('a collection vanished inside its own change')
	return infoOf(work, definition)
}
