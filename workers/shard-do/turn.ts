/**
 * Gathers the writes that arrive close together and runs them in one transaction, each in a savepoint of its own: one
 * fsync confirms them all, and one that is refused or fails does so alone.
 */
export class Turn {
	#waiting: { run: () => unknown; settle: (result: { value: unknown } | { error: unknown }) => void }[] = []
	readonly #ports: TurnPorts

	constructor(ports: TurnPorts) {
		this.#ports = ports
	}

	/** Resolves with what `run` returned, once the transaction around it has committed. */
	submit<T>(run: () => T): Promise<T> {
		return new Promise<T>((resolve, reject) => {
			if (this.#waiting.length === 0) this.#ports.soon(() => this.#flush())
			this.#waiting.push({
				run,
				settle: (result) => ('value' in result ? resolve(result.value as T) : reject(result.error)),
			})
		})
	}

	#flush(): void {
		const batch = this.#waiting
		this.#waiting = []
		let results: ({ value: unknown } | { error: unknown })[] = []
		try {
			this.#ports.transaction(() => {
				results = batch.map(({ run }) => {
					try {
						return { value: run() }
					} catch (error) {
						return { error }
					}
				})
			})
		} catch (error) {
			this.#ports.failed()
			for (const { settle } of batch) settle({ error })
			return
		}
		this.#ports.committed()
		for (const [index, { settle }] of batch.entries()) settle(results[index] ?? { error: new Error('no result') })
	}
}

export interface TurnPorts {
	transaction(work: () => void): void
	/** Calls back when this turn of the event loop has delivered what had arrived. */
	soon(callback: () => void): void
	committed(): void
	/** The commit failed: nothing of the turn is there, or nobody knows. */
	failed(): void
}
