/**
 * Long work of one tenant: a row in its shard, performed step by step by the consumer. The shard's alarm announces a job until
 * it is reported finished, so a crash anywhere costs the step that was under way. A report names the revision that it was made
 * for and raises it, so of two consumers at one job only one is believed.
 */
import type { ArchiveFile, ArchiveTenant, PackedPart } from './archive.ts'
import type { JsonText } from './contract.ts'
import type { TenantId } from './ids.ts'
import type { DigestState } from './sha256.ts'

export const jobKinds = ['export', 'import'] as const
export type JobKind = (typeof jobKinds)[number]

/**
 * `waiting` for what its owner has to bring; `running`; then `done` or `failed`. `clearing` is over: nobody may read it any more,
 * and what it left in the bucket is being deleted, after which the row goes too.
 */
export type JobState = 'waiting' | 'running' | 'done' | 'failed' | 'clearing'

/** The message that a job has something to do: a pointer, never data. */
export interface JobWakeUp {
	kind: 'job'
	tenant: TenantId
	shard: number
	epoch: number
	job: string
}

/** One place of an archive that is wrong. `line` counts from 1; null where a file as a whole is wrong. */
export interface ArchiveFault {
	file: string
	line: number | null
	detail: string
}

export interface ExportInfo {
	id: string
	state: JobState
	/** The journal position whose state the archive holds, exactly. */
	asOfSeq: number
	csv: boolean
	recordsDone: number
	recordsTotal: number
	/** Bytes of the files so far, before packing. */
	bytesDone: number
	/** Size of the archive; null until it is there. */
	archiveBytes: number | null
	faults: ArchiveFault[]
	createdAt: number
	finishedAt: number | null
	expiresAt: number
}

/** An archive that is there, with the keys of what it is assembled from. */
export interface ExportLayout {
	tenant: ArchiveTenant
	exportId: string
	asOfSeq: number
	/** Milliseconds; when the position was the last. */
	asOf: number
	/** People who were restricted then; absent in an export of older code. */
	restricted?: string[]
	files: ArchiveFile[]
	/** By number, of all files one after the other. */
	parts: ArchivePart[]
}

export interface ArchivePart extends PackedPart {
	/** Which file the part belongs to, by its path. */
	path: string
	key: string
}

/** Where the reading of an export stands: in which of its sources, and after which record's id or journal position. */
export interface ExportCursor {
	/** Collections in the order of their names, then the journal. */
	source: number
	after: string
}

/** How far a file has come: what a digest over its next part starts from. */
export interface FileProgress {
	digest: DigestState
	crc: number
	bytes: number
	packed: number
	records: number
}

export interface ExportProgress {
	cursor: ExportCursor
	/** Parts so far. */
	parts: number
	/** The files that the current source is being written to; null at its beginning. */
	lines: FileProgress | null
	csv: FileProgress | null
}

/** One page of an export's source. */
export interface ExportPage {
	/** Null for the journal. */
	collection: string | null
	/** Of the collection, as of the export's position. */
	schema: JsonText | null
	/** Lines of JSON in UTF-8, each ended by a line feed. */
	lines: Uint8Array
	records: number
	/** Where the next page starts; in the next source when this one is ended. */
	next: ExportCursor
	ended: boolean
}

/** A step of an export as the consumer did it: parts that lie in the bucket, and files that they end. */
export interface ExportStep {
	parts: ArchivePart[]
	files: ArchiveFile[]
	progress: ExportProgress
	records: number
	/** Everything is there. */
	done: boolean
}

/** A part of an uploaded archive, in the bucket. */
export interface UploadedPart {
	key: string
	bytes: number
}

export interface ImportInfo {
	id: string
	state: JobState
	/** In how many parts the archive is uploaded, and how many of them are there. */
	parts: number
	partsDone: number
	bytes: number
	recordsDone: number
	/** Null before the manifest was read. */
	recordsTotal: number | null
	faults: ArchiveFault[]
	createdAt: number
	finishedAt: number | null
	expiresAt: number
}

/** Where the reading of an archive stands: in which file of the manifest, at which part, after how many lines. */
export interface ImportProgress {
	file: number
	part: number
	lines: number
	/** Of the last record of this file. */
	lastId: string
	digest: DigestState
	crc: number
}

/** A step of an import as the consumer did it: what one part of the archive holds, checked. */
export interface ImportStep {
	recordsTotal: number
	/** When the archive's position was the last, in milliseconds; absent from a consumer of older code. */
	asOf?: number
	/** Null for a file that belongs to none. */
	collection: string | null
	/** The text of the collection's schema, when this is the step that read it. */
	schema: JsonText | null
	/** A JSON array of `ArchivedRow` (core/archive-line.ts), the first from line `firstLine` of its file. */
	rows: JsonText
	firstLine: number
	records: number
	progress: ImportProgress
	/** With the last step: people who are restricted. Absent from a consumer of older code. */
	restricted?: string[]
	/** Everything was read. */
	done: boolean
}

/** What a consumer asks of a job, by name. */
export interface JobCalls {
	open: { takes: Record<never, never>; answers: OpenJob }
	'export.read': { takes: { cursor: ExportCursor }; answers: ExportPage | null }
	'export.report': { takes: { revision: number; step: ExportStep }; answers: { revision: number } }
	'import.report': { takes: { revision: number; step: ImportStep }; answers: { revision: number } }
	/** The job cannot be finished, and says why. */
	fail: { takes: { revision: number; faults: ArchiveFault[] }; answers: { revision: number } }
	/** Nothing of the job is left in the bucket. */
	cleared: { takes: Record<never, never>; answers: Record<never, never> }
}

export type JobCallName = keyof JobCalls
export type JobCall = { [N in JobCallName]: { name: N } & JobCalls[N]['takes'] }[JobCallName]

export interface JobRequest<N extends JobCallName = JobCallName> {
	tenant: TenantId
	shard: number
	epoch: number
	job: string
	call: { name: N } & JobCalls[N]['takes']
}

export type JobReply<N extends JobCallName = JobCallName> =
	| { ok: true; value: JobCalls[N]['answers'] }
	/** No such job here, or not in this state; or somebody else's report came first. */
	| { ok: false; reason: 'gone' | 'overtaken' }

/** A job as its consumer finds it. */
export type OpenJob = { revision: number } & (
	| { work: 'export'; csv: boolean; progress: ExportProgress }
	| { work: 'import'; parts: UploadedPart[]; progress: ImportProgress | null }
	| { work: 'clear' }
	| { work: 'none' }
)

/** Everything of a job in its region's bucket begins with this. */
export function jobPrefix({ tenant, job }: { tenant: TenantId; job: string }): string {
	return `jobs/${tenant}/${job}/`
}
