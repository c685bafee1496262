/**
 * Rotation of the tenant's own key. A newer version comes into the control object; from then on everything is sealed and blinded
 * under it, and what rests under an older one follows in steps. Once nothing is left, the older one is destroyed. Each stage is
 * a row here and a conditional put there, so that a crash between any two of them costs a step.
 */
import type { KeyRotation } from '../../core/contract.ts'
import { mintId } from '../../core/ids.ts'
import { collectionsMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { resealAnswer } from './answers.ts'
import { listDefinitions, loadNumbered } from './definition.ts'
import { rewriteAnswers } from './idempotency.ts'
import { fillComing, finishComing, missingColumns, prepareComing } from './reblinding.ts'
import { resealRecords } from './resealing.ts'
import type { Work } from './work.ts'

/**
 * `asked`: the control object has to get the new version. `sealing`: collections, `answers`: kept answers rest under the new one
 * step by step. `proving`: all records are looked at once more. `closing`: the control object has to lose the older ones.
 */
type Stage = 'asked' | 'sealing' | 'answers' | 'proving' | 'closing' | 'done'

/** The last rotation, as it rests. Times are milliseconds since 1970. */
interface Rotation {
	id: string
	/** Everything is to rest under this version of the key. */
	version: number
	stage: Stage
	place: Place
	recordsDone: number
	recordsTotal: number
	startedAt: number
	finishedAt: number | null
}

/** Where a stage has come to: the number of a collection or table, and the last id in it. */
interface Place {
	number: number
	after: string
	/** Set while the collection's blind indexes are filled; its records follow. */
	filling: boolean
}

/** What the control object has to do for a rotation to go on. */
export type KeyOrder = { do: 'add' | 'retire'; version: number }

const start: Place = { number: 0, after: '', filling: false }

/** Records of one step of sealing, during which the tenant's requests wait: some 100 ms with two encrypted properties. */
const sealRecords = 250
/** Records of one look for what is left, which opens nothing. */
const proofRecords = 5_000

/** Asks for a rotation, or answers the one that is running. */
export function startRotation(work: Work): Outcome<{ rotation: KeyRotation; position: number }> {
	const present = readRotation(work.sql)
	if (present && present.stage !== 'done') return accept({ rotation: infoOf(present), position: work.journal.head })
	if (!work.vault.hasKey()) return refuse('not_ready', 'this tenant has no key: nothing of it is encrypted')
	const asked: Rotation = {
		...{ id: mintId(work.now, work.random), version: work.vault.newest() + 1, stage: 'asked', place: start },
		...{ recordsDone: 0, recordsTotal: encryptedRecords(work), startedAt: work.now, finishedAt: null },
	}
	save(work.sql, asked)
	return accept({ rotation: infoOf(asked), position: journal(work, asked, 1) })
}

export function getRotation({ sql }: Work): Outcome<{ rotation: KeyRotation }> {
	const rotation = readRotation(sql)
	return rotation ? accept({ rotation: infoOf(rotation) }) : refuse('not_found', 'the key of this tenant never rotated')
}

/** Whether one is running. */
export function isRotating(sql: Sql): boolean {
	return (readRotation(sql)?.stage ?? 'done') !== 'done'
}

/** The version that this database has begun to seal under: an older one must not seal any more. */
export function leastVersion(sql: Sql): number {
	const rotation = readRotation(sql)
	if (rotation === null) return 1
	return rotation.stage === 'asked' ? rotation.version - 1 : rotation.version
}

/**
 * Brings the rotation in line with the keys of the control object, the newest last, however they came to be there. True when
 * that was news.
 */
export function followKeys(work: Work, versions: readonly number[]): boolean {
	const newest = versions.at(-1)
	if (newest === undefined) return false
	const rotation = readRotation(work.sql)
	if (newest > leastVersion(work.sql)) {
		const { id, startedAt } =
			rotation?.stage === 'asked' ? rotation : { id: mintId(work.now, work.random), startedAt: work.now }
		const recordsTotal = encryptedRecords(work)
		const begun: Rotation = {
			...{ id, version: newest, stage: 'sealing', place: start },
			...{ recordsDone: 0, recordsTotal, startedAt, finishedAt: null },
		}
		save(work.sql, begun)
		journal(work, begun, 2)
		return true
	}
	if (rotation?.stage !== 'closing' || versions.some((version) => version < rotation.version)) return false
	save(work.sql, { ...rotation, stage: 'done', finishedAt: work.now })
	journal(work, rotation, 3)
	return true
}

/** What is asked of the control object; null for nothing. */
export function keyOrder(sql: Sql): KeyOrder | null {
	const rotation = readRotation(sql)
	if (rotation?.stage === 'asked') return { do: 'add', version: rotation.version }
	return rotation?.stage === 'closing' ? { do: 'retire', version: rotation.version } : null
}

/** One step. `waits` for something else to end first, `ends` where there is nothing to do here. @throws KeyAbsent */
export function stepRotation(work: Work): 'goes_on' | 'waits' | 'ends' {
	const rotation = readRotation(work.sql)
	if (rotation === null || rotation.stage === 'done') return 'ends'
	const step = steps[rotation.stage]
	// A running import has records that are nobody's yet, an export such as are nobody's any more.
	if (!step || work.catalog.snapshot() || isImporting(work.sql)) return 'waits'
	const next = step(work, rotation)
	if (next === null) return 'waits'
	save(work.sql, next)
	return keyOrder(work.sql) ? 'waits' : 'goes_on'
}

/** What each stage does next; null when it has to wait. */
const steps: { [S in Stage]?: (work: Work, rotation: Rotation) => Rotation | null } = {
	sealing: sealOn,
	answers: (work, rotation) => {
		const { place } = rotation
		const next = rewriteAnswers(work.sql, place, sealRecords, (text) => resealAnswer(work.vault, text))
		return next === null
			? { ...rotation, stage: 'proving', place: start }
			: { ...rotation, place: { ...place, ...next } }
	},
	proving: proveOn,
}

function sealOn(work: Work, rotation: Rotation): Rotation | null {
	const number = nextNumber(work.sql, rotation.place.number)
	if (number === null) return { ...rotation, stage: 'answers', place: start }
	const place = number === rotation.place.number ? rotation.place : { ...start, number }
	const definition = loadNumbered(work.sql, number)
	// What a change of schema fills and seals is its own; it blinds under the newest key by itself.
	if (definition.next) return null
	if (definition.schema.encrypted.length === 0) return { ...rotation, place: { ...start, number: number + 1 } }
	const missing = missingColumns(work, definition)
	if (missing.length > 0) {
		if (!place.filling || !isSameColumns(missing, definition.coming)) {
			prepareComing(work, definition, missing)
			return { ...rotation, place: { number, after: '', filling: true } }
		}
		const after = fillComing(work, definition, place.after, sealRecords)
		if (after !== null) return { ...rotation, place: { ...place, after } }
		finishComing(work, definition)
		return { ...rotation, place: { ...start, number } }
	}
	// A change of schema has filled them meanwhile: the records begin at their first.
	const { after, rows } = resealRecords(work, definition, place.filling ? '' : place.after, sealRecords)
	const recordsDone = rotation.recordsDone + rows
	const recordsTotal = Math.max(rotation.recordsTotal, recordsDone)
	const next = after === null ? { ...start, number: number + 1 } : { ...start, number, after }
	return { ...rotation, place: next, recordsDone, recordsTotal }
}

/** Nothing can have come under an older key, because the vault refuses to seal by it. Before a key is destroyed, that is counted. */
function proveOn(work: Work, rotation: Rotation): Rotation | null {
	const { place } = rotation
	const number = nextNumber(work.sql, place.number)
	if (number === null) return { ...rotation, stage: 'closing', place: start }
	const definition = loadNumbered(work.sql, number)
	if (definition.next) return null
	const [own, any] = [`"\\u0000k${rotation.version}.`, '"\\u0000k']
	const [page] = work.sql.all<{ rows: number; last: string | null; found: number | null }>(
		`SELECT count(*) AS rows, max(id) AS last, sum(instr(replace(data, ?, ''), ?) > 0) AS found
		FROM (SELECT id, data FROM ${definition.table} WHERE id > ? ORDER BY id LIMIT ?)`,
		...[own, any, number === place.number ? place.after : '', proofRecords],
	)
	const isBehind = (page?.found ?? 0) > 0 || missingColumns(work, definition).length > 0
	if (isBehind) return { ...rotation, stage: 'sealing', place: start, recordsDone: 0 }
	const isLast = (page?.rows ?? 0) < proofRecords
	const next = isLast ? { ...start, number: number + 1 } : { ...start, number, after: page?.last ?? '' }
	return { ...rotation, place: next }
}

function isSameColumns(some: readonly { column: string }[], others: readonly { column: string }[]): boolean {
	return some.length === others.length && some.every(({ column }) => others.some((one) => one.column === column))
}

/** The first collection from a number on. */
function nextNumber(sql: Sql, from: number): number | null {
	const rows = sql.all<{ number: number }>(
		'SELECT number FROM collection WHERE number >= ? ORDER BY number LIMIT 1',
		from,
	)
	return rows[0]?.number ?? null
}

function encryptedRecords({ sql, journal: { totals } }: Work): number {
	return listDefinitions(sql, '', collectionsMax)
		.filter(({ schema }) => schema.encrypted.length > 0)
		.reduce((sum, { number }) => sum + totals.records(number), 0)
}

function isImporting(sql: Sql): boolean {
	return sql.all('SELECT 1 AS one FROM import_collection LIMIT 1').length > 0
}

function readRotation(sql: Sql): Rotation | null {
	const state = sql.all<{ state: string }>('SELECT state FROM key_rotation')[0]?.state
	return state === undefined ? null : JSON.parse(state)
}

function save(sql: Sql, rotation: Rotation): void {
	sql.all('INSERT OR REPLACE INTO key_rotation (only_row, state) VALUES (1, ?)', JSON.stringify(rotation))
}

/** Entries of one rotation: it was asked for (1), the new key is in force (2), the older one is destroyed (3). */
function journal(work: Work, { id }: Rotation, version: 1 | 2 | 3): number {
	return work.journal.append({ op: 'rotation', collection: null, id, version })
}

function infoOf({ id, version, stage, recordsDone, recordsTotal, startedAt, finishedAt }: Rotation): KeyRotation {
	return { id, version, isDone: stage === 'done', recordsDone, recordsTotal, startedAt, finishedAt }
}
