import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { continueDigest, digestHead, digestText, finishDigest, startDigest } from '../../core/sha256.ts'
import { type Piece, piecesLength, zipPieces } from '../../core/zip.ts'
import { readRange, streamPieces } from '../../workers/api/pieces.ts'
import { MemoryBucket } from '../memory-bucket.ts'

test('the digest of a short text is that of Node, at every length around a block and for any text', () => {
	const same = (text: string) => {
		const expected = createHash('sha256').update(text).digest()
		return digestHead(text) === expected.readBigUInt64BE() && digestText(text) === expected.toString('base64url')
	}
	for (let length = 0; length <= 1_300; length++) {
		expect(same('x'.repeat(length)), `${length}`).toBe(true)
		expect(same('€'.repeat(length)), `${length} of three bytes`).toBe(true)
	}
	fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 700 }), same))
})

test('a digest that is put down and taken up anywhere is the SHA-256 of the whole', () => {
	const pieces = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 })
	fc.assert(
		fc.property(pieces, (parts) => {
			const state = parts.reduce(
				(before, part) => continueDigest(JSON.parse(JSON.stringify(before)), part),
				startDigest(),
			)
			expect(finishDigest(state)).toBe(createHash('sha256').update(Buffer.concat(parts)).digest('hex'))
		}),
		{ numRuns: 500 },
	)
})

test.each([-1e14, Date.UTC(1979, 11, 31), Date.UTC(2108, 0, 1), Date.UTC(3026, 10, 23), 8.64e15])(
	'a moment that the format cannot hold (%i) is laid into its years',
	(at) => {
		const [piece] = zipPieces([{ path: 'a', stored: Buffer.from('x') }], at)
		const year = 1980 + (Buffer.from(piece instanceof Uint8Array ? piece : []).readUInt16LE(12) >> 9)
		expect(year).toBe(at < Date.UTC(1980) ? 1980 : 2107)
	},
)

test('sizes, offsets and numbers that 32 or 16 bits cannot hold go into the zip64 fields', () => {
	const large = 5_000_000_000
	const entry = { crc: 1, content: [{ key: 'k', length: large }] }
	const pieces = zipPieces(
		[
			{ ...entry, path: 'large', bytes: 2 * large, packed: large },
			{ ...entry, path: 'behind', bytes: 7, packed: large },
		],
		Date.UTC(2026, 0, 1),
	)
	const frame = pieces.filter((piece) => piece instanceof Uint8Array)
	expect(piecesLength(pieces)).toBe(2 * large + frame.reduce((sum, { length }) => sum + length, 0))
	const directory = Buffer.from(frame.at(-2) ?? [])
	const end = Buffer.from(frame.at(-1) ?? [])
	// The directory's second record: both sizes and the offset are in its extra field.
	const second = directory.indexOf('behind') - 46
	expect(directory.readUInt32LE(second + 42)).toBe(0xffffffff)
	const extra = second + 46 + 'behind'.length
	expect(directory.readUInt16LE(extra)).toBe(1)
	expect([4, 12, 20].map((at) => Number(directory.readBigUInt64LE(extra + at)))).toEqual([
		7,
		large + 2,
		large + 2 + 30 + 'large'.length + 20,
	])
	expect(end.readUInt32LE(0)).toBe(0x06064b50)
	expect(Number(end.readBigUInt64LE(48))).toBe(piecesLength(pieces) - end.length - directory.length)
	expect(Number(end.readBigUInt64LE(56 + 8))).toBe(piecesLength(pieces) - end.length)
	expect(end.readUInt32LE(56 + 20 + 16)).toBe(0xffffffff)
})

test('any range of the pieces is the same range of the whole', async () => {
	const bucket = new MemoryBucket()
	await bucket.put('a', Buffer.from('0123456789'))
	await bucket.put('b', Buffer.from('abc'))
	const pieces: Piece[] = [Buffer.from('<<'), { key: 'a', length: 10 }, Buffer.from('|'), { key: 'b', length: 3 }]
	const whole = '<<0123456789|abc'
	const bounds = fc.tuple(fc.nat(whole.length - 1), fc.nat(whole.length - 1))
	await fc.assert(
		fc.asyncProperty(bounds, async ([one, other]) => {
			const [first, last] = [Math.min(one, other), Math.max(one, other)]
			const stream = streamPieces(pieces, { first, last }, bucket)
			expect(await new Response(stream as BodyInit).text()).toBe(whole.slice(first, last + 1))
		}),
	)
	await bucket.delete(['b'])
	await expect(new Response(streamPieces(pieces, { first: 0, last: 15 }, bucket) as BodyInit).text()).rejects.toThrow()
})

test('a range is read as RFC 9110 says, and one that is not understood is the whole', () => {
	const read = (header?: string) => {
		const range = readRange(header, 100)
		return range.ok ? range.value && [range.value.first, range.value.last] : range.refusal.code
	}
	expect(read()).toBe(null)
	expect(read('bytes=0-9')).toEqual([0, 9])
	expect(read('bytes=90-')).toEqual([90, 99])
	expect(read('bytes=90-200')).toEqual([90, 99])
	expect(read('bytes=-10')).toEqual([90, 99])
	expect(read('bytes=-1000')).toEqual([0, 99])
	for (const header of ['', 'bytes=', 'bytes=-', 'bytes=9-1', 'bytes=0-1,5-6', 'items=0-1', 'bytes=a-b', 'bytes=1e3-'])
		expect(read(header), header).toBe(null)
	expect(read('bytes=100-')).toBe('range_not_satisfiable')
	expect(read('bytes=-0')).toBe('range_not_satisfiable')
})
