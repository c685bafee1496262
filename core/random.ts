import type { RandomBytes } from './ids.ts'

/** Asking the platform costs some microseconds whatever the size, and an id takes 16 bytes. */
const poolBytes = 4_096

/** Hands out the bytes of a source that is asked for many at once; each byte is given once. */
export function pooled(source: RandomBytes): RandomBytes {
	const pool = new Uint8Array(poolBytes)
	let used = poolBytes
	return (bytes) => {
		if (bytes.length > poolBytes) return source(bytes)
		if (used + bytes.length > poolBytes) {
			source(pool)
			used = 0
		}
		for (let place = 0; place < bytes.length; place++) {
			bytes[place] = pool[used] ?? 0
			// What was given is forgotten, so that memory does not tell it twice.
			pool[used++] = 0
		}
		return bytes
	}
}
