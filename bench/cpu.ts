/** CPU time of what serves, as the kernel counts it (Linux): the only fair measure between one thread and many processes. */
import { readdirSync, readFileSync } from 'node:fs'
import { pause } from './load.ts'

/** The kernel reports to user space in hundredths of a second, whatever it counts in itself. */
const ticksPerSecond = 100

/** Seconds of user and system time that a process and its descendants have used, those that ended included. */
export function cpuSeconds(root: number): number {
	return processTree(root).reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond
}

/** Bytes of memory that the largest process of that program in the tree holds. */
export function residentBytes(root: number, program: string): number {
	return Math.max(
		0,
		...processTree(root)
			.filter(({ name }) => name === program)
			.map(({ bytes }) => bytes),
	)
}

/** Waits until the process tree does next to nothing, at most `secondsMax`. */
export async function settle(root: number, secondsMax: number): Promise<void> {
	const windowMs = 250
	const deadline = Date.now() + secondsMax * 1_000
	let before = cpuSeconds(root)
	while (Date.now() < deadline) {
		await pause(windowMs)
		const after = cpuSeconds(root)
		if (after - before <= 0.02) return
		before = after
	}
}

interface Process {
	pid: number
	parent: number
	name: string
	ticks: number
	bytes: number
}

function processTree(root: number): Process[] {
	const all = readdirSync('/proc')
		.filter((name) => /^\d+$/.test(name))
		.map(Number)
		.flatMap(readProcess)
	const found = new Set([root])
	// A child may have a lower id than its parent, so the list is walked until nothing is found.
	for (let size = 0; size !== found.size; ) {
		size = found.size
		for (const { pid, parent } of all) if (found.has(parent)) found.add(pid)
	}
	return all.filter(({ pid }) => found.has(pid))
}

const pageBytes = 4_096

function readProcess(pid: number): Process[] {
	try {
		const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
		// The name stands in brackets and may hold anything.
		const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'))
		const fields = text
			.slice(text.lastIndexOf(')') + 2)
			.split(' ')
			.map(Number)
		// utime, stime, cutime and cstime are fields 14 to 17 of the line, rss is the 24th.
		const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0)
		return [{ pid, parent: fields[1] ?? 0, name, ticks, bytes: (fields[21] ?? 0) * pageBytes }]
	} catch {
		return []
	}
}
