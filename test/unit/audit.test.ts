import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JournalEntry } from '../../core/chain.ts'
import type { Answer, AuditFilter } from '../../core/contract.ts'
import { environment, projectDir } from '../../dev/processes.ts'
import { showAuditEntry } from '../../workers/api/representation.ts'
import { people, ShardFixture } from '../shard.ts'

const operator = { kind: 'operator', name: 'ops' } as const

/** A journal with the work of a key and of an operator, on two days. */
async function filled(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	const put = (id: string, age: number) =>
		fixture.ask({
			...{ name: 'record.put', collection: 'people', id, ifMatch: null, ifNoneMatch: null },
			data: JSON.stringify({ email: `${id}@example.com`, age }),
		})
	await put('ada', 36)
	await put('bob', 40)
	fixture.now += 86_400_000
	await put('ada', 37)
	await fixture.run({ name: 'tenant.update', tenantName: 'Other' }, { caller: operator })
	await fixture.ask({ name: 'record.delete', collection: 'people', id: 'ada', ifMatch: null })
	return fixture
}

async function audit(fixture: ShardFixture, filter: AuditFilter = {}): Promise<JournalEntry[]> {
	const entries: JournalEntry[] = []
	for (let after: number | null = 0; after !== null; ) {
		const page: Answer<'audit.list'> = await fixture.ask({ name: 'audit.list', filter, limit: 2, after })
		entries.push(...page.entries)
		after = page.next
	}
	return entries
}

test('the audit log answers who changed a record, what somebody did, and what happened in a time', async () => {
	const fixture = await filled()
	const all = await audit(fixture)
	expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1))
	expect(await audit(fixture, { actor: 'operator:ops' })).toMatchObject([{ op: 'tenant' }])
	const ada = await audit(fixture, { collection: 'people', record: 'ada' })
	expect(ada.map(({ op, version }) => [op, version])).toEqual([
		['create', 1],
		['update', 2],
		['delete', 3],
	])
	const later = await audit(fixture, { from: fixture.now })
	expect(later.map(({ op }) => op)).toEqual(['update', 'tenant', 'delete'])
	expect((await audit(fixture, { until: fixture.now })).length).toBe(all.length - 3)
	expect(await audit(fixture, { op: 'delete', actor: 'key:nobody' })).toEqual([])
	expect(JSON.stringify(all)).not.toContain('example.com')
})

test('the chain is followed to the end, and what was changed behind its back is named', async () => {
	const fixture = await filled()
	const whole = await fixture.ask({ name: 'audit.verify', after: 0 })
	expect(whole).toMatchObject({ from: 0, to: whole.head, brokenAt: null })
	// It goes on from any place where an operation ended.
	expect(await fixture.ask({ name: 'audit.verify', after: 4 })).toMatchObject({ brokenAt: null, chain: whole.chain })
	fixture.sql.all("UPDATE journal SET actor = 'key:somebody' WHERE seq = 5")
	expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: 5 })
	fixture.sql.all('DELETE FROM journal WHERE seq = 5')
	expect(await fixture.ask({ name: 'audit.verify', after: 0 })).toMatchObject({ brokenAt: 5 })
})

test('npm run audit verifies a log that was taken out, and finds one line that was changed, dropped or moved', async () => {
	const fixture = await filled()
	const lines = (await audit(fixture)).map((entry) => JSON.stringify(showAuditEntry(entry)))
	const folder = mkdtempSync(join(tmpdir(), 'freehold-audit-'))
	const file = join(folder, 'audit.ndjson')
	const verify = (text: string[]) => {
		writeFileSync(file, `${text.join('\n')}\n`)
		const options = { cwd: projectDir, env: environment(), encoding: 'utf8', stdio: 'pipe' } as const
		return execFileSync(process.execPath, ['dev/audit.ts', 'verify', file], options)
	}
	try {
		expect(verify(lines)).toContain(`Unbroken: ${lines.length} entries`)
		expect(verify(lines.slice(3))).toContain('stand before the first link')
		const changed = lines.with(4, (lines[4] ?? '').replace('bob', 'eve'))
		expect(() => verify(changed)).toThrow('the chain is broken at 5')
		expect(() => verify(lines.toSpliced(4, 1))).toThrow('the chain is broken at 5')
		const swapped = lines.with(4, lines[5] ?? '').with(5, lines[4] ?? '')
		expect(() => verify(swapped)).toThrow('the chain is broken')
	} finally {
		rmSync(folder, { recursive: true, force: true })
	}
})
