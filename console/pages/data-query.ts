/** What is asked of the view's records; it lives in the address, so that a link shows the same. */
export interface DataQuery {
	collection: string
	region: string
	tenant: string
	filters: DataFilter[]
	/** A field with its direction, such as `population.desc`; empty for the order of ids. */
	order: string
}

export interface DataFilter {
	field: string
	operator: string
	value: string
}

/** As the API names them, in words. */
export const operators: Record<string, string> = {
	eq: 'is',
	neq: 'is not',
	gt: 'is more than',
	gte: 'is at least',
	lt: 'is less than',
	lte: 'is at most',
	like: 'is like (* for anything)',
	ilike: 'is like, in any case',
	in: 'is one of (a,b)',
	is: 'is (null, true, false)',
}

const own = ['collection', 'region', 'tenant', 'order'] as const

export function readQuery(parameters: Record<string, string>): DataQuery {
	const { collection = '', region = '', tenant = '', order = '', ...rest } = parameters
	const filters = Object.entries(rest).flatMap(([field, text]) => {
		const dot = text.indexOf('.')
		return dot === -1 ? [] : [{ field, operator: text.slice(0, dot), value: text.slice(dot + 1) }]
	})
	return { collection, region, tenant, order, filters }
}

/** The same parameters for the console's address and for the API. */
export function queryText(query: DataQuery): string {
	const parameters = new URLSearchParams()
	for (const name of own) if (query[name] !== '') parameters.set(name, query[name])
	for (const { field, operator, value } of query.filters)
		if (field !== '') parameters.append(field, `${operator}.${value}`)
	return parameters.toString()
}
