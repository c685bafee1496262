type Result = { value: unknown } | { error: unknown }

/**
 * Group commit: while one commit is on its way to the disk, the writes that arrive gather, and then run in one transaction,
 * each in a savepoint of its own. One fsync confirms them all, and one that is refused or fails does so alone. A write that
 * finds nobody before it runs at once.
 */
export class Turn {
	#waiting: { run: () => unknown; settle: (result: Result) => void }[] = []
	#committing = false
	readonly #ports: TurnPorts

	constructor(ports: TurnPorts) {
		this.#ports = ports
	}

	/** Resolves with what `run` returned, once the transaction around it has ended. */
	submit<T>(run: () => T): Promise<T> {
		return new Promise<T>((resolve, reject) => {
			const settle = (result: Result) => ('value' in result ? resolve(result.value as T) : reject(result.error))
			this.#waiting.push({ run, settle })
			if (!this.#committing) this.#flush()
		})
	}

	#flush(): void {
		const batch = this.#waiting
		this.#waiting = []
		this.#committing = true
		try {
			const results = this.#ports.transaction(() => batch.map(({ run }) => resultOf(run)))
			this.#ports.committed()
			for (const [index, { settle }] of batch.entries()) settle(results[index] ?? { error: new Error('no result') })
		} catch (error) {
			this.#ports.failed()
			for (const { settle } of batch) settle({ error })
		}
		this.#ports.durable().then(
			() => this.#next(),
			// The platform ends an object whose commit failed; whatever waits here fails with it.
			() => this.#next(),
		)
	}

	#next(): void {
		if (this.#waiting.length > 0) this.#flush()
		else this.#committing = false
	}
}

export interface TurnPorts {
	transaction<T>(work: () => T): T
	/** Resolves when everything that was written before has reached the disk. */
	durable(): Promise<void>
	committed(): void
	/** The transaction failed: nothing of it is there, or nobody knows. */
	failed(): void
}

function resultOf(run: () => unknown): Result {
	try {
		return { value: run() }
	} catch (error) {
		return { error }
	}
}
