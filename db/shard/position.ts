/** Where a page ends: the values of its last record in the order of the list, and that record's id. */
import type { PagePosition, StoredRecord } from '../../core/contract.ts'
import { descendingTies } from '../../core/order.ts'
import { type BoundField, type BoundTerm, fieldKey, type Scalar } from '../../core/query.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'

/** The complete order of a list: ids come last, and nothing after an id could matter. */
export interface PageOrder {
	terms: BoundTerm[]
	descendingIds: boolean
	/** Set when the request left the order open and the index of this field gives it. */
	chosen: BoundField | null
}

export function requestedOrder(order: readonly BoundTerm[]): PageOrder {
	const id = order.findIndex(({ field }) => fieldKey(field) === 'id')
	const terms = id < 0 ? [...order] : order.slice(0, id)
	return { terms, descendingIds: order[id]?.descending ?? descendingTies(order), chosen: null }
}

export function chosenOrder(field: BoundField): PageOrder {
	return { terms: [{ field, descending: false }], descendingIds: false, chosen: field }
}

/** An order that was chosen here names its field in the position, because indexes may have changed before the next page. */
export function positionOf(record: StoredRecord, { terms, chosen }: PageOrder): PagePosition {
	const data: Record<string, Scalar | null> = JSON.parse(record.data)
	const values = terms.map(({ field }) => fieldValue(field, record, data))
	return { values: chosen ? [fieldKey(chosen), ...values] : values, id: record.id }
}

/** The values of a position, one per term; refused with `invalid_cursor` when it was made for another order. */
export function readPosition(after: PagePosition, { terms, chosen }: PageOrder): Outcome<(Scalar | null)[]> {
	const values = chosen ? after.values.slice(1) : after.values
	const fits =
		(chosen === null || after.values[0] === fieldKey(chosen)) &&
		values.length === terms.length &&
		terms.every(({ field }, i) => typeFits(field, values[i] ?? null))
	return fits
		? accept(values)
		: refuse('invalid_cursor', 'the indexes of the collection have changed: start again without a cursor')
}

function fieldValue(field: BoundField, record: StoredRecord, data: Record<string, Scalar | null>): Scalar | null {
	if (field.place === 'data') return Object.hasOwn(data, field.name) ? (data[field.name] ?? null) : null
	return { id: record.id, version: record.version, created_at: record.createdAt, updated_at: record.updatedAt }[
		field.name
	]
}

function typeFits({ place, type }: BoundField, value: Scalar | null): boolean {
	if (value === null) return place === 'data'
	return typeof value === (type === 'string' || type === 'boolean' ? type : 'number')
}
