/** The records that every contestant stores: same schema, same bytes, told apart by a serial number of fixed width. */

export const collection = 'contacts'

export const schema = {
	type: 'object',
	required: ['name', 'email'],
	additionalProperties: false,
	properties: {
		name: { type: 'string', minLength: 1, maxLength: 200 },
		email: { type: 'string', format: 'email', maxLength: 200, 'x-unique': true },
		team: { type: 'string', maxLength: 40 },
		score: { type: 'integer', minimum: 0 },
		active: { type: 'boolean' },
		tags: { type: 'array', maxItems: 20, items: { type: 'string', maxLength: 40 } },
		address: {
			type: 'object',
			required: ['city'],
			properties: {
				street: { type: 'string' },
				city: { type: 'string' },
				zip: { type: 'string', pattern: '^[0-9]{5}$' },
			},
		},
		note: { type: 'string', maxLength: 4_000 },
	},
}

/** The same with an index on the property that lists filter by, which costs every write one row more. */
export const indexedCollection = 'members'
export const indexedSchema = {
	...schema,
	properties: { ...schema.properties, team: { ...schema.properties.team, 'x-index': true } },
}

/** Teams that the records of one tenant fall into. */
export const teams = 20

export function teamOf(serial: number): string {
	return `team-${String(serial % teams).padStart(2, '0')}`
}

/** A record as JSON text of exactly `bytes` bytes (at least 260). No two serials share an email. */
export function recordText(serial: number, bytes: number): string {
	const digits = String(serial).padStart(10, '0')
	const rest = `"team":"${teamOf(serial)}","score":${1_000 + (serial % 9_000)},"active":true,"tags":["new","trial","north"],"address":{"street":"12 Mill Lane","city":"Ely","zip":"10115"}`
	const start = `{"name":"Contact ${digits}","email":"contact.${digits}@example.org",${rest},"note":"`
	return `${start}${filler.slice(0, bytes - start.length - 2)}"}`
}

const filler = 'Called about the order and asked for the invoice to be sent again. '.repeat(60)
