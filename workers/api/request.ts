import type { z } from '@hono/zod-openapi'
import type { Caller, Idempotency } from '../../core/contract.ts'
import { recordIdPattern } from '../../core/ids.ts'
import { isJsonObject, type JsonObject, parseJson, pointerStep } from '../../core/json.ts'
import { bodyBytesMax, idempotencyKeyCharsMax } from '../../core/limits.ts'
import { accept, type Fault, type Outcome, refuse } from '../../core/refusal.ts'
import { sealKey } from '../../core/seal.ts'
import { digestText } from '../../core/sha256.ts'
import type { Call, CallerCall } from './call.ts'

export const collectionNamePattern = /^[a-z][a-z0-9_-]{0,62}$/

/** Reads the body and stops at the limit, whatever Content-Length says. */
export async function readBody(call: Call): Promise<Outcome<Uint8Array>> {
	const request = call.c.req.raw
	const declared = request.headers.get('Content-Length')
	if (declared !== null && Number(declared) > bodyBytesMax) return tooLarge()
	if (!request.body) return accept(new Uint8Array(0))
	try {
		// The runtime ends a body at its declared length, so only one of unknown length has to be counted piece by piece.
		if (declared === null) return await readCounted(request.body)
		const bytes = new Uint8Array(await request.arrayBuffer())
		return bytes.length > bodyBytesMax ? tooLarge() : accept(bytes)
	} catch {
		return refuse('invalid_request', 'the body could not be read to its end')
	}
}

async function readCounted(body: ReadableStream<Uint8Array>): Promise<Outcome<Uint8Array>> {
	const parts: Uint8Array[] = []
	let length = 0
	const reader = body.getReader()
	for (;;) {
		const { done, value } = await reader.read()
		if (done) break
		length += value.length
		if (length > bodyBytesMax) {
			await reader.cancel()
			return tooLarge()
		}
		parts.push(value)
	}
	const first = parts[0]
	return accept(parts.length === 1 && first ? first : new Uint8Array(Buffer.concat(parts)))
}

function tooLarge(): Outcome<never> {
	return refuse('payload_too_large', `a body has at most ${bodyBytesMax} bytes`)
}

/** Checks the media type. `charset` may only be UTF-8, because JSON is nothing else (RFC 8259). */
export function expectMedia(call: Call, media: string): Outcome<true> {
	const [type = '', ...parameters] = (call.c.req.header('Content-Type') ?? '').toLowerCase().split(';')
	const fits = type.trim() === media && parameters.every((parameter) => /^(charset="?utf-8"?)?$/.test(parameter.trim()))
	return fits ? accept(true) : refuse('unsupported_media_type', `the body must be sent as Content-Type: ${media}`)
}

/** Reads a JSON object: the value, and its text printed again. */
export async function readObject(
	call: Call,
	media = 'application/json',
): Promise<Outcome<{ value: JsonObject; text: string }>> {
	const expected = expectMedia(call, media)
	if (!expected.ok) return expected
	const body = await readBody(call)
	if (!body.ok) return body
	const parsed = parseJson(body.value)
	if (!parsed.ok) return parsed
	const { value, text } = parsed.value
	return isJsonObject(value) ? accept({ value, text }) : notAnObject('')
}

function notAnObject(pointer: string): Outcome<never> {
	return refuse('validation_failed', 'the input violates its schema', {
		errors: [{ pointer, detail: 'must be an object' }],
	})
}

/** Reads a JSON body of a fixed shape. */
export async function readShape<S extends z.ZodType>(
	call: Call,
	shape: S,
): Promise<Outcome<{ value: z.output<S>; text: string }>> {
	const body = await readObject(call)
	if (!body.ok) return body
	const parsed = shape.safeParse(body.value.value)
	if (parsed.success) return accept({ value: parsed.data, text: body.value.text })
	return refuse('validation_failed', 'the input violates its schema', { errors: parsed.error.issues.flatMap(faultsOf) })
}

function faultsOf(issue: z.core.$ZodIssue): Fault[] {
	const pointer = issue.path.map((step) => pointerStep(String(step))).join('')
	// The library's own sentence would repeat the unknown names.
	if (issue.code === 'unrecognized_keys')
		return issue.keys.map((key) => ({ pointer: pointer + pointerStep(key), detail: 'is not a property of this input' }))
	return [{ pointer, detail: issue.message }]
}

