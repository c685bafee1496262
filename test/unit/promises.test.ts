import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const architecture = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')

/** The rows of the table of promises: an id, and the test files that prove it. */
const promises = [...architecture.matchAll(/^\| ([A-Z][0-9])\s*\|[^|]*\|([^|]*)\|$/gm)].map(
	([, id = '', tests = '']) => ({
		id,
		files: [...tests.matchAll(/`([^`]+)`/g)].map(([, file]) => `test/${file}.test.ts`),
	}),
)

test('every promise in ARCHITECTURE.md is proven by tests that carry its id', () => {
	expect(promises.map(({ id }) => id)).toHaveLength(24)
	const unproven = promises.flatMap(({ id, files }) =>
		files.filter((file) => !readFileSync(join(root, file), 'utf8').includes(`[${id}]`)).map((file) => `${id}: ${file}`),
	)
	expect(unproven).toEqual([])
})
