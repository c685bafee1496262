import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TenantId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/json.ts'
import { addToDigest, printJsonb, rowHash } from '../../core/row-hash.ts'
import type { Database } from '../../db/neon/client.ts'
import { rowHashOf, tenantChecksum } from '../../db/neon/digest.ts'
import { startViewStack, type ViewStack } from './view-stack.ts'

const tenant = 'global_01k9aaaaaaaaaaaaaaaaaaaaaa' as TenantId

let stack: ViewStack
let view: Database

beforeAll(async () => {
	stack = await startViewStack(['global'])
	view = stack.writer('global')
}, 60_000)
afterAll(() => stack?.stop())

const strangeNumbers = [
	5e-324,
	1e308,
	-1e308,
	-0,
	2 ** 53,
	-(2 ** 53),
	1e21,
	1.5e21,
	1e-6,
	1e-7,
	-1.5e-7,
	0.1,
	1e20,
	123e-20,
]
const texts = fc.oneof(
	fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => text.isWellFormed() && !text.includes('\0')),
	fc.constantFrom(
		'',
		'"',
		'\\',
		'\b\f\n\r\t',
		'\u001f',
		'\u007f',
		'\u2028',
		'é',
		'\u{1f600}',
		'\uffff',
		'</script>',
		'__proto__',
		'constructor',
	),
)
const values = fc.letrec((tie) => ({
	value: fc.oneof(
		{ depthSize: 'small' },
		texts,
		fc.double({ noNaN: true, noDefaultInfinity: true }),
		fc.integer(),
		fc.constantFrom(...strangeNumbers),
		fc.boolean(),
		fc.constant(null),
		fc.array(tie('value'), { maxLength: 4 }),
		fc.dictionary(texts, tie('value'), { maxKeys: 5 }),
	),
})).value
const deep = JSON.parse(`${'{"a":['.repeat(30)}1e-9${']}'.repeat(30)}`) as JsonObject
const records = fc.record({
	collection: fc.constantFrom('people', 'p', 'long-name.of~a_collection'),
	version: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
	createdAt: fc.integer({ min: 0, max: Date.UTC(2300, 0, 1) }),
	updatedAt: fc.integer({ min: 0, max: Date.UTC(2300, 0, 1) }),
	data: fc.oneof(
		{ weight: 50, arbitrary: fc.dictionary(texts, values, { maxKeys: 8 }) },
		{ weight: 1, arbitrary: fc.constant(deep) },
	),
})

test('[V2] the shard prints and hashes 2,000 generated records as Postgres does, and both come to the same checksum', async () => {
	const seed = Date.now()
	const rows = fc.sample(records, { numRuns: 2_000, seed }).map((record, index) => ({
		...record,
		id: `r${index}`,
		// As the edge stores it: parsed and printed again.
		data: JSON.parse(JSON.stringify(record.data)) as JsonObject,
	}))
	const written = await view.query({
		text: `INSERT INTO record AS r (tenant_id, collection, id, version, data, created_at, updated_at)
			SELECT $1, collection, id, version, data, to_timestamp("createdAt" / 1000.0), to_timestamp("updatedAt" / 1000.0)
			FROM jsonb_to_recordset($2::jsonb)
				AS p (collection text, id text, version int, data jsonb, "createdAt" bigint, "updatedAt" bigint)
			RETURNING id, data::text AS printed, ${rowHashOf('r')}::text AS hash`,
		params: [tenant, JSON.stringify(rows)],
	})
	const there = new Map(written.map((row) => [row.id, { printed: row.printed, hash: BigInt(row.hash ?? 0) }]))
	let digest = 0n
	for (const row of rows) {
		const hash = rowHash(row, row.data, [])
		digest = addToDigest(digest, hash)
		const here = { seed, printed: printJsonb(row.data), hash: BigInt.asIntN(64, hash) }
		expect(here).toEqual({ seed, ...there.get(row.id) })
	}
	expect(await tenantChecksum(view, tenant)).toEqual({ count: rows.length, digest: digest.toString() })
})
