import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bindQuery } from '../../core/bind.ts'
import type { TenantId } from '../../core/ids.ts'
import type { BoundQuery } from '../../core/query.ts'
import type { ViewPosition } from '../../core/view.ts'
import { comparePositions, filterSql, keysetSql, orderColumnsSql, orderSql } from '../../db/neon/filter.ts'
import { listRecords } from '../../db/shard/list.ts'
import { type Postgres, startPostgres } from '../../dev/postgres.ts'
import {
	expectedIds,
	fields,
	indexable,
	openCollection,
	patternQueries,
	patternRecords,
	queries,
	records,
	uniqueColumns,
} from './list-model.ts'

const tenants = ['eu_b', 'global_a']
// Enough for every kind of value to meet every kind of condition.
const all = fc
	.sample(fc.array(records, { minLength: 20, maxLength: 20 }), { numRuns: 1, seed: 7 })
	.flatMap((some) => some.flat())
const unique = [...new Map(all.map((record) => [record.id, record])).values()]
const dataDir = mkdtempSync(join(tmpdir(), 'freehold-agreement-'))
let postgres: Postgres
let client: pg.Client

beforeAll(async () => {
	postgres = await startPostgres({ dataDir, databases: ['agreement'], log: () => {} })
	client = new pg.Client({ connectionString: postgres.url('agreement') })
	await client.connect()
	await client.query(`CREATE TABLE record (tenant_id text COLLATE "C", id text COLLATE "C", version integer, data jsonb,
		created_at timestamptz(3), updated_at timestamptz(3))`)
	await client.query(
		`INSERT INTO record SELECT tenant, r->>'id', (r->>'version')::int, (r->>'data')::jsonb,
			'epoch'::timestamptz + (r->>'createdAt')::float8 * interval '1 ms', 'epoch'::timestamptz + (r->>'updatedAt')::float8 * interval '1 ms'
		FROM jsonb_array_elements($1::jsonb) r, unnest($2::text[]) tenant`,
		[JSON.stringify(unique), tenants],
	)
}, 60_000)

afterAll(async () => {
	await client?.end()
	await postgres?.stop()
	rmSync(dataDir, { recursive: true, force: true })
})

test('the same query gives the same records in a shard and in the view, which pages and merges them in the same order', async () => {
	const { sql, close } = openCollection(unique, indexable)
	const table = { number: 1, count: unique.length, indexed: new Set(indexable), unique: uniqueColumns }
	let found = 0
	for (const query of fc.sample(queries, 200)) {
		const outcome = bindQuery({ ...query, limit: 1_000, after: null, select: null, count: false }, fields)
		if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal))
		const listed = listRecords(sql, table, outcome.value, { scanRowsMax: 50_000 })
		const shard = listed.ok ? listed.value.rows.map((row) => row.id) : []
		const view = await readView(outcome.value, [tenants[0] ?? ''], null, 1_000)
		const ids = view.map((position) => position.id)
		const context = fc.stringify(query)
		// Without an order the shard may choose one.
		if (query.order.length === 0) expect(ids.toSorted(), context).toEqual(shard.toSorted())
		else expect(ids, context).toEqual(shard)
		found += ids.length

		const whole = await readView(outcome.value, tenants, null, 1_000)
		expect(whole.toReversed().sort(comparePositions(outcome.value.order)), context).toEqual(whole)
		const half = whole[Math.floor(whole.length / 2)]
		if (half) {
			const rest = await readView(outcome.value, tenants, JSON.parse(JSON.stringify(half)), 1_000)
			expect(rest, context).toEqual(whole.slice(Math.floor(whole.length / 2) + 1))
		}
	}
	close()
	expect(found).toBeGreaterThan(2_000)
}, 30_000)

test('a pattern means the same to Postgres', async () => {
	const records = JSON.stringify(patternRecords.map(({ id, data }) => ({ id, data })))
	await client.query(
		"INSERT INTO record SELECT 'eu_patterns', r->>'id', 1, (r->>'data')::jsonb, now(), now() FROM jsonb_array_elements($1::jsonb) r",
		[records],
	)
	// The rest differs only in which characters are literal.
	for (const query of patternQueries.filter((_, i) => i % 3 === 0)) {
		const bound = bindQuery({ ...query, limit: 1_000, after: null, select: null, count: false }, fields)
		if (!bound.ok) throw new Error(JSON.stringify(bound.refusal))
		const found = await readView(bound.value, ['eu_patterns'], null, 1_000)
		const ids = found.map((position) => position.id)
		expect(ids, fc.stringify(query.filter)).toEqual(expectedIds(patternRecords, query))
	}
}, 30_000)

test('text sorts by its bytes in a database of any locale', () => {
	const bound = bindQuery({ filter: null, order: [{ field: 'name', descending: true }], select: null }, fields)
	if (!bound.ok) throw new Error(JSON.stringify(bound.refusal))
	expect(orderSql(bound.value.order).match(/COLLATE "C" DESC NULLS FIRST/g)).toHaveLength(3)
})

test('a property of another type than the schema says is null to the view, and no number is too large for it', async () => {
	await client.query(
		`INSERT INTO record VALUES ('eu_odd', 'x', 1, '{"age": "18", "name": 5, "ok": "true"}', now(), now())`,
	)
	const filters = [
		{ kind: 'is', field: 'age', value: 'null', pointer: 'x' },
		{ kind: 'is', field: 'name', value: 'null', pointer: 'x' },
		{ kind: 'is', field: 'ok', value: 'null', pointer: 'x' },
		{ kind: 'compare', field: 'version', op: 'lt', value: String(Number.MAX_SAFE_INTEGER), pointer: 'x' },
		{ kind: 'compare', field: 'created_at', op: 'gt', value: '0001-01-01T00:00:00Z', pointer: 'x' },
	] as const
	const filter = { kind: 'and' as const, filters: [...filters] }
	const bound = bindQuery({ filter, order: [], limit: 1, after: null, select: null, count: false }, fields)
	if (!bound.ok) throw new Error(JSON.stringify(bound.refusal))
	expect(await readView(bound.value, ['eu_odd'], null, 5)).toHaveLength(1)
})

async function readView(
	query: BoundQuery,
	of: string[],
	after: ViewPosition | null,
	limit: number,
): Promise<ViewPosition[]> {
	const filter = filterSql(query.filter, 3)
	const keyset = after === null ? { text: 'TRUE', params: [] } : keysetSql(query.order, after, 3 + filter.params.length)
	const { rows } = await client.query<{ tenant_id: TenantId; id: string; position_values: ViewPosition['values'] }>(
		`SELECT tenant_id, id, ${orderColumnsSql(query.order)} FROM record
		WHERE tenant_id = ANY($1) AND ${filter.text} AND ${keyset.text} ORDER BY ${orderSql(query.order)} LIMIT $2`,
		[of, limit, ...filter.params, ...keyset.params],
	)
	return rows.map((row) => ({ values: row.position_values, tenant: row.tenant_id, id: row.id }))
}
