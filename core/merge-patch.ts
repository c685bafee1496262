/**
 * Applies a JSON merge patch (RFC 7396) and leaves both arguments unchanged. Members named `__proto__` are members like
 * any other. Unchanged parts of the target are shared with the result, not copied.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
	if (!isObject(patch)) return patch
	// A map keeps the target's order of keys and takes any name; Object.fromEntries defines own properties.
	const merged = new Map<string, unknown>(isObject(target) ? Object.entries(target) : [])
	for (const [name, value] of Object.entries(patch)) {
		if (value === null) merged.delete(name)
		else merged.set(name, mergePatch(merged.get(name), value))
	}
	return Object.fromEntries(merged)
}

function isObject(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value)
}
