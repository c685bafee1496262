/**
 * Other programs that a command starts, and how they end: none may outlive the stack that started it. A process id alone
 * is not enough to end a process, because ids are reused; its time of start is kept beside it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { delimiter, join } from 'node:path'
import { z } from 'zod'

/** The root folder of the project. */
export const projectDir = join(import.meta.dirname, '..')

const identity = z.object({ pid: z.number().int().positive(), startedAt: z.string() })
/** `startedAt` is opaque: equal for the same process, different for any later one with its id. */
export type ProcessIdentity = z.infer<typeof identity>

const processRecord = identity.extend({ owner: identity })

/** A program that runs in a process group of its own, so that Ctrl-C reaches only us and we end it in order. */
export interface StartedProcess extends ProcessIdentity {
	child: ChildProcess
}

export interface StartOptions {
	command: string
	args: string[]
	cwd: string
	env?: Record<string, string>
	/** Receives everything that the program prints; appended to. */
	logFile: string
	/** Where the process is recorded, so that the next start can end it should we be killed. */
	recordFile: string
	/** Asks the program to end. */
	endSignal: NodeJS.Signals
	user?: { uid: number; gid: number } | null
}

/** The environment for programs of this project: Node 24 comes from `node_modules/.bin`, whatever the machine has. */
export function environment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
	const path = [join(projectDir, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter)
	return { ...process.env, PATH: path, ...more }
}

/** Starts a program and records it. Throws when it cannot be started at all. */
export async function startProcess(options: StartOptions): Promise<StartedProcess> {
	const log = openSync(options.logFile, 'a', 0o600)
	const child = spawn(options.command, options.args, {
		cwd: options.cwd,
		env: environment(options.env),
		stdio: ['ignore', log, log],
		detached: true,
		...(options.user ?? {}),
	})
	if (child.pid !== undefined) watch(child, child.pid, options.endSignal)
	closeSync(log)
	await new Promise<void>((resolve, reject) => {
		child.once('spawn', resolve)
		child.once('error', reject)
	})
	const started = child.pid === undefined ? null : identify(child.pid)
	const owner = identify(process.pid)
	if (started === null || owner === null) throw new Error(`${options.command} ended at once; see ${options.logFile}`)
	writeFileSync(options.recordFile, JSON.stringify({ ...started, owner }), { mode: 0o600 })
	return { ...started, child }
}

/** What ends each group should this process end first, by the group's leader. */
const guards = new Map<number, ChildProcess>()

/**
 * A kill -9 or an uncaught error leaves us no moment to end anything. So a shell of its own waits for our end of a pipe to
 * close, and then asks the group to end; a line on the pipe says that the group is no more and the shell may go.
 */
function watch(child: ChildProcess, leader: number, signal: NodeJS.Signals): void {
	const script = 'read -r ended || kill -s "$1" -- "-$0"'
	const args = ['-c', script, String(leader), signal.replace('SIG', '')]
	const guard = spawn('/bin/sh', args, { cwd: '/', stdio: ['pipe', 'ignore', 'ignore'], detached: true })
	guard.stdin.on('error', () => {})
	guard.unref()
	if (guard.stdin instanceof Socket) guard.stdin.unref()
	guards.set(leader, guard)
	child.once('exit', () => {
		if (groupMembers(leader).length === 0) dismiss(leader)
	})
}

function dismiss(leader: number): void {
	guards.get(leader)?.stdin?.end('ended\n')
	guards.delete(leader)
}

/**
 * Ends what a killed command left behind.
 * @throws when the process runs on behalf of a command that is still alive
 */
export async function endLeftover(recordFile: string, signal: NodeJS.Signals): Promise<void> {
	if (!existsSync(recordFile)) return
	const parsed = processRecord.safeParse(parseJson(readFileSync(recordFile, 'utf8')))
	if (parsed.success) {
		const { owner, ...record } = parsed.data
		const alive = groupMembers(record.pid).length > 0
		if (alive && isRunning(owner)) throw new Error(`process ${owner.pid} already uses ${recordFile}`)
		// The leader may be gone while its group lives on; a group's id is not reused before its last member has ended.
		const started = identify(record.pid)
		if (alive && (started === null || started.startedAt === record.startedAt)) await endGroup(record.pid, signal)
	}
	rmSync(recordFile, { force: true })
}

