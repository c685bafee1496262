import { expect, test } from 'vitest'
import { pooled } from '../../core/random.ts'

test('every byte of the source is given once and in order, whatever sizes are asked for', () => {
	let next = 0
	const counting = (bytes: Uint8Array) => {
		for (let index = 0; index < bytes.length; index++) bytes[index] = next++ % 251
		return bytes
	}
	const random = pooled(counting)
	const given = Array.from({ length: 1_000 }, (_, index) => [...random(new Uint8Array(index % 33))])
	// At the end of a pool a few bytes may be left over; within one, nothing is given twice or left out.
	for (const bytes of given) {
		for (let index = 1; index < bytes.length; index++) expect(bytes[index]).toBe(((bytes[index - 1] ?? 0) + 1) % 251)
	}
	const starts = given.flatMap((bytes) => bytes.slice(0, 1))
	expect(new Set(starts).size).toBeGreaterThan(200)
	expect(random(new Uint8Array(10_000))).toHaveLength(10_000)
})
