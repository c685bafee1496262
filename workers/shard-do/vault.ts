import type { RandomBytes } from '../../core/ids.ts'
import type { JsonObject } from '../../core/json.ts'
import { isSealed, keyVersionOf, openField, recordKey, sealField } from '../../core/sealed-field.ts'
import { blindValue, type DerivedKeys, deriveKeys, type WrappedKey } from '../../core/tenant-key.ts'

export interface VaultPorts {
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
 * The tenant's keys as long as this instance lives. They are in memory only: what is stored here was sealed by them, and a
 * copy of the storage must not bring them along.
 */
export class Vault {
	readonly #ports: VaultPorts
	#wrapped: readonly WrappedKey[] = []
	/** No older version may seal: what it sealed could be left behind when it is destroyed. */
	#least = 1
	readonly #open = new Map<number, DerivedKeys>()

	constructor(ports: VaultPorts) {
		this.#ports = ports
	}

	/** Takes over what the control object has, which is right where memory differs. Versions only rise, so an older set is a late read. */
	take(keys: readonly WrappedKey[]): void {
		const [newest, known] = [keys, this.#wrapped].map((some) => some.at(-1)?.version ?? 0)
		if (keys.length > 0 && (newest ?? 0) < (known ?? 0)) return
		this.#wrapped = keys
		this.#open.clear()
	}

	/** From here on only this version and later ones seal. */
	require(version: number): void {
		this.#least = version
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

	/** The text to store: the record's data with the named properties sealed. Null stays: that nothing is there is no secret. */
	seal(place: RecordPlace, properties: readonly string[], data: JsonObject): string {
		const version = this.newest()
		const key = recordKey(this.#keys(version).fields, place)
		const sealed = Object.entries(data).map(([property, value]) => {
			if (value === null || !properties.includes(property)) return [property, value]
			const full = { ...place, tenant: this.#ports.tenant(), property }
			return [property, sealField(key, version, full, value, this.#ports.random)]
		})
		return JSON.stringify(Object.fromEntries(sealed))
	}

	/** The record's data as it was before `seal`, byte for byte; text in which nothing is sealed comes back as it is. */
	open(place: RecordPlace, stored: string): string {
		const data = JSON.parse(stored) as JsonObject
		let key: { version: number; bytes: Uint8Array } | null = null
		const opened = Object.entries(data).map(([property, value]) => {
			if (!isSealed(value)) return [property, value]
			const version = keyVersionOf(value)
			if (key?.version !== version) key = { version, bytes: recordKey(this.#keys(version).fields, place) }
			return [property, openField(key.bytes, { ...place, tenant: this.#ports.tenant(), property }, value)]
		})
		return key === null ? stored : JSON.stringify(Object.fromEntries(opened))
	}

	/** The same under the newest key. */
	reseal(place: RecordPlace, stored: string): string {
		const sealed = Object.entries(JSON.parse(stored)).filter(([, value]) => isSealed(value))
		const opened = JSON.parse(this.open(place, stored)) as JsonObject
		return this.seal(
			place,
			sealed.map(([property]) => property),
			opened,
		)
	}

	/** What stands for a normalised value where it is to be found again. */
	blind(version: number, collection: number, property: string, value: string | number): string {
		return blindValue(this.#keys(version).index, collection, property, value)
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
