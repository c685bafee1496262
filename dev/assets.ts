/** Copies the files that the docs page shows from npm to dist/assets, which wrangler uploads beside the Worker. Run by wrangler before each build. */
import { cpSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectDir } from './processes.ts'

const files = ['swagger-ui.css', 'swagger-ui-bundle.js']

const from = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')))
const to = join(projectDir, 'dist', 'assets')
mkdirSync(to, { recursive: true })
for (const file of files) cpSync(join(from, file), join(to, file))
