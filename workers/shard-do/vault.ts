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
	readonly #open = new Map<number, DerivedKeys>()

	constructor(ports: VaultPorts) {
		this.#ports = ports
	}

	/** Takes over what the control object has, which is right where memory differs. */
	take(keys: readonly WrappedKey[]): void {
		this.#wrapped = keys
		this.#open.clear()
	}

	/** The version that new values are sealed under. @throws KeyAbsent */
	newest(): number {
		const version = this.#wrapped.at(-1)?.version
		if (version === undefined) throw new KeyAbsent(null)
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
