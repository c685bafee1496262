/** What can happen to the process that holds the objects: it dies, it stands still, and its disk fails it. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { commandLine, groupMembers } from '../../../dev/processes.ts'
import type { Stack } from '../../../dev/stack.ts'
import { until } from '../../stack-client.ts'
import type { Fault } from './nemesis.ts'
import type { Recorder } from './recorder.ts'

/** How long the Worker may take to answer after a fault; it takes 0.2 s on an idle machine. */
const backMsMax = 60_000

export function workerFaults(stack: Stack, recorder: Recorder): Fault[] {
	return [
		{
			name: 'worker killed',
			times: 4,
			run: async () => {
				// A kill tells nothing unless something was acknowledged since the last one.
				await recorder.acknowledged(10)
				const killed = signal(stack, 'SIGKILL')
				await answering(stack)
				return killed.length > 0
			},
		},
		{
			// What timed out meanwhile is still executed afterwards.
			name: 'worker frozen',
			run: async (random) => {
				const frozen = signal(stack, 'SIGSTOP')
				await pause(500 + random() * 4_000)
				for (const pid of frozen) send(pid, 'SIGCONT')
				await answering(stack)
				return frozen.length > 0
			},
		},
	]
}

/**
 * Faults of the disk, by failing or delaying the system calls of the running process; `strace` must be there. Each ends with
 * a kill, because what a process believes after a failed fsync is worth nothing to what comes from the disk.
 */
export function diskFaults(stack: Stack): Fault[] {
	const injected = (name: string, calls: string, injection: string): Fault => ({
		name,
		run: async (random) => {
			const [pid] = workers(stack)
			if (pid === undefined) return false
			const trace = ['-f', '-qq', '-p', String(pid), '-e', `trace=${calls}`, '-e', `inject=${calls}:${injection}`]
			const tracer = spawn('strace', [...trace, '-o', '/dev/null'], { stdio: 'ignore' })
			const ended = once(tracer, 'exit')
			await pause(1_000 + random() * 2_000)
			const killed = random() < 0.5
			if (killed) send(pid, 'SIGKILL')
			else tracer.kill('SIGINT')
			await ended
			// Never the next process: one that is killed while it starts is not started again.
			if (!killed) send(pid, 'SIGKILL')
			await answering(stack)
			return true
		},
	})
	return [
		// Widens the time between a commit and its reply.
		injected('fsync slow', 'fsync,fdatasync', 'delay_exit=20000'),
		injected('fsync failing', 'fsync,fdatasync', 'error=EIO:when=3+7'),
		injected('disk full', 'pwrite64', 'error=ENOSPC:when=5+9'),
	]
}

export function hasStrace(): boolean {
	return spawnSync('strace', ['-V'], { stdio: 'ignore' }).status === 0
}

/** Waits until the Worker answers again. */
async function answering({ url, runtime, logFile }: Stack): Promise<void> {
	let ended = false
	void runtime.ended.then(() => {
		ended = true
	})
	const answers = async () => {
		if (ended) throw new Error(`the runtime has ended; see ${logFile}`)
		try {
			return (await fetch(`${url}/openapi.json`, { signal: AbortSignal.timeout(5_000) })).ok
		} catch {
			return false
		}
	}
	await until('the Worker to be back', answers, backMsMax)
}

/** The processes that hold the objects' files; when they die, Miniflare starts others on the same port. */
function workers({ runtime }: Stack): number[] {
	return groupMembers(runtime.pid).filter((pid) => /workerd\b.*\bserve\b/.test(commandLine(pid)))
}

function signal(stack: Stack, name: NodeJS.Signals): number[] {
	const pids = workers(stack)
	for (const pid of pids) send(pid, name)
	return pids
}

export function send(pid: number, name: NodeJS.Signals): void {
	try {
		process.kill(pid, name)
	} catch {
		// It has ended by itself.
	}
}
