import { keyPagesKept } from '../../core/limits.ts'
import { slotsIn } from '../../core/sealed-field.ts'
import {
	type KeyPage,
	keyAt,
	nameSlot,
	nameSubject,
	pageOf,
	slotsPerPage,
	withoutKeys,
} from '../../core/subject-key.ts'
import type { Sql } from '../../db/shard/sql.ts'

export interface SubjectKeysPorts {
	sql: Sql
	/** The tenant's. */
	epoch(): number
}

/** A page that is not in memory; `mint` where nobody can have been given a slot of it, so that it may have to be made. */
export interface WantedPage {
	number: number
	mint: boolean
}

/** Says that work needs keys that are not in memory. Nothing was written; whoever holds the shard fetches them and does it again. */
export class PagesAbsent extends Error {
	override readonly name = 'PagesAbsent'
	readonly pages: readonly WantedPage[]

	constructor(pages: readonly WantedPage[]) {
		super('keys of data subjects are not at hand')
		this.pages = pages
	}
}

/** Says that something rests under the key of a person who is being erased: nobody can open it any more. */
export class KeyDestroyed extends Error {
	override readonly name = 'KeyDestroyed'

	constructor() {
		super('the key of a data subject was destroyed')
	}
}

/** From this slot of a page on the next page is made, so that a write rarely has to wait for it. */
const aheadFrom = (slotsPerPage / 4) * 3

/**
 * Who has which key, which is stored, and the keys themselves, which are in memory only. A slot is given once: where its person
 * was erased it stays, nobody's.
 */
export class SubjectKeys {
	readonly #ports: SubjectKeysPorts
	/** The one that was used last is the last. */
	readonly #pages = new Map<number, KeyPage>()
	/** What a page that was read before may still have. */
	readonly #destroyed = new Set<number>()
	#holders = 0
	#ahead: number | null = null

	constructor(ports: SubjectKeysPorts) {
		this.#ports = ports
	}

	/** @throws PagesAbsent, KeyDestroyed */
	keyOf(slot: number): Uint8Array {
		const page = this.#page(pageOf(slot))
		if (!page) throw new PagesAbsent([this.#wanted(pageOf(slot))])
		const key = keyAt(page, slot)
		if (key === null) throw new KeyDestroyed()
		return key
	}

	/** The slot of a person. @throws PagesAbsent */
	slotOf(subject: string): number | null {
		if (this.#lastSlot() === null) return null
		return this.#slotNamed(this.#nameOf(subject))
	}

	/** The person's key, who is given one if need be. Whoever comes back after an erasure is somebody new. @throws PagesAbsent */
	giveKey(subject: string): { slot: number; key: Uint8Array } {
		const name = this.#nameOf(subject)
		const present = this.#slotNamed(name)
		if (present !== null) {
			const page = this.#page(pageOf(present))
			if (!page) throw new PagesAbsent([this.#wanted(pageOf(present))])
			const key = keyAt(page, present)
			if (key !== null) return { slot: present, key }
			this.#ports.sql.all('UPDATE subject_slot SET subject = NULL WHERE slot = ?', present)
		}
		const free = this.#freeSlot()
		this.#ports.sql.all('INSERT INTO subject_slot (slot, subject) VALUES (?, ?)', free.slot, name)
		const next = pageOf(free.slot) + 1
		if (free.slot % slotsPerPage >= aheadFrom && !this.#pages.has(next)) this.#ahead = next
		return free
	}

	/** Names everything at once that work about these people and these stored records lacks. @throws PagesAbsent */
	require(subjects: readonly string[], stored: readonly string[]): void {
		const numbers = new Set(stored.flatMap((text) => slotsIn(text).map(pageOf)))
		if (subjects.length > 0 && !this.#pages.has(pageOf(nameSlot))) numbers.add(pageOf(nameSlot))
		else if (subjects.length > 0) for (const number of this.#pagesOf(subjects)) numbers.add(number)
		const absent = [...numbers].filter((number) => !this.#pages.has(number))
		if (absent.length > 0) throw new PagesAbsent(absent.map((number) => this.#wanted(number)))
	}

	keep(number: number, page: KeyPage): void {
		this.#pages.delete(number)
		this.#pages.set(number, withoutKeys(page, number, this.#destroyed))
		this.#trim()
	}

	/** These are destroyed, whatever a page says that was read before. */
	forget(slots: readonly number[]): void {
		for (const slot of slots) {
			this.#destroyed.add(slot)
			const page = this.#pages.get(pageOf(slot))
			if (page) this.#pages.set(pageOf(slot), withoutKeys(page, pageOf(slot), [slot]))
		}
	}

	clear(): void {
		this.#pages.clear()
	}

	/** Until what this answers is called nothing is dropped: work that needs many pages has them all together then. */
	hold(): () => void {
		this.#holders += 1
		return () => {
			this.#holders -= 1
			this.#trim()
		}
	}

	/** A page that will be needed soon; told once. */
	takeAhead(): WantedPage | null {
		const number = this.#ahead
		this.#ahead = null
		return number === null || this.#pages.has(number) ? null : this.#wanted(number)
	}

	#page(number: number): KeyPage | null {
		const page = this.#pages.get(number)
		if (!page) return null
		this.#pages.delete(number)
		this.#pages.set(number, page)
		return page
	}

	#trim(): void {
		if (this.#holders > 0) return
		for (const number of this.#pages.keys()) {
			if (this.#pages.size <= keyPagesKept) return
			this.#pages.delete(number)
		}
	}

	/** The first slot after all that were ever given, in a page of this epoch. */
	#freeSlot(): { slot: number; key: Uint8Array } {
		let slot = (this.#lastSlot() ?? nameSlot) + 1
		for (;;) {
			const page = this.#page(pageOf(slot))
			if (!page) throw new PagesAbsent([this.#wanted(pageOf(slot))])
			const key = keyAt(page, slot)
			if (page.epoch !== this.#ports.epoch()) slot = (pageOf(slot) + 1) * slotsPerPage
			else if (key === null) slot += 1
			else return { slot, key }
		}
	}

	#pagesOf(subjects: readonly string[]): number[] {
		const names = new Set(subjects.map((subject) => this.#nameOf(subject)))
		const present = this.#ports.sql.all<{ slot: number }>(
			'SELECT slot FROM subject_slot WHERE subject IN (SELECT value FROM json_each(?))',
			JSON.stringify([...names]),
		)
		const given = present.map(({ slot }) => pageOf(slot))
		const fresh = names.size - present.length
		if (fresh === 0) return given
		const last = this.#lastSlot() ?? nameSlot
		const first = pageOf(last + 1)
		return [...given, ...Array.from({ length: pageOf(last + fresh) - first + 1 }, (_, index) => first + index)]
	}

	#nameOf(subject: string): string {
		return nameSubject(this.keyOf(nameSlot), subject)
	}

	#slotNamed(name: string): number | null {
		return (
			this.#ports.sql.all<{ slot: number }>('SELECT slot FROM subject_slot WHERE subject = ?', name)[0]?.slot ?? null
		)
	}

	#lastSlot(): number | null {
		return this.#ports.sql.all<{ slot: number | null }>('SELECT max(slot) AS slot FROM subject_slot')[0]?.slot ?? null
	}

	#wanted(number: number): WantedPage {
		const last = this.#lastSlot()
		return { number, mint: last === null || number > pageOf(last) }
	}
}
