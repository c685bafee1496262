/** Text of SQL with its values, put together without knowing how the database numbers them. */
export interface Fragment<Value> {
	/** One text more than there are values: each value stands between two of them. */
	texts: readonly string[]
	values: readonly Value[]
}

/** Text that holds no value. Names from outside must have been checked before they come here. */
export function raw(text: string): Fragment<never> {
	return { texts: [text], values: [] }
}

export function placeholder<Value>(value: Value): Fragment<Value> {
	return { texts: ['', ''], values: [value] }
}

/** A template whose parts are fragments. */
export function fragment<Value>(template: TemplateStringsArray, ...parts: Fragment<Value>[]): Fragment<Value> {
	const texts = [template[0] ?? '']
	const values: Value[] = []
	parts.forEach((part, i) => {
		append(texts, part.texts)
		append(texts, [template[i + 1] ?? ''])
		values.push(...part.values)
	})
	return { texts, values }
}

export function join<Value>(parts: readonly Fragment<Value>[], separator: string): Fragment<Value> {
	const texts = ['']
	const values: Value[] = []
	parts.forEach((part, i) => {
		if (i > 0) append(texts, [separator])
		append(texts, part.texts)
		values.push(...part.values)
	})
	return { texts, values }
}

/** The first of the texts continues the last one that is there. */
function append(texts: string[], [first = '', ...rest]: readonly string[]): void {
	texts.push((texts.pop() ?? '') + first, ...rest)
}
