/** Before the tests inside workerd: the Worker's files are there, as they are in a deployment. */
import { spawnSync } from 'node:child_process'
import { environment, projectDir } from '../dev/processes.ts'

export function setup(): void {
	const { status } = spawnSync('node', ['dev/assets.ts'], { cwd: projectDir, env: environment(), stdio: 'inherit' })
	if (status !== 0) throw new Error('the files of the Worker were not built')
}
