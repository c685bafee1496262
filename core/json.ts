import { jsonContainersMax, jsonDepthMax, jsonKeyBytesMax, jsonKeysMax } from './limits.ts'
import { accept, type Fault, type Outcome, refuse } from './refusal.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue }
export type JsonObject = { [key: string]: JsonValue }

/**
 * Parses JSON text from outside and holds it to what JavaScript, SQLite and Postgres all understand the same way: UTF-8
 * without a byte order mark, no U+0000, no lone surrogates, bounded depth and keys, and numbers that a double holds; an
 * integer must lie within ±(2^53 - 1). Of duplicate keys the last wins, and -0 becomes 0. Refused with `invalid_json`,
 * naming the place; the refusal never repeats a value.
 */
export function readJson(input: Uint8Array | string): Outcome<JsonValue> {
	const decoded = decode(input)
	if (decoded === null) return refuse('invalid_json', 'the body is not valid UTF-8')
	if (decoded.length > unscannedCharsMax && exceedsContainers(decoded)) {
		const detail = `values nest at most ${jsonDepthMax} levels deep, and a body holds at most ${jsonContainersMax} objects and arrays`
		return refuse('invalid_json', 'the body is too deep or too branched', { errors: [{ pointer: '', detail }] })
	}
	let value: JsonValue
	try {
		value = JSON.parse(decoded)
	} catch {
		return refuse('invalid_json', 'the body is not valid JSON')
	}
	// Text that was valid UTF-8 can only bring a lone surrogate or U+0000 by an escape, so most bodies skip those checks.
	const border: Border = { escapes: decoded.includes('\\u') || !decoded.isWellFormed(), negativeZero: false }
	let fault = faultIn(value, 1, border)
	if (!fault && longDigits.test(decoded)) fault = faultIn(JSON.parse(decoded, refuseLongIntegers), 1, border)
	if (fault) return refuse('invalid_json', 'the body holds a value that cannot be stored', { errors: [fault] })
	return accept(border.negativeZero ? JSON.parse(JSON.stringify(value)) : value)
}

/** Like `readJson`, with the value printed again: equal values give equal text, however the client wrote them. */
export function parseJson(input: Uint8Array | string): Outcome<{ value: JsonValue; text: string }> {
	const read = readJson(input)
	return read.ok ? accept({ value: read.value, text: JSON.stringify(read.value) }) : read
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
	return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** One step of a JSON Pointer (RFC 6901). */
export function pointerStep(key: string | number): string {
	return `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

interface Border {
	escapes: boolean
	negativeZero: boolean
}

/** Parsing costs about 60 bytes of memory an empty array, so only long text can do harm before the walk below looks at it. */
const unscannedCharsMax = 16_384

/** `JSON.stringify` prints integers from here on with an exponent. */
const exponentFrom = 1e21
const longDigits = /[0-9]{21}/
const unsafeNumber = 'a number must fit a double, and an integer must lie between -(2^53 - 1) and 2^53 - 1'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** A byte order mark stays in the text, where `JSON.parse` refuses it. */
function decode(input: Uint8Array | string): string | null {
	if (typeof input === 'string') return input
	try {
		return decoder.decode(input)
	} catch {
		return null
	}
}

/** Counts brackets outside strings, without building anything. */
function exceedsContainers(text: string): boolean {
	let depth = 0
	let containers = 0
	let quoted = false
	for (let i = 0; i < text.length; i++) {
		const code = text.charCodeAt(i)
		if (quoted) {
			if (code === 0x5c) i++
			else if (code === 0x22) quoted = false
		} else if (code === 0x22) quoted = true
		else if (code === 0x5b || code === 0x7b) {
			depth++
			containers++
			if (depth > jsonDepthMax || containers > jsonContainersMax) return true
		} else if (code === 0x5d || code === 0x7d) depth--
	}
	return false
}

/** The first fault in a value at this depth; the root is at depth 1. Its pointer is put together on the way back. */
function faultIn(value: JsonValue, depth: number, border: Border): Fault | null {
	if (typeof value === 'string') return border.escapes ? faultInText(value) : null
	if (typeof value === 'number') return faultInNumber(value, border)
	if (typeof value !== 'object' || value === null) return null
	if (depth > jsonDepthMax) return { pointer: '', detail: `values nest at most ${jsonDepthMax} levels deep` }
	if (Array.isArray(value)) {
		for (let i = 0; i < value.length; i++) {
			const fault = faultIn(value[i] ?? null, depth + 1, border)
			if (fault) return { pointer: pointerStep(i) + fault.pointer, detail: fault.detail }
		}
		return null
	}
	const keys = Object.keys(value)
	if (keys.length > jsonKeysMax) return { pointer: '', detail: `an object has at most ${jsonKeysMax} properties` }
	for (const key of keys) {
		const named = faultInKey(key, border)
		if (named) return named
		const fault = faultIn(value[key] ?? null, depth + 1, border)
		if (fault) return { pointer: pointerStep(key) + fault.pointer, detail: fault.detail }
	}
	return null
}

function faultInText(text: string): Fault | null {
	if (text.includes('\0')) return { pointer: '', detail: 'text must not contain U+0000' }
	if (!text.isWellFormed()) return { pointer: '', detail: 'text must not contain a lone surrogate' }
	return null
}

/** A faulty name is answered with the place of its object, because a pointer could not be printed. */
function faultInKey(key: string, border: Border): Fault | null {
	// A UTF-16 unit takes at most three bytes of UTF-8.
	if (key.length * 3 > jsonKeyBytesMax && encoder.encode(key).length > jsonKeyBytesMax) {
		return { pointer: '', detail: `the name of a property has at most ${jsonKeyBytesMax} bytes` }
	}
	const fault = border.escapes ? faultInText(key) : null
	return fault && { pointer: '', detail: `the name of a property: ${fault.detail}` }
}

function faultInNumber(value: number, border: Border): Fault | null {
	if (Object.is(value, -0)) border.negativeZero = true
	const magnitude = Math.abs(value)
	if (magnitude <= Number.MAX_SAFE_INTEGER) return null
	// In between, a value prints as an integer that has already lost digits, or would be refused when it came back.
	return magnitude < exponentFrom || magnitude === Number.POSITIVE_INFINITY
		? { pointer: '', detail: unsafeNumber }
		: null
}

/**
 * A reviver for text with very long digit strings, whose integers `JSON.parse` has silently rounded: it puts infinity in
 * their place, for the walk to find. Runs only on text that was already found shallow, because revivers recurse.
 */
function refuseLongIntegers(this: unknown, _key: string, value: JsonValue, context?: { source?: string }): JsonValue {
	const source = context?.source
	return typeof value === 'number' && source && /^-?[0-9]{21,}$/.test(source) ? Number.POSITIVE_INFINITY : value
}