/** Names of unknown parameters come back in errors; a longer one is cut. */
const parameterCharsMax = 100

/** Query parameters by name: only the named ones, each once. */
export function readQuery<N extends string>(call: Call, names: readonly N[]): Outcome<Partial<Record<N, string>>> {
	const values: Partial<Record<N, string>> = {}
	for (const [name, value] of searchParams(call)) {
		const known = names.find((candidate) => candidate === name)
		if (known === undefined) {
			const errors = [{ pointer: name.slice(0, parameterCharsMax), detail: 'is not a parameter of this call' }]
			return refuse('unknown_field', `the query takes ${names.join(', ')} only`, { errors })
		}
		if (values[known] !== undefined) return badParameter(known, 'must not be repeated')
		values[known] = value
	}
	return accept(values)
}

export function searchParams(call: Call): URLSearchParams {
	const { url } = call.c.req
	const start = url.indexOf('?')
	return new URLSearchParams(start === -1 ? '' : url.slice(start))
}

/** A whole number from text; the default when the parameter is absent. */
export function readInteger(
	name: string,
	text: string | undefined,
	range: { min: number; max: number; absent: number },
): Outcome<number> {
	if (text === undefined) return accept(range.absent)
	const number = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
	if (number >= range.min && number <= range.max) return accept(number)
	return badParameter(name, `must be an integer from ${range.min} to ${range.max}`)
}

export function readCollectionName(call: Call): Outcome<string> {
	const name = call.c.req.param('collection') ?? ''
	return collectionNamePattern.test(name)
		? accept(name)
		: badParameter('collection', `must match ${collectionNamePattern.source}`)
}

/** The segment arrives percent-decoded once. `.` and `..` match the pattern, but no URL can carry them. */
export function readRecordId(call: Call): Outcome<string> {
	const id = call.c.req.param('id') ?? ''
	return isRecordId(id) ? accept(id) : badParameter('id', `must match ${recordIdPattern.source} and not be . or ..`)
}

export function isRecordId(id: string): boolean {
	return recordIdPattern.test(id) && id !== '.' && id !== '..'
}

export function badParameter(name: string, detail: string): Outcome<never> {
	return refuse('invalid_request', `${name} is not well-formed`, { errors: [{ pointer: name, detail }] })
}

/** A precondition header that is absent is null; a broken one is refused. */
export function readPrecondition<T>(
	call: Call,
	name: string,
	parse: (header: string) => Outcome<T>,
): Outcome<T | null> {
	const header = call.c.req.header(name)
	return header === undefined ? accept(null) : parse(header)
}

const bareKey = /^[\x21\x23-\x7e][\x21-\x7e]*$/
const quotedKey = /^"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"$/

/**
 * Reads `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), quoted or bare. `text` stands for the request's
 * body: its normalised form, so that the same values written differently are the same request. An answer that holds a secret
 * rests sealed.
 */
export function readIdempotency(
	call: CallerCall,
	text: string,
	answer: 'plain' | 'secret' = 'plain',
): Outcome<Idempotency | null> {
	const header = call.c.req.header('Idempotency-Key')
	if (header === undefined) return accept(null)
	const key = quotedKey.exec(header)?.[1]?.replace(/\\(["\\])/g, '$1') ?? bareKey.exec(header)?.[0] ?? ''
	if (key.length < 1 || key.length > idempotencyKeyCharsMax) {
		return badParameter('Idempotency-Key', `must be 1 to ${idempotencyKeyCharsMax} visible ASCII characters`)
	}
	const { req } = call.c
	// With the bearer, because what was asked may be guessed, and the hash of it outlives a value that was erased.
	const fingerprint = [call.bearer, text, req.header('If-Match') ?? null, req.header('If-None-Match') ?? null]
	return accept({
		key: digest([callerName(call.caller), req.method, req.path, key]),
		fingerprint: digest(fingerprint),
		seal: answer === 'secret' ? sealKey(call.bearer, key) : null,
	})
}

function callerName(caller: Caller): string {
	return caller.kind === 'key' ? `key:${caller.id}` : `operator:${caller.name}`
}

/** Hashes a list so that no two different lists give the same bytes. */
function digest(parts: readonly (string | null)[]): string {
	return digestText(JSON.stringify(parts))
}
