import { crc32 } from 'node:zlib'
import { auditPath, kindOfFile, type Manifest } from '../../../core/archive.ts'
import { type ArchivedRow, readLine } from '../../../core/archive-line.ts'
import { type ArchiveBytes, ArchiveError, type OpenArchive, openArchive } from '../../../core/archive-source.ts'
import type { Bucket } from '../../../core/bucket.ts'
import type { ImportProgress, ImportStep, OpenJob, UploadedPart } from '../../../core/job.ts'
import { continueDigest, finishDigest, startDigest } from '../../../core/sha256.ts'
import type { JobContext } from './job.ts'

/**
 * Reads one part of an uploaded archive, checks it, and gives what is in it to the shard, which keeps it apart until everything
 * has been checked. What is wrong with the archive ends the import. True when there is more to do.
 */
export async function stepImport(job: OpenJob & { work: 'import' }, context: JobContext): Promise<boolean> {
	let step: ImportStep
	try {
		const archive = await openArchive(uploadedBytes(job.parts, context.bucket), job.progress === null)
		step = await readStep(archive, job.progress)
	} catch (error) {
		if (!(error instanceof ArchiveError)) throw error
		await context.call({ name: 'fail', revision: job.revision, faults: [error.fault] })
		return false
	}
	const reported = await context.call({ name: 'import.report', revision: job.revision, step })
	return reported.ok && !step.done
}

/** The parts of an upload as one. */
function uploadedBytes(parts: UploadedPart[], bucket: Bucket): ArchiveBytes {
	const length = parts.reduce((sum, { bytes }) => sum + bytes, 0)
	const read = async (offset: number, wanted: number) => {
		const found: Uint8Array[] = []
		let start = 0
		for (const { key, bytes } of parts) {
			const from = Math.max(0, offset - start)
			const to = Math.min(bytes, offset + wanted - start)
			start += bytes
			if (from >= to) continue
			const piece = await bucket.get(key, { offset: from, length: to - from })
			if (piece?.length !== to - from) throw new Error('a part of the upload is not in the bucket')
			found.push(piece)
		}
		const all = found.length === 1 && found[0] ? found[0] : new Uint8Array(Buffer.concat(found))
		if (all.length !== wanted) throw new Error('there are not so many bytes')
		return all
	}
	return { length, read }
}

const fileStart = { part: 0, lines: 0, lastId: '', digest: startDigest(), crc: 0 }

/** Reads and checks the next part of an archive; at first, what the manifest says of its files. @throws ArchiveError */
export async function readStep(archive: OpenArchive, before: ImportProgress | null): Promise<ImportStep> {
	checkFiles(archive.manifest)
	const at = before ?? { file: 0, ...fileStart }
	const about = { recordsTotal: archive.manifest.counts.records, asOf: Date.parse(archive.manifest.export.as_of) }
	const file = archive.manifest.files[at.file]
	if (!file)
		return {
			...about,
			collection: null,
			schema: null,
			rows: '[]',
			firstLine: 0,
			records: 0,
			progress: at,
			restricted: archive.manifest.restricted_subjects ?? [],
			done: true,
		}
	const hasPart = at.part < (archive.parts[at.file]?.length ?? 0)
	const data = hasPart ? await archive.readPart(at.file, at.part) : new Uint8Array()
	const digest = continueDigest(at.digest, data)
	const crc = crc32(data, at.crc)
	const { kind, collection } = kindOfFile(file.path) ?? { kind: 'audit', collection: null }
	const text = decode(file.path, data)
	const lines = kind === 'schema' ? [] : linesOf(file.path, text)
	const rows = kind === 'records' ? readRows(file.path, lines, at) : []
	const progress = {
		file: at.file,
		part: at.part + 1,
		lines: at.lines + lines.length,
		lastId: rows.at(-1)?.[0] ?? at.lastId,
		digest,
		crc,
	}
	const step = {
		...about,
		collection,
		schema: kind === 'schema' ? text : null,
		rows: JSON.stringify(rows),
		firstLine: at.lines + 1,
		records: rows.length,
		done: false,
	}
	if (progress.part < (archive.parts[at.file]?.length ?? 0)) return { ...step, progress }
	checkFile(file, progress)
	return { ...step, progress: { file: at.file + 1, ...fileStart } }
}

/** Every collection has its schema and then its records, perhaps as a spreadsheet too; the audit log comes last; counts agree. */
function checkFiles({ files, counts }: Manifest): void {
	let described = ''
	const seen = new Set<string>()
	for (const [index, file] of files.entries()) {
		const known = kindOfFile(file.path)
		if (!known || seen.has(file.path)) throw new ArchiveError(file.path, 'a file that is not expected here')
		seen.add(file.path)
		if (known.kind === 'schema') described = known.collection
		else if (known.kind === 'audit' ? index !== files.length - 1 : known.collection !== described)
			throw new ArchiveError(file.path, 'a file that is not expected here')
		const bytes = file.parts.reduce((sum, [size]) => sum + size, 0)
		if (bytes !== file.bytes) throw new ArchiveError(file.path, 'the parts of the file are not as large as the file')
		if (known.kind === 'schema' ? file.parts.length !== 1 : file.records === null)
			throw new ArchiveError(file.path, 'the manifest does not describe the file as one of its kind')
	}
	const records = files.filter(({ path }) => kindOfFile(path)?.kind === 'records')
	const schemas = files.filter(({ path }) => kindOfFile(path)?.kind === 'schema')
	const total = records.reduce((sum, file) => sum + (file.records ?? 0), 0)
	if (
		!seen.has(auditPath) ||
		records.length !== schemas.length ||
		counts.records !== total ||
		counts.collections !== records.length
	)
		throw new ArchiveError('manifest.json', 'the counts do not fit the files')
}

function checkFile(file: Manifest['files'][number], { digest, crc, lines }: ImportProgress): void {
	if (finishDigest(digest) !== file.sha256)
		throw new ArchiveError(file.path, 'the SHA-256 is not the one of the manifest')
	if (crc !== file.crc32) throw new ArchiveError(file.path, 'the CRC-32 is not the one of the manifest')
	// A spreadsheet's cells may hold line feeds of their own.
	const counted = file.records === null || file.path.endsWith('.csv') || lines === file.records
	if (!counted) throw new ArchiveError(file.path, 'the file has another number of lines than the manifest says')
}

function decode(path: string, data: Uint8Array): string {
	try {
		return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data)
	} catch {
		throw new ArchiveError(path, 'the file is not valid UTF-8')
	}
}

function linesOf(path: string, text: string): string[] {
	if (text === '') return []
	if (!text.endsWith('\n')) throw new ArchiveError(path, 'the file ends inside a line')
	return text.slice(0, -1).split('\n')
}

function readRows(path: string, lines: string[], before: ImportProgress): ArchivedRow[] {
	let lastId = before.lastId
	return lines.map((line, index) => {
		const row = readLine(line)
		const place = before.lines + index + 1
		if (typeof row === 'string') throw new ArchiveError(path, row, place)
		if (row[0] <= lastId) throw new ArchiveError(path, 'records must be ordered by id, each there once', place)
		lastId = row[0]
		return row
	})
}
