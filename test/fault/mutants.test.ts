import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { type Mutant, mutants } from './mutants.ts'

const root = resolve(import.meta.dirname, '../..')
/** A mistake that so many worlds do not show is one that the tests would let through. */
const seedsMax = 1_000

describe.concurrent('the tests catch the mistake:', { timeout: 600_000 }, () => {
	test.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s', async (_, mutant) => {
		const folder = mutated(mutant)
		try {
			const { code, output } = mutant.test
				? await run(folder, ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', mutant.test])
				: await run(folder, ['test/fault/simulate.ts', '1', String(seedsMax), '--until-failure'])
			const caught = mutant.test ? code === 1 && /Tests .*failed/.test(output) : /^\{"seed":/m.test(output)
			expect(caught, `it went through unseen:\n${output.slice(-2_000)}`).toBe(true)
		} finally {
			rmSync(folder, { recursive: true, force: true })
		}
	})
})

/** A copy of what the tests run, with the mistake in it. */
function mutated({ name, edits }: Mutant): string {
	const folder = mkdtempSync(join(tmpdir(), 'freehold-mutant-'))
	for (const part of [
		'core',
		'db',
		'workers',
		'test',
		'dev',
		'package.json',
		'tsconfig.json',
		'vitest.config.ts',
		'wrangler.toml',
	])
		cpSync(join(root, part), join(folder, part), { recursive: true })
	symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
	for (const { file, find, replace } of edits) {
		const path = join(folder, file)
		const source = readFileSync(path, 'utf8')
		if (source.split(find).length !== 2) throw new Error(`${name}: ${file} does not hold this once: ${find}`)
		writeFileSync(
			path,
			source.replace(find, () => replace),
		)
	}
	return folder
}

async function run(folder: string, args: string[]): Promise<{ code: number | null; output: string }> {
	const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
	const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
	return { code, output: `${output}${errors}` }
}
