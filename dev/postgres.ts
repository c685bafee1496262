/**
 * The local stand-in for Neon's storage: a real Postgres server for one data folder. It listens on 127.0.0.1 only, asks
 * every role for its generated password and keeps fsync on, so that what it acknowledged survives a kill.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { z } from 'zod'
import { freePort } from './port.ts'
import { type PostgresHome, preparePostgresHome } from './postgres-home.ts'
import { commandLine, endGroup, endLeftover, type StartedProcess, startProcess } from './processes.ts'

/** The roles of every database: the writer owns it, the reader sees what the migrations grant to `freehold_read`. */
export const writerRole = 'freehold'
export const readerRole = 'freehold_read'
const adminRole = 'postgres'

/** What the smallest Neon compute accepts. */
const connectionsMax = 104
/** Milliseconds that a statement of the reader may take, so that one heavy report cannot hold a connection for ever. */
const readerStatementMsMax = 10_000
const startMsMax = 60_000

export interface Postgres {
	port: number
	pid: number
	/** A connection string; `role` is the writer when absent. */
	url(database: string, role?: typeof writerRole | typeof readerRole): string
	/** Ends the server after its last checkpoint; the data stays. */
	stop(): Promise<void>
	/** Ends the server as a crash would, without a checkpoint. */
	kill(): Promise<void>
}

export interface PostgresOptions {
	/** Holds the cluster in `postgres/`, the log in `postgres.log` and the passwords in `postgres-passwords.json`. Must exist. */
	dataDir: string
	/** Created when absent, owned by the writer. */
	databases: string[]
	/** 0 or absent for a free one. */
	port?: number
	log(line: string): void
}

/**
 * Starts the server, or initialises it first in an empty data folder.
 * @throws with a sentence for the person at the keyboard: data folder in use, of another user or another major version
 */
export async function startPostgres({ dataDir, databases, port = 0, log }: PostgresOptions): Promise<Postgres> {
	const recordFile = join(dataDir, 'postgres-process.json')
	await endLeftover(recordFile, 'SIGINT')
	const home = preparePostgresHome(dataDir, log)
	const cluster = join(home.folder, 'cluster')
	const passwords = readPasswords(join(dataDir, 'postgres-passwords.json'), cluster)
	const logFile = join(dataDir, 'postgres.log')
	if (!existsSync(cluster)) await initialise(home, cluster, passwords[adminRole], logFile)
	clearStaleLock(cluster)
	const server = await startServer({ home, cluster, port, logFile, recordFile, password: passwords[adminRole] })
	const url = (database: string, role: keyof Passwords = writerRole) =>
		`postgresql://${role}:${passwords[role]}@127.0.0.1:${server.port}/${database}`
	let ended = false
	// A second call must not signal whatever has the process id by then.
	const stop = async (signal: NodeJS.Signals) => {
		if (ended) return
		ended = true
		await endGroup(server.process.pid, signal)
		rmSync(recordFile, { force: true })
	}
	try {
		await prepareDatabases(url(adminRole, adminRole), passwords, databases)
	} catch (error) {
		await stop('SIGINT')
		throw error
	}
	// Postgres reads SIGINT as "roll back what runs and end", SIGTERM as "wait until every client has left".
	return { port: server.port, pid: server.process.pid, url, stop: () => stop('SIGINT'), kill: () => stop('SIGKILL') }
}

const passwordFile = z.object({ [adminRole]: z.string(), [writerRole]: z.string(), [readerRole]: z.string() })
type Passwords = z.infer<typeof passwordFile>

function readPasswords(file: string, cluster: string): Passwords {
	if (existsSync(file)) return passwordFile.parse(JSON.parse(readFileSync(file, 'utf8')))
	if (existsSync(cluster))
		throw new Error(`${file} is gone and ${cluster} opens with nothing else; remove the data folder`)
	const password = () => randomBytes(24).toString('base64url')
	const passwords = { [adminRole]: password(), [writerRole]: password(), [readerRole]: password() }
	writeFileSync(file, JSON.stringify(passwords), { mode: 0o600 })
	return passwords
}

