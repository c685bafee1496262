/**
 * Keys of data subjects. They are minted ahead, in pages that lie in the region's bucket, and a person is given the next slot that
 * is free. So destroying somebody's key is one conditional put of a page, and a write needs nothing of the bucket that is
 * not in memory already.
 */
import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { RandomBytes, TenantId } from './ids.ts'
import { openBytes, sealBytes } from './seal.ts'

export const slotsPerPage = 1_024
/** The first slot of a tenant is nobody's: its key hides whose the others are. */
export const nameSlot = 0

const keyBytes = 32

/** A page as it rests. */
export const storedPage = z.object({
	/** Of the tenant's key that seals it. */
	version: z.number().int().positive(),
	/** Of the tenant when it was minted. Slots are given in that epoch only: a database that came back does not know which were. */
	epoch: z.number().int().positive(),
	/** AES-256-GCM: nonce, ciphertext and tag in base64url. */
	sealed: z.string(),
})

export type StoredPage = z.infer<typeof storedPage>

/** The keys of a page one after the other; where one was destroyed there are zeros. */
export interface KeyPage {
	epoch: number
	keys: Uint8Array
}

/** Where a page belongs; it opens nowhere else. `number` counts from 0. */
export interface PagePlace {
	tenant: string
	number: number
}

/** The pages of one region's tenants. `etag` names the version that was read. */
export interface KeyPageStore {
	read(tenant: TenantId, number: number): Promise<{ page: StoredPage; etag: string } | null>
	/** False when there is one already. */
	create(tenant: TenantId, number: number, page: StoredPage): Promise<boolean>
	/** False when somebody changed it since it was read. */
	replace(tenant: TenantId, number: number, page: StoredPage, etag: string): Promise<boolean>
}

export function mintPage(epoch: number, random: RandomBytes): KeyPage {
	return { epoch, keys: random(new Uint8Array(slotsPerPage * keyBytes)) }
}

/** @param key `pages` of what `deriveKeys` made of that version of the tenant's key */
export function sealPage(
	key: Uint8Array,
	version: number,
	place: PagePlace,
	{ epoch, keys }: KeyPage,
	random: RandomBytes,
): StoredPage {
	return { version, epoch, sealed: sealBytes(key, keys, contextOf(place, version, epoch), random) }
}

/** Null when this key does not open it at this place. */
export function openPage(key: Uint8Array, place: PagePlace, { version, epoch, sealed }: StoredPage): KeyPage | null {
	const keys = openBytes(key, sealed, contextOf(place, version, epoch))
	return keys?.length === slotsPerPage * keyBytes ? { epoch, keys } : null
}

/** The number of the page that a slot is in. */
export function pageOf(slot: number): number {
	return Math.floor(slot / slotsPerPage)
}

/** Null when it was destroyed. */
export function keyAt({ keys }: KeyPage, slot: number): Uint8Array | null {
	const start = (slot % slotsPerPage) * keyBytes
	const key = keys.subarray(start, start + keyBytes)
	return key.some((byte) => byte !== 0) ? key : null
}

/** The page without the keys of those of the slots that are in it. */
export function withoutKeys({ epoch, keys }: KeyPage, number: number, slots: Iterable<number>): KeyPage {
	const left = Uint8Array.from(keys)
	for (const slot of slots) {
		const start = (slot % slotsPerPage) * keyBytes
		if (pageOf(slot) === number && slot !== nameSlot) left.fill(0, start, start + keyBytes)
	}
	return { epoch, keys: left }
}

/** What stands for a person beside the number of a slot. @param key of `nameSlot` */
export function nameSubject(key: Uint8Array, subject: string): string {
	return createHmac('sha256', key).update(subject).digest('base64url')
}

function contextOf({ tenant, number }: PagePlace, version: number, epoch: number): string {
	return JSON.stringify(['freehold subject keys', tenant, number, version, epoch])
}
