/** `npm run soak`: the soak of `soak.test.ts` for as long as one likes. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { runCommand, UsageError } from '../../../dev/command.ts'
import { describe } from './report.ts'
import { soak } from './soak.ts'
import { hasStrace } from './worker-faults.ts'

const usage = `Usage: npm run soak -- [--minutes N] [--seed S] [--data-dir DIR]

Breaks the local stack on purpose while clients write to it, for N minutes (1 when absent), and then holds everything that
they were told, the journals, and samples of the view against each other. Ends with 0 when all of it fits and enough was
seen, else with 1.

  --minutes N     how long the faults go on
  --seed S        a whole number; the same one gives the same schedule of faults. Printed in any case
  --data-dir DIR  an empty folder for the data, the history and the report; it is kept. When absent, a temporary folder is
                  used and kept only if something is wrong
  --help          this text

Where strace is installed, the disk fails, too: fsync slow, fsync failing, disk full.`

await runCommand(async (args) => {
	const { minutes, seed, dataDir } = readOptions(args)
	for (const name of Object.keys(process.env)) if (/^DATABASE_(READ_)?URL/.test(name)) delete process.env[name]
	const folder = dataDir ?? mkdtempSync(join(tmpdir(), 'freehold-soak-'))
	mkdirSync(folder, { recursive: true })
	// Postgres does not run as root: whom root lends it to must be able to pass through. Every secret in it has its own mode.
	chmodSync(folder, 0o711)
	const disk = hasStrace()
	const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`)
	log(disk ? 'strace is here: the disk will fail, too' : 'no strace: the disk stays well')
	const seconds = minutes * 60
	const report = await soak({ dataDir: folder, seed, seconds, secondsMax: seconds + 240, disk, log })
	console.log(describe(report))
	if (report.verdict !== 'passed') throw new Error(`${report.verdict}; history and report are in ${folder}`)
	if (dataDir === null) rmSync(folder, { recursive: true, force: true })
}, usage)

function readOptions(args: string[]): { minutes: number; seed: number; dataDir: string | null } {
	const { values } = parseArgs({
		args,
		options: { minutes: { type: 'string' }, seed: { type: 'string' }, 'data-dir': { type: 'string' } },
	})
	const minutes = Number(values.minutes ?? 1)
	if (!(minutes > 0)) throw new UsageError('--minutes takes a positive number')
	const seed = Number(values.seed ?? Date.now() % 1_000_000)
	if (!Number.isInteger(seed)) throw new UsageError('--seed takes a whole number')
	return { minutes, seed, dataDir: values['data-dir'] === undefined ? null : resolve(values['data-dir']) }
}
