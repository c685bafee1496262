import type { RowName, SurveyReply, SurveyRequest } from '../../core/contract.ts'
import { surveyCharsMax, surveyedEntriesMax } from '../../core/limits.ts'
import { printRowHash } from '../../core/row-hash.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import { runningChange } from './definition.ts'
import type { Journal } from './journal.ts'
import { viewable, viewedRecords } from './restricted.ts'
import { hashesAfter, hashOf } from './summing.ts'

/** Tells which rows the view should hold. Expects a refreshed catalog. */
export function survey(sql: Sql, catalog: Catalog, journal: Journal, request: SurveyRequest): SurveyReply {
	// What the new schema calls personal has left only some of the view's rows.
	if (runningChange(sql)) return { kind: 'refused', reason: 'changing' }
	const told = {
		...({ kind: 'rows', epoch: catalog.tenant().epoch, head: journal.head } as const),
		records: viewedRecords(catalog, journal.totals.sum().records),
	}
	if (request.what === 'range') return { ...told, ...surveyRange(sql, catalog, request.after, request.rowsMax) }
	const isChanged = changesSince(journal, request.since)
	if (isChanged === null) return { kind: 'refused', reason: 'position' }
	const rows = request.names.map(({ collection, id }) => {
		const definition = catalog.definition(collection)
		const hash = definition && hashOf(sql, definition, id, viewable(catalog, definition.number))
		return { collection, id, hash: hash === null ? null : printRowHash(hash), changed: isChanged({ collection, id }) }
	})
	return { ...told, rows, last: null }
}

/** Rows in the order of collection and id, until there are enough of them. */
function surveyRange(sql: Sql, catalog: Catalog, after: RowName | null, rowsMax: number) {
	const rows: { collection: string; id: string; hash: string; changed: boolean }[] = []
	let chars = 0
	const names = sql.all<{ name: string }>(
		'SELECT name FROM collection WHERE name >= ? ORDER BY name',
		after?.collection ?? '',
	)
	for (const { name: collection } of names) {
		const definition = catalog.definition(collection)
		if (!definition) throw new Error('a collection is listed that is not there')
		const from = after?.collection === collection ? after.id : ''
		for (const row of hashesAfter(sql, definition, from, viewable(catalog, definition.number))) {
			rows.push({ collection, id: row.id, hash: printRowHash(row.hash), changed: false })
			chars += row.chars
			if (rows.length >= rowsMax || chars >= surveyCharsMax) return { rows, last: { collection, id: row.id } }
		}
	}
	return { rows, last: null }
}

/** What has changed after a position; null when the journal does not say, or says too much to be gone through. */
function changesSince({ segments, head }: Journal, since: number): ((row: RowName) => boolean) | null {
	if (since > head || head - since > surveyedEntriesMax) return null
	const read = segments.changesAfter(since, surveyedEntriesMax, head)
	if (!read.ok) return null
	const records = new Set<string>()
	const collections = new Set<string | null>()
	for (const { op, collection, id } of read.value.changes) {
		if (op === 'schema' || op === 'rebuild') collections.add(collection)
		else records.add(`${collection}/${id}`)
	}
	return ({ collection, id }) =>
		collections.has(null) || collections.has(collection) || records.has(`${collection}/${id}`)
}
