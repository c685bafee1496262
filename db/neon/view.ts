/** The view as the API reads it: every call asks the regions side by side and joins their answers in order. */
import { bindQuery } from '../../core/bind.ts'
import { type ScalarType, tenantStatuses } from '../../core/contract.ts'
import { regionOf } from '../../core/ids.ts'
import { bodyBytesMax, positionPollMs } from '../../core/limits.ts'
import { compareText } from '../../core/order.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Freshness, View, ViewCollection, ViewRecordQuery, ViewScope, ViewTenant } from '../../core/view.ts'
import type { Row } from './client.ts'
import { findDeadLetter, listDeadLetters } from './dead-letters.ts'
import { fieldTypesStatement, namedProperties, typesOf } from './field-types.ts'
import { freshnessOf, freshnessStatement } from './freshness.ts'
import { heldRange, heldRows } from './held.ts'
import { countStatement, pageOf, pageStatement } from './list.ts'
import { mergeParts } from './merge.ts'
import { progressStatement, readProgress } from './rebuilds.ts'
import { askRegions, type RegionDatabase } from './regions.ts'
import { numberIn, tenantIn, textIn } from './row.ts'
import { verificationOf, verificationStatements } from './verification.ts'

export interface ViewPorts {
	/** Each region's database, by way of a role that can only read. */
	regions: readonly RegionDatabase[]
	/** Milliseconds; only differences are used. */
	now(): number
	sleep(ms: number): Promise<void>
}

export function createView({ regions: databases, now, sleep }: ViewPorts): View {
	return {
		async records(scope, query) {
			const fields = await readFields(databases, scope, query)
			if (!fields.ok) return fields
			const { types, absent } = fields.value
			if (absent) return accept({ records: [], next: null, count: query.count ? 0 : null, freshness: absent })
			const bound = bindQuery(query, types)
			if (!bound.ok) return bound
			const page = pageStatement(scope.tenant, bound.value)
			if (!page.ok) return page
			const counts = query.count ? [countStatement(scope.tenant, bound.value)] : []
			const statements = [page.value, ...counts, freshnessStatement(scope.tenant)]
			const asked = await askRegions(databases, scope, statements)
			if (!asked.ok) return asked
			const parts = asked.value.map(({ results }) => results[0] ?? [])
			const counted = asked.value.map(({ results }) => (query.count ? numberIn(results[1]?.[0] ?? {}, 'count') : 0))
			const count = query.count ? counted.reduce((sum, one) => sum + one, 0) : null
			return accept({ ...pageOf(parts, bound.value), count, freshness: freshnessOf(asked.value, scope.tenant) })
		},

		async collections(scope, { limit, after }) {
			const params = [scope.tenant, after?.tenant ?? null, after?.name ?? null, limit + 1]
			const asked = await askRegions(databases, scope, [
				{ text: listCollections, params },
				freshnessStatement(scope.tenant),
			])
			if (!asked.ok) return asked
			const parts = asked.value.map(({ results }) => ({ items: (results[0] ?? []).map(readCollection), more: false }))
			const page = mergeParts(
				parts,
				(a, b) => compareText(a.tenant, b.tenant) || compareText(a.name, b.name),
				rowsOnly(limit),
			)
			const last = page.items.at(-1)
			const next = page.more && last ? { tenant: last.tenant, name: last.name } : null
			return accept({ collections: [...page.items], next, freshness: freshnessOf(asked.value, scope.tenant) })
		},

		async tenants(scope, { limit, after, search }) {
			const statement = { text: listTenants, params: [scope.tenant, after, limit + 1, search] }
			const asked = await askRegions(databases, scope, [statement, freshnessStatement(scope.tenant)])
			if (!asked.ok) return asked
			const parts = asked.value.map(({ results }) => ({ items: (results[0] ?? []).map(readTenant), more: false }))
			const page = mergeParts(parts, (a, b) => compareText(a.id, b.id), rowsOnly(limit))
			const next = page.more ? (page.items.at(-1)?.id ?? null) : null
			return accept({ tenants: [...page.items], next, freshness: freshnessOf(asked.value, scope.tenant) })
		},

		async freshness(scope) {
			const asked = await askRegions(databases, scope, [freshnessStatement(scope.tenant)])
			return asked.ok ? accept(freshnessOf(asked.value, scope.tenant)) : asked
		},

		async verification(scope) {
			const asked = await askRegions(databases, scope, verificationStatements(scope.tenant))
			return asked.ok ? accept(asked.value.map(verificationOf)) : asked
		},

		heldRange: (tenant, range) => heldRange(databases, tenant, range),

		heldRows: (tenant, names) => heldRows(databases, tenant, names),

		deadLetters: (scope, query) => listDeadLetters(databases, scope, query),

		deadLetter: (position) => findDeadLetter(databases, position),

		async rebuilt(region, id) {
			const asked = await askRegions(databases, { regions: [region], tenant: null }, [progressStatement(id)])
			if (!asked.ok) return asked
			const { shards, records } = readProgress(asked.value[0]?.results[0]?.[0] ?? {})
			return accept({ shards, records })
		},

		async reached(tenant, position, waitMs) {
			const startedAt = now()
			for (;;) {
				const asked = await askRegions(databases, { regions: [regionOf(tenant)], tenant }, [
					{ text: homePosition, params: [tenant] },
				])
				if (!asked.ok) return asked
				const row = asked.value[0]?.results[0]?.[0]
				if (row !== undefined && numberIn(row, 'applied_seq') >= position) return accept(true)
				const left = waitMs - (now() - startedAt)
				if (left <= 0) return refuse('view_behind', 'the view has not come to this position yet', { retryAfter: 1 })
				await sleep(Math.min(positionPollMs, left))
			}
		},
	}
}

