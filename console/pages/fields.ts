import type { Schema } from '../shapes.ts'

/** A property of a collection, as its schema tags it. */
export interface Field {
	name: string
	types: string[]
	/** How it is personal; null when it is not. */
	personal: string | null
	/** The other annotations, with their values where they say more than yes. */
	tags: string[]
}

export function fieldsOf(schema: Schema): Field[] {
	return Object.entries(schema.properties ?? {}).map(([name, property]) => {
		const { type } = property
		const types = (Array.isArray(type) ? type : [type]).filter((one) => typeof one === 'string')
		const tags = Object.entries(property).filter(([key, value]) => key.startsWith('x-') && value !== false)
		return {
			name,
			types,
			personal: personalOf(property['x-personal']),
			tags: tags
				.filter(([key]) => key !== 'x-personal')
				.map(([key, value]) => (value === true ? key.slice(2) : `${key.slice(2)}: ${JSON.stringify(value)}`)),
		}
	})
}

function personalOf(tag: unknown): string | null {
	if (tag === undefined || tag === false) return null
	return typeof tag === 'string' ? `personal: ${tag}` : 'personal'
}
