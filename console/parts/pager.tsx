import { useState } from 'preact/hooks'

/** The cursors of the pages that were seen: the API goes forwards only. */
export interface Pages {
	cursor: string | null
	number: number
	forward(next: string): void
	back(): void
}

/** @param of what is listed; another list starts at its first page */
export function usePages(of: string): Pages {
	const [seen, setSeen] = useState<{ of: string; cursors: string[] }>({ of, cursors: [] })
	const cursors = seen.of === of ? seen.cursors : []
	return {
		cursor: cursors.at(-1) ?? null,
		number: cursors.length + 1,
		forward: (next) => setSeen({ of, cursors: [...cursors, next] }),
		back: () => setSeen({ of, cursors: cursors.slice(0, -1) }),
	}
}

export function Pager({ pages, next }: { pages: Pages; next: string | null }) {
	if (pages.number === 1 && next === null) return null
	return (
		<nav class="pager" aria-label="Pages">
			<button type="button" disabled={pages.number === 1} onClick={pages.back}>
				Back
			</button>
			<span class="quiet">page {pages.number}</span>
			<button type="button" disabled={next === null} onClick={() => next !== null && pages.forward(next)}>
				Next
			</button>
		</nav>
	)
}