interface Fields {
	types: Map<string, { type: ScalarType }>
	/** Set when no tenant has the collection: then there is nothing to bind a query to, and nothing to answer. */
	absent: Freshness | null
}

/** Only the properties that a query names are looked up, and nothing when it names built-in fields only. */
async function readFields(
	databases: readonly RegionDatabase[],
	scope: ViewScope,
	query: ViewRecordQuery,
): Promise<Outcome<Fields>> {
	const named = namedProperties(query)
	if (named.size === 0) return accept({ types: new Map(), absent: null })
	const asked = await askRegions(databases, scope, [
		fieldTypesStatement(query.collection, scope.tenant, named.keys()),
		{ text: collectionHolder, params: [query.collection, scope.tenant] },
		freshnessStatement(scope.tenant),
	])
	if (!asked.ok) return asked
	const rowsOf = (statement: number) => asked.value.flatMap(({ results }) => results[statement] ?? [])
	const types = typesOf(rowsOf(0), named)
	if (!types.ok) return types
	return accept({ types: types.value, absent: rowsOf(1).length > 0 ? null : freshnessOf(asked.value, scope.tenant) })
}

/** For lists whose items are small. */
function rowsOnly(limit: number) {
	return { items: limit, bytes: bodyBytesMax, bytesOf: () => 0 }
}

function readCollection(row: Row): ViewCollection {
	return { tenant: tenantIn(row), name: textIn(row, 'name'), records: numberIn(row, 'records') }
}

function readTenant(row: Row): ViewTenant {
	const text = textIn(row, 'status')
	const status = tenantStatuses.find((known) => known === text)
	if (status === undefined) throw new Error('the view holds a tenant of an unknown status')
	return {
		id: tenantIn(row),
		slug: textIn(row, 'slug'),
		name: textIn(row, 'name'),
		status,
		createdAt: numberIn(row, 'created_at_ms'),
	}
}

const collectionHolder = `
SELECT tenant_id FROM collection WHERE name = $1 AND ($2::text IS NULL OR tenant_id = $2) LIMIT 1`

const listCollections = `
SELECT page.tenant_id, page.name, counted.records
FROM (
	SELECT tenant_id, name FROM collection
	WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR (tenant_id, name) > ($2, $3))
	ORDER BY tenant_id, name LIMIT $4::int
) page
CROSS JOIN LATERAL (
	SELECT count(*) AS records FROM record r WHERE r.tenant_id = page.tenant_id AND r.collection = page.name
) counted
ORDER BY page.tenant_id, page.name`

const listTenants = `
SELECT tenant_id, slug, name, status, extract(epoch FROM created_at) * 1000 AS created_at_ms FROM tenant
WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR tenant_id > $2)
	AND ($4::text IS NULL OR tenant_id = $4
		OR strpos(slug, lower($4 COLLATE "C")) > 0 OR strpos(lower(name COLLATE "C"), lower($4 COLLATE "C")) > 0)
ORDER BY tenant_id LIMIT $3::int`

// While a hollow base runs, the view may lack what it counts as applied.
const homePosition = 'SELECT applied_seq FROM shard WHERE tenant_id = $1 AND shard = 0 AND NOT base_hollow'
