import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectDir } from './processes.ts'

export const configFile = join(projectDir, 'wrangler.toml')

/** A region of the deployment. `suffix` ends the names of its bindings and variables: empty for the first, else `_<REGION>`. */
export interface RegionName {
	name: string
	suffix: string
}

/** The regions that a wrangler.toml names in `REGIONS`, the default one first. */
export function regionsOf(config = configFile): RegionName[] {
	const list = /^REGIONS\s*=\s*"([^"]+)"/m.exec(readFileSync(config, 'utf8'))?.[1]
	if (list === undefined) throw new Error(`${config} has no REGIONS = "…" under [vars]`)
	return list.split(',').map((text, position) => {
		const name = text.trim()
		return { name, suffix: position === 0 ? '' : `_${name.toUpperCase()}` }
	})
}
