/**
 * Cursors are sealed, because a position holds a value of a record, which may be personal, and cursors travel in URLs. The
 * seal also binds a cursor to the query and the tenant that it was made for.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { z } from 'zod'
import type { PagePosition } from './contract.ts'
import type { RandomBytes } from './ids.ts'
import { cursorBytesMax } from './limits.ts'
import type { ListQuery } from './query.ts'
import { accept, type Outcome, refuse } from './refusal.ts'
import { digestText } from './sha256.ts'

/** 32 bytes each. The first seals, all of them open, so that a key can be replaced while cursors are on their way. */
export type CursorKeys = readonly [Uint8Array, ...Uint8Array[]]

/** Seals a JSON value: AES-256-GCM, as base64url of nonce, ciphertext and tag. */
export function sealCursor(position: unknown, keys: CursorKeys, fingerprint: string, random: RandomBytes): string {
	const nonce = random(new Uint8Array(nonceBytes))
	const cipher = createCipheriv(algorithm, keys[0], nonce).setAAD(Buffer.from(fingerprint))
	const text = cipher.update(JSON.stringify(position), 'utf8')
	return Buffer.concat([nonce, text, cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** Opens what `sealCursor` made for the same fingerprint, and has `schema` judge it; refused with `invalid_cursor`. */
export function openCursor<Position>(
	cursor: string,
	keys: CursorKeys,
	fingerprint: string,
	schema: z.ZodType<Position>,
): Outcome<Position> {
	const bytes = Buffer.from(cursor.slice(0, cursorBytesMax + 1), 'base64url')
	// Other spellings of the same bytes are no cursors: every changed character must be noticed.
	if (
		cursor.length <= cursorBytesMax &&
		bytes.length > nonceBytes + tagBytes &&
		bytes.toString('base64url') === cursor
	) {
		for (const key of keys) {
			const text = decrypt(bytes, key, fingerprint)
			const position = text === null ? null : schema.safeParse(JSON.parse(text))
			if (position?.success) return accept(position.data)
		}
	}
	return refuse('invalid_cursor', 'the cursor was not made for this query: start again without it', {
		errors: [{ pointer: 'cursor', detail: 'was not made for this query' }],
	})
}

/**
 * A digest of what decides which records follow a position: filter, order and whatever else the caller names (tenant,
 * collection, …). Where in the request the filter stood, the limit and the selection do not matter.
 */
export function queryFingerprint(query: Pick<ListQuery, 'filter' | 'order'>, ...scope: string[]): string {
	const text = JSON.stringify([scope, query.filter, query.order], (key, value) =>
		key === 'pointer' ? undefined : value,
	)
	return digestText(text)
}

const positionValues = z.array(z.union([z.string(), z.number(), z.boolean(), z.null()]))

/** The position in a list of one shard. */
export const pagePosition: z.ZodType<PagePosition> = z.strictObject({ values: positionValues, id: z.string() })

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

function decrypt(bytes: Buffer, key: Uint8Array, fingerprint: string): string | null {
	const tagAt = bytes.length - tagBytes
	const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
	decipher.setAAD(Buffer.from(fingerprint)).setAuthTag(bytes.subarray(tagAt))
	try {
		return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, tagAt)), decipher.final()]).toString('utf8')
	} catch {
		return null
	}
}
