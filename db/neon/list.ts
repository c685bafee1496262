/** Records across tenants: the SQL that each region is asked, and what the regions answered, as one page. */
import { z } from 'zod'
import type { TenantId } from '../../core/ids.ts'
import { bodyBytesMax } from '../../core/limits.ts'
import type { Bound, BoundField, BoundTerm, Scalar } from '../../core/query.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { ViewPosition, ViewRecord, ViewRecordQuery } from '../../core/view.ts'
import type { Row, Statement } from './client.ts'
import { comparePositions, filterSql, keysetSql, orderColumnsSql, orderSql } from './filter.ts'
import { mergeParts } from './merge.ts'
import { numberIn, tenantIn, textIn } from './row.ts'

export type BoundRecordQuery = Bound<ViewRecordQuery>

/**
 * One page of a region: up to one record more than the page takes, and hardly more bytes than a page may hold. Refused
 * with `invalid_cursor` when the position does not fit the order.
 */
export function pageStatement(tenant: TenantId | null, query: BoundRecordQuery): Outcome<Statement> {
	if (query.after !== null && !fits(query.after, query.order)) {
		return refuse('invalid_cursor', 'the type of a field has changed: start again without a cursor')
	}
	const params: string[] = []
	const conditions = matching(params, tenant, query)
	if (query.after !== null) conditions.push(laterThan(params, query.after, tenant, query.order))
	const order = orderSql(query.order)
	// Only the rows of the page are printed as text, after the limit; their running size is counted in the page's order, so
	// that it is its end which is cut off.
	const text = `
		SELECT tenant_id, id, version, answer, total, extract(epoch FROM created_at) * 1000 AS created_at_ms,
			extract(epoch FROM updated_at) * 1000 AS updated_at_ms, ${orderColumnsSql(query.order)}
		FROM (
			SELECT *, count(*) OVER () AS total,
				sum(octet_length(answer)) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) AS bytes
			FROM (
				SELECT *, (${answerSql(params, query.select)})::text AS answer FROM (
					SELECT * FROM record WHERE ${conditions.join(' AND ')}
					ORDER BY ${order} LIMIT ${bind(params, query.limit + 1)}::int
				) page
			) answered
		) measured
		WHERE bytes - octet_length(answer) <= ${bind(params, bodyBytesMax)}::bigint ORDER BY ${order}`
	return accept({ text, params })
}

export function countStatement(tenant: TenantId | null, query: BoundRecordQuery): Statement {
	const params: string[] = []
	const conditions = matching(params, tenant, query)
	return { text: `SELECT count(*) AS count FROM record WHERE ${conditions.join(' AND ')}`, params }
}

/** The regions' rows of `pageStatement` as one page. */
export function pageOf(
	parts: readonly Row[][],
	query: BoundRecordQuery,
): { records: ViewRecord[]; next: ViewPosition | null } {
	const read = parts.map((rows) => ({
		items: rows.map(readRow),
		more: rows.some((row) => numberIn(row, 'total') > rows.length),
	}))
	const compare = comparePositions(query.order)
	const page = mergeParts(read, (a, b) => compare(a.position, b.position), {
		items: query.limit,
		bytes: bodyBytesMax,
		bytesOf: ({ record }) => Buffer.byteLength(record.data),
	})
	const last = page.items.at(-1)
	return { records: page.items.map(({ record }) => record), next: page.more && last ? last.position : null }
}

function matching(params: string[], tenant: TenantId | null, query: BoundRecordQuery): string[] {
	const conditions = [`collection = ${bind(params, query.collection)}`]
	if (tenant !== null) conditions.push(`tenant_id = ${bind(params, tenant)}`)
	if (query.filter !== null) {
		const filter = filterSql(query.filter, params.length + 1)
		params.push(...filter.params)
		conditions.push(filter.text)
	}
	return conditions
}

/** In the order of the primary key, comparing rows lets Postgres start in the middle of it; a chain of ORs would not. */
function laterThan(
	params: string[],
	after: ViewPosition,
	tenant: TenantId | null,
	order: readonly BoundTerm[],
): string {
	if (order.length > 0) {
		const keyset = keysetSql(order, after, params.length + 1)
		params.push(...keyset.params)
		return keyset.text
	}
	if (tenant !== null) return `id > ${bind(params, after.id)}`
	return `(tenant_id, id) > (${bind(params, after.tenant)}, ${bind(params, after.id)})`
}

function answerSql(params: string[], select: string[] | null): string {
	if (select === null) return 'data'
	const names = `SELECT jsonb_array_elements_text(${bind(params, JSON.stringify(select))}::jsonb)`
	return `SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(data) WHERE key IN (${names})`
}

function bind(params: string[], value: string | number): string {
	return `$${params.push(String(value))}`
}

function fits(after: ViewPosition, order: readonly BoundTerm[]): boolean {
	return after.values.length === order.length && order.every(({ field }, i) => typeFits(field, after.values[i] ?? null))
}

function typeFits({ place, type }: BoundField, value: Scalar | null): boolean {
	if (value === null) return place === 'data'
	return typeof value === (type === 'string' || type === 'boolean' ? type : 'number')
}

const positionValues = z.array(z.union([z.string(), z.number(), z.boolean(), z.null()]))

function readRow(row: Row): { record: ViewRecord; position: ViewPosition } {
	const tenant = tenantIn(row)
	const id = textIn(row, 'id')
	const record: ViewRecord = {
		tenant,
		id,
		version: numberIn(row, 'version'),
		createdAt: numberIn(row, 'created_at_ms'),
		updatedAt: numberIn(row, 'updated_at_ms'),
		data: textIn(row, 'answer'),
	}
	return { record, position: { values: positionValues.parse(JSON.parse(textIn(row, 'position_values'))), tenant, id } }
}
