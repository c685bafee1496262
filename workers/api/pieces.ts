import type { Bucket } from '../../core/bucket.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { Piece } from '../../core/zip.ts'

/** A range of bytes, both ends included. */
export interface ByteRange {
	first: number
	last: number
}

/** Reads `Range` (RFC 9110): null for the whole, also when the header asks for what is not offered here, such as several ranges. */
export function readRange(header: string | undefined, length: number): Outcome<ByteRange | null> {
	const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
	const [, from = '', to = ''] = match ?? []
	if (from === '' && to === '') return accept(null)
	const first = from === '' ? Math.max(0, length - Number(to)) : Number(from)
	const last = from === '' || to === '' ? length - 1 : Math.min(Number(to), length - 1)
	if (from !== '' && to !== '' && Number(to) < Number(from)) return accept(null)
	if (first > last) return refuse('range_not_satisfiable', `the archive has ${length} bytes`)
	return accept({ first, last })
}

/** Sends a range of the pieces one after the other, with never more than a piece of one in memory. */
export function streamPieces(
	pieces: readonly Piece[],
	{ first, last }: ByteRange,
	bucket: Bucket,
): ReadableStream<Uint8Array> {
	const waiting = slices(pieces, first, last)
	let reader: ReadableStreamDefaultReader<Uint8Array> | null = null
	return new ReadableStream<Uint8Array>({
		async pull(controller) {
			for (;;) {
				if (reader) {
					const { done, value } = await reader.read()
					if (!done) return controller.enqueue(value)
					reader = null
				}
				const slice = waiting.shift()
				if (!slice) return controller.close()
				if (slice.piece instanceof Uint8Array) {
					return controller.enqueue(slice.piece.subarray(slice.offset, slice.offset + slice.length))
				}
				const stream = await bucket.stream(slice.piece.key, { offset: slice.offset, length: slice.length })
				if (!stream) throw new Error('a part of the archive is not in the bucket')
				reader = stream.getReader()
			}
		},
		cancel: (reason) => reader?.cancel(reason),
	})
}

interface Slice {
	piece: Piece
	offset: number
	length: number
}

function slices(pieces: readonly Piece[], first: number, last: number): Slice[] {
	let start = 0
	return pieces.flatMap((piece) => {
		const offset = Math.max(0, first - start)
		const end = Math.min(piece.length, last + 1 - start)
		start += piece.length
		return offset < end ? [{ piece, offset, length: end - offset }] : []
	})
}
