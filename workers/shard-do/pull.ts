import type { Page, PullReply, PullRequest } from '../../core/contract.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import type { Definition } from './definition.ts'
import { firstKept, head } from './journal.ts'
import { readTenant, type TenantRow } from './tenant.ts'

/**
 * Reads one page for the view: what changed after a position, with the state that the records have now. The page is read
 * by sets and printed by SQLite, and nothing in it passes through JavaScript row by row.
 */
export function readPage(sql: Sql, catalog: Catalog, request: PullRequest): PullReply {
	const tenant = readTenant(sql)
	if (tenant.id !== request.tenant || tenant.shard !== request.shard)
		return { kind: 'refused', reason: 'unknown_shard' }
	if (tenant.epoch !== request.epoch) return { kind: 'refused', reason: 'epoch' }
	const last = head(sql)
	if (request.after > last) return { kind: 'refused', reason: 'diverged' }
	if (request.after < firstKept(sql) - 1) return { kind: 'refused', reason: 'pruned' }

	const from = request.after
	const furthest = Math.min(last, from + request.entriesMax)
	const schemaAt = firstSchemaEntry(sql, from, furthest)
	if (schemaAt === from + 1) return { kind: 'page', page: schemaPage(sql, catalog, tenant, from, last) }
	const to = boundBytes(sql, catalog, from, schemaAt === null ? furthest : schemaAt - 1, request.bytesMax)
	return { kind: 'page', page: recordPage(sql, catalog, tenant, from, to, last) }
}

const recordOps = `op IN ('create', 'update', 'delete')`

function firstSchemaEntry(sql: Sql, from: number, to: number): number | null {
	return (
		sql.all<{ seq: number | null }>(
			"SELECT min(seq) AS seq FROM journal WHERE seq > ? AND seq <= ? AND op = 'schema'",
			from,
			to,
		)[0]?.seq ?? null
	)
}

function schemaPage(sql: Sql, catalog: Catalog, tenant: TenantRow, from: number, last: number): Page {
	const to = from + 1
	const entry = sql.all<{ collection: string; version: number | null }>(
		'SELECT collection, version FROM journal WHERE seq = ?',
		to,
	)[0]
	if (!entry) throw new Error('the journal has a gap')
	const definition = entry.version === null ? null : catalog.definition(entry.collection)
	const page = emptyPage(sql, tenant, from, to, last)
	if (!definition) return { ...page, schema: { kind: 'dropped', collection: entry.collection } }
	const { personal } = definition.schema
	const fields = [...definition.schema.fields.values()]
		.filter((field) => !personal.includes(field.name))
		.map(({ name, type }) => ({ name, type }))
	const { name: collection, createdAt } = definition
	return { ...page, schema: { kind: 'put', collection, fields, personal: personalOf(definition), createdAt } }
}

function recordPage(sql: Sql, catalog: Catalog, tenant: TenantRow, from: number, to: number, last: number): Page {
	const upserts: string[] = []
	const deletes: string[] = []
	let upsertCount = 0
	let deleteCount = 0
	for (const { collection } of changedCollections(sql, from, to)) {
		const definition = catalog.definition(collection)
		const changed = `SELECT DISTINCT id FROM journal WHERE seq > ? AND seq <= ? AND collection = ? AND ${recordOps}`
		if (definition) {
			const personal = personalOf(definition)
			const removed = personal.map(() => ', ?').join('')
			const data = personal.length > 0 ? `json_remove(r.data${removed})` : 'json(r.data)'
			const row = sql.all<{ n: number; rows: string }>(
				`SELECT count(*) AS n, json_group_array(json_object('c', ?, 'i', r.id, 'v', r.version, 't', r.created_at, 'u', r.updated_at, 'd', ${data})) AS rows
				FROM (${changed}) AS j JOIN ${definition.table} AS r ON r.id = j.id`,
				collection,
				...personal.map(jsonPath),
				from,
				to,
				collection,
			)[0]
			if (row && row.n > 0) upserts.push(row.rows.slice(1, -1))
			upsertCount += row?.n ?? 0
		}
		const absent = definition ? `WHERE NOT EXISTS (SELECT 1 FROM ${definition.table} AS r WHERE r.id = j.id)` : ''
		const row = sql.all<{ n: number; rows: string }>(
			`SELECT count(*) AS n, json_group_array(json_object('c', ?, 'i', j.id)) AS rows FROM (${changed}) AS j ${absent}`,
			collection,
			from,
			to,
			collection,
		)[0]
		if (row && row.n > 0) deletes.push(row.rows.slice(1, -1))
		deleteCount += row?.n ?? 0
	}
	const page = emptyPage(sql, tenant, from, to, last)
	return { ...page, upserts: `[${upserts.join(',')}]`, upsertCount, deletes: `[${deletes.join(',')}]`, deleteCount }
}

/** Halves the page until its records fit; a single record always does, because its size is limited. */
function boundBytes(sql: Sql, catalog: Catalog, from: number, wanted: number, bytesMax: number): number {
	let to = wanted
	while (to > from + 1 && bytesBetween(sql, catalog, from, to) > bytesMax) to = from + Math.ceil((to - from) / 2)
	return to
}

function bytesBetween(sql: Sql, catalog: Catalog, from: number, to: number): number {
	let bytes = 0
	for (const { collection } of changedCollections(sql, from, to)) {
		const definition = catalog.definition(collection)
		if (!definition) continue
		const row = sql.all<{ bytes: number | null }>(
			`SELECT sum(octet_length(r.data)) AS bytes
			FROM (SELECT DISTINCT id FROM journal WHERE seq > ? AND seq <= ? AND collection = ? AND ${recordOps}) AS j
			JOIN ${definition.table} AS r ON r.id = j.id`,
			from,
			to,
			collection,
		)[0]
		bytes += row?.bytes ?? 0
	}
	return bytes
}

function changedCollections(sql: Sql, from: number, to: number): { collection: string }[] {
	return sql.all(`SELECT DISTINCT collection FROM journal WHERE seq > ? AND seq <= ? AND ${recordOps}`, from, to)
}

/** While a change of schema runs, what either schema calls personal stays here. */
function personalOf(definition: Definition): string[] {
	return [...new Set([...definition.schema.personal, ...(definition.next?.schema.personal ?? [])])]
}

function jsonPath(property: string): string {
	return `$."${property}"`
}

function emptyPage(sql: Sql, tenant: TenantRow, from: number, to: number, last: number): Page {
	const toAt = to === 0 ? null : (sql.all<{ at: number }>('SELECT at FROM journal WHERE seq = ?', to)[0]?.at ?? null)
	const { slug, name, status, created_at: createdAt } = tenant
	return {
		epoch: tenant.epoch,
		from,
		to,
		head: last,
		toAt,
		tenant: { slug, name, status, createdAt },
		upserts: '[]',
		upsertCount: 0,
		deletes: '[]',
		deleteCount: 0,
		schema: null,
	}
}
