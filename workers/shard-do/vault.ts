import type { RandomBytes } from '../../core/ids.ts'
import type { JsonObject } from '../../core/json.ts'
import { isSealed, type KeyName, keyNameOf, openField, recordKey, sealField } from '../../core/sealed-field.ts'
import { type KeyPage, openPage, type StoredPage, sealPage } from '../../core/subject-key.ts'
import { blindValue, type DerivedKeys, deriveKeys, type WrappedKey } from '../../core/tenant-key.ts'
import { SubjectKeys, type SubjectKeysPorts } from './subject-keys.ts'

export interface VaultPorts extends SubjectKeysPorts {
	/** Null when no master secret of this deployment opens it. */
	unwrapKey(wrapped: WrappedKey): Uint8Array | null
	tenant(): string
	random: RandomBytes
}

/** What is needed to seal or open the fields of one record. */
interface RecordPlace {
	collection: number
	record: string
}

/**
 * Says that work needs a key that is not in memory. Nothing was written, as with every error; whoever holds the shard
 * fetches keys and does the work again from its beginning.
 */
export class KeyAbsent extends Error {
	override readonly name = 'KeyAbsent'
	/** Null for any key at all, which a tenant that never had one may be given. */
	readonly version: number | null

	constructor(version: number | null) {
		super('a key of the tenant is not at hand')
		this.version = version
	}
}

/**
 * The tenant's keys, and those of its data subjects, as long as this instance lives. They are in memory only: what is stored
 * here was sealed by them, and a copy of the storage must not bring them along.
 */
export class Vault {
	readonly subjects: SubjectKeys
	readonly #ports: VaultPorts
	#wrapped: readonly WrappedKey[] = []
	/** No older version may seal: what it sealed could be left behind when it is destroyed. */
	#least = 1
	readonly #open = new Map<number, DerivedKeys>()

	constructor(ports: VaultPorts) {
		this.#ports = ports
		this.subjects = new SubjectKeys(ports)
	}

	/** Takes over what the control object has, which is right where memory differs. Versions only rise, so an older set is a late read. */
	take(keys: readonly WrappedKey[]): void {
		const [newest, known] = [keys, this.#wrapped].map((some) => some.at(-1)?.version ?? 0)
		if (keys.length > 0 && (newest ?? 0) < (known ?? 0)) return
		this.#wrapped = keys
		this.#open.clear()
		if (keys.length === 0) this.subjects.clear()
	}

	/** From here on only this version and later ones seal. */
	require(version: number): void {
		this.#least = version
	}

	/** Whether a rotation has destroyed this version of the tenant's key. */
	isRetired(version: number): boolean {
		return version < this.newest() && !this.#wrapped.some((one) => one.version === version)
	}

	hasKey(): boolean {
		return this.#wrapped.length > 0
	}

	/** The version that new values are sealed under. @throws KeyAbsent */
	newest(): number {
		const version = this.#wrapped.at(-1)?.version
		if (version === undefined) throw new KeyAbsent(null)
		if (version < this.#least) throw new KeyAbsent(this.#least)
		return version
	}

	/**
	 * The text to store: the record's data with the named properties sealed, under the key of the person whom it is about or,
	 * where that is nobody, of the tenant. Null stays: that nothing is there is no secret.
	 * @throws KeyAbsent, PagesAbsent
	 */
	seal(place: RecordPlace, subject: string | null, properties: readonly string[], data: JsonObject): string {
		let sealing: { name: KeyName; key: Uint8Array } | null = null
		const sealed = Object.entries(data).map(([property, value]) => {
			if (value === null || !properties.includes(property)) return [property, value]
			sealing ??= this.#sealingKey(place, subject)
			const full = { ...place, tenant: this.#ports.tenant(), property }
			return [property, sealField(sealing.key, sealing.name, full, value, this.#ports.random)]
		})
		return JSON.stringify(Object.fromEntries(sealed))
	}

	/**
	 * The record's data as it was before `seal`, byte for byte; text in which nothing is sealed comes back as it is.
	 * @throws KeyAbsent, PagesAbsent, KeyDestroyed
	 */
	open(place: RecordPlace, stored: string): string {
		const data = JSON.parse(stored) as JsonObject
		const keys = new Map<string, Uint8Array>()
		const opened = Object.entries(data).map(([property, value]) => {
			if (!isSealed(value)) return [property, value]
			const name = keyNameOf(value)
			const known = JSON.stringify(name)
			const key = keys.get(known) ?? recordKey(this.#parent(name), place)
			keys.set(known, key)
			return [property, openField(key, { ...place, tenant: this.#ports.tenant(), property }, value)]
		})
		return keys.size === 0 ? stored : JSON.stringify(Object.fromEntries(opened))
	}

	/** Whether a value rests as `seal` would have it rest now. */
	isCurrent(subject: string | null, sealed: string): boolean {
		const name = keyNameOf(sealed)
		return subject === null ? 'version' in name && name.version === this.newest() : 'slot' in name
	}

	/** A stored text with everything under the tenant's newest key that is under one of the tenant's. */
	reseal(place: RecordPlace, stored: string): string {
		const data = JSON.parse(stored) as JsonObject
		const own = Object.entries(data).filter(([, value]) => isSealed(value) && 'version' in keyNameOf(value))
		const opened = JSON.parse(this.open(place, JSON.stringify(Object.fromEntries(own)))) as JsonObject
		const properties = own.map(([property]) => property)
		return JSON.stringify({ ...data, ...JSON.parse(this.seal(place, null, properties, opened)) })
	}

	/** What stands for a normalised value where it is to be found again. */
	blind(version: number, collection: number, property: string, value: string | number): string {
		return blindValue(this.#keys(version).index, collection, property, value)
	}

	/** A page of subjects' keys as it is to rest. @throws KeyAbsent */
	sealPage(number: number, page: KeyPage): StoredPage {
		const version = this.newest()
		const place = { tenant: this.#ports.tenant(), number }
		return sealPage(this.#keys(version).pages, version, place, page, this.#ports.random)
	}

	/** @throws KeyAbsent, and when it is no page of this place */
	openPage(number: number, stored: StoredPage): KeyPage {
		const page = openPage(this.#keys(stored.version).pages, { tenant: this.#ports.tenant(), number }, stored)
		if (page === null) throw new Error('a page of keys does not open at its place')
		return page
	}

	#sealingKey(place: RecordPlace, subject: string | null): { name: KeyName; key: Uint8Array } {
		if (subject === null) {
			const version = this.newest()
			return { name: { version }, key: recordKey(this.#keys(version).fields, place) }
		}
		const { slot, key } = this.subjects.giveKey(subject)
		return { name: { slot }, key: recordKey(key, place) }
	}

	#parent(name: KeyName): Uint8Array {
		return 'version' in name ? this.#keys(name.version).fields : this.subjects.keyOf(name.slot)
	}

	#keys(version: number): DerivedKeys {
		const known = this.#open.get(version)
		if (known) return known
		const wrapped = this.#wrapped.find((one) => one.version === version)
		const key = wrapped ? this.#ports.unwrapKey(wrapped) : null
		if (key === null) throw new KeyAbsent(version)
		const derived = deriveKeys(key)
		this.#open.set(version, derived)
		return derived
	}
}
