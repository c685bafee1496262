import type { Checksum, Page, PullReply, PullRequest } from '../../core/contract.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import type { Definition } from './definition.ts'
import type { Journal } from './journal.ts'
import type { TenantRow } from './tenant.ts'

/** Entries of the first page that an instance reads; it learns from there how many fit. */
const entriesAtFirst = 1_000

/**
 * Reads pages for the view: what changed after a position, with the state that the records have now. A page is read by sets
 * and printed by SQLite, and nothing in it passes through JavaScript row by row.
 */
export class PageReader {
	readonly #sql: Sql
	readonly #catalog: Catalog
	/** How many entries of this tenant's records fit into a page, as far as the last pages tell. */
	#entries = entriesAtFirst

	constructor(sql: Sql, catalog: Catalog) {
		this.#sql = sql
		this.#catalog = catalog
	}

	/** Expects a refreshed catalog. `checksum` says what the view must come to at the head. */
	read(request: PullRequest, journal: Journal, checksum: () => Checksum | null): PullReply {
		const reply = this.#read(request, journal)
		if (reply.kind === 'refused') return reply
		const { page } = reply
		const end = journal.segments.entryAt(page.to, journal.head)
		const toAt = page.to === page.from ? null : (end?.at ?? null)
		const told = { toAt, chain: end?.chain ?? null, checksum: page.to === page.head ? checksum() : null }
		return { kind: 'page', page: { ...page, ...told } }
	}

	#read(request: PullRequest, { head: last, segments }: Journal): PullReply {
		const sql = this.#sql
		const tenant = this.#catalog.tenant()
		if (tenant.id !== request.tenant || tenant.shard !== request.shard)
			return { kind: 'refused', reason: 'unknown_shard' }
		if (tenant.epoch !== request.epoch) return { kind: 'refused', reason: 'epoch' }
		const from = request.after
		if (from > last) return { kind: 'refused', reason: 'diverged' }
		if (from < segments.firstKept(last) - 1) return { kind: 'refused', reason: 'pruned' }
		const linked = request.chain == null ? null : segments.entryAt(from, last)?.chain
		if (linked != null && linked !== request.chain) return { kind: 'refused', reason: 'diverged' }
		if (from === last) return { kind: 'page', page: emptyPage(tenant, from, from, last) }

