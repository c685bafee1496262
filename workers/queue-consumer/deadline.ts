/** Answers by then, or throws: whoever is called may hang, and nothing else may wait for it. */
export async function within<T>(
	ms: number,
	work: Promise<T>,
	sleep: (ms: number, signal: AbortSignal) => Promise<void>,
): Promise<T> {
	const answered = new AbortController()
	const tooLate = sleep(ms, answered.signal).then((): never => {
		throw new DeadlineExceeded()
	})
	try {
		return await Promise.race([work, tooLate])
	} finally {
		answered.abort()
	}
}

class DeadlineExceeded extends Error {
	override readonly name = 'DeadlineExceeded'
}