/**
 * Takes a data folder for this process and returns what gives it back. The lock of a process that is gone does not count.
 * @throws when another command uses the folder
 */
export function lockFolder(folder: string): () => void {
	const file = join(folder, 'lock.json')
	const owner = identify(process.pid)
	for (;;) {
		try {
			writeFileSync(file, JSON.stringify(owner), { flag: 'wx', mode: 0o600 })
			return () => rmSync(file, { force: true })
		} catch (error) {
			if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
		}
		const holder = identity.safeParse(parseJson(readOr(file, '')))
		if (holder.success && isRunning(holder.data)) {
			throw new Error(`${folder} is in use by process ${holder.data.pid}; end it, or choose another data folder`)
		}
		rmSync(file, { force: true })
	}
}

/** Asks a process group to end, insists after the grace period, and returns when none of its members is left. */
export async function endGroup(leader: number, signal: NodeJS.Signals, graceMs = 10_000): Promise<void> {
	// The leader decides how its own children end; only when it is gone do they get the signal themselves.
	sendSignal(identify(leader) === null ? -leader : leader, signal)
	const deadline = Date.now() + graceMs
	while (groupMembers(leader).length > 0) {
		if (Date.now() > deadline) killGroup(leader)
		await new Promise((resolve) => setTimeout(resolve, 20))
	}
	dismiss(leader)
}

function killGroup(leader: number): void {
	sendSignal(-leader, 'SIGKILL')
}

/** Null when no such process runs; one that has ended and waits for its parent counts as ended. */
export function identify(pid: number): ProcessIdentity | null {
	if (process.platform === 'linux') {
		const stat = readStat(pid)
		return stat === null ? null : { pid, startedAt: `${bootId()}:${stat.startedAt}` }
	}
	const found = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
	return found === '' || found.startsWith('Z') ? null : { pid, startedAt: found.replace(/^\S+\s+/, '') }
}

export function isRunning(process: ProcessIdentity): boolean {
	return identify(process.pid)?.startedAt === process.startedAt
}

/** Ids of the running processes of a group. */
export function groupMembers(leader: number): number[] {
	if (process.platform === 'linux') {
		return readdirSync('/proc')
			.map(Number)
			.filter((pid) => Number.isInteger(pid) && readStat(pid)?.group === leader)
	}
	const lines = spawnSync('ps', ['-axo', 'pid=,pgid=,stat='], { encoding: 'utf8' }).stdout.split('\n')
	const rows = lines.map((line) => line.trim().split(/\s+/))
	return rows
		.filter(([, group, state]) => Number(group) === leader && !state?.startsWith('Z'))
		.map(([pid]) => Number(pid))
}

/** The program and arguments of a process; empty when it is gone. */
export function commandLine(pid: number): string {
	if (process.platform === 'linux') return readOr(`/proc/${pid}/cmdline`, '').replaceAll('\0', ' ')
	return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout
}

function readStat(pid: number): { group: number; startedAt: string } | null {
	const text = readOr(`/proc/${pid}/stat`, '')
	// The second field is the program's name in brackets and may hold anything, brackets included.
	const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
	const [state, , group] = fields
	const startedAt = fields[19]
	if (startedAt === undefined || state === 'Z' || state === 'X') return null
	return { group: Number(group), startedAt }
}

/** Ticks since boot are only unique within one boot. */
function bootId(): string {
	return readOr('/proc/sys/kernel/random/boot_id', 'boot').trim()
}

function readOr(file: string, otherwise: string): string {
	try {
		return readFileSync(file, 'utf8')
	} catch {
		return otherwise
	}
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
	try {
		process.kill(pid, signal)
	} catch {
		// It has ended already.
	}
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text)
	} catch {
		return null
	}
}
