import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { filesWith } from '../byte-scan.ts'

const canary = 'canary-7f3a-ada@example.com'
let folder: string

beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'freehold-scan-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const found = async (text = canary) => (await filesWith([folder], text)).map((file) => basename(file))

test('[E1] a planted leak is found wherever it lies and however it is written', async () => {
	const around = (text: string | Buffer) => Buffer.concat([Buffer.alloc(5_000, 1), Buffer.from(text), Buffer.alloc(99)])
	writeFileSync(join(folder, 'clean'), around('canary-7f3a-bob@example.com'))
	writeFileSync(join(folder, 'empty'), '')
	expect(await found()).toEqual([])
	mkdirSync(join(folder, 'deep', 'er'), { recursive: true })
	writeFileSync(join(folder, 'deep', 'er', 'utf8'), around(canary))
	writeFileSync(join(folder, 'utf16'), around(Buffer.from(canary, 'utf16le')))
	writeFileSync(join(folder, 'hex'), around(Buffer.from(canary).toString('hex').toUpperCase()))
	for (const shift of [0, 1, 2])
		writeFileSync(
			join(folder, `base64-${shift}`),
			Buffer.from('x'.repeat(shift) + canary + canary).toString('base64url'),
		)
	expect(new Set(await found())).toEqual(new Set(['utf8', 'utf16', 'hex', 'base64-0', 'base64-1', 'base64-2']))
	expect(await found('of nobody')).toEqual([])
})

test('a text across two pieces of a large file is found, and so is one behind a link', async () => {
	const elsewhere = mkdtempSync(join(tmpdir(), 'freehold-scan-'))
	try {
		const large = Buffer.alloc((1 << 21) + 100, 7)
		large.write(canary, (1 << 20) - 5)
		writeFileSync(join(elsewhere, 'large'), large)
		symlinkSync(elsewhere, join(folder, 'link'))
		expect(await found()).toEqual(['large'])
	} finally {
		rmSync(elsewhere, { recursive: true, force: true })
	}
})

test('what a database deleted is still found in its file, which is why keys are destroyed', async () => {
	const database = new DatabaseSync(join(folder, 'rows.sqlite'))
	database.exec('CREATE TABLE person (email TEXT)')
	database.prepare('INSERT INTO person VALUES (?)').run(canary)
	database.exec('DELETE FROM person')
	database.close()
	expect(await found()).toEqual(['rows.sqlite'])
})
