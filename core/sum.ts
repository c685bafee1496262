export function sumOf<T>(items: readonly T[], amount: (item: T) => number): number {
	return items.reduce((sum, item) => sum + amount(item), 0)
}
