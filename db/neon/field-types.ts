import { z } from 'zod'
import type { ScalarType } from '../../core/contract.ts'
import type { TenantId } from '../../core/ids.ts'
import { isBuiltIn, type RawFilter } from '../../core/query.ts'
import { accept, type Fault, type Outcome, refuse } from '../../core/refusal.ts'
import type { ViewRecordQuery } from '../../core/view.ts'
import type { Row, Statement } from './client.ts'
import { textIn } from './row.ts'

/** The properties that a query filters and orders by, each with the parameter that names it first. */
export function namedProperties(query: ViewRecordQuery): Map<string, string> {
	const named = new Map<string, string>()
	const add = (field: string, pointer: string) => {
		const property = field.startsWith('data.') ? field.slice('data.'.length) : field
		if (!isBuiltIn(field) && !named.has(property)) named.set(property, pointer)
	}
	const walk = (filter: RawFilter) => {
		if (filter.kind === 'not') walk(filter.filter)
		else if ('filters' in filter) filter.filters.forEach(walk)
		else add(filter.field, filter.pointer)
	}
	if (query.filter !== null) walk(query.filter)
	for (const { field } of query.order) add(field, 'order')
	return named
}

/** The types that the properties have in one region. */
export function fieldTypesStatement(
	collection: string,
	tenant: TenantId | null,
	properties: Iterable<string>,
): Statement {
	return { text: fieldTypes, params: [collection, tenant, JSON.stringify([...properties])] }
}

/**
 * One type for each property that any tenant has, of the regions' rows of `fieldTypesStatement`. Integers compare with
 * numbers; any other disagreement between tenants is refused with `invalid_filter`, because no comparison would be right.
 */
export function typesOf(
	rows: readonly Row[],
	named: ReadonlyMap<string, string>,
): Outcome<Map<string, { type: ScalarType }>> {
	const types = new Map<string, { type: ScalarType }>()
	const errors: Fault[] = []
	for (const row of rows) {
		const name = textIn(row, 'name')
		const type = scalarType.parse(row.type)
		const present = types.get(name)?.type ?? type
		if (isNumeric(present) && isNumeric(type)) types.set(name, { type: present === type ? type : 'number' })
		else if (present === type) types.set(name, { type })
		else
			errors.push({
				pointer: named.get(name) ?? '',
				detail: 'has another type in another tenant; tenant= narrows to one',
			})
	}
	if (errors.length === 0) return accept(types)
	return refuse('invalid_filter', 'a field differs in type between tenants', { errors })
}

const scalarType = z.enum(['string', 'number', 'integer', 'boolean'])

function isNumeric(type: ScalarType): boolean {
	return type === 'integer' || type === 'number'
}

const fieldTypes = `
SELECT DISTINCT f.name, f.type
FROM collection c CROSS JOIN LATERAL jsonb_to_recordset(c.fields) AS f (name text, type text)
WHERE c.name = $1 AND ($2::text IS NULL OR c.tenant_id = $2)
	AND f.name IN (SELECT jsonb_array_elements_text($3::jsonb))`
