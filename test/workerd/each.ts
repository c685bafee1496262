/** Runs the work for every item, eight at a time, because most of a request's time here is waiting for the disk. */
export async function each<T>(items: Iterable<T>, work: (item: T, index: number) => Promise<void>): Promise<void> {
	const waiting = [...items].entries()
	await Promise.all(
		Array.from({ length: 8 }, async () => {
			for (const [index, item] of waiting) await work(item, index)
		}),
	)
}
