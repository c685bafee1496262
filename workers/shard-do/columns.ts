/** Columns beside a record's data by which its values are kept unique, and encrypted ones are found. */
import { uniqueTextBytesMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { normaliseUnique, type Schema } from '../../core/schema.ts'
import type { SqlValue } from '../../db/shard/sql.ts'
import type { Definition, ValueColumn } from './definition.ts'
import type { Work } from './work.ts'

/**
 * The columns that a schema needs. One that can stay as it is does; a new one gets the first place that is not in use.
 * @param present all that have values, in force or coming
 * @param key the newest version of the tenant's key, which blinds
 */
export function planColumns(schema: Schema, present: readonly ValueColumn[], key: () => number): ValueColumn[] {
	const used = new Set(present.map(({ column }) => column))
	let place = 0
	return [...schema.fields.values()].flatMap((field): ValueColumn[] => {
		const isBlind = field.encrypted
		if (!field.unique && !(isBlind && field.index)) return []
		const wanted = { property: field.name, mode: field.unique || ('exact' as const) }
		const kept = present.find(
			(one) =>
				one.property === wanted.property &&
				one.mode === wanted.mode &&
				one.key === (isBlind ? key() : undefined) &&
				(one.shared !== true) === (field.unique !== false),
		)
		if (kept) return [kept]
		while (used.has(`u_${place}`)) place++
		const column = `u_${place}`
		used.add(column)
		return [{ ...wanted, column, ...(isBlind && { key: key() }), ...(!field.unique && { shared: true as const }) }]
	})
}

/** The columns to fill: those in force, those that follow on them, and those that a running change of schema is filling. */
export function columnsToFill({
	uniques,
	coming,
	next,
}: Pick<Definition, 'uniques' | 'coming' | 'next'>): ValueColumn[] {
	if (!next && coming.length === 0) return uniques
	const filled = [...uniques, ...coming]
	return [...filled, ...(next?.uniques ?? []).filter((one) => !filled.some(({ column }) => column === one.column))]
}

/** What a record has in a column. */
export function columnValue(
	{ vault }: Work,
	{ number }: Pick<Definition, 'number'>,
	{ property, mode, key }: ValueColumn,
	data: Record<string, unknown>,
): string | number | null {
	const value = Object.hasOwn(data, property) ? data[property] : null
	const normal = normaliseUnique(value as string | number | boolean | null, mode)
	return key === undefined || normal === null ? normal : vault.blind(key, number, property, normal)
}

/** The values of a record in all of its columns, in their order. */
export function columnValues(work: Work, definition: Definition, data: Record<string, unknown>): Outcome<SqlValue[]> {
	const columns = columnsToFill(definition)
	const values = columns.map((column) => columnValue(work, definition, column, data))
	const index = values.findIndex((value) => typeof value === 'string' && Buffer.byteLength(value) > uniqueTextBytesMax)
	const column = columns[index]
	if (!column) return accept(values)
	const errors = [{ pointer: `/${column.property}`, detail: `a unique text may take ${uniqueTextBytesMax} bytes` }]
	return refuse('validation_failed', 'the data does not fit the schema of the collection', { errors })
}
