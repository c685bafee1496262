/** `npm run deploy`: migrates every region's database, then deploys the Worker. docs/deploy.md says what must exist before. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs, parseEnv } from 'node:util'
import { z } from 'zod'
import { runCommand, UsageError } from './command.ts'
import { migrate } from './migrate.ts'
import { environment, projectDir } from './processes.ts'
import { regionsOf } from './regions.ts'

const usage = `Usage: npm run deploy -- [--secrets-file FILE] [--dry-run]

Migrates the database of every region, then deploys the Worker to Cloudflare. See docs/deploy.md.

  --secrets-file FILE  secrets to upload with this version, as NAME=value lines; the rest of them stay as they are
  --dry-run            builds and checks only; needs no account and changes nothing
  --help               this text

From the environment or the secrets file: DATABASE_URL and DATABASE_URL_<REGION>, the owner's connection strings.
From the environment, unless you ran "npx wrangler login": CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID.`

async function main(args: string[]): Promise<void> {
	const { values } = parseArgs({
		args,
		options: { 'secrets-file': { type: 'string' }, 'dry-run': { type: 'boolean' } },
	})
	const secretsFile = values['secrets-file']
	if (secretsFile !== undefined && !existsSync(secretsFile)) throw new UsageError(`there is no file ${secretsFile}`)
	const fromFile = secretsFile === undefined ? {} : parseEnv(readFileSync(secretsFile, 'utf8'))
	if (values['dry-run']) {
		wrangler(['deploy', '--dry-run', '--outdir', 'dist/worker'])
		console.log(`Built. Missing here for a real deployment: ${missingUrls(fromFile).join(', ') || 'nothing'}.`)
		return
	}
	assertSignedIn()
	const missing = [...missingUrls(fromFile), ...missingSecrets(fromFile)]
	if (missing.length > 0) throw new UsageError(`missing: ${missing.join(', ')}; docs/deploy.md says what they are`)
	for (const { name, suffix } of regionsOf()) {
		const applied = await migrate(process.env[`DATABASE_URL${suffix}`] || fromFile[`DATABASE_URL${suffix}`] || '')
		console.log(`Database of ${name}: ${applied.length === 0 ? 'up to date' : `applied ${applied.join(', ')}`}`)
	}
	wrangler(['deploy', ...(secretsFile === undefined ? [] : ['--secrets-file', secretsFile])])
}

/** The databases are migrated from here, so their addresses are needed even where the Worker has them already. */
function missingUrls(fromFile: NodeJS.Dict<string>): string[] {
	const names = regionsOf().map(({ suffix }) => `DATABASE_URL${suffix}`)
	return names.filter((name) => !process.env[name] && !fromFile[name])
}

const secretList = z.array(z.object({ name: z.string() }))

/** A Worker without one of these answers nothing but errors. */
function missingSecrets(fromFile: NodeJS.Dict<string>): string[] {
	const perRegion = regionsOf().flatMap(({ suffix }) => [`DATABASE_URL${suffix}`, `DATABASE_READ_URL${suffix}`])
	const required = [
		'OPERATOR_TOKEN',
		'SIGNING_SECRET',
		'CLAIM_SECRET',
		'MASTER_SECRET',
		'CERTIFICATE_SECRET',
		...perRegion,
	].filter((name) => !fromFile[name])
	if (required.length === 0) return []
	// Fails when there is no such Worker yet: then it has no secrets either.
	const { status, stdout } = run(['secret', 'list', '--format', 'json'], 'pipe')
	const present = status === 0 ? secretList.parse(JSON.parse(stdout)).map(({ name }) => name) : []
	return required.filter((name) => !present.includes(name))
}

function assertSignedIn(): void {
	if (run(['whoami', '--json'], 'pipe').status === 0) return
	throw new Error(
		'not signed in to Cloudflare: run "npx wrangler login", or set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID',
	)
}

function wrangler(args: string[]): void {
	if (run(args, 'inherit').status !== 0) throw new Error(`wrangler ${args[0]} failed`)
}

function run(args: string[], output: 'pipe' | 'inherit'): { status: number | null; stdout: string } {
	const command = join(projectDir, 'node_modules', '.bin', 'wrangler')
	const env = environment({ WRANGLER_SEND_METRICS: 'false', WRANGLER_HIDE_BANNER: 'true' })
	const { status, stdout } = spawnSync(command, args, {
		cwd: projectDir,
		env,
		encoding: 'utf8',
		stdio: ['inherit', output, output],
	})
	return { status, stdout: stdout ?? '' }
}

await runCommand(main, usage)
