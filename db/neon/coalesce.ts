export interface CoalesceOptions<In> {
	/** Two inputs with the same key never share a call. */
	keyOf(input: In): string
	/** An input larger than `sizeMax` goes alone and at once, and no shared call is larger. */
	sizeOf(input: In): number
	sizeMax: number
	/** Whether an error of a shared call is every input's own; otherwise each is tried again alone. */
	isShared(error: unknown): boolean
}

/**
 * Turns a call for many inputs into a function of one: while a call is under way, what is asked meanwhile gathers for the
 * next one. One input's error never becomes another's.
 */
export function coalesce<In, Out>(
	run: (inputs: In[]) => Promise<Out[]>,
	options: CoalesceOptions<In>,
): (input: In) => Promise<Out> {
	let waiting: { input: In; resolve(output: Out): void; reject(error: unknown): void }[] = []
	let running = false

	const alone = async (input: In): Promise<Out> => {
		const [output] = await run([input])
		if (output === undefined) throw new Error('a call answered nothing for its input')
		return output
	}

	const take = (): typeof waiting => {
		const keys = new Set<string>()
		let size = 0
		const taken = waiting.filter(({ input }) => {
			const key = options.keyOf(input)
			if (keys.has(key) || (size > 0 && size + options.sizeOf(input) > options.sizeMax)) return false
			keys.add(key)
			size += options.sizeOf(input)
			return true
		})
		waiting = waiting.filter((one) => !taken.includes(one))
		return taken
	}

	const drain = async (): Promise<void> => {
		running = true
		// What is asked for in this turn of the event loop belongs together already.
		await null
		while (waiting.length > 0) {
			const taken = take()
			try {
				const outputs = await run(taken.map(({ input }) => input))
				for (const [index, { resolve, reject }] of taken.entries()) {
					const output = outputs[index]
					if (output === undefined) reject(new Error('a call answered nothing for its input'))
					else resolve(output)
				}
			} catch (error) {
				if (taken.length === 1 || options.isShared(error)) for (const { reject } of taken) reject(error)
				else for (const { input, resolve, reject } of taken) await alone(input).then(resolve, reject)
			}
		}
		running = false
	}

	return (input) => {
		if (options.sizeOf(input) > options.sizeMax) return alone(input)
		return new Promise((resolve, reject) => {
			waiting.push({ input, resolve, reject })
			if (!running) void drain()
		})
	}
}
