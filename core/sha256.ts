/**
 * SHA-256 (FIPS 180-4) whose state can be put down and taken up again: a file of an archive is hashed part by part, each part
 * perhaps by another process, and the platform's own digests cannot be written down in between.
 */

import { hash } from 'node:crypto'

/** What a digest is after some bytes: eight words, the bytes of an unfinished block in base64, and how many bytes there were. */
export interface DigestState {
	words: number[]
	rest: string
	bytes: number
}

const blockBytes = 64

export function startDigest(): DigestState {
	return { words: [...initialWords], rest: '', bytes: 0 }
}

/** The state after `data` as well; the given one stays as it was. */
export function continueDigest(state: DigestState, data: Uint8Array): DigestState {
	const words = Int32Array.from(state.words)
	const rest = Buffer.from(state.rest, 'base64')
	const bytes = state.bytes + data.length
	if (rest.length + data.length < blockBytes) {
		return { words: [...words], rest: Buffer.concat([rest, data]).toString('base64'), bytes }
	}
	let offset = 0
	if (rest.length > 0) {
		offset = blockBytes - rest.length
		compress(words, Buffer.concat([rest, data.subarray(0, offset)]), 0, 1)
	}
	const blocks = Math.floor((data.length - offset) / blockBytes)
	compress(words, data, offset, blocks)
	const left = data.subarray(offset + blocks * blockBytes)
	return { words: [...words], rest: Buffer.from(left).toString('base64'), bytes }
}

/** The digest in lower-case hexadecimal, as `sha256sum` prints it. */
export function finishDigest({ words: before, rest, bytes }: DigestState): string {
	const words = Int32Array.from(before)
	const left = Buffer.from(rest, 'base64')
	const padded = Buffer.alloc(left.length + 9 > blockBytes ? 2 * blockBytes : blockBytes)
	left.copy(padded)
	padded[left.length] = 0x80
	padded.writeBigUInt64BE(BigInt(bytes) * 8n, padded.length - 8)
	compress(words, padded, 0, padded.length / blockBytes)
	return [...words].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
}

/** Up to here our own is faster, because a call of the platform's digest costs as much as hashing 600 bytes. */
const shortCharsMax = 600
const bytesPerCharMax = 3
const digestBytes = 32
const encoder = new TextEncoder()
const short = new Uint8Array(Math.ceil((shortCharsMax * bytesPerCharMax + 9) / blockBytes) * blockBytes)

/** The first 64 bits of the digest of a text in UTF-8. */
export function digestHead(text: string): bigint {
	// As text, because a buffer that crosses from native code costs more than the hash.
	if (text.length > shortCharsMax) return BigInt(`0x${hash('sha256', text, 'hex').slice(0, 16)}`)
	const words = digestShort(text)
	return (BigInt(word(words, 0) >>> 0) << 32n) | BigInt(word(words, 1) >>> 0)
}

/** The digest of a text in UTF-8, in base64url. */
export function digestText(text: string): string {
	if (text.length > shortCharsMax) return hash('sha256', text, 'base64url')
	const bytes = Buffer.allocUnsafe(digestBytes)
	for (const [index, value] of digestShort(text).entries()) bytes.writeInt32BE(value, index * 4)
	return bytes.toString('base64url')
}

function digestShort(text: string): Int32Array {
	const { written } = encoder.encodeInto(text, short)
	const blocks = Math.ceil((written + 9) / blockBytes)
	short.fill(0, written, blocks * blockBytes)
	short[written] = 0x80
	new DataView(short.buffer).setUint32(blocks * blockBytes - 4, written * 8)
	const words = Int32Array.from(initialWords)
	compress(words, short, 0, blocks)
	return words
}

const schedule = new Int32Array(64)

function compress(words: Int32Array, data: Uint8Array, offset: number, blocks: number): void {
	const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
	const w = schedule
	for (let block = 0, at = offset; block < blocks; block++, at += blockBytes) {
		for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + i * 4)
		for (let i = 16; i < 64; i++) {
			const x = word(w, i - 15)
			const y = word(w, i - 2)
			const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
			const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
			w[i] = (word(w, i - 16) + s0 + word(w, i - 7) + s1) | 0
		}
		round(words, w)
	}
}

function round(words: Int32Array, w: Int32Array): void {
	let a = word(words, 0)
	let b = word(words, 1)
	let c = word(words, 2)
	let d = word(words, 3)
	let e = word(words, 4)
	let f = word(words, 5)
	let g = word(words, 6)
	let h = word(words, 7)
	for (let i = 0; i < 64; i++) {
		const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
		const t1 = (h + s1 + ((e & f) ^ (~e & g)) + word(constants, i) + word(w, i)) | 0
		const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
		const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
		h = g
		g = f
		f = e
		e = (d + t1) | 0
		d = c
		c = b
		b = a
		a = (t1 + t2) | 0
	}
	add(words, 0, a)
	add(words, 1, b)
	add(words, 2, c)
	add(words, 3, d)
	add(words, 4, e)
	add(words, 5, f)
	add(words, 6, g)
	add(words, 7, h)
}

function add(words: Int32Array, index: number, value: number): void {
	words[index] = (word(words, index) + value) | 0
}

function word(words: Int32Array, index: number): number {
	return words[index] ?? 0
}

/** The first 64 primes give both tables: 32 bits of the fraction of their square and cube roots. */
const primes = Array.from({ length: 312 }, (_, n) => n).filter(
	(n) => n > 1 && !Array.from({ length: n }, (_, d) => d).some((d) => d > 1 && n % d === 0),
)
const initialWords = Int32Array.from(primes.slice(0, 8).map((prime) => (Math.sqrt(prime) % 1) * 2 ** 32))
const constants = Int32Array.from(primes.slice(0, 64).map((prime) => (Math.cbrt(prime) % 1) * 2 ** 32))
