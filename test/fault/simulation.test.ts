import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { simulate } from './simulation.ts'
import { faultNames } from './world.ts'

const root = resolve(import.meta.dirname, '../..')
const first = Number(process.env.FREEHOLD_SEED ?? 1)
const seeds = Number(process.env.FREEHOLD_SEEDS ?? 2_000)

/** What a thousand seeds must have seen at least, however the workload changes; otherwise they prove little. */
const leastPerThousand: Record<string, number> = {
	...Object.fromEntries(faultNames.map((fault) => [`fault.${fault}`, 20])),
	...Object.fromEntries(
		['create', 'put', 'patch', 'delete', 'batch', 'define', 'drop', 'get', 'list'].map((op) => [`ok.${op}`, 100]),
	),
	'fail.unique_violation': 100,
	'fail.precondition_failed': 100,
	'fail.idempotency_mismatch': 10,
	info_done: 100,
	replayed: 100,
	'sample.exact': 1_000,
	'sample.bounded': 1_000,
}

test('[V1] [V2] [V3] [V4] [J1] [J2] [D1] [D2] [I1] [U1] every promise holds in worlds full of faults, one for each seed', {
	timeout: 3_600_000,
}, async () => {
	const workers = Math.max(2, Math.min(8, availableParallelism()))
	const share = Math.ceil(seeds / workers)
	const runs = await Promise.all(Array.from({ length: workers }, (_, n) => run(first + n * share, share)))
	const failed = runs.flatMap(({ failures }) => failures)
	const again = failed.map(
		({ seed, violations }) => `node test/fault/simulate.ts ${seed}\n  ${violations.join('\n  ')}`,
	)
	expect(again, 'each line runs one seed again, with all that happened').toEqual([])

	const counts: Record<string, number> = {}
	for (const one of runs)
		for (const [name, times] of Object.entries(one.counts)) counts[name] = (counts[name] ?? 0) + times
	console.log(`${share * workers} seeds from ${first}: ${JSON.stringify(counts)}`)
	const lacking = Object.entries(leastPerThousand)
		.filter(([name, least]) => (counts[name] ?? 0) < Math.floor((least * seeds) / 1_000))
		.map(([name]) => name)
	expect(lacking, 'seen too rarely to prove anything').toEqual([])
})

test('a seed is one world: run twice, the same happens', async () => {
	const [once, twice] = [await simulate(7), await simulate(7)]
	expect(once.trace.length).toBeGreaterThan(50)
	expect(twice).toEqual(once)
})

/** One part of the seeds. */
interface Run {
	failures: { seed: number; violations: string[] }[]
	counts: Record<string, number>
}

/** A process of its own for each part, because a world is pure computation. */
async function run(from: number, count: number): Promise<Run> {
	const args = [join(root, 'test/fault/simulate.ts'), String(from), String(count)]
	const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
	const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
	if (code !== 0) throw new Error(`the simulator ended with ${code} after seed ${from}`)
	const lines = output.trimEnd().split('\n')
	const { counts } = JSON.parse(lines.pop() ?? '{}')
	return { failures: lines.map((line) => JSON.parse(line)), counts }
}
