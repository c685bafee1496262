import { existsSync, renameSync, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { auditPath, type Manifest } from '../core/archive.ts'
import type { ArchivedRow } from '../core/archive-line.ts'
import { type ArchiveBytes, type OpenArchive, openArchive } from '../core/archive-source.ts'
import type { ImportProgress, ImportStep } from '../core/job.ts'
import { readStep } from '../workers/queue-consumer/jobs/import.ts'

/**
 * Checks an archive as an import does, part by part, whatever its size.
 * @throws ArchiveError, which says in which file and line it is wrong
 */
export function verifyArchive(file: string): Promise<Manifest> {
	return withArchive(file, async (archive) => {
		for await (const _ of stepsOf(archive));
		return archive.manifest
	})
}

/**
 * Writes an archive into a new SQLite file: a table for each collection, `_collection` with the schemas, `_audit` and `_manifest`.
 * Nothing is left of it when the archive is wrong. @throws ArchiveError
 */
export async function writeSqlite(file: string, out: string): Promise<Manifest> {
	if (existsSync(out)) throw new Error(`${out} is there already`)
	const partial = `${out}.partial`
	rmSync(partial, { force: true })
	const database = new DatabaseSync(partial)
	try {
		const manifest = await withArchive(file, (archive) => fill(database, archive))
		database.close()
		renameSync(partial, out)
		return manifest
	} finally {
		if (database.isOpen) database.close()
		rmSync(partial, { force: true })
	}
}

async function withArchive<T>(file: string, work: (archive: OpenArchive) => Promise<T>): Promise<T> {
	const handle = await open(file)
	try {
		return await work(await openArchive(await bytesOf(handle), true))
	} finally {
		await handle.close()
	}
}

async function bytesOf(handle: FileHandle): Promise<ArchiveBytes> {
	const { size } = await handle.stat()
	const read = async (offset: number, length: number) => {
		const buffer = Buffer.alloc(length)
		const { bytesRead } = await handle.read(buffer, 0, length, offset)
		if (bytesRead !== length) throw new Error('the file ends too early')
		return buffer
	}
	return { length: size, read }
}

/** Every part of the archive, checked. */
async function* stepsOf(archive: OpenArchive): AsyncGenerator<ImportStep> {
	for (let progress: ImportProgress | null = null; ; ) {
		const step: ImportStep = await readStep(archive, progress)
		if (step.done) return
		yield step
		progress = step.progress
	}
}

async function fill(database: DatabaseSync, archive: OpenArchive): Promise<Manifest> {
	const { manifest } = archive
	database.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;
		CREATE TABLE _manifest (manifest TEXT NOT NULL);
		CREATE TABLE _collection (name TEXT PRIMARY KEY, schema TEXT NOT NULL);
		CREATE TABLE _audit (seq INTEGER PRIMARY KEY, at TEXT, op TEXT, collection TEXT, id TEXT, version INTEGER, actor TEXT, entry TEXT NOT NULL)`)
	database.prepare('INSERT INTO _manifest VALUES (?)').run(JSON.stringify(manifest))
	for await (const { collection, schema, rows } of stepsOf(archive)) {
		if (collection === null) continue
		if (schema !== null) addCollection(database, collection, schema)
		else addRecords(database, collection, JSON.parse(rows))
	}
	await addAudit(database, archive)
	database.exec('COMMIT')
	return manifest
}

/** A collection's name is no keyword and has no quotes; only what SQLite keeps for itself gets another one. */
function tableOf(collection: string): string {
	return `"${collection.startsWith('sqlite_') ? '_' : ''}${collection}"`
}

function addCollection(database: DatabaseSync, collection: string, schema: string): void {
	database.prepare('INSERT INTO _collection VALUES (?, ?)').run(collection, schema)
	database.exec(`CREATE TABLE ${tableOf(collection)} (id TEXT PRIMARY KEY, version INTEGER NOT NULL, created_at TEXT NOT NULL,
		updated_at TEXT NOT NULL, data TEXT NOT NULL)`)
}

function addRecords(database: DatabaseSync, collection: string, rows: ArchivedRow[]): void {
	const insert = database.prepare(`INSERT INTO ${tableOf(collection)} VALUES (?, ?, ?, ?, ?)`)
	for (const [id, version, createdAt, updatedAt, data] of rows)
		insert.run(id, version, new Date(createdAt).toISOString(), new Date(updatedAt).toISOString(), data)
}

async function addAudit(database: DatabaseSync, archive: OpenArchive): Promise<void> {
	const insert = database.prepare('INSERT INTO _audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
	const file = archive.manifest.files.findIndex(({ path }) => path === auditPath)
	for (const part of archive.parts[file]?.keys() ?? []) {
		const text = new TextDecoder().decode(await archive.readPart(file, part))
		for (const line of text.split('\n').filter(Boolean)) {
			const { seq, at, op, collection, id, version, actor } = JSON.parse(line)
			insert.run(seq, at, op, collection, id, version, actor, line)
		}
	}
}
