import type { PullReply } from '../../core/contract.ts'
import { Semaphore } from '../../core/semaphore.ts'

/** What a shard answered, and the memory that is kept for it until it is disposed of. */
export interface Pulled extends Disposable {
	reply: PullReply
}

/**
 * Bounds what the pages of one delivery hold together. A page that is asked for may become as large as pages get; once it is
 * there, only its own size counts. So the small changes of many shards are read side by side, and large pages wait for each other.
 */
export class PageMemory {
	readonly #pageBytesMax: number
	readonly #bytes: Semaphore

	/** @param bytes at least `pageBytesMax` */
	constructor(bytes: number, pageBytesMax: number) {
		this.#bytes = new Semaphore(bytes)
		this.#pageBytesMax = pageBytesMax
	}

	/** Waits until there is room. Whoever holds a page must not wait here for another one. @throws whatever `pull` throws */
	async hold(pull: () => Promise<PullReply>): Promise<Pulled> {
		await this.#bytes.take(this.#pageBytesMax)
		let held = this.#pageBytesMax
		const keep = (bytes: number) => {
			const kept = Math.min(bytes, held)
			this.#bytes.give(held - kept)
			held = kept
		}
		try {
			const reply = await pull()
			keep(bytesOf(reply))
			return { reply, [Symbol.dispose]: () => keep(0) }
		} catch (error) {
			keep(0)
			throw error
		}
	}
}

function bytesOf(reply: PullReply): number {
	if (reply.kind === 'refused') return 0
	return reply.page.upserts.length + (reply.kind === 'page' ? reply.page.deletes.length : 0)
}
