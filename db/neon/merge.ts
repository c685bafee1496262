/** One region's part of a list, in order. */
export interface Part<Item> {
	items: readonly Item[]
	/** True when the region holds more than it sent. */
	more: boolean
}

/**
 * The first items of several ordered parts together, at most `limit` and at most `bytesMax`, but never none when there is
 * one. `more` is true when something follows the last of them.
 */
export function mergeParts<Item>(
	parts: readonly Part<Item>[],
	compare: (a: Item, b: Item) => number,
	limits: { items: number; bytes: number; bytesOf(item: Item): number },
): Part<Item> {
	const cursors = parts.map((part) => ({ ...part, at: 0 }))
	const items: Item[] = []
	let bytes = 0
	for (;;) {
		// What a region has not sent could come before everything that the others have left.
		if (cursors.some(({ items: sent, more, at }) => more && at === sent.length)) return { items, more: true }
		let first: { item: Item; cursor: (typeof cursors)[number] } | null = null
		for (const cursor of cursors) {
			const item = cursor.items[cursor.at]
			if (item !== undefined && (first === null || compare(item, first.item) < 0)) first = { item, cursor }
		}
		if (first === null) return { items, more: false }
		bytes += limits.bytesOf(first.item)
		if (items.length === limits.items || (items.length > 0 && bytes > limits.bytes)) return { items, more: true }
		items.push(first.item)
		first.cursor.at += 1
	}
}
