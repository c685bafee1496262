import type { StoredPage } from '../core/subject-key.ts'
import type { TenantPages } from '../workers/shard-do/key-pages.ts'

/** One tenant's pages of keys in memory, as a bucket has them, with what was asked of it. */
export class MemoryPages implements TenantPages {
	readonly pages = new Map<number, { page: StoredPage; etag: string }>()
	readonly reads: number[] = []
	/** Called before each effect and each question; throws where a test wants the bucket away. */
	before: (asked: 'read' | 'create' | 'replace') => void = () => {}
	#etag = 0

	async read(number: number): Promise<{ page: StoredPage; etag: string } | null> {
		this.before('read')
		this.reads.push(number)
		return this.pages.get(number) ?? null
	}

	async create(number: number, page: StoredPage): Promise<boolean> {
		this.before('create')
		if (this.pages.has(number)) return false
		this.pages.set(number, { page, etag: String(++this.#etag) })
		return true
	}

	async replace(number: number, page: StoredPage, etag: string): Promise<boolean> {
		this.before('replace')
		if (this.pages.get(number)?.etag !== etag) return false
		this.pages.set(number, { page, etag: String(++this.#etag) })
		return true
	}
}
