import type { PagePosition } from './contract.ts'

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

/** Values are still text; binding to a schema gives them types. */
export type RawFilter =
	| { kind: 'and' | 'or'; filters: RawFilter[] }
	| { kind: 'not'; filter: RawFilter }
	| { kind: 'compare'; field: string; op: 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte'; value: string; pointer: string }
	| { kind: 'in'; field: string; values: string[]; pointer: string }
	| { kind: 'is'; field: string; value: 'null' | 'not_null' | 'true' | 'false' | 'unknown'; pointer: string }
	| { kind: 'like'; field: string; pattern: string; fold: boolean; pointer: string }
