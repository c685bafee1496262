import { expect, test } from 'vitest'
import { coalesce } from '../../db/neon/coalesce.ts'

const options = { keyOf: (n: number) => String(n), sizeOf: () => 1, sizeMax: 3, isShared: () => false }

test('what is asked at the same time goes in one call, and each gets its own answer', async () => {
	const calls: number[][] = []
	const twice = coalesce(async (inputs: number[]) => {
		calls.push(inputs)
		return inputs.map((n) => 2 * n)
	}, options)
	expect(await Promise.all([1, 2, 3, 4].map(twice))).toEqual([2, 4, 6, 8])
	expect(calls).toEqual([[1, 2, 3], [4]])
	expect(await twice(5)).toBe(10)
})

test('inputs with the same key never share a call', async () => {
	const calls: number[][] = []
	const echo = coalesce(async (inputs: number[]) => {
		calls.push(inputs)
		return inputs
	}, options)
	expect(await Promise.all([1, 1, 2].map(echo))).toEqual([1, 1, 2])
	expect(calls).toEqual([[1, 2], [1]])
})

test('[V4] one input that fails does not fail the others', async () => {
	const picky = coalesce(async (inputs: number[]) => {
		if (inputs.includes(2)) throw new Error('two')
		return inputs
	}, options)
	const settled = await Promise.allSettled([1, 2, 3].map(picky))
	expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})

test('an error that is shared is not asked for again', async () => {
	let calls = 0
	const silent = coalesce(
		async () => {
			calls++
			throw new Error('no answer')
		},
		{ ...options, isShared: () => true },
	)
	const settled = await Promise.allSettled([1, 2, 3].map(silent))
	expect(settled.every(({ status }) => status === 'rejected')).toBe(true)
	expect(calls).toBe(1)
})

test('an input over the size goes alone and at once', async () => {
	const calls: number[][] = []
	const echo = coalesce(
		async (inputs: number[]) => {
			calls.push(inputs)
			return inputs
		},
		{ ...options, sizeOf: (n) => n },
	)
	await Promise.all([1, 9, 2].map(echo))
	expect(calls).toEqual([[9], [1, 2]])
})
