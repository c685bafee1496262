/**
 * A region's object store, as far as jobs need it. Keys are paths like `exports/<tenant>/<job>/7-x1y2`; a key is written once
 * and never again, so whoever comes late cannot change what somebody else has read.
 */
export interface Bucket {
	/** The bytes of an object or of a piece of it; null when there is no such object. */
	get(key: string, piece?: Piece): Promise<Uint8Array | null>
	/** The same, without ever holding the whole. */
	stream(key: string, piece?: Piece): Promise<ReadableStream<Uint8Array> | null>
	put(key: string, value: Uint8Array): Promise<void>
	/** Stores a stream of exactly `bytes` bytes. @throws when it has more or less, and stores nothing */
	upload(key: string, value: ReadableStream<Uint8Array>, bytes: number): Promise<void>
	/** Deletes what is there of up to `bucketKeysMax` keys. */
	delete(keys: readonly string[]): Promise<void>
	/** Up to `bucketKeysMax` keys that begin with the prefix; asked again after a delete, it answers with the next ones. */
	list(prefix: string): Promise<string[]>
}

/** A piece of an object, in bytes. */
export interface Piece {
	offset: number
	length: number
}

/** What R2 takes in one call of delete, and answers in one of list. */
export const bucketKeysMax = 1_000

/** Deletes everything under a prefix. Repeating it is harmless. */
export async function clearPrefix(bucket: Bucket, prefix: string): Promise<void> {
	for (;;) {
		const keys = await bucket.list(prefix)
		if (keys.length === 0) return
		await bucket.delete(keys)
	}
}