/** A cluster appears under its name only when complete, so that a start that was killed half-way leaves nothing behind. */
async function initialise(home: PostgresHome, cluster: string, password: string, logFile: string): Promise<void> {
	const draft = `${cluster}-draft`
	const passwordFile = join(home.folder, 'password')
	rmSync(draft, { recursive: true, force: true })
	writeFileSync(passwordFile, password, { mode: 0o600 })
	chmodSync(passwordFile, 0o600)
	if (home.user !== null) chownSync(passwordFile, home.user.uid, home.user.gid)
	// The locale of the machine must not decide how text sorts and folds.
	const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
	const access = [`--username=${adminRole}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
	const args = [`--pgdata=${draft}`, ...locale, ...access]
	try {
		const started = await startProcess({
			command: join(home.programs, 'bin', 'initdb'),
			args,
			cwd: home.folder,
			logFile,
			recordFile: join(home.folder, 'initdb-process.json'),
			endSignal: 'SIGTERM',
			user: home.user,
		})
		const code = await exitCode(started)
		if (code !== 0) throw new Error(`initdb ended with code ${code}; see ${logFile}`)
		renameSync(draft, cluster)
	} finally {
		rmSync(passwordFile, { force: true })
		rmSync(join(home.folder, 'initdb-process.json'), { force: true })
	}
}

/**
 * After a kill -9 the lock file names a process that is gone, or an id that something else has by now; Postgres would
 * wait for a stranger. One that still serves this cluster is a reason to refuse.
 */
function clearStaleLock(cluster: string): void {
	const file = join(cluster, 'postmaster.pid')
	if (!existsSync(file)) return
	const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
	if (commandLine(pid).includes(cluster))
		throw new Error(`a Postgres server (process ${pid}) already runs in ${cluster}`)
	rmSync(file)
}

interface ServerOptions {
	home: PostgresHome
	cluster: string
	port: number
	logFile: string
	recordFile: string
	password: string
}

async function startServer(options: ServerOptions): Promise<{ process: StartedProcess; port: number }> {
	const deadline = Date.now() + startMsMax
	for (;;) {
		const port = options.port === 0 ? await freePort() : options.port
		const server = await launch(options, port)
		if (
			await isReady(server, `postgresql://${adminRole}:${options.password}@127.0.0.1:${port}/${adminRole}`, deadline)
		) {
			return { process: server, port }
		}
		await endGroup(server.pid, 'SIGINT')
		const tail = readFileSync(options.logFile, 'utf8').slice(-2_000)
		// Somebody else may take the port between our choice and the start; after a crash the last server's memory is freed late.
		const passes = options.port === 0 && tail.includes('could not create any TCP/IP sockets')
		if (Date.now() > deadline || !(passes || tail.includes('pre-existing shared memory block is still in use'))) {
			throw new Error(`Postgres did not start; see ${options.logFile}`)
		}
		await new Promise((resolve) => setTimeout(resolve, 100))
	}
}

function launch({ home, cluster, logFile, recordFile }: ServerOptions, port: number): Promise<StartedProcess> {
	const settings = {
		listen_addresses: '127.0.0.1',
		unix_socket_directories: '',
		max_connections: connectionsMax,
		timezone: 'UTC',
		log_timezone: 'UTC',
		lc_messages: 'C',
		// Statements and the details of errors hold values, which may be personal: the log gets neither.
		log_min_error_statement: 'panic',
		log_error_verbosity: 'terse',
	}
	return startProcess({
		command: join(home.programs, 'bin', 'postgres'),
		args: [
			'-D',
			cluster,
			'-p',
			String(port),
			...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
		],
		cwd: home.folder,
		logFile,
		recordFile,
		endSignal: 'SIGINT',
		user: home.user,
	})
}

async function isReady(server: StartedProcess, url: string, deadline: number): Promise<boolean> {
	while (server.child.exitCode === null && server.child.signalCode === null && Date.now() < deadline) {
		const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
		client.on('error', () => {})
		try {
			await client.connect()
			return true
		} catch {
			await new Promise((resolve) => setTimeout(resolve, 50))
		} finally {
			await client.end()
		}
	}
	return false
}

async function prepareDatabases(adminUrl: string, passwords: Passwords, databases: string[]): Promise<void> {
	const client = new pg.Client({ connectionString: adminUrl })
	await client.connect()
	try {
		const names = async (sql: string) =>
			new Set((await client.query<{ name: string }>(sql)).rows.map((row) => row.name))
		const roles = await names('SELECT rolname AS name FROM pg_roles')
		for (const role of [writerRole, readerRole] as const) {
			if (!roles.has(role)) await client.query(`CREATE ROLE ${role} LOGIN`)
			await client.query(`ALTER ROLE ${role} PASSWORD ${client.escapeLiteral(passwords[role])}`)
		}
		await client.query(`ALTER ROLE ${readerRole} SET statement_timeout = ${readerStatementMsMax}`)
		await client.query(`ALTER ROLE ${readerRole} SET default_transaction_read_only = on`)
		const present = await names('SELECT datname AS name FROM pg_database')
		for (const database of databases) {
			if (!present.has(database)) {
				await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)} OWNER ${writerRole}`)
			}
		}
	} finally {
		await client.end()
	}
}

function exitCode({ child }: StartedProcess): Promise<number | null> {
	if (child.exitCode !== null) return Promise.resolve(child.exitCode)
	return new Promise((resolve) => child.once('exit', resolve))
}
