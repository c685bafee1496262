import { randomFillSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { type CursorKeys, openCursor, pagePosition, queryFingerprint, sealCursor } from '../../core/cursor.ts'
import type { ListQuery } from '../../core/query.ts'

const random = (bytes: Uint8Array) => randomFillSync(bytes)
const key = random(new Uint8Array(32))
const other = random(new Uint8Array(32))
const keys: CursorKeys = [key]
const position = { values: ['Ada Lovelace', null, 1.5, true], id: 'p-7' }
const query: Pick<ListQuery, 'filter' | 'order'> = {
	filter: { kind: 'compare', field: 'age', op: 'gte', value: '18', pointer: 'age' },
	order: [{ field: 'name', descending: false }],
}
const fingerprint = queryFingerprint(query, 'eu_a', 'people')

test('a cursor opens for the query that it was made for, also after a new key took over', () => {
	const cursor = sealCursor(position, keys, fingerprint, random)
	expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/)
	expect(openCursor(cursor, keys, fingerprint, pagePosition)).toEqual({ ok: true, value: position })
	expect(openCursor(cursor, [other, key], fingerprint, pagePosition)).toEqual({ ok: true, value: position })
	expect(openCursor(cursor, [other], fingerprint, pagePosition).ok).toBe(false)
})

test('a cursor shows nothing of the position', () => {
	const bytes = Buffer.from(sealCursor(position, keys, fingerprint, random), 'base64url').toString('latin1')
	expect(bytes).not.toContain('Ada')
	expect(bytes).not.toContain('p-7')
})

test('[T1] a cursor of another tenant, collection, filter or order is refused', () => {
	const others = [
		queryFingerprint(query, 'eu_b', 'people'),
		queryFingerprint(query, 'eu_a', 'orders'),
		queryFingerprint(query, 'eu_apeople', ''),
		queryFingerprint({ ...query, filter: null }, 'eu_a', 'people'),
		queryFingerprint({ ...query, order: [{ field: 'name', descending: true }] }, 'eu_a', 'people'),
	]
	const cursor = sealCursor(position, keys, fingerprint, random)
	for (const another of others) {
		expect(openCursor(cursor, keys, another, pagePosition)).toMatchObject({
			ok: false,
			refusal: { code: 'invalid_cursor' },
		})
	}
})

test('a cursor fits the same query wherever in the request its filter stood', () => {
	const filter = { kind: 'compare', field: 'age', op: 'gte', value: '18', pointer: '/age' } as const
	expect(queryFingerprint({ ...query, filter }, 'eu_a', 'people')).toBe(fingerprint)
})

test('a cursor with any bit or character changed, cut or grown is refused', () => {
	const cursor = sealCursor(position, keys, fingerprint, random)
	const bytes = Buffer.from(cursor, 'base64url')
	const broken = [
		cursor.slice(0, -1),
		cursor.slice(1),
		`${cursor}A`,
		`${cursor}=`,
		` ${cursor}`,
		'A'.repeat(9_000),
		'é',
		'{}',
		'',
	]
	for (let bit = 0; bit < bytes.length * 8; bit++) {
		const flipped = Buffer.from(bytes)
		flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
		broken.push(flipped.toString('base64url'))
	}
	// The last character carries bits that belong to no byte.
	for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
		if (last !== cursor.at(-1)) broken.push(cursor.slice(0, -1) + last)
	}
	for (const text of broken) {
		expect(openCursor(text, keys, fingerprint, pagePosition)).toMatchObject({
			ok: false,
			refusal: { code: 'invalid_cursor' },
		})
	}
})

test('a sealed value that is no position is refused', () => {
	for (const value of [null, [], {}, { values: [{}], id: 'a' }, { values: [], id: 5 }, { values: [] }]) {
		expect(openCursor(sealCursor(value, keys, fingerprint, random), keys, fingerprint, pagePosition).ok).toBe(false)
	}
})
