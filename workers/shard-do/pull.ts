import type { BasePage, BaseRange, Checksum, Page, PullReply, PullRequest } from '../../core/contract.ts'
import { replayedEntriesMax } from '../../core/limits.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { baseStart, describeCollection, readRange, recordText } from './base-page.ts'
import type { Catalog } from './catalog.ts'
import type { Journal } from './journal.ts'
import { viewable } from './restricted.ts'
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
		if (reply.kind !== 'page') return reply
		const { page } = reply
		const end = journal.segments.entryAt(page.to, journal.head)
		const toAt = page.to === page.from ? null : (end?.at ?? null)
		const told = { toAt, chain: end?.chain ?? null, checksum: page.to === page.head ? checksum() : null }
		return { kind: 'page', page: { ...page, ...told } }
	}

	#read(request: PullRequest, { head: last, segments, totals }: Journal): PullReply {
		const sql = this.#sql
		const tenant = this.#catalog.tenant()
		if (tenant.id !== request.tenant || tenant.shard !== request.shard)
			return { kind: 'refused', reason: 'unknown_shard' }
		if (tenant.epoch !== request.epoch) return { kind: 'refused', reason: 'epoch' }
		const from = request.after
		if (from > last) return { kind: 'refused', reason: 'diverged' }
		const linked = request.chain == null ? null : segments.entryAt(from, last)?.chain
		if (linked != null && linked !== request.chain) return { kind: 'refused', reason: 'diverged' }
		if (request.base) return { kind: 'base', page: this.#readBase(request, request.base, last) }
		const pruned = from < segments.firstKept(last) - 1
		if (request.base === undefined && pruned) return { kind: 'refused', reason: 'pruned' }
		if (request.base === null && (pruned || request.anew || (from === 0 && last > replayedEntriesMax))) {
			const base = baseStart(sql, this.#catalog, totals, { collection: null, id: null })
			return { kind: 'page', page: { ...emptyPage(tenant, from, last, last), base } }
		}
		if (from === last) return { kind: 'page', page: emptyPage(tenant, from, from, last) }

		// A page ends where its segment does.
		const [part] = segments.after(from, last)
		if (!part) throw new Error('the journal has a gap')
		const { table } = part
		const furthest = Math.min(part.last, from + Math.min(request.entriesMax, this.#entries))
		const alone = nextAlone(sql, table, from, furthest)
		if (alone?.seq === from + 1) {
			const page = emptyPage(tenant, from, from + 1, last)
			if (alone.op === 'schema') return { kind: 'page', page: schemaPage(this.#catalog, alone, page) }
			return { kind: 'page', page: { ...page, base: baseStart(sql, this.#catalog, totals, alone) } }
		}
		const to = alone ? alone.seq - 1 : furthest
		const changed = changedCollections(sql, table, from, to)
		return { kind: 'page', page: this.#fit(changed, table, emptyPage(tenant, from, to, last), request.bytesMax) }
	}

	/** Halves the range until it fits, as a page of changes. */
	#readBase(request: PullRequest, range: BaseRange, head: number): BasePage {
		const definition = this.#catalog.definition(range.collection)
		const described = range.after === null && range.only === null
		const about = {
			epoch: this.#catalog.tenant().epoch,
			head,
			range,
			definition: described ? describeCollection(range.collection, definition) : null,
		}
		let records = Math.min(request.entriesMax, this.#entries)
		for (;;) {
			const read = unlessTooLarge(records, () => readRange(this.#sql, this.#catalog, definition, range, records))
			if (read && (read.upserts.length <= request.bytesMax || records === 1)) {
				if (read.upsertCount >= this.#entries && read.upserts.length * 2 <= request.bytesMax) this.#entries *= 2
				return { ...about, ...read }
			}
			records = Math.ceil(records / 2)
			this.#entries = records
		}
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

	#attempt(changed: Group[], table: string, page: Page): Page | null {
		return unlessTooLarge(page.to - page.from, () => recordPage(this.#sql, this.#catalog, changed, table, page))
	}
}

/** Null when the engine says that the page is too large to be one text; nothing smaller than one entry can be asked for. */
function unlessTooLarge<T>(entries: number, read: () => T): T | null {
	try {
		return read()
	} catch (error) {
		if (entries === 1) throw error
		return null
	}
}

interface Group {
	collection: string
	/** Entries that are no creations; only then can a record come twice. */
	others: number
}

const recordOps = `op IN ('create', 'update', 'delete', 'restrict', 'release') AND collection IS NOT NULL`

function changedCollections(sql: Sql, table: string, from: number, to: number): Group[] {
	return sql.all(
		`SELECT collection, sum(op <> 'create') AS others
		FROM ${table} WHERE seq > ? AND seq <= ? AND ${recordOps} GROUP BY collection`,
		from,
		to,
	)
}

interface AloneEntry {
	seq: number
	op: 'schema' | 'rebuild'
	collection: string | null
	id: string | null
	version: number | null
}

/** The first entry that must be a page of its own. */
function nextAlone(sql: Sql, table: string, from: number, to: number): AloneEntry | null {
	const rows = sql.all<AloneEntry>(
		`SELECT seq, op, collection, id, version FROM ${table}
		WHERE seq > ? AND seq <= ? AND op IN ('schema', 'rebuild') ORDER BY seq LIMIT 1`,
		from,
		to,
	)
	return rows[0] ?? null
}

function schemaPage(catalog: Catalog, { collection, version }: AloneEntry, page: Page): Page {
	if (collection === null) throw new Error('an entry about a schema names no collection')
	const definition = version === null ? null : catalog.definition(collection)
	return { ...page, schema: describeCollection(collection, definition) }
}

function recordPage(sql: Sql, catalog: Catalog, changed: Group[], table: string, page: Page): Page {
	const upserts: string[] = []
	const deletes: string[] = []
	let { upsertCount, deleteCount } = page
	for (const { collection, others } of changed) {
		const definition = catalog.definition(collection)
		const changedIds = `SELECT ${others > 0 ? 'DISTINCT' : ''} id FROM ${table} WHERE seq > ? AND seq <= ? AND collection = ? AND ${recordOps}`
		const printed = definition && recordText(definition)
		const gone = `'{"c":"${collection}","i":"' || j.id || '"}'`
		const row = sql.all<{ present: number; absent: number; upserts: string | null; deletes: string | null }>(
			printed
				? `SELECT count(r.id) AS present, count(*) - count(r.id) AS absent, group_concat(${printed.text}) AS upserts,
					group_concat(CASE WHEN r.id IS NULL THEN ${gone} END) AS deletes
				FROM (${changedIds}) AS j LEFT JOIN ${definition.table} AS r ON r.id = j.id AND ${viewable(catalog, definition.number)}`
				: `SELECT 0 AS present, count(*) AS absent, NULL AS upserts, group_concat(${gone}) AS deletes FROM (${changedIds}) AS j`,
			...(printed?.bindings ?? []),
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
		base: null,
	}
}
