/** Requests made from an OpenAPI document, valid and broken, for a property test. */
import fc from 'fast-check'
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts'

export interface Document {
	openapi: string
	paths: Record<string, Record<string, OperationObject>>
	components: { schemas: Record<string, JsonObject>; securitySchemes: Record<string, JsonObject> }
}

export interface OperationObject {
	operationId: string
	security: Record<string, string[]>[]
	parameters?: ParameterObject[]
	requestBody?: { content: Record<string, { schema: JsonObject; example?: JsonValue }> }
	responses: Record<string, { content?: Record<string, { schema: JsonObject }>; headers?: Record<string, unknown> }>
}

interface ParameterObject {
	name: string
	in: 'path' | 'query' | 'header'
	required?: boolean
	explode?: boolean
	schema: JsonObject
}

/** One request that may be sent: everything is text, as on the wire. */
export interface Sent {
	path: string
	headers: Record<string, string>
	body: string | undefined
}

/** Values that exist, by the name of the parameter: a generator would never hit on them. */
export type Known = Record<string, string>

/** Requests that the document allows. With `closed`, parameters whose text the document leaves open are left out. */
export function validRequests(
	document: Document,
	path: string,
	operation: OperationObject,
	known: Known,
	closed: boolean,
): fc.Arbitrary<Sent> {
	const parameters = (operation.parameters ?? []).filter(
		({ required, schema }) => required || !closed || !isOpen(schema),
	)
	const values = fc.record(
		Object.fromEntries(parameters.map((parameter) => [keyOf(parameter), valueFor(document, parameter, known)])),
		{ noNullPrototype: true },
	)
	const [media, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
	const body = content
		? fc.oneof(
				arbitraryOf(document, content.schema),
				...(content.example === undefined ? [] : [fc.constant(content.example)]),
			)
		: fc.constant(undefined)
	return fc.tuple(values, body).map(([given, json]) => {
		const text = json === undefined ? undefined : JSON.stringify(json)
		return assemble(path, parameters, given as Record<string, unknown>, media, text)
	})
}

/** Requests that the document does not allow, or that only look as if it did. */
export function brokenRequests(
	document: Document,
	path: string,
	operation: OperationObject,
	known: Known,
): fc.Arbitrary<Sent> {
	const parameters = operation.parameters ?? []
	const junk = fc.oneof(
		fc.string({ maxLength: 30 }),
		fc.string({ unit: 'binary', maxLength: 10 }).filter((text) => text.isWellFormed()),
		fc.constantFrom('', ' ', '0', '-1', '1e9', 'NaN', 'null', '..', '%', '*', '(', '"', "'", ','),
		fc.constantFrom('eq.', 'eq.1', 'in.(', 'is.', 'or=(', 'a'.repeat(9_000)),
	)
	const values = fc.record(
		Object.fromEntries(
			parameters.map((parameter) => [
				keyOf(parameter),
				fc.oneof({ weight: 2, arbitrary: valueFor(document, parameter, known) }, { weight: 1, arbitrary: junk }),
			]),
		),
		{ noNullPrototype: true },
	)
	const [media, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
	const body = content
		? fc.oneof(
				fc.jsonValue().map((json) => JSON.stringify(json)),
				arbitraryOf(document, content.schema).chain((json) => spoilt(json)),
				fc.string({ maxLength: 50 }),
				fc.constant(undefined),
			)
		: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.string() })
	const type = fc.constantFrom(media, media, media, 'text/plain', 'application/json; charset=latin1', '')
	const unknown = fc.dictionary(fc.string({ maxLength: 10 }), junk, { maxKeys: 2, noNullPrototype: true })
	return fc.tuple(values, body, type, unknown).map(([given, text, contentType, more]) => {
		const sent = assemble(path, parameters, given as Record<string, unknown>, contentType, text)
		const query = new URLSearchParams(Object.entries(more)).toString()
		return query === '' ? sent : { ...sent, path: `${sent.path}${sent.path.includes('?') ? '&' : '?'}${query}` }
	})
}

/** The schema as JSON Schema 2020-12 with its own definitions, without what only OpenAPI knows. */
export function standalone(document: Document, schema: JsonObject): JsonObject {
	const definitions: JsonObject = {}
	const visit = (value: JsonValue): JsonValue => {
		if (Array.isArray(value)) return value.map(visit)
		if (!isJsonObject(value)) return value
		const entries = Object.entries(value).filter(([name]) => name !== 'example')
		return Object.fromEntries(
			entries.map(([name, inner]) => {
				if (name !== '$ref' || typeof inner !== 'string') return [name, visit(inner)]
				const referred = nameIn(inner)
				if (!Object.hasOwn(definitions, referred)) {
					definitions[referred] = true
					definitions[referred] = visit(document.components.schemas[referred] ?? false)
				}
				return [name, `#/$defs/${referred}`]
			}),
		)
	}
	const whole = visit(schema)
	return isJsonObject(whole) ? { ...whole, $defs: definitions } : {}
}

