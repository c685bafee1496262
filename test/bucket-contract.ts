import { expect, test } from 'vitest'
import { type Bucket, bucketKeysMax, clearPrefix } from '../core/bucket.ts'

/** What every implementation of the port does; run on the one in memory and on the local R2. */
export function testBucket(open: () => Bucket): void {
	const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString()

	test('a bucket gives back what was put, whole, in pieces and as a stream', async () => {
		const bucket = open()
		await bucket.put('a/1', Buffer.from('hello world'))
		expect(text(await bucket.get('a/1'))).toBe('hello world')
		expect(text(await bucket.get('a/1', { offset: 6, length: 5 }))).toBe('world')
		const stream = await bucket.stream('a/1', { offset: 0, length: 5 })
		expect(await new Response(stream as BodyInit).text()).toBe('hello')
		expect(await bucket.get('a/2')).toBe(null)
		expect(await bucket.stream('a/2')).toBe(null)
		await bucket.put('a/empty', new Uint8Array())
		expect((await bucket.get('a/empty'))?.length).toBe(0)
	})

	test('a bucket stores a stream only when it has the length that was said', async () => {
		const bucket = open()
		const stream = () => new Response('0123456789').body as ReadableStream<Uint8Array>
		await bucket.upload('u/1', stream(), 10)
		expect(text(await bucket.get('u/1'))).toBe('0123456789')
		await expect(bucket.upload('u/2', stream(), 9)).rejects.toThrow()
		await expect(bucket.upload('u/3', stream(), 11)).rejects.toThrow()
		expect(await bucket.list('u/')).toEqual(['u/1'])
	})

	test('a bucket lists by prefix and deletes what is there, also more than one list has', async () => {
		const bucket = open()
		await bucket.put('p/1', Buffer.from('1'))
		await bucket.put('q/1', Buffer.from('1'))
		await bucket.delete(['p/1', 'p/none'])
		expect(await bucket.list('p/')).toEqual([])
		const keys = Array.from({ length: bucketKeysMax + 5 }, (_, index) => `p/${index}`)
		for (let start = 0; start < keys.length; start += 50)
			await Promise.all(keys.slice(start, start + 50).map((key) => bucket.put(key, Buffer.from('x'))))
		expect(await bucket.list('p/')).toHaveLength(bucketKeysMax)
		await clearPrefix(bucket, 'p/')
		expect(await bucket.list('p/')).toEqual([])
		expect(await bucket.list('q/')).toEqual(['q/1'])
	}, 60_000)
}
