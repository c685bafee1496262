import type { Announcement } from '../../core/contract.ts'
import type { ArchiveFault, ArchivePart, JobKind, JobState } from '../../core/job.ts'
import { jobSilenceMs, jobSilenceMsMax } from '../../core/limits.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Duty, Moment } from './duty.ts'

export interface JobRow {
	id: string
	kind: JobKind
	state: JobState
	revision: number
	/** JSON; each kind has its own. */
	asked: string
	progress: string
	faults: string
	created_at: number
	finished_at: number | null
	/** When the row and what the job left in the bucket go, in milliseconds. */
	expires_at: number
}

const columns = 'id, kind, state, revision, asked, progress, faults, created_at, finished_at, expires_at'

export function loadJob(sql: Sql, id: string): JobRow | null {
	return sql.all<JobRow>(`SELECT ${columns} FROM job WHERE id = ?`, id)[0] ?? null
}

/** A page of the jobs of a kind, in the order in which they were made. */
export function listJobs(sql: Sql, kind: JobKind, after: string, limit: number): JobRow[] {
	return sql.all<JobRow>(`SELECT ${columns} FROM job WHERE kind = ? AND id > ? ORDER BY id LIMIT ?`, kind, after, limit)
}

export function allJobs(sql: Sql): JobRow[] {
	return sql.all(`SELECT ${columns} FROM job ORDER BY id`)
}

export function jobsOf(sql: Sql, kind: JobKind): { state: JobState }[] {
	return sql.all('SELECT state FROM job WHERE kind = ?', kind)
}

export function insertJob(
	sql: Sql,
	job: Pick<JobRow, 'id' | 'kind' | 'state' | 'asked' | 'progress' | 'created_at' | 'expires_at'>,
): void {
	sql.all(
		`INSERT INTO job (${columns}) VALUES (?, ?, ?, 0, ?, ?, '[]', ?, NULL, ?)`,
		job.id,
		job.kind,
		job.state,
		job.asked,
		job.progress,
		job.created_at,
		job.expires_at,
	)
}

/** Writes what a report changed. The revision fences off whoever read the row before. */
export function saveJob(sql: Sql, job: JobRow): number {
	const revision = job.revision + 1
	sql.all(
		'UPDATE job SET state = ?, revision = ?, progress = ?, faults = ?, finished_at = ?, expires_at = ? WHERE id = ?',
		job.state,
		revision,
		job.progress,
		job.faults,
		job.finished_at,
		job.expires_at,
		job.id,
	)
	return revision
}

export function faultsOf(job: JobRow): ArchiveFault[] {
	return JSON.parse(job.faults)
}

export function deleteJob(sql: Sql, id: string): void {
	for (const table of ['job_part', 'job_file']) sql.all(`DELETE FROM ${table} WHERE job = ?`, id)
	sql.all('DELETE FROM job WHERE id = ?', id)
}

export function partsOf(sql: Sql, job: string): ArchivePart[] {
	return sql.all('SELECT path, key, bytes, packed FROM job_part WHERE job = ? ORDER BY number', job)
}

export function overdueJobs(sql: Sql, now: number): JobRow[] {
	return sql.all(`SELECT ${columns} FROM job WHERE state <> 'clearing' AND expires_at <= ?`, now)
}

/**
 * When the jobs of a shard want its alarm, and what it then sends. A job that has something to do is announced until nothing of
 * it is left; hearing from its consumer puts the next announcement off.
 */
export class JobAnnouncer implements Duty {
	readonly #sql: Sql
	/** When there is something to do or to end; null for never, and `unknown` until somebody has looked. */
	#dueAt: number | null | 'unknown' = 'unknown'
	readonly #waits = new Map<string, { at: number; ms: number }>()

	constructor(sql: Sql) {
		this.#sql = sql
	}

	/** A job was made or changed its state. */
	changed(): void {
		this.#dueAt = 'unknown'
		this.#waits.clear()
	}

	heard(job: string, now: number): void {
		this.#waits.set(job, { at: now + jobSilenceMs, ms: jobSilenceMs })
	}

	isDue(now: number): boolean {
		if (this.#dueAt === 'unknown') this.#dueAt = hasJobs(this.#sql) ? now : null
		return this.#dueAt !== null && this.#dueAt <= now
	}

	ring({ now, tenant: { id: tenant, shard, epoch } }: Moment): Announcement[] {
		if (!this.isDue(now)) return []
		const active = activeJobs(this.#sql)
		for (const id of this.#waits.keys()) if (!active.includes(id)) this.#waits.delete(id)
		const announced: Announcement[] = []
		for (const job of active) {
			const wait = this.#waits.get(job) ?? { at: 0, ms: jobSilenceMs / 2 }
			if (now < wait.at) continue
			const ms = Math.min(wait.ms * 2, jobSilenceMsMax)
			this.#waits.set(job, { at: now + ms, ms })
			announced.push({ kind: 'job', tenant, shard, epoch, job })
		}
		const times = [...this.#waits.values()].map(({ at }) => at)
		this.#dueAt = Math.min(...times, nextExpiry(this.#sql) ?? Number.POSITIVE_INFINITY)
		return announced
	}

	wants({ now }: Moment): number | null {
		if (this.isDue(now)) return now + 1
		return this.#dueAt === 'unknown' || this.#dueAt === Number.POSITIVE_INFINITY ? null : this.#dueAt
	}
}

function activeJobs(sql: Sql): string[] {
	return sql.all<{ id: string }>("SELECT id FROM job WHERE state IN ('running', 'clearing')").map(({ id }) => id)
}

function hasJobs(sql: Sql): boolean {
	return sql.all('SELECT 1 AS one FROM job LIMIT 1').length > 0
}

function nextExpiry(sql: Sql): number | null {
	return (
		sql.all<{ at: number | null }>("SELECT min(expires_at) AS at FROM job WHERE state <> 'clearing'")[0]?.at ?? null
	)
}