function arbitraryOf(document: Document, schema: JsonObject): fc.Arbitrary<JsonValue> {
	if (typeof schema.$ref === 'string')
		return arbitraryOf(document, document.components.schemas[nameIn(schema.$ref)] ?? {})
	if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum)
	const { type } = schema
	if (Array.isArray(type)) return fc.oneof(...type.map((one) => arbitraryOf(document, { ...schema, type: one })))
	switch (type) {
		case 'string':
			return textOf(schema)
		case 'integer':
			return fc.integer({
				min: numberOr(schema.minimum, -100),
				max: Math.min(numberOr(schema.maximum, 5_000), 2 ** 31 - 1),
			})
		case 'number':
			return fc.double({ noNaN: true, noDefaultInfinity: true })
		case 'boolean':
			return fc.boolean()
		case 'null':
			return fc.constant(null)
		case 'array':
			return fc.array(arbitraryOf(document, isJsonObject(schema.items) ? schema.items : {}), {
				minLength: numberOr(schema.minItems, 0),
				maxLength: Math.min(numberOr(schema.maxItems, 5), 10),
			})
		case 'object':
			return objectOf(document, schema)
		default:
			return anything
	}
}

/** JSON whose integers a double holds exactly: a document cannot say that the others are refused. */
const anything = fc
	.jsonValue({ maxDepth: 2 })
	.map(
		(value) =>
			JSON.parse(JSON.stringify(value), (_, inner) =>
				Number.isInteger(inner) && !Number.isSafeInteger(inner) ? 0 : inner,
			) as JsonValue,
	)

function textOf(schema: JsonObject): fc.Arbitrary<string> {
	const maxLength = Math.min(numberOr(schema.maxLength, 40), 300)
	if (schema.format === 'date-time')
		return fc
			.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
			.map((date) => date.toISOString())
	if (typeof schema.pattern === 'string')
		return fc
			.stringMatching(new RegExp(schema.pattern))
			.filter((text) => text.length <= maxLength && !/^\.+$/.test(text))
	return fc.string({ minLength: numberOr(schema.minLength, 0), maxLength })
}

function objectOf(document: Document, schema: JsonObject): fc.Arbitrary<JsonValue> {
	const declared = isJsonObject(schema.properties) ? schema.properties : {}
	const required = Array.isArray(schema.required) ? schema.required : []
	const members = Object.fromEntries(
		Object.entries(declared).map(([name, inner]) => [name, arbitraryOf(document, isJsonObject(inner) ? inner : {})]),
	)
	const known = fc.record(members, {
		requiredKeys: Object.keys(members).filter((name) => required.includes(name)),
		noNullPrototype: true,
	})
	const { additionalProperties: additional } = schema
	if (!isJsonObject(additional)) return known as fc.Arbitrary<JsonValue>
	const others = fc.dictionary(fc.string({ maxLength: 8 }), arbitraryOf(document, additional), {
		maxKeys: 4,
		noNullPrototype: true,
	})
	return fc.tuple(others, known).map(([more, own]) => ({ ...more, ...own })) as fc.Arbitrary<JsonValue>
}

/** A value of which one part was replaced, dropped or doubled, or its text cut. */
function spoilt(json: JsonValue): fc.Arbitrary<string> {
	const text = JSON.stringify(json)
	const cut = fc.nat({ max: text.length }).map((at) => text.slice(0, at))
	if (!isJsonObject(json) || Object.keys(json).length === 0) return cut
	const names = Object.keys(json)
	const replaced = fc
		.tuple(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 2 }))
		.map(([name, value]) => JSON.stringify({ ...json, [name]: value }))
	const dropped = fc
		.constantFrom(...names)
		.map((name) => JSON.stringify(Object.fromEntries(Object.entries(json).filter(([other]) => other !== name))))
	const added = fc.string({ maxLength: 10 }).map((name) => JSON.stringify({ ...json, [name]: 1 }))
	return fc.oneof(cut, replaced, dropped, added)
}

function valueFor(document: Document, parameter: ParameterObject, known: Known): fc.Arbitrary<JsonValue> {
	const made = arbitraryOf(document, parameter.schema)
	const present = known[parameter.name]
	if (present === undefined)
		return parameter.required ? made : fc.oneof(made, fc.constant(undefined as unknown as JsonValue))
	return fc.oneof({ weight: 4, arbitrary: fc.constant(present) }, { weight: 1, arbitrary: made })
}

function assemble(
	path: string,
	parameters: readonly ParameterObject[],
	given: Record<string, unknown>,
	media: string | undefined,
	body: string | undefined,
): Sent {
	const query = new URLSearchParams()
	const headers: Record<string, string> = {}
	let filled = path
	for (const parameter of parameters) {
		const value = given[keyOf(parameter)]
		if (value === undefined) continue
		const text = typeof value === 'object' ? '' : String(value)
		if (parameter.in === 'path') filled = filled.replace(`{${parameter.name}}`, segmentOf(text))
		else if (parameter.in === 'header') headers[parameter.name] = text.replace(/[^\x20-\x7e]/g, '?')
		else if (typeof value !== 'object' || value === null) query.append(parameter.name, text)
		else for (const [name, one] of Object.entries(value)) query.append(name, String(one))
	}
	if (body !== undefined && media) headers['Content-Type'] = media
	const search = query.toString()
	return { path: search === '' ? filled : `${filled}?${search}`, headers, body }
}

/** Whether the document says nothing about what the text means. */
function isOpen(schema: JsonObject): boolean {
	return schema.type === 'object' || (schema.type === 'string' && !('pattern' in schema) && !('format' in schema))
}

function keyOf({ in: place, name }: ParameterObject): string {
	return `${place} ${name}`
}

function nameIn(reference: string): string {
	return reference.slice('#/components/schemas/'.length)
}

function numberOr(value: JsonValue | undefined, absent: number): number {
	return typeof value === 'number' ? value : absent
}

/** A segment that is `.` or `..` would make it another path before it is sent. */
function segmentOf(text: string): string {
	return text === '.' || text === '..' ? `${text}~` : encodeURIComponent(text) || '%20'
}
