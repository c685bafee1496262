import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api'
import { getTableColumns, getTableName, isTable } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { tenantTables } from '../../db/neon/erase.ts'
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

test('[E1] an erasure knows every table that has rows of tenants', () => {
	const tables = Object.values(schema).filter((one) => isTable(one))
	const ofTenants = tables.filter((table) => 'tenantId' in getTableColumns(table)).map((table) => getTableName(table))
	// The tombstone itself stays.
	expect([...tenantTables, 'erasure'].sort()).toEqual(ofTenants.sort())
})
