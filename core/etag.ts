import type { Precondition } from './contract.ts'
import { accept, type Outcome, type Refusal, refuse } from './refusal.ts'

/** The entity tag of a record as the header carries it, e.g. `"3-17"`. The position tells a recreated record from the one before. */
export function formatEtag(record: { version: number; seq: number }): string {
	return `"${record.version}-${record.seq}"`
}

/** Parses `If-Match`: strong comparison, so that a weak tag never matches. Refused when its syntax is broken (RFC 9110, 13.1.1). */
export function parseIfMatch(header: string): Outcome<Precondition> {
	const tags = parseTags(header)
	if (tags === null) return broken('If-Match')
	return accept(tags === '*' ? '*' : tags.filter((tag) => !tag.weak).map((tag) => tag.value))
}

/** Parses `If-None-Match`: weak comparison, so that `W/"1-5"` means `"1-5"` (RFC 9110, 13.1.2). */
export function parseIfNoneMatch(header: string): Outcome<Precondition> {
	const tags = parseTags(header)
	if (tags === null) return broken('If-None-Match')
	return accept(tags === '*' ? '*' : tags.map((tag) => tag.value))
}

function broken(header: string): { ok: false; refusal: Refusal } {
	return refuse('invalid_request', 'a header is not well-formed', {
		errors: [{ pointer: header, detail: 'must be * or a list of entity tags in double quotes' }],
	})
}

interface Tag {
	weak: boolean
	value: string
}

/** One element of the list and the comma after it; RFC 9110 lets elements be empty. No two parts can match the same space. */
const element = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(,|$)/y

function parseTags(header: string): '*' | Tag[] | null {
	if (header.trim() === '*') return '*'
	const tags: Tag[] = []
	element.lastIndex = 0
	for (;;) {
		const match = element.exec(header)
		if (!match) return null
		const [, weak, value, separator] = match
		if (value !== undefined) tags.push({ weak: weak !== undefined, value })
		if (separator !== ',') return tags.length > 0 ? tags : null
	}
}
