import { type ArchiveTenant, archivePieces } from '../../core/archive.ts'
import type { Answer } from '../../core/contract.ts'
import { mintId, regionOf } from '../../core/ids.ts'
import type {
	ArchiveFault,
	ExportInfo,
	ExportLayout,
	ExportProgress,
	ExportStep,
	JobReply,
	OpenJob,
} from '../../core/job.ts'
import { exportKeptMs, exportRunningMsMax, exportsMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { sumOf } from '../../core/sum.ts'
import { piecesLength } from '../../core/zip.ts'
import { faultsOf, insertJob, type JobRow, jobsOf, listJobs, loadJob, partsOf, saveJob } from './jobs.ts'
import { beginSnapshot, endSnapshot, passSnapshot } from './snapshot.ts'
import { readTenant } from './tenant.ts'
import type { Work } from './work.ts'

/** What was asked for, and what was so when it was asked. */
interface Asked {
	csv: boolean
	asOfSeq: number
	recordsTotal: number
	tenant: ArchiveTenant
	/** People who are restricted; absent from an export of older code. */
	restricted?: string[]
}

/** How far the consumer has come, and what a person wants to know about it. */
interface Progress extends ExportProgress {
	recordsDone: number
	bytesDone: number
	archiveBytes: number | null
}

const atFirst: Progress = {
	cursor: { source: 0, after: '' },
	parts: 0,
	lines: null,
	csv: null,
	recordsDone: 0,
	bytesDone: 0,
	archiveBytes: null,
}

/** Begins an export of the state as it is now. Its own journal entry is the last that belongs to it. */
export function createExport(work: Work, takes: { csv: boolean }): Outcome<Answer<'export.create'>> {
	const full = work.storage.refuseGrowth(0, work.storageBytesMax)
	if (full) return full
	const present = jobsOf(work.sql, 'export')
	if (present.some(({ state }) => state === 'running'))
		return refuse('job_running', 'an export of this tenant is running')
	if (present.length >= exportsMax) return refuse('limit_exceeded', `a tenant keeps ${exportsMax} exports; delete one`)
	const id = mintId(work.now, work.random)
	const position = journalExport(work, 'export', id, 1)
	beginSnapshot(work.sql, id, position)
	work.catalog.change()
	const { id: tenantId, slug, name, created_at: createdAt } = readTenant(work.sql)
	const tenant = { id: tenantId, slug, name, region: regionOf(tenantId), createdAt }
	const recordsTotal = work.journal.totals.sum().records
	const restricted = [...work.catalog.restrictions().subjects]
	const asked: Asked = { csv: takes.csv, asOfSeq: position, recordsTotal, tenant, restricted }
	insertJob(work.sql, {
		id,
		kind: 'export',
		state: 'running',
		asked: JSON.stringify(asked),
		progress: JSON.stringify(atFirst),
		created_at: work.now,
		expires_at: work.now + exportRunningMsMax,
	})
	work.jobsChanged()
	return accept({ export: infoOf(load(work, id)), position })
}

export function getExport(work: Work, takes: { id: string }): Outcome<Answer<'export.get'>> {
	const job = find(work, takes.id)
	return job ? accept({ export: infoOf(job) }) : unknownExport()
}

export function listExports(
	work: Work,
	takes: { limit: number; after: string | null },
): Outcome<Answer<'export.list'>> {
	const jobs = listJobs(work.sql, 'export', takes.after ?? '', takes.limit + 1)
	const page = jobs.slice(0, takes.limit)
	return accept({ exports: page.map(infoOf), next: jobs.length > page.length ? (page.at(-1)?.id ?? null) : null })
}

/** What a download is assembled from; that it was asked for is in the journal before the first byte goes out. */
export function downloadExport(work: Work, takes: { id: string }): Outcome<Answer<'export.download'>> {
	const job = find(work, takes.id)
	if (!job || job.state === 'clearing' || job.expires_at <= work.now) return unknownExport()
	if (job.state !== 'done') return refuse('not_ready', `the export is ${job.state}`)
	return accept({ layout: layoutOf(work, job), position: journalExport(work, 'access', job.id, null) })
}

/** From now on nobody can download it; a consumer deletes what is in the bucket. */
export function deleteExport(work: Work, takes: { id: string }): Outcome<Answer<'export.delete'>> {
	const job = find(work, takes.id)
	if (!job || job.state === 'clearing') return unknownExport()
	clearExport(work, job)
	return accept({ position: journalExport(work, 'export', job.id, null) })
}

/** Ends an export whatever its state. */
export function clearExport(work: Work, job: JobRow): void {
	endSnapshot(work.sql, job.id)
	work.catalog.change()
	saveJob(work.sql, { ...job, state: 'clearing' })
	work.jobsChanged()
}

/** Ends a running export that cannot be finished; what it has put into the bucket goes when it expires. */
export function failExport(work: Work, job: JobRow, faults: ArchiveFault[]): number {
	endSnapshot(work.sql, job.id)
	work.catalog.change()
	work.jobsChanged()
	const failed = { ...job, state: 'failed' as const, faults: JSON.stringify(faults), finished_at: work.now }
	return saveJob(work.sql, { ...failed, expires_at: work.now + exportKeptMs })
}

export function openExport(job: JobRow): OpenJob {
	const { csv }: Asked = JSON.parse(job.asked)
	const { cursor, parts, lines, csv: csvFile }: Progress = JSON.parse(job.progress)
	return { revision: job.revision, work: 'export', csv, progress: { cursor, parts, lines, csv: csvFile } }
}

/** Takes over what a consumer has put into the bucket. */
export function reportExport(work: Work, job: JobRow, step: ExportStep): JobReply<'export.report'> {
	const before: Progress = JSON.parse(job.progress)
	for (const [index, part] of step.parts.entries()) {
		work.sql.all(
			'INSERT INTO job_part (job, number, path, key, bytes, packed) VALUES (?, ?, ?, ?, ?, ?)',
			job.id,
			before.parts + index,
			part.path,
			part.key,
			part.bytes,
			part.packed,
		)
	}
	for (const file of step.files) {
		work.sql.all(
			`INSERT INTO job_file (job, number, path, records, bytes, packed, crc, sha256)
			VALUES (?, (SELECT count(*) FROM job_file WHERE job = ?), ?, ?, ?, ?, ?, ?)`,
			job.id,
			job.id,
			file.path,
			file.records,
			file.bytes,
			file.packed,
			file.crc,
			file.sha256,
		)
	}
	const progress: Progress = {
		...step.progress,
		recordsDone: before.recordsDone + step.records,
		bytesDone: before.bytesDone + sumOf(step.parts, ({ bytes }) => bytes),
		archiveBytes: null,
	}
	if (!step.done) {
		passSnapshot(work.sql, job.id, step.progress.cursor)
		return { ok: true, value: { revision: saveJob(work.sql, { ...job, progress: JSON.stringify(progress) }) } }
	}
	endSnapshot(work.sql, job.id)
	work.catalog.change()
	work.jobsChanged()
	const finished: JobRow = { ...job, state: 'done', finished_at: work.now, expires_at: work.now + exportKeptMs }
	progress.archiveBytes = piecesLength(archivePieces(layoutOf(work, finished)))
	return { ok: true, value: { revision: saveJob(work.sql, { ...finished, progress: JSON.stringify(progress) }) } }
}

function find(work: Work, id: string): JobRow | null {
	const job = loadJob(work.sql, id)
	return job?.kind === 'export' ? job : null
}

function load(work: Work, id: string): JobRow {
	const job = loadJob(work.sql, id)
	if (!job) throw new Error('a job vanished inside its own change')
	return job
}

function unknownExport(): Outcome<never> {
	return refuse('not_found', 'there is no export with this id')
}

function journalExport(work: Work, op: 'export' | 'access', id: string, version: number | null): number {
	return work.journal.append({ op, collection: null, id, version })
}

function infoOf(job: JobRow): ExportInfo {
	const { csv, asOfSeq, recordsTotal }: Asked = JSON.parse(job.asked)
	const { recordsDone, bytesDone, archiveBytes }: Progress = JSON.parse(job.progress)
	const { id, state, created_at: createdAt, finished_at: finishedAt, expires_at: expiresAt } = job
	const faults = faultsOf(job)
	return {
		id,
		state,
		asOfSeq,
		csv,
		recordsDone,
		recordsTotal,
		bytesDone,
		archiveBytes,
		faults,
		createdAt,
		finishedAt,
		expiresAt,
	}
}

function layoutOf(work: Work, job: JobRow): ExportLayout {
	const { asOfSeq, tenant, restricted = [] }: Asked = JSON.parse(job.asked)
	const files = work.sql.all<ExportLayout['files'][number]>(
		'SELECT path, records, bytes, packed, crc, sha256 FROM job_file WHERE job = ? ORDER BY number',
		job.id,
	)
	const parts = partsOf(work.sql, job.id)
	return { tenant, exportId: job.id, asOfSeq, asOf: job.created_at, restricted, files, parts }
}
