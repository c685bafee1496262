import type { RandomBytes } from '../../core/ids.ts'
import { keyPagesAtOnce } from '../../core/limits.ts'
import { mintPage, pageOf, type StoredPage, withoutKeys } from '../../core/subject-key.ts'
import type { WantedPage } from './subject-keys.ts'
import type { Vault } from './vault.ts'

/** The pages of this tenant in the bucket, as `KeyPageStore` has them; may fail. */
export interface TenantPages {
	read(number: number): Promise<{ page: StoredPage; etag: string } | null>
	create(number: number, page: StoredPage): Promise<boolean>
	replace(number: number, page: StoredPage, etag: string): Promise<boolean>
}

export interface KeyPagesPorts {
	pages: TenantPages
	vault: Vault
	random: RandomBytes
	/** Of the tenant. */
	epoch(): number
}

/** Nobody else changes the pages of a tenant, but an instance that is about to end, and a rotation. */
const triesMax = 10

/** Each takes two requests, of which an invocation may make 1,000. */
const rewrappedAtOnce = 300

/** Brings pages of subjects' keys from the bucket into the vault, and destroys keys in both. @throws whatever the bucket throws */
export class KeyPages {
	readonly #ports: KeyPagesPorts
	/** How many pages are known to rest under a version of the tenant's key. */
	#rewrapped = { version: 0, pages: 0 }

	constructor(ports: KeyPagesPorts) {
		this.#ports = ports
	}

	/** @throws KeyAbsent, and PageLost for a page of which slots were given */
	async fetch(wanted: readonly WantedPage[]): Promise<void> {
		for (let start = 0; start < wanted.length; start += keyPagesAtOnce)
			await Promise.all(wanted.slice(start, start + keyPagesAtOnce).map((one) => this.#fetchOne(one)))
	}

	/** Repeating it is harmless. @throws KeyAbsent */
	async destroy(slots: readonly number[]): Promise<void> {
		const { vault } = this.#ports
		for (const [number, doomed] of Map.groupBy(slots, pageOf)) await this.#destroyIn(number, doomed)
		vault.subjects.forget(slots)
	}

	/**
	 * Has all pages rest under the newest of the tenant's keys, some at a time. True once all do, which is to be so before an older
	 * one is destroyed.
	 */
	async rewrap(): Promise<boolean> {
		const version = this.#ports.vault.newest()
		if (this.#rewrapped.version !== version) this.#rewrapped = { version, pages: 0 }
		for (let done = 0; done < rewrappedAtOnce; done++) {
			if (!(await this.#rewrapOne(this.#rewrapped.pages, version))) return true
			this.#rewrapped.pages += 1
		}
		return false
	}

	/** False when there is no such page, and so none behind it. */
	async #rewrapOne(number: number, version: number): Promise<boolean> {
		const { pages, vault } = this.#ports
		for (let tries = 0; tries < triesMax; tries++) {
			const found = await pages.read(number)
			if (found === null) return false
			if (found.page.version === version) return true
			const page = vault.sealPage(number, vault.openPage(number, found.page))
			if (await pages.replace(number, page, found.etag)) return true
		}
		throw new PageContended()
	}

	async #fetchOne({ number, mint }: WantedPage): Promise<void> {
		const { pages, vault } = this.#ports
		const present = await pages.read(number)
		// Sealed before a rotation and stored after it, a page opens no more; and nobody was given a key of it.
		const isMissing = present === null || vault.isRetired(present.page.version)
		const found = isMissing && mint ? await this.#mint(number, present?.etag ?? null) : present
		if (found === null) throw new PageLost()
		vault.subjects.keep(number, vault.openPage(number, found.page))
	}

	/** It lies in the bucket before anybody is given a slot of it; where `etag` names one, in the place of that. */
	async #mint(number: number, etag: string | null): Promise<{ page: StoredPage } | null> {
		const { pages, vault, random, epoch } = this.#ports
		const page = vault.sealPage(number, mintPage(epoch(), random))
		const isMade = etag === null ? await pages.create(number, page) : await pages.replace(number, page, etag)
		return isMade ? { page } : pages.read(number)
	}

	async #destroyIn(number: number, slots: readonly number[]): Promise<void> {
		const { pages, vault } = this.#ports
		for (let tries = 0; tries < triesMax; tries++) {
			const found = await pages.read(number)
			// A page that is gone took its keys along.
			if (found === null) return
			const left = withoutKeys(vault.openPage(number, found.page), number, slots)
			if (await pages.replace(number, vault.sealPage(number, left), found.etag)) return
		}
		throw new PageContended()
	}
}

/** Somebody else changes it all the time. */
class PageContended extends Error {
	override readonly name = 'PageContended'
}

/** Another page in its place would not open what was sealed. */
class PageLost extends Error {
	override readonly name = 'PageLost'
}