		// A page ends where its segment does.
		const [part] = segments.after(from, last)
		if (!part) throw new Error('the journal has a gap')
		const { table } = part
		const furthest = Math.min(part.last, from + Math.min(request.entriesMax, this.#entries))
		const groups = changedCollections(sql, table, from, furthest)
		const schemaAt = Math.min(...groups.map((group) => group.schemaAt ?? Number.POSITIVE_INFINITY))
		if (schemaAt === from + 1)
			return { kind: 'page', page: schemaPage(sql, this.#catalog, table, emptyPage(tenant, from, from + 1, last)) }
		const changed = groups.filter(({ records }) => records > 0)
		const to = Math.min(furthest, schemaAt - 1)
		return { kind: 'page', page: this.#fit(changed, table, emptyPage(tenant, from, to, last), request.bytesMax) }
	}

	/** Halves the page until it fits; a single record always does, because its size is limited. */
	#fit(changed: Group[], table: string, wanted: Page, bytesMax: number): Page {
		let page = wanted
		for (;;) {
			const entries = page.to - page.from
			const read = this.#attempt(changed, table, page)
			if (read && (read.upserts.length <= bytesMax || entries === 1)) {
				if (entries >= this.#entries && read.upserts.length * 2 <= bytesMax) this.#entries *= 2
				return read
			}
			this.#entries = Math.ceil(entries / 2)
			page = emptyPage(this.#catalog.tenant(), page.from, page.from + this.#entries, page.head)
		}
	}

	/** Null when the engine says that the page is too large to be one text. */
	#attempt(changed: Group[], table: string, page: Page): Page | null {
		try {
			return recordPage(this.#sql, this.#catalog, changed, table, page)
		} catch (error) {
			if (page.to - page.from === 1) throw error
			return null
		}
	}
}

interface Group {
	collection: string
	/** Entries about records, and how many of these are no creations; only then can a record come twice. */
	records: number
	others: number
	schemaAt: number | null
}

const recordOps = `op IN ('create', 'update', 'delete')`

function changedCollections(sql: Sql, table: string, from: number, to: number): Group[] {
	return sql.all(
		`SELECT collection, sum(op <> 'schema') AS records, sum(op IN ('update', 'delete')) AS others,
			min(CASE WHEN op = 'schema' THEN seq END) AS schemaAt
		FROM ${table} WHERE seq > ? AND seq <= ? AND collection IS NOT NULL GROUP BY collection`,
		from,
		to,
	)
}

function schemaPage(sql: Sql, catalog: Catalog, table: string, page: Page): Page {
	const [entry] = sql.all<{ collection: string; version: number | null }>(
		`SELECT collection, version FROM ${table} WHERE seq = ?`,
		page.to,
	)
	if (!entry) throw new Error('the journal has a gap')
	const definition = entry.version === null ? null : catalog.definition(entry.collection)
	if (!definition) return { ...page, schema: { kind: 'dropped', collection: entry.collection } }
	const { personal } = definition.schema
	const fields = [...definition.schema.fields.values()]
		.filter((field) => !personal.includes(field.name))
		.map(({ name, type }) => ({ name, type }))
	const { name: collection, createdAt } = definition
	return { ...page, schema: { kind: 'put', collection, fields, personal: personalOf(definition), createdAt } }
}

/** A record's data is stored as `JSON.stringify` printed it, and ids need no quoting, so the page is plain concatenation. */
function recordPage(sql: Sql, catalog: Catalog, changed: Group[], table: string, page: Page): Page {
	const upserts: string[] = []
	const deletes: string[] = []
	let { upsertCount, deleteCount } = page
	for (const { collection, others } of changed) {
		const definition = catalog.definition(collection)
		const changedIds = `SELECT ${others > 0 ? 'DISTINCT' : ''} id FROM ${table} WHERE seq > ? AND seq <= ? AND collection = ? AND ${recordOps}`
		const personal = definition ? personalOf(definition) : []
		const data = personal.length > 0 ? `json_remove(r.data${', ?'.repeat(personal.length)})` : 'r.data'
		const start = `'{"c":"${collection}","i":"' || j.id || '"`
		const row = sql.all<{ present: number; absent: number; upserts: string | null; deletes: string | null }>(
			definition
				? `SELECT count(r.id) AS present, count(*) - count(r.id) AS absent,
					group_concat(${start},"v":' || r.version || ',"t":' || r.created_at || ',"u":' || r.updated_at || ',"d":' || ${data} || '}') AS upserts,
					group_concat(CASE WHEN r.id IS NULL THEN ${start}}' END) AS deletes
				FROM (${changedIds}) AS j LEFT JOIN ${definition.table} AS r ON r.id = j.id`
				: `SELECT 0 AS present, count(*) AS absent, NULL AS upserts, group_concat(${start}}') AS deletes FROM (${changedIds}) AS j`,
			...personal.map(jsonPath),
			page.from,
			page.to,
			collection,
		)[0]
		if (row?.upserts) upserts.push(row.upserts)
		if (row?.deletes) deletes.push(row.deletes)
		upsertCount += row?.present ?? 0
		deleteCount += row?.absent ?? 0
	}
	return { ...page, upserts: `[${upserts.join()}]`, upsertCount, deletes: `[${deletes.join()}]`, deleteCount }
}

/** While a change of schema runs, what either schema calls personal stays here. */
function personalOf(definition: Definition): string[] {
	return [...new Set([...definition.schema.personal, ...(definition.next?.schema.personal ?? [])])]
}

function jsonPath(property: string): string {
	return `$."${property}"`
}

function emptyPage(tenant: TenantRow, from: number, to: number, last: number): Page {
	const { slug, name, status, created_at: createdAt } = tenant
	return {
		epoch: tenant.epoch,
		from,
		to,
		head: last,
		toAt: null,
		tenant: { slug, name, status, createdAt },
		upserts: '[]',
		upsertCount: 0,
		deletes: '[]',
		deleteCount: 0,
		schema: null,
	}
}
