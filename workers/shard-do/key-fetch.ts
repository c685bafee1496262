import { keyFetchesMax, keyPagesPerCallMax } from '../../core/limits.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { KeyDestroyed, PagesAbsent, type WantedPage } from './subject-keys.ts'
import { KeyAbsent } from './vault.ts'

export interface KeyFetchPorts {
	/** Gives the tenant a key, unless it has one. */
	ensureKey(): Promise<void>
	/** Reads the control object, with the tenant's keys, anew. */
	reconsider(): Promise<Outcome<unknown>>
	fetchPages(pages: readonly WantedPage[]): Promise<void>
	/** Until what this answers is called, fetched pages stay. */
	hold(): () => void
	/** The kind of an error, never what it says. */
	log(event: string, error: string): void
}

/** Does work again that missed keys, once they were fetched. What could not be had is a refusal that a retry may outlive. */
export class KeyFetch {
	readonly #ports: KeyFetchPorts

	constructor(ports: KeyFetchPorts) {
		this.#ports = ports
	}

	/** Does the work, and again as often as it misses something else. Any other error is its own. */
	async run<T>(work: () => T | Promise<T>): Promise<Outcome<T>> {
		try {
			return accept(await work())
		} catch (error) {
			return this.goOn(error, work)
		}
	}

	/** The same for work that has just failed like this. */
	async goOn<T>(failure: unknown, work: () => T | Promise<T>): Promise<Outcome<T>> {
		const release = this.#ports.hold()
		let error = failure
		const missed = new Set<number | null>()
		try {
			for (let fetches = 0; ; fetches++) {
				if (error instanceof KeyDestroyed) return erasing()
				if (!(error instanceof KeyAbsent || error instanceof PagesAbsent)) throw error
				// A version that is missed again was not in the control object.
				const isHopeless = error instanceof KeyAbsent && missed.has(error.version)
				if (isHopeless || fetches === keyFetchesMax) break
				if (error instanceof KeyAbsent) missed.add(error.version)
				try {
					const fetched = await this.#fetch(error)
					return fetched.ok ? accept(await work()) : fetched
				} catch (again) {
					error = again
				}
			}
		} finally {
			release()
		}
		this.#ports.log('key_unread', 'KeyAbsent')
		return unread()
	}

	async #fetch(absent: KeyAbsent | PagesAbsent): Promise<Outcome<unknown>> {
		try {
			if (absent instanceof PagesAbsent) {
				if (absent.pages.length > keyPagesPerCallMax) return tooMany()
				return accept(await this.#ports.fetchPages(absent.pages))
			}
			// A key that is missed by its version existed once: another one would not open what that one sealed.
			if (absent.version === null) await this.#ports.ensureKey()
			return await this.#ports.reconsider()
		} catch (error) {
			// The page rests under a version of the tenant's key that is missed, too.
			if (error instanceof KeyAbsent) throw error
			this.#ports.log('key_unread', error instanceof Error ? error.name : 'unknown')
			return unread()
		}
	}
}

function unread(): Outcome<never> {
	return refuse('unavailable', 'a key of this tenant cannot be read now', { retryAfter: 5 })
}

function tooMany(): Outcome<never> {
	return refuse(
		'limit_exceeded',
		`this needs more than ${keyPagesPerCallMax} pages of keys; ask for fewer records at once`,
	)
}

function erasing(): Outcome<never> {
	return refuse('unavailable', 'somebody whose records this is about is being erased', { retryAfter: 1 })
}
