/** The patterns of `like` and `ilike`, parsed once and printed for each database in its own syntax. */
export type PatternToken = { kind: 'text'; text: string } | { kind: 'one' } | { kind: 'any' }

/**
 * `%` and `*` stand for any text, `_` for one character, and a backslash takes the next character literally. Null for a
 * pattern that ends in a lone backslash.
 */
export function parsePattern(pattern: string): PatternToken[] | null {
	const tokens: PatternToken[] = []
	const characters = [...pattern]
	for (let i = 0; i < characters.length; i++) {
		let character = characters[i] ?? ''
		const last = tokens.at(-1)
		if (character === '%' || character === '*') {
			if (last?.kind !== 'any') tokens.push({ kind: 'any' })
			continue
		}
		if (character === '_') {
			tokens.push({ kind: 'one' })
			continue
		}
		if (character === '\\') {
			const next = characters[++i]
			if (next === undefined) return null
			character = next
		}
		if (last?.kind === 'text') last.text += character
		else tokens.push({ kind: 'text', text: character })
	}
	return tokens
}

/** SQL's LIKE with the backslash as its escape character. */
export function printLike(tokens: PatternToken[]): string {
	return print(tokens, { any: '%', one: '_' }, (text) => text.replace(/[%_\\]/g, '\\$&'))
}

/** SQLite's GLOB, which compares case-sensitively as its LIKE does not. */
export function printGlob(tokens: PatternToken[]): string {
	return print(tokens, { any: '*', one: '?' }, (text) => text.replace(/[*?[]/g, '[$&]'))
}

/** The text that everything starts with that matches; empty when the pattern starts with a wildcard. */
export function patternPrefix(tokens: PatternToken[]): string {
	return tokens[0]?.kind === 'text' ? tokens[0].text : ''
}

function print(
	tokens: PatternToken[],
	wildcards: { any: string; one: string },
	quote: (text: string) => string,
): string {
	return tokens.map((token) => (token.kind === 'text' ? quote(token.text) : wildcards[token.kind])).join('')
}
