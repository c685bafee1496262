import { recordsPath, schemaPath } from '../../core/archive.ts'
import type { ArchivedRow } from '../../core/archive-line.ts'
import type { Answer } from '../../core/contract.ts'
import { mintId } from '../../core/ids.ts'
import type {
	ArchiveFault,
	ImportInfo,
	ImportProgress,
	ImportStep,
	JobReply,
	JobRequest,
	OpenJob,
	UploadedPart,
} from '../../core/job.ts'
import { readJson } from '../../core/json.ts'
import { collectionsMax, importKeptMs, importRunningMsMax, importsMax, schemaBytesMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { parseSchema } from '../../core/schema.ts'
import { identifier, type Sql, type SqlValue } from '../../db/shard/sql.ts'
import { createTable, deleteCollection } from './collections.ts'
import { columnValues } from './columns.ts'
import { type Definition, loadStaged, stagedCollections } from './definition.ts'
import { faultsOf, insertJob, type JobRow, jobsOf, listJobs, loadJob, saveJob } from './jobs.ts'
import { readData } from './records.ts'
import { takeOverRestrictions } from './restriction.ts'
import { journalSchema } from './schema-change.ts'
import { requireKeys, textToStore } from './sealing.ts'
import { eraseAgain } from './subjects.ts'
import { attempt, type Work } from './work.ts'

/** What was asked for. Records carry the position of the import's first entry until they are changed, so no ETag comes twice. */
interface Asked {
	parts: number
	seq: number
	/** What is in the tenant makes way; absent for one that was empty. */
	replaces?: boolean
}

interface Progress {
	step: ImportProgress | null
	recordsDone: number
	recordsTotal: number | null
}

/** Begins an import into a tenant that has no collections, or whose collections it replaces; the archive is still to come. */
export function createImport(
	work: Work,
	takes: { parts: number; replaces?: boolean },
): Outcome<Answer<'import.create'>> {
	const full = work.storage.refuseGrowth(0, work.storageBytesMax)
	if (full) return full
	const present = jobsOf(work.sql, 'import')
	if (present.some(({ state }) => state === 'running' || state === 'waiting'))
		return refuse('job_running', 'an import into this tenant is not finished')
	if (!takes.replaces && !isEmpty(work))
		return refuse('tenant_not_empty', 'an import goes into a tenant without collections')
	if (present.length >= importsMax) return refuse('limit_exceeded', `a tenant keeps ${importsMax} imports`)
	const id = mintId(work.now, work.random)
	const position = work.journal.append({ op: 'import', collection: null, id, version: 1 })
	const asked: Asked = { parts: takes.parts, seq: position, ...(takes.replaces && { replaces: true }) }
	const progress: Progress = { step: null, recordsDone: 0, recordsTotal: null }
	insertJob(work.sql, {
		id,
		kind: 'import',
		state: 'waiting',
		asked: JSON.stringify(asked),
		progress: JSON.stringify(progress),
		created_at: work.now,
		expires_at: work.now + importRunningMsMax,
	})
	work.jobsChanged()
	const job = find(work, id)
	if (!job) throw new Error('a job vanished inside its own change')
	return accept({ import: infoOf(work, job), position })
}

export function getImport(work: Work, takes: { id: string }): Outcome<Answer<'import.get'>> {
	const job = find(work, takes.id)
	return job ? accept({ import: infoOf(work, job) }) : unknownImport()
}

export function listImports(
	work: Work,
	takes: { limit: number; after: string | null },
): Outcome<Answer<'import.list'>> {
	const jobs = listJobs(work.sql, 'import', takes.after ?? '', takes.limit + 1)
	const page = jobs.slice(0, takes.limit)
	const next = jobs.length > page.length ? (page.at(-1)?.id ?? null) : null
	return accept({ imports: page.map((job) => infoOf(work, job)), next })
}

/** Takes note of a part of the archive that lies in the bucket; with the last of them the work begins. */
export function uploadImport(
	work: Work,
	takes: { id: string; part: number; key: string; bytes: number },
): Outcome<Answer<'import.upload'>> {
	const job = find(work, takes.id)
	if (!job) return unknownImport()
	if (job.state !== 'waiting') return refuse('not_ready', `the import is ${job.state}`)
	const { parts }: Asked = JSON.parse(job.asked)
	if (takes.part > parts) return refuse('not_found', `the import has ${parts} parts`)
	work.sql.all(
		"INSERT OR REPLACE INTO job_part (job, number, path, key, bytes, packed) VALUES (?, ?, '', ?, ?, ?)",
		...[job.id, takes.part, takes.key, takes.bytes, takes.bytes],
	)
	const complete = uploadedParts(work, job).length === parts
	const now: JobRow = { ...job, state: complete ? 'running' : 'waiting' }
	saveJob(work.sql, now)
	if (complete) work.jobsChanged()
	return accept({ import: infoOf(work, now) })
}

export function openImport(work: Work, job: JobRow): OpenJob {
	const { step }: Progress = JSON.parse(job.progress)
	return { revision: job.revision, work: 'import', parts: uploadedParts(work, job), progress: step }
}

/** Takes over what a consumer has read and checked. What does not fit ends the import and leaves nothing. */
export function reportImport(work: Work, job: JobRow, step: ImportStep): JobReply<'import.report'> {
	const { seq, replaces = false }: Asked = JSON.parse(job.asked)
	const faults: ArchiveFault[] = []
	const outcome = attempt(work, () => {
		if (step.collection !== null && step.schema !== null) faults.push(...begin(work, step.collection, step.schema))
		else if (step.collection !== null && step.records > 0) faults.push(...fill(work, seq, step.collection, step))
		if (step.done && replaces) faults.push(...makeWay(work))
		if (step.done && faults.length === 0) faults.push(...finish(work, step.restricted ?? []))
		// What was erased of a person after the archive was made is in it once more.
		if (step.done && replaces && faults.length === 0) eraseAgain(work, step.asOf ?? 0)
		return faults.length === 0 ? accept(true) : refuse('validation_failed', 'the archive does not fit')
	})
	if (!outcome.ok) return { ok: true, value: { revision: failImport(work, job, faults) } }
	const before: Progress = JSON.parse(job.progress)
	const progress: Progress = {
		step: step.progress,
		recordsDone: before.recordsDone + step.records,
		recordsTotal: step.recordsTotal,
	}
	const now = { ...job, progress: JSON.stringify(progress) }
	if (!step.done) return { ok: true, value: { revision: saveJob(work.sql, now) } }
	work.journal.append({ op: 'import', collection: null, id: job.id, version: 2 })
	work.jobsChanged()
	const finished = { ...now, state: 'done' as const, finished_at: work.now, expires_at: work.now + importKeptMs }
	return { ok: true, value: { revision: saveJob(work.sql, finished) } }
}

/** Whether this report of a consumer puts an archive in the place of what the tenant holds. */
export function isReplacing(sql: Sql, { job: id, call }: JobRequest): boolean {
	if (call.name !== 'import.report' || !('step' in call) || !call.step.done) return false
	const job = loadJob(sql, id)
	if (job?.kind !== 'import' || job.state !== 'running' || job.revision !== call.revision) return false
	const { replaces = false }: Asked = JSON.parse(job.asked)
	return replaces
}

export function failImport(work: Work, job: JobRow, faults: ArchiveFault[]): number {
	dropStaged(work)
	work.jobsChanged()
	const failed = { ...job, state: 'failed' as const, faults: JSON.stringify(faults), finished_at: work.now }
	return saveJob(work.sql, { ...failed, expires_at: work.now + importKeptMs })
}

export function clearImport(work: Work, job: JobRow): void {
	saveJob(work.sql, { ...job, state: 'clearing' })
	work.jobsChanged()
}

/** A collection of the archive gets its table, which nobody sees before everything is there. */
function begin(work: Work, collection: string, text: string): ArchiveFault[] {
	const file = schemaPath(collection)
	const fault = (detail: string) => [{ file, line: null, detail }]
	if (Buffer.byteLength(text) > schemaBytesMax) return fault(`a schema has at most ${schemaBytesMax} bytes`)
	if (stagedCollections(work.sql).length >= collectionsMax)
		return fault(`a tenant may have ${collectionsMax} collections`)
	const read = readJson(text)
	if (!read.ok) return fault(read.refusal.detail)
	const parsed = parseSchema(read.value)
	if (!parsed.ok) return fault(parsed.refusal.errors?.[0]?.detail ?? parsed.refusal.detail)
	const { number, uniques } = createTable(work, parsed.value)
	work.sql.all(
		`INSERT INTO import_collection (name, number, version, schema, uniques, change, created_at, updated_at)
		VALUES (?, ?, 1, ?, ?, NULL, ?, ?)`,
		...[collection, number, JSON.stringify(read.value), JSON.stringify(uniques), work.now, work.now],
	)
	return []
}

/** Characters of JSON bound to one statement; a bound text may take 2 MB, and quoting and UTF-8 can multiply it. */
const charsPerStatement = 200_000

function fill(work: Work, seq: number, collection: string, step: ImportStep): ArchiveFault[] {
	const file = recordsPath(collection)
	const definition = loadStaged(work.sql, collection)
	if (!definition) return [{ file, line: null, detail: 'the file comes before its schema' }]
	const full = work.storage.refuseGrowth(step.rows.length, work.storageBytesMax)
	if (full && !full.ok) return [{ file, line: step.firstLine, detail: full.refusal.detail }]
	let rows: SqlValue[][] = []
	let chars = 0
	const all: ArchivedRow[] = JSON.parse(step.rows)
	requireKeys(
		work,
		definition,
		[],
		all.map(([, , , , data]) => data),
	)
	for (const [index, [id, version, createdAt, updatedAt, data]] of all.entries()) {
		const line = step.firstLine + index
		const read = readData(work, definition, data)
		if (!read.ok) return placed(file, line, read)
		const values = columnValues(work, definition, read.value)
		if (!values.ok) return placed(file, line, values)
		const stored = textToStore(work, definition, id, data, read.value)
		rows.push([id, version, createdAt, updatedAt, stored, ...values.value])
		chars += stored.length
		if (chars < charsPerStatement && index < all.length - 1) continue
		const clash = insertRows(work, definition, seq, rows)
		if (clash !== null) return [{ file, line: line - rows.length + 1 + clash, detail: 'a unique value is there twice' }]
		rows = []
		chars = 0
	}
	return []
}

function placed(file: string, line: number, { refusal }: Extract<Outcome<never>, { ok: false }>): ArchiveFault[] {
	const first = refusal.errors?.[0]
	return [{ file, line, detail: first ? `/data${first.pointer} ${first.detail}` : refusal.detail }]
}

/** The place of the first row that a unique index keeps out; null when there is none. */
function insertRows(work: Work, definition: Definition, seq: number, rows: SqlValue[][]): number | null {
	const columns = definition.uniques.map(({ column }) => `, ${column}`).join('')
	const values = definition.uniques.map((_, index) => `, json_extract(value, '$[${index + 5}]')`).join('')
	const written = work.sql.all<{ id: string }>(
		`INSERT OR IGNORE INTO ${definition.table} (id, version, seq, created_at, updated_at, data${columns})
		SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), ?, json_extract(value, '$[2]'), json_extract(value, '$[3]'),
			json_extract(value, '$[4]')${values} FROM json_each(?) RETURNING id`,
		seq,
		JSON.stringify(rows),
	)
	if (written.length === rows.length) return null
	const present = new Set(written.map(({ id }) => id))
	return rows.findIndex(([id]) => !present.has(String(id)))
}

/** Drops what is there, unless somebody's records must be kept: in the same transaction the archive's collections come into force. */
function makeWay(work: Work): ArchiveFault[] {
	for (const { name } of work.sql.all<{ name: string }>('SELECT name FROM collection ORDER BY name')) {
		const dropped = deleteCollection(work, { collection: name })
		if (!dropped.ok) return [{ file: '', line: null, detail: dropped.refusal.detail }]
	}
	return []
}

/** Puts all collections in force at once; the view reads each of them anew. Who was restricted stays so. */
function finish(work: Work, restricted: string[]): ArchiveFault[] {
	if (!isEmpty(work)) return [{ file: '', line: null, detail: 'collections were made in the tenant meanwhile' }]
	for (const { name, number } of stagedCollections(work.sql)) {
		const { records } = work.sql.all<{ records: number }>(
			`SELECT count(*) AS records FROM ${identifier(`c_${number}`)}`,
		)[0] ?? { records: 0 }
		work.sql.all(
			`INSERT INTO collection (name, number, version, schema, uniques, change, created_at, updated_at)
			SELECT name, number, version, schema, uniques, change, created_at, updated_at FROM import_collection WHERE name = ?`,
			name,
		)
		work.journal.totals.add(number, records, 0n)
		work.journal.totals.restartDigest(number)
		journalSchema(work, { name, number }, 1)
		work.journal.append({ op: 'rebuild', collection: { name, number }, id: null, version: null })
	}
	work.sql.all('DELETE FROM import_collection')
	work.catalog.change()
	takeOverRestrictions(work, restricted)
	return []
}

function dropStaged(work: Work): void {
	for (const { number } of stagedCollections(work.sql)) work.sql.all(`DROP TABLE ${identifier(`c_${number}`)}`)
	work.sql.all('DELETE FROM import_collection')
}

function isEmpty(work: Work): boolean {
	return work.sql.all('SELECT 1 AS one FROM collection LIMIT 1').length === 0
}

function uploadedParts(work: Work, job: JobRow): UploadedPart[] {
	return work.sql.all('SELECT key, bytes FROM job_part WHERE job = ? ORDER BY number', job.id)
}

function find(work: Work, id: string): JobRow | null {
	const job = loadJob(work.sql, id)
	return job?.kind === 'import' ? job : null
}

function unknownImport(): Outcome<never> {
	return refuse('not_found', 'there is no import with this id')
}

function infoOf(work: Work, job: JobRow): ImportInfo {
	const { parts }: Asked = JSON.parse(job.asked)
	const { recordsDone, recordsTotal }: Progress = JSON.parse(job.progress)
	const uploaded = uploadedParts(work, job)
	return {
		id: job.id,
		state: job.state,
		parts,
		partsDone: uploaded.length,
		bytes: uploaded.reduce((sum, { bytes }) => sum + bytes, 0),
		recordsDone,
		recordsTotal,
		faults: faultsOf(job),
		createdAt: job.created_at,
		finishedAt: job.finished_at,
		expiresAt: job.expires_at,
	}
}
