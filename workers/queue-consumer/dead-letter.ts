import { z } from 'zod'
import type { Reading } from '../../core/contract.ts'
import { rowHash } from '../../core/row-hash.ts'
import type { DatabaseFailure } from '../../db/neon/client.ts'
import type { PoisonEntry } from '../../db/neon/set-aside.ts'

/**
 * The SQLSTATE classes that blame what a page holds. Everything else blames the database or our own SQL: waiting may
 * help, and setting entries aside would only lose them.
 */
const dataClasses: Record<string, string> = {
	'22': 'data exception',
	'23': 'integrity constraint violation',
	'54': 'program limit exceeded',
}

export function refusesData(failure: DatabaseFailure): boolean {
	return classOf(failure) !== undefined
}

/** True when a refused page can be blamed on one change: nothing smaller can be asked for, or nothing else is in it. */
export function isolates({ kind, page }: Reading): boolean {
	if (kind === 'base') return page.upsertCount <= 1
	return page.schema !== null || page.to - page.from === 1 || page.upsertCount + page.deleteCount <= 1
}

/** Names the one change of an isolated page; see `isolates`. */
export function poisonEntry({ kind, page }: Reading, failure: DatabaseFailure): PoisonEntry {
	const reason = reasonOf(failure)
	const definition = kind === 'base' ? page.definition : page.schema
	const [present] = records.parse(JSON.parse(page.upserts))
	if (present !== undefined) {
		const { c: collection, i: id, v: version, t: createdAt, u: updatedAt, d } = present
		const hash = rowHash({ collection, id, version, createdAt, updatedAt }, d, []).toString()
		return { op: 'upsert', collection, recordId: id, reason, hash }
	}
	const rest = { reason, hash: null }
	if (definition !== null) return { op: 'schema', collection: definition.collection, recordId: null, ...rest }
	const [absent] = pointers.parse(kind === 'base' ? [] : JSON.parse(page.deletes))
	if (absent !== undefined) return { op: 'delete', collection: absent.c, recordId: absent.i, ...rest }
	return { op: 'none', collection: null, recordId: null, ...rest }
}

/** SQLSTATE and its class, of a failure that `refusesData`. */
export function reasonOf(failure: DatabaseFailure): string {
	return `${failure.sqlstate} ${classOf(failure)}`
}

const pointer = z.object({ c: z.string(), i: z.string() })
const pointers = z.array(pointer).max(1)
const records = z
	.array(pointer.extend({ v: z.int(), t: z.int(), u: z.int(), d: z.record(z.string(), z.json()) }))
	.max(1)

function classOf(failure: DatabaseFailure): string | undefined {
	return failure.sqlstate === null ? undefined : dataClasses[failure.sqlstate.slice(0, 2)]
}
