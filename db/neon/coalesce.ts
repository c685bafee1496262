export interface CoalesceOptions<In> {
	/** Two inputs with the same key never share a call. */
	keyOf(input: In): string
	/** An input larger than `sizeMax` goes alone, and no shared call is larger. */
	sizeOf(input: In): number
	sizeMax: number
	/** So many calls run at the same time. */
	callsAtOnceMax: number
	/** Whether an error of a shared call is every input's own; otherwise each is tried again alone. */
	isShared(error: unknown): boolean
}

interface Waiting<In, Out> {
	input: In
	size: number
	resolve(output: Out): void
	reject(error: unknown): void
}

/**
 * Turns a call for many inputs into a function of one: while a call is under way, what is asked meanwhile gathers for the next one,
 * which begins at the same time once it is full. One input's error never becomes another's.
 */
export function coalesce<In, Out>(
	run: (inputs: In[]) => Promise<Out[]>,
	{ keyOf, sizeOf, sizeMax, callsAtOnceMax, isShared }: CoalesceOptions<In>,
): (input: In) => Promise<Out> {
	let waiting: Waiting<In, Out>[] = []
	let calls = 0

	const take = (): Waiting<In, Out>[] => {
		const keys = new Set<string>()
		let size = 0
		const taken = waiting.filter((one) => {
			const key = keyOf(one.input)
			if (keys.has(key) || (keys.size > 0 && size + one.size > sizeMax)) return false
			keys.add(key)
			size += one.size
			return true
		})
		waiting = waiting.filter((one) => !taken.includes(one))
		return taken
	}

	const answer = async (taken: Waiting<In, Out>[]): Promise<void> => {
		try {
			const outputs = await run(taken.map(({ input }) => input))
			for (const [index, { resolve, reject }] of taken.entries()) {
				const output = outputs[index]
				if (output === undefined) reject(new Error('a call answered nothing for its input'))
				else resolve(output)
			}
		} catch (error) {
			if (taken.length === 1 || isShared(error)) for (const { reject } of taken) reject(error)
			else for (const one of taken) await answer([one])
		}
	}

	const drain = async (): Promise<void> => {
		calls++
		// What is asked for in this turn of the event loop belongs together already.
		await null
		while (waiting.length > 0) await answer(take())
		calls--
	}

	return (input) =>
		new Promise((resolve, reject) => {
			waiting.push({ input, size: sizeOf(input), resolve, reject })
			const isFull = waiting.reduce((sum, { size }) => sum + size, 0) >= sizeMax
			if (calls === 0 || (isFull && calls < callsAtOnceMax)) void drain()
		})
}
