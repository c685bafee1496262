import { canonicalText, isObject } from './json.ts'

/** Keywords that hold no rule for data. The definitions of a dialect hold none either, once it is accepted. */
const annotations = new Set([
	'$schema',
	'$comment',
	'title',
	'description',
	'default',
	'examples',
	'deprecated',
	'readOnly',
	'writeOnly',
])

/** Where schemas stand inside a schema; every other keyword holds plain values, in which `title` is no annotation. */
const holdsSchema = new Set(['items', 'contains', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else'])
const holdsList = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const holdsMap = new Set(['$defs', 'properties', 'patternProperties'])

/**
 * True when two schemas accept exactly the same data because their rules are written alike: annotations and the order of
 * keys may differ. False says nothing: differently written rules may still mean the same.
 */
export function sameRules(a: unknown, b: unknown): boolean {
	return print(a) === print(b)
}

function print(schema: unknown): string {
	return canonicalText(rulesOf(schema), () => true)
}

function rulesOf(schema: unknown): unknown {
	if (schema === true) return {}
	if (!isObject(schema)) return schema
	const rules: [string, unknown][] = []
	for (const [name, value] of Object.entries(schema)) {
		if (annotations.has(name) || name.startsWith('x-')) continue
		rules.push([name, rulesIn(name, value)])
	}
	return Object.fromEntries(rules)
}

function rulesIn(name: string, value: unknown): unknown {
	if (holdsSchema.has(name)) return rulesOf(value)
	if (holdsList.has(name) && Array.isArray(value)) return value.map(rulesOf)
	if (holdsMap.has(name) && isObject(value))
		return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rulesOf(inner)]))
	return value
}
