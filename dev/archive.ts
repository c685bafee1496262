/** `npm run archive`: checks the archive of an export, and turns one into a plain SQLite file. Needs no server. */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Manifest } from '../core/archive.ts'
import { ArchiveError } from '../core/archive-source.ts'
import { verifyArchive, writeSqlite } from './archive-file.ts'
import { runCommand, UsageError } from './command.ts'

const usage = `Usage: npm run archive -- verify FILE
       npm run archive -- sqlite FILE OUT

verify holds every byte of an export's archive against its manifest: sizes, SHA-256, lines, and the form of every record. It
ends with status 1, naming file and line, when something is wrong. npm run audit -- verify follows the chain of its audit log.
sqlite verifies, too, and writes a new SQLite file: a table for each collection (id, version, created_at, updated_at, data
as JSON), and _collection, _audit and _manifest.

  --help  this text`

async function main(args: string[]): Promise<void> {
	const { positionals } = parseArgs({ args, allowPositionals: true, options: {} })
	const [command, file, out, ...more] = positionals
	if (file === undefined || more.length > 0) throw new UsageError('say: verify FILE, or: sqlite FILE OUT')
	if (!existsSync(file)) throw new UsageError(`there is no file ${file}`)
	try {
		if (command === 'verify' && out === undefined) return say(file, await verifyArchive(file))
		if (command === 'sqlite' && out !== undefined) return say(out, await writeSqlite(file, out))
	} catch (error) {
		if (!(error instanceof ArchiveError)) throw error
		const { file: path, line, detail } = error.fault
		const place = [path || file, ...(line === null ? [] : [line])].join(':')
		throw new Error(`${place}: ${detail}`)
	}
	throw new UsageError('say: verify FILE, or: sqlite FILE OUT')
}

function say(file: string, { tenant, export: made, counts }: Manifest): void {
	const { collections, records, audit_entries: entries } = counts
	console.log(
		`${file} is sound: ${records} records in ${collections} collections and ${entries} audit entries of ${tenant.slug} (${tenant.id}), exactly as of position ${made.as_of_seq} at ${made.as_of}`,
	)
}

await runCommand(main, usage)
