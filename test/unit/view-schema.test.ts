import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api'
import { expect, test } from 'vitest'
import * as schema from '../../db/neon/schema.ts'

const meta = join(import.meta.dirname, '../../db/neon/migrations/meta')

test('the migrations of the view make the schema that the code declares', async () => {
	const newest = readdirSync(meta)
		.filter((name) => name.endsWith('_snapshot.json'))
		.toSorted()
		.at(-1)
	const snapshot = JSON.parse(readFileSync(join(meta, newest ?? ''), 'utf8'))
	expect(await generateMigration(snapshot, generateDrizzleJson(schema, snapshot.id))).toEqual([])
})
