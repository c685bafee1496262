import { expect, test } from 'vitest'
import { coalesce } from '../../db/neon/coalesce.ts'

const options = {
	keyOf: (n: number) => String(n),
	sizeOf: () => 1,
	sizeMax: 3,
	callsAtOnceMax: 2,
	isShared: () => false,
}

/** Calls that end when the test says so. */
function held() {
	const calls: { inputs: number[]; end(): void }[] = []
	const run = (inputs: number[]) =>
		new Promise<number[]>((resolve) => calls.push({ inputs, end: () => resolve(inputs) }))
	return { calls, run }
}

const turns = async () => {
	for (let turn = 0; turn < 10; turn++) await null
}

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

test('what is asked while a call is under way gathers, and goes at the same time once it fills a call', async () => {
	const { calls, run } = held()
	const echo = coalesce(run, options)
	const answers = [echo(1)]
	await turns()
	answers.push(echo(2), echo(3))
	await turns()
	expect(calls.map(({ inputs }) => inputs)).toEqual([[1]])
	answers.push(echo(4))
	await turns()
	expect(calls.map(({ inputs }) => inputs)).toEqual([[1], [2, 3, 4]])
	for (const { end } of calls) end()
	expect(await Promise.all(answers)).toEqual([1, 2, 3, 4])
})

test('no more calls than allowed run at the same time, and nothing that waits is forgotten', async () => {
	const { calls, run } = held()
	const echo = coalesce(run, options)
	const inputs = Array.from({ length: 11 }, (_, n) => n)
	const answers = Promise.all(inputs.map(echo))
	await turns()
	expect(calls).toHaveLength(2)
	for (let ended = 0; ended < calls.length; ended++) {
		calls[ended]?.end()
		await turns()
		expect(calls.length - ended - 1).toBeLessThanOrEqual(2)
	}
	expect(await answers).toEqual(inputs)
	expect(calls.map(({ inputs: { length } }) => length)).toEqual([3, 3, 3, 2])
	const later = echo(11)
	await turns()
	calls.at(-1)?.end()
	expect(await later).toBe(11)
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
	expect(await picky(4)).toBe(4)
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

test('an input over the size goes alone', async () => {
	const { calls, run } = held()
	const echo = coalesce(run, { ...options, sizeOf: (n) => n })
	const answers = Promise.all([1, 9, 2].map(echo))
	await turns()
	expect(calls.map(({ inputs }) => inputs)).toEqual([[1, 2], [9]])
	for (const { end } of calls) end()
	expect(await answers).toEqual([1, 9, 2])
})
