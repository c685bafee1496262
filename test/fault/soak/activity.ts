/** Things that go on side by side until they are told to stop, or until one of them fails. */
export class Activity {
	#stopped = false
	#failure: { error: unknown } | null = null
	readonly #parts: Promise<void>[] = []

	add(part: (stopped: () => boolean) => Promise<void>): void {
		const failed = (error: unknown) => {
			this.#failure ??= { error }
			this.#stopped = true
		}
		this.#parts.push(part(() => this.#stopped).catch(failed))
	}

	get broken(): boolean {
		return this.#failure !== null
	}

	end(): void {
		this.#stopped = true
	}

	/** Returns when all have ended. @throws what the first of them failed with */
	async stop(): Promise<void> {
		this.end()
		await Promise.all(this.#parts)
		if (this.#failure !== null) throw this.#failure.error
	}
}
