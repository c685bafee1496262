/** `npm run check`: the one gate. Runs every check to its end, so that one run names everything that is wrong. */
import { spawnSync } from 'node:child_process'
import { runCommand } from './command.ts'
import { environment, projectDir } from './processes.ts'

const checks: [name: string, command: string, ...args: string[]][] = [
	['format and lint', 'biome', 'check', '--error-on-warnings'],
	['types', 'tsc', '--noEmit'],
	['types of the console', 'tsc', '--noEmit', '-p', 'console'],
	['dead code', 'knip'],
	['bundle', 'node', 'dev/bundle.ts'],
	['tests', 'vitest', 'run'],
]

const usage = `npm run check: ${checks.map(([name]) => name).join(', ')}. Ends with status 1 when one of them fails.`

await runCommand(async () => {
	const failed: string[] = []
	for (const [name, command, ...args] of checks) {
		console.log(`\n— ${name}`)
		const { status } = spawnSync(command, args, { cwd: projectDir, env: environment(), stdio: 'inherit' })
		if (status !== 0) failed.push(name)
	}
	if (failed.length > 0) throw new Error(`not in order: ${failed.join(', ')}`)
}, usage)
