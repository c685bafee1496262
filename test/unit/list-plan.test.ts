import { expect, test } from 'vitest'
import { bindQuery } from '../../core/bind.ts'
import type { PagePosition, StoredRecord } from '../../core/contract.ts'
import { parseListQuery } from '../../core/filter.ts'
import { fieldExpression, listRecords } from '../../db/shard/list.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { fields, openCollection, uniqueColumns } from './list-model.ts'

const all: StoredRecord[] = Array.from({ length: 400 }, (_, i) => ({
	id: `r${String(i).padStart(3, '0')}`,
	version: 1,
	seq: i + 1,
	createdAt: 1_000 + (i % 50),
	updatedAt: 1_000,
	data: JSON.stringify({ name: `n${i % 97}`, 'e-mail': `a${i}@b`, age: i % 9 === 0 ? null : i % 40, ok: i % 2 === 0 }),
}))
const { sql } = openCollection(all, ['age', 'created_at'])
const table = { number: 1, count: all.length, indexed: new Set(['age', 'created_at']), unique: uniqueColumns }
const middle: Record<string, PagePosition> = {
	age: { values: [20], id: 'r220' },
	'age.desc': { values: [null], id: 'r225' },
	created_at: { values: [1_020], id: 'r220' },
	id: { values: [], id: 'r220' },
}

test.each(['age', 'age.desc', 'created_at', 'id', 'id.desc'])(
	'order=%s is read from its index, from the position on',
	(order) => {
		for (const after of [null, middle[order] ?? null]) {
			for (const filter of ['', '&name=eq.n5', '&ok=is.true&updated_at=lt.2026-01-01T00:00:00Z']) {
				const { steps } = plansOf(`order=${order}&limit=5${filter}`, after, 100)
				expect(steps.join('\n')).not.toContain('TEMP B-TREE')
				const reads = steps.filter((step) => step.includes('c_1'))
				for (const read of reads)
					expect(read).toMatch(after || order.startsWith('age') ? /SEARCH c_1/ : /SEARCH|SCAN c_1/)
				if (!order.startsWith('id')) expect(reads.some((read) => /USING (COVERING )?INDEX c_1_x/.test(read))).toBe(true)
			}
		}
	},
)

test.each([
	['age=eq.7', 'c_1_x0'],
	['age=in.(7,9)', 'c_1_x0'],
	['age=gt.7&age=lte.9', 'c_1_x0'],
	['age=is.null', 'c_1_x0'],
	['created_at=gte.1970-01-01T00:00:01.040Z', 'c_1_x1'],
	['name=eq.n47&age=eq.7', 'c_1_x0'],
	['age=eq.7&created_at=gt.1970-01-01T00:00:01.010Z', 'c_1_x0'],
	['e-mail=eq.a7@b', 'c_1_u_1'],
	['e-mail=eq.a7@b&order=name', 'c_1_u_1'],
	['id=in.(r001,r002)&order=name', 'PRIMARY KEY'],
	['age=eq.7&order=created_at.desc', 'c_1_x0'],
	['age=eq.7&order=name,ok', 'c_1_x0'],
])('%s is answered by %s', (query, index) => {
	const { steps, ids } = plansOf(query, null, 100)
	expect(steps[0]).toBeDefined()
	expect(steps.filter((step) => step.includes('c_1'))[0]).toContain(index)
	expect(ids.length).toBeGreaterThan(0)
})

test('an order or an exact count that would read too much is refused, and is answered in a small collection', () => {
	for (const query of ['order=name', 'order=age,name', 'order=age.desc,id', 'order=version', 'order=name&age=gte.0']) {
		expect(list(query, null, 100)).toMatchObject({
			ok: false,
			refusal: { code: 'index_required', errors: [{ pointer: 'order' }] },
		})
		expect(list(query, null, 400).ok).toBe(true)
	}
	expect(list('name=eq.n5', null, 399, true)).toMatchObject({ ok: false, refusal: { code: 'index_required' } })
	expect(list('name=eq.n5', null, 400, true)).toMatchObject({ ok: true, value: { count: 5 } })
	expect(list('age=eq.7&ok=is.false', null, 10, true)).toMatchObject({ ok: true, value: { count: 9 } })
	expect(list('limit=5', null, 10, true)).toMatchObject({ ok: true, value: { count: 400 } })
})

test('a page ends where the reading has to end, with the place to go on', () => {
	expect(list('name=eq.nobody', null, 100)).toMatchObject({
		ok: true,
		value: { rows: [], next: { values: [], id: 'r049' } },
	})
	expect(list('name=eq.nobody&order=age.desc', null, 100)).toMatchObject({
		value: { rows: [], next: { values: [39] } },
	})
})

test('a position of another order is refused', () => {
	for (const [query, after] of [
		['order=age', { values: [], id: 'r1' }],
		['order=age', { values: ['7'], id: 'r1' }],
		['order=created_at', { values: [null], id: 'r1' }],
		['', { values: ['age', 7], id: 'r1' }],
		['age=eq.7', { values: ['score', 7], id: 'r1' }],
	] as const) {
		expect(list(query, { ...after, values: [...after.values] }, 500)).toMatchObject({
			ok: false,
			refusal: { code: 'invalid_cursor' },
		})
	}
})

test('only a name that is safe in SQL becomes an expression', () => {
	for (const name of ["a'b", 'a"b', 'a b', '', 'a.b', 'é', '1a', 'a'.repeat(65)])
		expect(() => fieldExpression(name)).toThrow()
})

function plansOf(query: string, after: PagePosition | null, scanRowsMax: number) {
	const steps: string[] = []
	const explained: Sql = {
		...sql,
		all: (text, ...bindings) => {
			expect(bindings.length).toBeLessThanOrEqual(100)
			for (const { detail } of sql.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, ...bindings))
				steps.push(detail)
			return sql.all(text, ...bindings)
		},
	}
	const listed = list(query, after, scanRowsMax, false, explained)
	if (!listed.ok) throw new Error(JSON.stringify(listed.refusal))
	return { steps, ids: listed.value.rows.map((row) => row.id) }
}

function list(text: string, after: PagePosition | null, scanRowsMax: number, count = false, on = sql) {
	const parsed = parseListQuery(new URLSearchParams(text), 'query')
	if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal))
	const bound = bindQuery({ ...parsed.value.query, after, count }, fields)
	if (!bound.ok) throw new Error(JSON.stringify(bound.refusal))
	return listRecords(on, table, bound.value, { scanRowsMax })
}
