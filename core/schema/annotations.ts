import type { ScalarType } from '../contract.ts'
import { indexedPropertiesMax, retentionDaysMax, uniquePropertiesMax } from '../limits.ts'
import { escapeToken, isObject } from './json.ts'
import type { Parsing } from './parse.ts'

/** A top-level property that can be filtered and ordered by: typed as one scalar (or null), under a name that fits a query. */
interface Field {
	name: string
	type: ScalarType
	/** True when `null` is among its types. */
	nullable: boolean
	index: boolean
	/** `ci` compares text without regard to case. */
	unique: false | 'exact' | 'ci'
	/** Never leaves the shard. */
	personal: boolean
	/** Rests encrypted even there; can be found by equality only. */
	encrypted: boolean
}

export interface Annotations {
	fields: ReadonlyMap<string, Field>
	properties: ReadonlySet<string>
	personal: readonly string[]
	/** Those of the personal properties that rest encrypted. */
	encrypted: readonly string[]
	indexMeta: readonly MetaField[]
	subject: string | null
	/** Records go when they are so many days old; null for never. */
	retentionDays: number | null
}

/** What the system keeps for every record and can index. */
type MetaField = 'created_at' | 'updated_at'
const metaFields: readonly unknown[] = ['created_at', 'updated_at'] satisfies MetaField[]

const fieldName = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/
const scalarTypes: readonly unknown[] = ['string', 'number', 'integer', 'boolean'] satisfies ScalarType[]

/** Reads what the root and its properties say besides the rules; faults go to the parsing. */
export function readAnnotations(schema: Readonly<Record<string, unknown>>, parsing: Parsing): Annotations {
	const declared = isObject(schema.properties) ? schema.properties : {}
	const fields = new Map<string, Field>()
	const personal: string[] = []
	const encrypted: string[] = []
	const subjects: string[] = []
	for (const [name, json] of Object.entries(declared)) {
		if (!isObject(json)) continue
		const property = new Property(name, json, parsing)
		const kept = property.personal()
		if (kept !== 'open') personal.push(name)
		if (kept === 'encrypted') encrypted.push(name)
		const field = property.field(kept)
		if (field !== null) fields.set(name, field)
		if (property.subject(field)) subjects.push(name)
	}
	const retentionDays = retentionOf(schema, parsing)
	const indexMeta = metaIndexes(schema, parsing)
	// Without one, finding what is old would read all of the collection.
	if (retentionDays !== null && !indexMeta.includes('created_at')) indexMeta.push('created_at')
	const uniques = [...fields.values()].filter((field) => field.unique !== false).length
	const indexes = [...fields.values()].filter((field) => field.index).length + indexMeta.length
	if (uniques > uniquePropertiesMax)
		parsing.fault('/properties', `must not have more than ${uniquePropertiesMax} unique properties`)
	if (indexes > indexedPropertiesMax)
		parsing.fault('/properties', `must not have more than ${indexedPropertiesMax} indexes`)
	for (const name of subjects.slice(1))
		parsing.fault(`/properties/${escapeToken(name)}/x-subject`, 'must not stand on a second property')
	const properties = new Set(Object.keys(declared))
	return { fields, properties, personal, encrypted, indexMeta, subject: subjects[0] ?? null, retentionDays }
}

type Keeping = 'open' | 'personal' | 'encrypted'

/** One property of the root while its annotations are read. */
class Property {
	readonly #name: string
	readonly #json: Readonly<Record<string, unknown>>
	readonly #parsing: Parsing
	readonly #type: { type: ScalarType; nullable: boolean } | null

	constructor(name: string, json: Readonly<Record<string, unknown>>, parsing: Parsing) {
		this.#name = name
		this.#json = json
		this.#parsing = parsing
		this.#type = scalarOf(Object.hasOwn(json, 'type') ? json.type : undefined)
	}

	personal(): Keeping {
		const value = this.#annotation('x-personal')
		if (value === undefined) return 'open'
		if (value === 'encrypted') return 'encrypted'
		if (value === 'pseudonym') this.#fault('x-personal', '"pseudonym" is not supported by this deployment')
		else if (value !== true) this.#fault('x-personal', 'must be true or "encrypted"')
		return 'personal'
	}

	/** Null when the property cannot be filtered by; it must not be unique or indexed then. */
	field(kept: Keeping): Field | null {
		const unique = this.#unique()
		const index = this.#marked('x-index')
		if (this.#type === null || !fieldName.test(this.#name)) {
			if (unique !== false) this.#notScalar('x-unique')
			if (index) this.#notScalar('x-index')
			return null
		}
		if (unique === 'ci' && this.#type.type !== 'string') this.#fault('x-unique', '"ci" needs a property of type string')
		return {
			name: this.#name,
			...this.#type,
			index,
			unique,
			personal: kept !== 'open',
			encrypted: kept === 'encrypted',
		}
	}

	subject(field: Field | null): boolean {
		if (!this.#marked('x-subject')) return false
		if (field === null) this.#notScalar('x-subject')
		else if (field.type !== 'string') this.#fault('x-subject', 'needs a property of type string')
		else if (field.encrypted) this.#fault('x-subject', "cannot be encrypted: a person's records are found by it")
		return true
	}

	#unique(): Field['unique'] {
		const value = this.#annotation('x-unique')
		if (value === undefined) return false
		if (value === 'ci') return 'ci'
		if (value !== true) this.#fault('x-unique', 'must be true or "ci"')
		return 'exact'
	}

	#marked(keyword: string): boolean {
		const value = this.#annotation(keyword)
		if (value !== undefined && value !== true) this.#fault(keyword, 'must be true')
		return value !== undefined
	}

	#annotation(keyword: string): unknown {
		return Object.hasOwn(this.#json, keyword) ? this.#json[keyword] : undefined
	}

	#notScalar(keyword: string): void {
		this.#fault(
			keyword,
			`needs a property typed as one of ${scalarTypes.join(', ')} (or null), named ${fieldName.source}`,
		)
	}

	#fault(keyword: string, detail: string): void {
		this.#parsing.fault(`/properties/${escapeToken(this.#name)}/${keyword}`, detail)
	}
}

function scalarOf(type: unknown): { type: ScalarType; nullable: boolean } | null {
	const types: readonly unknown[] = Array.isArray(type) ? type : [type]
	const scalars = types.filter(isScalarType)
	const [first] = scalars
	const nullable = types.includes('null')
	return first !== undefined && scalars.length === 1 && types.length === (nullable ? 2 : 1)
		? { type: first, nullable }
		: null
}

function isScalarType(type: unknown): type is ScalarType {
	return scalarTypes.includes(type)
}

function metaIndexes(schema: Readonly<Record<string, unknown>>, parsing: Parsing): MetaField[] {
	const value = Object.hasOwn(schema, 'x-index') ? schema['x-index'] : []
	if (Array.isArray(value) && value.every(isMetaField) && new Set(value).size === value.length) return [...value]
	parsing.fault('/x-index', `must be a list of different names of ${metaFields.join(', ')}`)
	return []
}

function retentionOf(schema: Readonly<Record<string, unknown>>, parsing: Parsing): number | null {
	if (!Object.hasOwn(schema, 'x-retention-days')) return null
	const days = schema['x-retention-days']
	if (typeof days === 'number' && Number.isInteger(days) && days >= 1 && days <= retentionDaysMax) return days
	parsing.fault('/x-retention-days', `must be a whole number from 1 to ${retentionDaysMax}`)
	return null
}

function isMetaField(name: unknown): name is MetaField {
	return metaFields.includes(name)
}
