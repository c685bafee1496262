import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { endLeftover, groupMembers, identify, lockFolder } from '../../dev/processes.ts'

let folder: string
let stranger: ChildProcess

beforeEach(async () => {
	folder = mkdtempSync(join(tmpdir(), 'freehold-processes-'))
	stranger = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' })
	await new Promise((resolve) => stranger.once('spawn', resolve))
})

afterEach(() => {
	stranger.kill('SIGKILL')
	rmSync(folder, { recursive: true, force: true })
})

const gone = { pid: process.pid, startedAt: 'in another life' }

function record(owner: object, changes: object = {}): string {
	const file = join(folder, 'process.json')
	writeFileSync(file, JSON.stringify({ ...identify(stranger.pid ?? 0), owner, ...changes }))
	return file
}

test('what a killed command left running is ended', async () => {
	const file = record(gone)
	await endLeftover(file, 'SIGTERM')
	expect(groupMembers(stranger.pid ?? 0)).toEqual([])
	expect(existsSync(file)).toBe(false)
})

test('a process that only has the id of a recorded one is left alone', async () => {
	await endLeftover(record(gone, { startedAt: 'in another life' }), 'SIGTERM')
	expect(groupMembers(stranger.pid ?? 0)).toEqual([stranger.pid])
})

test('a process whose command is alive is a reason to refuse', async () => {
	const file = record(identify(process.pid) ?? {})
	await expect(endLeftover(file, 'SIGTERM')).rejects.toThrow(`process ${process.pid} already uses`)
	expect(groupMembers(stranger.pid ?? 0)).toEqual([stranger.pid])
})

test('the lock of a folder counts as long as its process lives', () => {
	const unlock = lockFolder(folder)
	expect(() => lockFolder(folder)).toThrow(`in use by process ${process.pid}`)
	unlock()
	writeFileSync(join(folder, 'lock.json'), JSON.stringify(gone))
	lockFolder(folder)()
})
