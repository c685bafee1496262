import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { type Mutant, mutants } from './mutants.ts'
import { rightsMutants } from './rights-mutants.ts'

const root = resolve(import.meta.dirname, '../..')
/** A mistake that so many worlds do not show is one that the tests would let through. */
const seedsMax = 1_000

describe.concurrent('the tests catch the mistake:', { timeout: 600_000 }, () => {
	test.each([...mutants, ...rightsMutants].map((mutant) => [mutant.name, mutant] as const))('%s', async (_, mutant) => {
		const folder = mutated(mutant)
		try {
			const output = await (mutant.test ? outputOf(folder, mutant.test, mutant.only) : firstFailure(folder, mutant))
			expect(output, 'it went through unseen').toMatch(mutant.test ? /Tests .*failed/ : /^\{"seed":/m)
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

/** What the simulator prints about the first world that shows the mistake. */
async function firstFailure(folder: string, { seed }: Mutant): Promise<string> {
	const simulate = (first: number, count: number) =>
		run(folder, ['test/fault/simulate.ts', String(first), String(count), '--until-failure'])
	const known = seed === undefined ? '' : await simulate(seed, 1)
	return known.includes('{"seed":') ? known : simulate(1, seedsMax)
}

function outputOf(folder: string, test: string, only = ''): Promise<string> {
	return run(folder, ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', test, '-t', only])
}

async function run(folder: string, args: string[]): Promise<string> {
	const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
	const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
	return `${output}${errors}`
}
