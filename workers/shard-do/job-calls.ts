import type { ArchiveFault, JobCall, JobReply } from '../../core/job.ts'
import { clearExport, failExport, openExport, reportExport } from './export.ts'
import { clearImport, failImport, openImport, reportImport } from './import.ts'
import { deleteJob, type JobRow, loadJob } from './jobs.ts'
import type { Segments } from './segments.ts'
import { readSnapshot } from './snapshot.ts'
import type { Work } from './work.ts'

/** Answers a consumer at a job. What it reports counts only while the job is running and nobody else has reported since it read. */
export function runJobCall(work: Work, segments: Segments, id: string, call: JobCall): JobReply {
	const job = loadJob(work.sql, id)
	if (!job) return { ok: false, reason: 'gone' }
	switch (call.name) {
		case 'open':
			if (job.state === 'clearing') return { ok: true, value: { revision: job.revision, work: 'clear' } }
			if (job.state !== 'running') return { ok: true, value: { revision: job.revision, work: 'none' } }
			return { ok: true, value: job.kind === 'export' ? openExport(job) : openImport(work, job) }
		case 'cleared':
			if (job.state !== 'clearing') return { ok: false, reason: 'gone' }
			deleteJob(work.sql, id)
			work.jobsChanged()
			return { ok: true, value: {} }
	}
	if (job.state !== 'running') return { ok: false, reason: 'gone' }
	if (call.name === 'export.read') return { ok: true, value: readSnapshot(work, segments, call.cursor) }
	if (job.revision !== call.revision) return { ok: false, reason: 'overtaken' }
	switch (call.name) {
		case 'fail':
			return { ok: true, value: { revision: fail(work, job, call.faults) } }
		case 'export.report':
			return reportExport(work, job, call.step)
		case 'import.report':
			return reportImport(work, job, call.step)
	}
}

/** Ends a job whose time is over: what is unfinished has failed, everything else is deleted. */
export function expireJob(work: Work, job: JobRow): void {
	const isUnfinished = job.state === 'running' || job.state === 'waiting'
	if (isUnfinished) fail(work, job, [{ file: '', line: null, detail: 'it took too long' }])
	else if (job.kind === 'export') clearExport(work, job)
	else clearImport(work, job)
}

function fail(work: Work, job: JobRow, faults: ArchiveFault[]): number {
	return job.kind === 'export' ? failExport(work, job, faults) : failImport(work, job, faults)
}
