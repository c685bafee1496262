/** Lends so much of something at the same time; who asks for more than is left waits, first come, first served. */
export class Semaphore {
	#free: number
	readonly #waiting: { amount: number; resolve(): void }[] = []

	constructor(free: number) {
		this.#free = free
	}

	/** @param amount at most what there is in all */
	async take(amount: number): Promise<void> {
		if (this.#waiting.length > 0 || this.#free < amount)
			await new Promise<void>((resolve) => this.#waiting.push({ amount, resolve }))
		else this.#free -= amount
	}

	give(amount: number): void {
		this.#free += amount
		for (let next = this.#waiting[0]; next !== undefined && next.amount <= this.#free; next = this.#waiting[0]) {
			this.#free -= next.amount
			this.#waiting.shift()
			next.resolve()
		}
	}
}
