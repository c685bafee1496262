import type { Attempt, ClientOperation, Data, RecordOperation } from './history.ts'
import type { World } from './world.ts'

const people = 'people'
const notes = 'notes'
const ids = ['a', 'b', 'c', 'd']

/** The shapes that the people of a tenant go through: what is unique and what is personal changes. */
const peopleSchemas: Data[] = [
	{ type: 'object', properties: { email: { type: 'string', 'x-unique': 'ci' }, n: { type: 'integer' } } },
	{ type: 'object', properties: { email: { type: 'string', 'x-unique': 'ci' }, phone: { 'x-personal': true } } },
	{ type: 'object', properties: { email: { type: 'string' }, n: { type: 'integer', 'x-index': true } } },
	{ type: 'object', properties: { email: { type: 'string', 'x-unique': true }, phone: { 'x-personal': true } } },
]

/** Chooses what clients ask for: few records and few unique values, so that everything meets everything. */
export class Workload {
	readonly #world: World
	readonly #etags = new Map<string, string>()
	/** Records whose last state Postgres does not take. */
	readonly poisoned = new Set<string>()

	constructor(world: World) {
		this.#world = world
	}

	/** What a tenant needs before anything else. */
	start(): ClientOperation[] {
		const first = peopleSchemas[this.#world.chance.below(peopleSchemas.length)] ?? {}
		return [
			{ op: 'define', collection: people, schema: first },
			{ op: 'define', collection: notes, schema: { type: 'object' } },
		]
	}

	/** What makes every poisoned record good again. */
	repair(tenant: string): ClientOperation[] {
		return [...this.poisoned]
			.filter((place) => place.startsWith(`${tenant}/`))
			.map((place) => ({ op: 'put', collection: notes, id: place.slice(tenant.length + 1), data: { n: 0 } }))
	}

	next(tenant: string): ClientOperation {
		const { chance } = this.#world
		const roll = chance.below(100)
		if (roll < 8) return { op: 'get', collection: this.#collection(), id: chance.pick(ids) }
		if (roll < 14) return { op: 'list', collection: this.#collection() }
		if (roll < 24) return { op: 'batch', operations: this.#batch(tenant) }
		if (roll < 29) return { op: 'define', collection: people, schema: chance.pick(peopleSchemas) }
		if (roll < 30) return { op: 'drop', collection: people }
		return this.#write(tenant)
	}

	/** Remembers what a client was told, for later preconditions. */
	learn({ tenant, operation, answer }: Attempt): void {
		if (!('collection' in operation)) return
		for (const { id, version, seq } of answer?.records ?? [])
			if (seq !== null) this.#etags.set(`${tenant}/${operation.collection}/${id}`, `${version}-${seq}`)
	}

	#batch(tenant: string): RecordOperation[] {
		const { chance } = this.#world
		const length = 1 + chance.below(6)
		if (chance.happens(0.3))
			return Array.from({ length }, () => ({ op: 'create' as const, collection: notes, data: this.#data() }))
		const operations = Array.from({ length }, () => this.#write(tenant))
		// The operations of a batch know If-Match only.
		const known = operations.filter((operation) => !('ifNoneMatch' in operation))
		return known.length > 0 ? known : this.#batch(tenant)
	}

	#write(tenant: string): RecordOperation {
		const { chance } = this.#world
		const collection = this.#collection()
		const id = chance.pick(ids)
		const roll = chance.below(100)
		if (roll < 12) return { op: 'create', collection, data: this.#data() }
		if (roll < 70) return this.#put(tenant, collection, id)
		const etag = this.#etags.get(`${tenant}/${collection}/${id}`)
		const ifMatch = etag && chance.happens(0.3) ? { ifMatch: [etag] } : {}
		if (roll < 85)
			return { op: 'patch', collection, id, patch: { n: this.#number(), email: this.#email() }, ...ifMatch }
		return { op: 'delete', collection, id, ...ifMatch }
	}

	#put(tenant: string, collection: string, id: string): RecordOperation {
		const { chance } = this.#world
		if (collection === notes && this.#world.happens('poison')) {
			this.poisoned.add(`${tenant}/${id}`)
			return { op: 'put', collection, id, data: { note: 'not for \u0000 Postgres', n: this.#number() } }
		}
		const etag = this.#etags.get(`${tenant}/${collection}/${id}`)
		const data = this.#data()
		if (etag && chance.happens(0.2)) return { op: 'put', collection, id, data, ifMatch: [etag] }
		if (chance.happens(0.1)) return { op: 'put', collection, id, data, ifNoneMatch: '*' }
		return { op: 'put', collection, id, data }
	}

	#data(): Data {
		const email = this.#email()
		return { n: this.#number(), phone: `+${this.#number()}`, ...(email === null ? {} : { email }) }
	}

	/** Different each time, so that no two states look alike. */
	#number(): number {
		return this.#world.tick()
	}

	#email(): string | null {
		return this.#world.chance.pick([
			null,
			null,
			'ann@example.org',
			'ANN@example.org',
			'bob@example.org',
			'eve@example.org',
		])
	}

	#collection(): string {
		return this.#world.chance.happens(0.6) ? people : notes
	}
}
