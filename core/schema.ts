import { accept, type Fault, type Outcome, refuse } from './refusal.ts'
import { type Annotations, readAnnotations } from './schema/annotations.ts'
import { isObject } from './schema/json.ts'
import { Parsing } from './schema/parse.ts'
import { type Check, type Meter, newMeter, Run } from './schema/run.ts'

export { supportedKeywords } from './schema/parse.ts'
export { type Meter, newMeter } from './schema/run.ts'
export { sameRules } from './schema/same.ts'

/** The JSON Schema of a collection, compiled into functions: it is checked inside the transaction of every write. */
export interface Schema extends Annotations {
	/**
	 * Judges a record's data, which must be JSON of bounded depth. Empty means valid; at most `faultsMax` faults, with
	 * JSON Pointers into the data, that name rules and limits but never values. A caller that checks many records in one
	 * go may hand the same meter to all of them, to bound them together.
	 */
	validate(data: unknown, meter?: Meter): Fault[]
}

/**
 * Compiles a schema of the subset (`supportedKeywords`) of JSON Schema draft 2020-12. `true` and `{}` accept any object.
 * Refused with `schema_invalid` and JSON Pointers into the schema.
 * @see https://json-schema.org/draft/2020-12
 */
export function parseSchema(json: unknown): Outcome<Schema> {
	const parsing = new Parsing()
	const root = json === true ? {} : json
	if (!isObject(root)) parsing.fault('', 'must be an object, or true')
	const { check, annotations } = compile(isObject(root) ? root : {}, parsing)
	if (parsing.faults.length > 0)
		return refuse('schema_invalid', 'The schema cannot be used.', { errors: parsing.faults })
	return accept({ ...annotations, validate: (data, meter = newMeter()) => validate(check, data, meter) })
}

function compile(
	root: Readonly<Record<string, unknown>>,
	parsing: Parsing,
): { check: Check; annotations: Annotations } {
	if (Object.hasOwn(root, 'type') && root.type !== 'object')
		parsing.fault('/type', 'must be "object" at the root: records are objects')
	if (Object.hasOwn(root, '$defs') && isObject(root.$defs)) parsing.define(root.$defs)
	const check = parsing.subschema(root, { pointer: '', depth: 0, owner: null, standing: 'root' })
	return { check, annotations: readAnnotations(root, parsing) }
}

function validate(check: Check, data: unknown, meter: Meter): Fault[] {
	if (!isObject(data)) return [{ pointer: '', detail: 'must be an object' }]
	const run = new Run(data, meter)
	check(data, run)
	return run.faults
}

/**
 * What a unique value is compared by: text in Unicode's form NFC, with `ci` also without regard to case; a boolean as 0
 * or 1; null for a missing value, which is never equal to another.
 */
export function normaliseUnique(
	value: string | number | boolean | null | undefined,
	mode: 'exact' | 'ci',
): string | number | null {
	if (value === undefined || value === null) return null
	if (typeof value === 'boolean') return value ? 1 : 0
	// Adding zero turns -0 into 0.
	if (typeof value === 'number') return value + 0
	const text = value.normalize('NFC')
	// By way of upper case, so that ß meets SS and the final sigma meets the other one; ẞ becomes ß first.
	return mode === 'ci' ? text.toLowerCase().toUpperCase().toLowerCase().normalize('NFC') : text
}
