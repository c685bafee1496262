import { constants, crc32, deflateRawSync } from 'node:zlib'
import { type ArchiveFile, auditPath, csvPath, recordsPath, schemaPath } from '../../../core/archive.ts'
import { csvHeader, csvLines } from '../../../core/csv.ts'
import type { ArchivePart, ExportPage, ExportProgress, ExportStep, FileProgress, OpenJob } from '../../../core/job.ts'
import { archivePartBytes, exportPageBytes } from '../../../core/limits.ts'
import { continueDigest, finishDigest, startDigest } from '../../../core/sha256.ts'
import type { JobContext } from './job.ts'

/** On records as JSON, level 3 packs to 2 % more than level 6 in less than half of its time. */
const packLevel = 3

/**
 * Reads the next pages from the shard, puts them into the bucket as parts of files, and reports. A crash before the report leaves
 * objects that nobody knows, which go with the job; the step is then done again. True when there is more to do.
 */
export async function stepExport(job: OpenJob & { work: 'export' }, context: JobContext): Promise<boolean> {
	const writer = new StepWriter(job.progress, job.csv, context)
	let done = false
	while (!done && writer.bytes < archivePartBytes - exportPageBytes) {
		const page = await context.call({ name: 'export.read', cursor: writer.cursor })
		if (!page.ok) return false
		if (page.value === null) done = true
		else await writer.add(page.value)
	}
	const step = await writer.finish(done)
	const reported = await context.call({ name: 'export.report', revision: job.revision, step })
	return reported.ok && !done
}

/** Gathers the pages of one step: lines of a file become a part when the file ends or the step does. */
class StepWriter {
	cursor: ExportProgress['cursor']
	/** Of all lines so far. */
	bytes = 0
	readonly #context: JobContext
	readonly #withCsv: boolean
	readonly #partsBefore: number
	readonly #parts: ArchivePart[] = []
	readonly #files: ArchiveFile[] = []
	#records = 0
	#lines: OpenFile | null
	#csv: OpenFile | null

	constructor(progress: ExportProgress, withCsv: boolean, context: JobContext) {
		this.#context = context
		this.#withCsv = withCsv
		this.#partsBefore = progress.parts
		this.cursor = progress.cursor
		this.#lines = progress.lines && { file: progress.lines, pending: [] }
		this.#csv = progress.csv && { file: progress.csv, pending: [] }
	}

	async add(page: ExportPage): Promise<void> {
		const { collection } = page
		this.#lines ??= await this.#begin(page)
		this.#lines.pending.push(page.lines)
		this.#lines.file.records += page.records
		if (collection !== null && this.#withCsv) {
			this.#csv ??= { file: newFile(), pending: [Buffer.from(csvHeader(page.schema ?? '{}'))] }
			this.#csv.pending.push(Buffer.from(csvLines(page.schema ?? '{}', page.lines)))
			this.#csv.file.records += page.records
		}
		this.bytes += page.lines.length
		if (collection !== null) this.#records += page.records
		this.cursor = page.next
		this.#page = page
		if (page.ended) await this.#endSource(collection)
	}

	/** The step, with everything that it names in the bucket. */
	async finish(done: boolean): Promise<ExportStep> {
		const collection = this.#page?.collection ?? null
		if (this.#lines) await this.#flush(this.#lines, linesPath(collection))
		if (this.#csv && collection !== null) await this.#flush(this.#csv, csvPath(collection))
		return {
			parts: this.#parts,
			files: this.#files,
			progress: {
				cursor: this.cursor,
				parts: this.#partsBefore + this.#parts.length,
				lines: this.#lines?.file ?? null,
				csv: this.#csv?.file ?? null,
			},
			records: this.#records,
			done,
		}
	}

	/** The last page, which says whose lines are pending. */
	#page: ExportPage | null = null

	/** A collection's files begin with its schema. */
	async #begin({ collection, schema }: ExportPage): Promise<OpenFile> {
		if (collection !== null) {
			const file = { file: newFile(), pending: [Buffer.from(`${schema ?? '{}'}\n`)] }
			await this.#end(file, schemaPath(collection), false)
		}
		return { file: newFile(), pending: [] }
	}

	async #endSource(collection: string | null): Promise<void> {
		if (this.#lines) await this.#end(this.#lines, linesPath(collection), true)
		if (this.#csv && collection !== null) await this.#end(this.#csv, csvPath(collection), true)
		this.#lines = null
		this.#csv = null
	}

	async #end(open: OpenFile, path: string, hasLines: boolean): Promise<void> {
		await this.#flush(open, path)
		const { digest, crc, bytes, packed, records } = open.file
		const sha256 = finishDigest(digest)
		this.#files.push({ path, records: hasLines ? records : null, bytes, packed, crc, sha256 })
	}

	/** Makes what is pending of a file a part of it, in the bucket. */
	async #flush(open: OpenFile, path: string): Promise<void> {
		const data = Buffer.concat(open.pending)
		open.pending = []
		if (data.length === 0) return
		const packed = deflateRawSync(data, { level: packLevel, finishFlush: constants.Z_SYNC_FLUSH })
		const key = this.#context.newKey()
		await this.#context.bucket.put(key, packed)
		this.#parts.push({ path, key, bytes: data.length, packed: packed.length })
		const { file } = open
		file.digest = continueDigest(file.digest, data)
		file.crc = crc32(data, file.crc)
		file.bytes += data.length
		file.packed += packed.length
	}
}

interface OpenFile {
	file: FileProgress
	/** Bytes that are in no part yet. */
	pending: Uint8Array[]
}

function newFile(): FileProgress {
	return { digest: startDigest(), crc: 0, bytes: 0, packed: 0, records: 0 }
}

function linesPath(collection: string | null): string {
	return collection === null ? auditPath : recordsPath(collection)
}
