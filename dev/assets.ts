/**
 * Puts into dist/assets, which wrangler uploads beside the Worker, what browsers load: the files of the docs page, from npm, and
 * the console, built by Vite where its source has changed. Run by wrangler before each build.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectDir } from './processes.ts'

const assetsDir = join(projectDir, 'dist', 'assets')
const consoleDir = join(projectDir, 'console')

copyDocs()
await buildConsole()

function copyDocs(): void {
	const from = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')))
	mkdirSync(assetsDir, { recursive: true })
	for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js']) cpSync(join(from, file), join(assetsDir, file))
}

/** Built aside and put in place by renaming, because a stack that is running serves these files. */
async function buildConsole(): Promise<void> {
	const built = join(assetsDir, 'console')
	const stampFile = join(projectDir, 'dist', 'console.stamp')
	const stamp = sourceStamp()
	if (existsSync(join(built, 'index.html')) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp)
		return
	// Loading Vite takes longer than the rest of this script, and is seldom needed.
	const { build } = await import('vite')
	const outDir = join(projectDir, 'dist', `console-${process.pid}`)
	await build({ configFile: join(consoleDir, 'vite.config.ts'), build: { outDir }, logLevel: 'warn' })
	rmSync(built, { recursive: true, force: true })
	renameSync(outDir, built)
	writeFileSync(stampFile, stamp)
}

/** Changes with any file of the console and with the versions of what it is built from. */
function sourceStamp(): string {
	const hash = createHash('sha256')
	const files = readdirSync(consoleDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
	const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort()
	for (const path of [...paths, join(projectDir, 'package-lock.json')]) hash.update(path).update(readFileSync(path))
	return hash.digest('base64url')
}
