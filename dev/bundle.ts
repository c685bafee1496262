/** Builds the Worker and the console as a deployment would and fails when one has grown past its budget. Part of `npm run check`. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { environment, projectDir } from './processes.ts'

/** Bytes after gzip. The platform takes 3 MB on its free plan; this is ours, because every cold start parses the whole. */
const gzipBytesMax = 600_000
/** All files of the console: it opens at once on a slow line. */
const consoleGzipBytesMax = 80_000

const buildDir = join(projectDir, 'dist', 'worker')
const command = join(projectDir, 'node_modules', '.bin', 'wrangler')
const args = ['deploy', '--dry-run', '--outdir', buildDir]
const env = environment({ WRANGLER_SEND_METRICS: 'false', WRANGLER_HIDE_BANNER: 'true' })
const built = spawnSync(command, args, { cwd: projectDir, env, encoding: 'utf8' })
if (built.status !== 0) {
	console.error(built.stdout, built.stderr)
	process.exit(1)
}
const modules = readdirSync(buildDir).filter((file) => !/\.(map|md)$/.test(file))
tell('the Worker', gzippedSize(buildDir, modules), gzipBytesMax)
const consoleDir = join(projectDir, 'dist', 'assets', 'console')
tell('the console', gzippedSize(consoleDir, readdirSync(consoleDir)), consoleGzipBytesMax)

function gzippedSize(folder: string, files: readonly string[]): number {
	return files.reduce((total, file) => total + gzipSync(readFileSync(join(folder, file))).length, 0)
}

function tell(what: string, size: number, max: number): void {
	const said = `${what} is ${Math.round(size / 1_000)} KB after gzip, of at most ${max / 1_000} KB`
	if (size > max) {
		console.error(`error: ${said}`)
		process.exitCode = 1
	} else {
		console.log(said)
	}
}
