import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** What each room may import of ours, besides itself; `ARCHITECTURE.md` says why. */
const allowed: Record<string, string[]> = {
	core: [],
	db: ['core'],
	console: [],
	'workers/api': ['core'],
	'workers/shard-do': ['core', 'db'],
	'workers/queue-consumer': ['core', 'db'],
	'workers/monitor': ['core', 'db'],
	workers: ['core', 'db', 'workers/api', 'workers/shard-do', 'workers/queue-consumer', 'workers/monitor'],
}

function sources(folder: string): string[] {
	return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
		.filter((name) => /\.tsx?$/.test(name))
		.map((name) => join(folder, name))
}

function roomOf(file: string): string | undefined {
	return Object.keys(allowed)
		.sort((a, b) => b.length - a.length)
		.find((room) => file.startsWith(`${room}/`))
}

function importsOf(file: string): string[] {
	const text = readFileSync(join(root, file), 'utf8')
	return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '')
}

const files = ['core', 'db', 'console', 'workers'].flatMap(sources)

test('rooms import only what they may', () => {
	expect(files.length).toBeGreaterThan(30)
	const crossings = files.flatMap((file) => {
		const room = roomOf(file) ?? ''
		return importsOf(file)
			.filter((path) => path.startsWith('.'))
			.map((path) => relative(root, resolve(root, dirname(file), path)))
			.filter(
				(target) =>
					roomOf(target) !== room &&
					!allowed[room]?.includes(
						roomOf(target)?.split('/')[0] === 'workers' ? (roomOf(target) ?? '') : (target.split('/')[0] ?? ''),
					),
			)
			.map((target) => `${file} -> ${target}`)
	})
	expect(crossings).toEqual([])
})

test('core has no clock, no randomness, no network and no environment', () => {
	const forbidden = /\bDate\.now\(|new Date\(\)|Math\.random\(|(?:await|return|=|\()\s*fetch\(|process\.env|cloudflare:/
	expect(
		files.filter((file) => file.startsWith('core/') && forbidden.test(readFileSync(join(root, file), 'utf8'))),
	).toEqual([])
})

test('only the object classes and the composition root touch Cloudflare', () => {
	const users = files.filter((file) => importsOf(file).some((path) => path.startsWith('cloudflare:')))
	expect(users.sort()).toEqual([
		'workers/monitor/monitor.ts',
		'workers/shard-do/tenant-shard.ts',
		'workers/shard-do/unique-claim.ts',
		'workers/wire.ts',
	])
})

test('object ids are made in one place', () => {
	const makers = files.filter((file) =>
		/\.(idFromName|getByName|newUniqueId|idFromString)\(/.test(readFileSync(join(root, file), 'utf8')),
	)
	expect(makers).toEqual(['workers/env.ts'])
})
