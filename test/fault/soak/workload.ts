import type { ClientOperation, Data, RecordOperation } from '../history.ts'
import type { Random } from './nemesis.ts'

/** Two collections: one that stays, with a contended unique value, and one that is dropped and made again now and then. */
export const collections = ['items', 'drafts'] as const

type Kind = ClientOperation['op']

const share: Record<Kind, number> = {
	create: 14,
	put: 16,
	patch: 16,
	delete: 10,
	batch: 8,
	get: 20,
	list: 6,
	define: 2,
	drop: 0.3,
}

/** Ids that clients choose; few, so that they meet. */
const chosenIds = 25
/** Values of the unique property; few, so that they clash. */
const codes = 60
/** Records of one tenant above which more are deleted than made: every sample of the view carries them all. */
const recordsWanted = 80

/** What the clients of one tenant have heard of its records, which may be out of date. */
export class Known {
	/** ETags by `<collection>/<id>`. */
	readonly #etags = new Map<string, string>()

	saw(collection: string, id: string, etag: string | null): void {
		if (etag === null) this.#etags.delete(`${collection}/${id}`)
		else this.#etags.set(`${collection}/${id}`, etag)
	}

	/** Of a record whose ETag was not told, as in a list. */
	heard(collection: string, id: string): void {
		if (!this.#etags.has(`${collection}/${id}`)) this.#etags.set(`${collection}/${id}`, '')
	}

	dropped(collection: string): void {
		for (const place of this.#etags.keys()) if (place.startsWith(`${collection}/`)) this.#etags.delete(place)
	}

	get size(): number {
		return this.#etags.size
	}

	any(random: Random): { collection: string; id: string } | null {
		const place = [...this.#etags.keys()][Math.floor(random() * this.#etags.size)]
		if (place === undefined) return null
		const [collection = '', id = ''] = place.split('/')
		return { collection, id }
	}

	etag(collection: string, id: string): string | null {
		return this.#etags.get(`${collection}/${id}`) || null
	}
}

/** Chooses what one client asks next. Every value that it writes is told from all others by its `serial`. */
export class Workload {
	readonly #random: Random
	readonly #known: Known
	#serial: number

	/** @param client numbers the clients of the run */
	constructor(client: number, known: Known, random: Random) {
		this.#serial = client * 10_000_000
		this.#known = known
		this.#random = random
	}

	next(): ClientOperation {
		const kind = this.#known.size > recordsWanted && this.#chance(0.4) ? 'delete' : this.#kind()
		switch (kind) {
			case 'get':
				return { op: 'get', ...this.#place() }
			case 'list':
				return { op: 'list', collection: this.#collection() }
			case 'batch':
				return { op: 'batch', operations: this.#batch() }
			case 'define':
				return { op: 'define', ...this.#definition() }
			case 'drop':
				return { op: 'drop', collection: 'drafts' }
			default:
				return this.#write(kind)
		}
	}

	#kind(): Kind {
		const kinds = Object.entries(share) as [Kind, number][]
		let left = this.#random() * kinds.reduce((sum, [, weight]) => sum + weight, 0)
		for (const [kind, weight] of kinds) {
			left -= weight
			if (left < 0) return kind
		}
		return 'get'
	}

	#batch(): RecordOperation[] {
		const length = 2 + Math.floor(this.#random() * 5)
		// Batches of creates go another way through the shard.
		if (this.#chance(0.4)) {
			const collection = this.#collection()
			return Array.from({ length }, () => ({ op: 'create', collection, data: this.#data() }))
		}
		const kinds = ['create', 'put', 'patch', 'delete'] as const
		return Array.from({ length }, () => this.#write(kinds[Math.floor(this.#random() * 4)] ?? 'put', 'batch'))
	}

	#write(op: RecordOperation['op'], within: 'batch' | null = null): RecordOperation {
		if (op === 'create') return { op, collection: this.#collection(), data: this.#data() }
		const place = this.#place()
		const etag = this.#chance(0.3) ? this.#known.etag(place.collection, place.id) : null
		const condition = etag === null ? {} : { ifMatch: [etag] }
		if (op === 'delete') return { op, ...place, ...condition }
		if (op === 'patch') return { op, ...place, patch: this.#patch(), ...condition }
		if (etag === null && within === null && this.#chance(0.1)) {
			return { op, ...place, data: this.#data(), ifNoneMatch: '*' }
		}
		return { op, ...place, data: this.#data(), ...condition }
	}

	/** Half the time a record that is known to be there, else one that may be. */
	#place(): { collection: string; id: string } {
		const known = this.#chance(0.5) ? this.#known.any(this.#random) : null
		return known ?? { collection: this.#collection(), id: `item-${Math.floor(this.#random() * chosenIds)}` }
	}

	#collection(): string {
		return this.#chance(0.8) ? 'items' : 'drafts'
	}

	#data(): Data {
		return { serial: this.#nextSerial(), note: `note ${this.#serial}`, ...this.#code(), ...this.#phone() }
	}

	#patch(): Data {
		const note = this.#chance(0.2) ? null : `note ${this.#serial}`
		return { serial: this.#nextSerial(), note, ...this.#code(), ...this.#phone() }
	}

	/** Compared without regard to case. */
	#code(): Data {
		if (!this.#chance(0.4)) return {}
		const code = `code-${Math.floor(this.#random() * codes)}`
		return { code: this.#chance(0.5) ? code.toUpperCase() : code }
	}

	#phone(): Data {
		return this.#chance(0.5) ? { phone: `+31 ${Math.floor(this.#random() * 1e9)}` } : {}
	}

	#definition(): { collection: string; schema: Data } {
		const collection = this.#chance(0.5) ? 'drafts' : 'items'
		return { collection, schema: schemaOf(collection, this.#nextSerial(), this.#chance(0.5)) }
	}

	#nextSerial(): number {
		this.#serial += 1
		return this.#serial
	}

	#chance(share: number): boolean {
		return this.#random() < share
	}
}

/** A schema unlike any other of the run, so that each definition is a change. In `drafts` the note may be personal. */
export function schemaOf(collection: string, serial: number, varied: boolean): Data {
	const personal = { type: 'string', 'x-personal': true }
	return {
		type: 'object',
		title: `version ${serial}`,
		required: ['serial'],
		properties: {
			serial: varied ? { type: 'integer', 'x-index': true } : { type: 'integer' },
			note: collection === 'drafts' && varied ? personal : { type: 'string' },
			code: { type: 'string', ...(collection === 'items' && { 'x-unique': 'ci' }) },
			phone: personal,
		},
	}
}
