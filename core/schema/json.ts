/** What the schema files share about JSON values and JSON Pointers. */

export function isObject(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Prints a path as a JSON Pointer (RFC 6901). */
export function pointerOf(path: readonly (string | number)[]): string {
	let pointer = ''
	for (const token of path) pointer += `/${typeof token === 'number' ? token : escapeToken(token)}`
	return pointer
}

export function escapeToken(token: string): string {
	return token.replaceAll('~', '~0').replaceAll('/', '~1')
}

export function unescapeToken(token: string): string {
	return token.replaceAll('~1', '/').replaceAll('~0', '~')
}

/**
 * Prints a JSON value so that two values print alike exactly when JSON Schema calls them equal: the order of keys does
 * not count, numbers are compared as numbers (1.0 is 1, -0 is 0). `visit` is called once per value with the length of
 * its text; when it answers false the print is cut short and is worth nothing.
 */
export function canonicalText(value: unknown, visit: (chars: number, depth: number) => boolean, depth = 0): string {
	if (typeof value === 'string') return visit(value.length, depth) ? JSON.stringify(value) : ''
	if (!visit(0, depth)) return ''
	if (typeof value === 'number') return String(value)
	if (typeof value !== 'object' || value === null) return String(value)
	if (Array.isArray(value)) return `[${value.map((item) => canonicalText(item, visit, depth + 1)).join()}]`
	const members = Object.keys(value)
		.sort()
		.map((key) => `${JSON.stringify(key)}:${canonicalText((value as Record<string, unknown>)[key], visit, depth + 1)}`)
	return `{${members.join()}}`
}
