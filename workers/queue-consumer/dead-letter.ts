import { z } from 'zod'
import type { Reading } from '../../core/contract.ts'
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
	const [present] = pointers.parse(JSON.parse(page.upserts))
	if (present !== undefined) return { op: 'upsert', collection: present.c, recordId: present.i, reason }
	if (definition !== null) return { op: 'schema', collection: definition.collection, recordId: null, reason }
	const [absent] = pointers.parse(kind === 'base' ? [] : JSON.parse(page.deletes))
	if (absent !== undefined) return { op: 'delete', collection: absent.c, recordId: absent.i, reason }
	return { op: 'none', collection: null, recordId: null, reason }
}

/** SQLSTATE and its class, of a failure that `refusesData`. */
export function reasonOf(failure: DatabaseFailure): string {
	return `${failure.sqlstate} ${classOf(failure)}`
}

const pointers = z.array(z.object({ c: z.string(), i: z.string() })).max(1)

function classOf(failure: DatabaseFailure): string | undefined {
	return failure.sqlstate === null ? undefined : dataClasses[failure.sqlstate.slice(0, 2)]
}
