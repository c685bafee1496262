import type { Bucket, Piece } from '../core/bucket.ts'

/** A bucket in memory, whose effects a test may count and fail. */
export class MemoryBucket implements Bucket {
	readonly objects = new Map<string, Uint8Array>()

	async get(key: string, piece?: Piece): Promise<Uint8Array | null> {
		const value = this.objects.get(key)
		if (!value) return null
		return piece ? value.slice(piece.offset, piece.offset + piece.length) : value.slice()
	}

	async stream(key: string, piece?: Piece): Promise<ReadableStream<Uint8Array> | null> {
		const value = await this.get(key, piece)
		return value && (new Blob([value as Uint8Array<ArrayBuffer>]).stream() as ReadableStream<Uint8Array>)
	}

	async put(key: string, value: Uint8Array): Promise<void> {
		this.objects.set(key, value.slice())
	}

	async upload(key: string, value: ReadableStream<Uint8Array>, bytes: number): Promise<void> {
		const stored = new Uint8Array(await new Response(value as BodyInit).arrayBuffer())
		if (stored.length !== bytes) throw new Error('the stream has another length')
		this.objects.set(key, stored)
	}

	async delete(keys: readonly string[]): Promise<void> {
		for (const key of keys) this.objects.delete(key)
	}

	async list(prefix: string): Promise<string[]> {
		return [...this.objects.keys()]
			.filter((key) => key.startsWith(prefix))
			.sort()
			.slice(0, 1_000)
	}
}
