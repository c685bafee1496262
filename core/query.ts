import type { PagePosition, ScalarType } from './contract.ts'
import type { PatternToken } from './pattern.ts'

/** A list request as the edge parsed it: the grammar is checked, but fields and types are not, because the schema lives in the shard. */
export interface ListQuery {
	filter: RawFilter | null
	order: { field: string; descending: boolean }[]
	limit: number
	after: PagePosition | null
	/** Properties of `data` to answer with; null for all. */
	select: string[] | null
	count: boolean
}

/**
 * Values are still text; binding to a schema gives them types. `field` is the name as it was written: built in, a
 * property of `data`, or `data.<name>` for a property whatever it is called. `pointer` names the place for errors.
 */
export type RawFilter =
	| { kind: 'and' | 'or'; filters: RawFilter[] }
	| { kind: 'not'; filter: RawFilter }
	| { kind: 'compare'; field: string; op: CompareOp; value: string; pointer: string }
	| { kind: 'in'; field: string; values: string[]; pointer: string }
	| { kind: 'is'; field: string; value: 'null' | 'not_null' | 'true' | 'false' | 'unknown'; pointer: string }
	| { kind: 'like'; field: string; pattern: string; fold: boolean; pointer: string }

export type CompareOp = 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte'

/** A value in a filter or a position; null only in positions. Moments are milliseconds since 1970. */
export type Scalar = string | number | boolean

export const builtInFields = ['id', 'version', 'created_at', 'updated_at'] as const
export type BuiltInName = (typeof builtInFields)[number]

/** A field whose place and type are known. A property of `data` may bear the name of a built-in field. */
export type BoundField =
	| { place: 'record'; name: BuiltInName; type: 'string' | 'integer' | 'time' }
	| {
			place: 'data'
			name: string
			type: ScalarType
			/** The column with a blind index of its values, which are not in `data` themselves. */
			column?: string
	  }

/**
 * A filter with typed values. Its logic is SQL's, with three values: a comparison with null is unknown, and only what is
 * true is answered. An absent property is null.
 */
export type BoundFilter =
	| { kind: 'and' | 'or'; filters: BoundFilter[] }
	| { kind: 'not'; filter: BoundFilter }
	| { kind: 'compare'; field: BoundField; op: CompareOp; value: Scalar }
	| { kind: 'in'; field: BoundField; values: Scalar[] }
	| { kind: 'is'; field: BoundField; value: 'null' | 'not_null' | 'true' | 'false' }
	| { kind: 'like'; field: BoundField; tokens: PatternToken[]; fold: boolean }

export interface BoundTerm {
	field: BoundField
	descending: boolean
}

/** A query, of one shard or of the view, whose filter and order are bound. */
export type Bound<Query> = Omit<Query, 'filter' | 'order'> & { filter: BoundFilter | null; order: BoundTerm[] }

export type BoundQuery = Bound<ListQuery>

/**
 * The name of a property that no built-in field can be mistaken for; in a set of indexed fields, a built-in field goes by
 * its own name and a property by this one.
 */
export function propertyKey(name: string): string {
	return isBuiltIn(name) ? `data.${name}` : name
}

export function fieldKey(field: BoundField): string {
	return field.place === 'data' ? propertyKey(field.name) : field.name
}

export function isBuiltIn(name: string): name is BuiltInName {
	return builtInFields.some((builtIn) => builtIn === name)
}
