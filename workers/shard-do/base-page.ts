import type { BasePage, BaseRange, BaseStart, SchemaPage } from '../../core/contract.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import type { Definition } from './definition.ts'
import { viewable } from './restricted.ts'
import type { Totals } from './totals.ts'

/**
 * The records of a key range as they are now, at most `recordsMax` of them. Those that the view may not have leave a gap in the
 * range and do not make it longer, because what the view deletes for them is bounded by it too. @throws when they are too large to be one text
 */
export function readRange(
	sql: Sql,
	catalog: Catalog,
	definition: Definition | null,
	range: BaseRange,
	recordsMax: number,
): Pick<BasePage, 'last' | 'upserts' | 'upsertCount'> {
	if (!definition) return { last: null, upserts: '[]', upsertCount: 0 }
	const shown = viewable(catalog, definition.number)
	const { text, bindings } = recordText(definition)
	const found = range.only === null ? 'id > ?' : 'id = ?'
	const row = sql.all<{ present: number; last: string | null; upsertCount: number; upserts: string | null }>(
		`SELECT count(*) AS present, max(r.id) AS last, count(*) FILTER (WHERE ${shown}) AS upsertCount,
			group_concat(${text}) FILTER (WHERE ${shown}) AS upserts
		FROM (SELECT * FROM ${definition.table} WHERE ${found} ORDER BY id LIMIT ?) AS r`,
		...bindings,
		range.only ?? range.after ?? '',
		recordsMax,
	)[0]
	const { present = 0, upsertCount = 0 } = row ?? {}
	const last = present < recordsMax || range.only !== null ? null : (row?.last ?? null)
	return { last, upserts: `[${row?.upserts ?? ''}]`, upsertCount }
}

/**
 * A base of one collection, or of all that there are. The shard asks for one by itself only when records have changed, or may be in the
 * view again, without an entry each; a rebuild that somebody asked for has an id.
 */
export function baseStart(
	sql: Sql,
	catalog: Catalog,
	totals: Totals,
	{ collection, id }: { collection: string | null; id: string | null },
): BaseStart {
	const definitions = collection === null ? allDefinitions(sql) : [catalog.definition(collection)]
	const present = definitions.filter((definition) => definition !== null)
	return {
		collections: collection === null ? present.map(({ name }) => name) : [collection],
		all: collection === null,
		hollow: id === null,
		records: present.reduce((sum, { number }) => sum + totals.records(number), 0),
	}
}

function allDefinitions(sql: Sql): Pick<Definition, 'name' | 'number'>[] {
	return sql.all('SELECT name, number FROM collection ORDER BY name')
}

/** What the view holds about a collection itself. */
export function describeCollection(name: string, definition: Definition | null): SchemaPage {
	if (!definition) return { kind: 'dropped', collection: name }
	const { personal } = definition.schema
	const fields = [...definition.schema.fields.values()]
		.filter((field) => !personal.includes(field.name))
		.map(({ name: field, type }) => ({ name: field, type }))
	return { kind: 'put', collection: name, fields, personal: personalOf(definition), createdAt: definition.createdAt }
}

/**
 * SQL that prints a record `r` of the collection as it stands in a page. Its data is stored as `JSON.stringify` printed it, and
 * ids need no quoting, so that is plain concatenation.
 */
export function recordText(definition: Definition): { text: string; bindings: string[] } {
	const personal = personalOf(definition)
	const data = personal.length > 0 ? `json_remove(r.data${', ?'.repeat(personal.length)})` : 'r.data'
	const text = `'{"c":"${definition.name}","i":"' || r.id || '","v":' || r.version || ',"t":' || r.created_at || ',"u":' || r.updated_at || ',"d":' || ${data} || '}'`
	return { text, bindings: personal.map((property) => `$."${property}"`) }
}

/** While a change of schema runs, what either schema calls personal stays here. */
function personalOf(definition: Definition): string[] {
	return [...new Set([...definition.schema.personal, ...(definition.next?.schema.personal ?? [])])]
}
