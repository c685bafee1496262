/** `npm run region`: what a further region needs in wrangler.toml, and what to create for it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runCommand, UsageError } from './command.ts'
import { configFile, regionsOf } from './regions.ts'

const usage = `Usage: npm run region -- add NAME [--jurisdiction NAME] [--config FILE]

Adds a region to wrangler.toml: its queues, dead-letter queues and bucket, by the bindings of the region that is listed last,
and its name in REGIONS. Says what has to be created before the next deployment. See docs/deploy.md.

  --jurisdiction NAME  the platform's jurisdiction of its objects and bucket, such as "us"; none when absent
  --config FILE        instead of wrangler.toml
  --help               this text`

async function main(args: string[]): Promise<void> {
	const { values, positionals } = parseArgs({
		args,
		allowPositionals: true,
		options: { jurisdiction: { type: 'string' }, config: { type: 'string', default: configFile } },
	})
	const [verb, name, ...more] = positionals
	if (verb !== 'add' || name === undefined || more.length > 0) throw new UsageError('say what to add')
	const { config, jurisdiction = null } = values
	writeFileSync(config, addRegion(readFileSync(config, 'utf8'), name, jurisdiction))
	const added = regionsOf(config).at(-1)
	console.log(toDo(name, added?.suffix ?? '', jurisdiction).join('\n'))
}

/** The text of a wrangler.toml with one more region. @throws UsageError for a name that cannot be one */
export function addRegion(toml: string, name: string, jurisdiction: string | null): string {
	if (!/^[a-z][a-z0-9]{0,15}$/.test(name)) throw new UsageError('a region has up to 16 lower-case letters and digits')
	if (jurisdiction !== null && !/^[a-z][a-z0-9-]*$/.test(jurisdiction)) throw new UsageError('no such jurisdiction')
	const listed = /^REGIONS = "([^"]+)"$/m.exec(toml)?.[1]?.split(',') ?? []
	if (listed.includes(name)) throw new UsageError(`there is a region ${name}`)
	const last = listed.at(-1) ?? ''
	const section = new RegExp(`^# --- region: ${last} -*\\n(?:(?!# --- ).*\\n?)*`, 'm').exec(toml)?.[0]
	if (section === undefined) throw new UsageError(`there is no section "# --- region: ${last}"`)
	const added = section
		.replace(/^# --- region: .*$/m, `# --- region: ${name} `.padEnd(119, '-'))
		.replace(/^binding = "([A-Z]+)(?:_[A-Z0-9]+)?"$/gm, `binding = "$1_${name.toUpperCase()}"`)
		.replace(/"freehold-(changes|webhooks|telemetry)(?:-(?!dead")[a-z0-9]+)?(-dead)?"/g, `"freehold-$1-${name}$2"`)
		.replace(/^bucket_name = ".*"$/m, `bucket_name = "freehold-${name}"`)
		.replace(/^jurisdiction = ".*"\n?/m, '')
		.trimEnd()
	const placed = jurisdiction === null ? added : `${added}\njurisdiction = "${jurisdiction}"`
	return `${toml
		.replace(/^REGIONS = "(.*)"$/m, `REGIONS = "$1,${name}"`)
		.replace(/^JURISDICTIONS = "(.*)"$/m, (line, given: string) =>
			jurisdiction === null
				? line
				: `JURISDICTIONS = "${[given, `${name}=${jurisdiction}`].filter(Boolean).join(',')}"`,
		)
		.trimEnd()}\n\n${placed}\n`
}

function toDo(name: string, suffix: string, jurisdiction: string | null): string[] {
	const flag = jurisdiction === null ? '' : ` --jurisdiction ${jurisdiction}`
	const queues = ['changes', 'webhooks', 'telemetry'].flatMap((carried) => [
		`  npx wrangler queues create freehold-${carried}-${name}${flag}`,
		`  npx wrangler queues create freehold-${carried}-${name}-dead${flag}`,
	])
	return [
		`Region ${name} is in the configuration. Before you deploy, create`,
		...queues,
		`  npx wrangler r2 bucket create freehold-${name}${flag}`,
		`and a database, for which docs/deploy.md says how, with the secrets DATABASE_URL${suffix} and DATABASE_READ_URL${suffix}.`,
	]
}

if (import.meta.main) await runCommand(main, usage)
