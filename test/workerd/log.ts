/**
 * Gathers what the Worker and its objects log, which here share the test's console, instead of printing thousands of lines.
 * An isolate serves one test file, so nothing needs to be restored.
 */
export function gatherLog(): string[] {
	const lines: string[] = []
	for (const level of ['log', 'warn', 'error'] as const)
		console[level] = (...parts: unknown[]) => void lines.push(parts.map(String).join(' '))
	return lines
}
