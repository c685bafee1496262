import type { Page, PullReply, PullRequest, SchemaPage, Shard, ViewField, WakeUp } from '../core/contract.ts'
import type { TenantId } from '../core/ids.ts'

export interface ScriptedRecord {
	version: number
	data: Record<string, unknown>
}

/** What the view should hold: `<collection>/<id>` to the record without its personal properties. */
export type ViewState = Map<string, ScriptedRecord>

type Entry =
	| { kind: 'put'; collection: string; id: string; record: ScriptedRecord }
	| { kind: 'delete'; collection: string; id: string }
	| { kind: 'schema'; page: SchemaPage }
	| { kind: 'other' }

/** A shard's journal in memory, behind the same port as the real one, that remembers its state at every position. */
export class ScriptedShard implements Pick<Shard, 'pull'> {
	readonly tenant: TenantId
	epoch: number
	/** The highest position that a pull has acknowledged. */
	acknowledged = 0
	pulls = 0
	/** Awaited before each pull is answered; a test makes a shard slow, frozen or broken with it. */
	beforePull: (request: PullRequest) => Promise<void> = async () => {}
	#entries: Entry[] = []
	#states: ViewState[] = [new Map()]
	#personal = new Map<string, string[]>()

	constructor(tenant: string, epoch = 1) {
		this.tenant = tenant as TenantId
		this.epoch = epoch
	}

	get head(): number {
		return this.#entries.length
	}

	wakeUp(): WakeUp {
		return { tenant: this.tenant, shard: 0, epoch: this.epoch, head: this.head }
	}

	put(collection: string, id: string, data: Record<string, unknown>): void {
		const version = (this.#present().get(`${collection}/${id}`)?.version ?? 0) + 1
		const visible = omit(data, this.#personal.get(collection) ?? [])
		const record = { version, data: visible }
		this.#append({ kind: 'put', collection, id, record }, (state) => state.set(`${collection}/${id}`, record))
	}

	delete(collection: string, id: string): void {
		this.#append({ kind: 'delete', collection, id }, (state) => state.delete(`${collection}/${id}`))
	}

	/** An entry that is not about a record, as a new key is. */
	other(): void {
		this.#append({ kind: 'other' }, () => {})
	}

	define(collection: string, fields: ViewField[], personal: string[] = []): void {
		this.#personal.set(collection, personal)
		this.#append(
			{ kind: 'schema', page: { kind: 'put', collection, fields, personal, createdAt: 1_700_000_000_000 } },
			(state) => {
				for (const [key, record] of state) {
					if (key.startsWith(`${collection}/`)) state.set(key, { ...record, data: omit(record.data, personal) })
				}
			},
		)
	}

	drop(collection: string): void {
		this.#append({ kind: 'schema', page: { kind: 'dropped', collection } }, (state) => {
			for (const key of [...state.keys()]) if (key.startsWith(`${collection}/`)) state.delete(key)
		})
	}

	/** What a view that applied exactly the changes up to `position` holds. */
	stateAt(position: number): ViewState {
		const state = this.#states[position]
		if (state === undefined) throw new Error(`the journal has no position ${position}`)
		return state
	}

	async pull(request: PullRequest): Promise<PullReply> {
		this.pulls += 1
		await this.beforePull(request)
		if (request.epoch !== this.epoch) return { kind: 'refused', reason: 'epoch' }
		if (request.after > this.head) return { kind: 'refused', reason: 'diverged' }
		this.acknowledged = Math.max(this.acknowledged, request.applied ?? request.after)
		return { kind: 'page', page: this.#page(request) }
	}

	#page({ after, entriesMax }: PullRequest): Page {
		const entries = this.#entries.slice(after, after + entriesMax)
		const first = entries[0]
		const schemaAt = entries.findIndex((entry) => entry.kind === 'schema')
		if (first?.kind === 'schema') return this.#describe(after, after + 1, [], first.page)
		return this.#describe(
			after,
			after + (schemaAt === -1 ? entries.length : schemaAt),
			schemaAt === -1 ? entries : entries.slice(0, schemaAt),
			null,
		)
	}

	#describe(from: number, to: number, entries: Entry[], schema: SchemaPage | null): Page {
		const keys = new Map<string, { c: string; i: string }>()
		for (const entry of entries) {
			if (entry.kind === 'put' || entry.kind === 'delete')
				keys.set(`${entry.collection}/${entry.id}`, { c: entry.collection, i: entry.id })
		}
		const upserts = [...keys].flatMap(([key, place]) => {
			const record = this.#present().get(key)
			return record === undefined
				? []
				: [{ ...place, v: record.version, t: 1_700_000_000_123, u: 1_700_000_000_000 + this.head, d: record.data }]
		})
		const deletes = [...keys].flatMap(([key, place]) => (this.#present().has(key) ? [] : [place]))
		return {
			epoch: this.epoch,
			from,
			to,
			head: this.head,
			toAt: to === from ? null : 1_700_000_000_000 + to,
			tenant: {
				slug: `slug-${this.tenant.slice(-4)}`,
				name: 'A tenant',
				status: 'active',
				createdAt: 1_700_000_000_000,
			},
			upserts: JSON.stringify(upserts),
			upsertCount: upserts.length,
			deletes: JSON.stringify(deletes),
			deleteCount: deletes.length,
			schema,
		}
	}

	#present(): ViewState {
		return this.stateAt(this.head)
	}

	#append(entry: Entry, change: (state: ViewState) => void): void {
		const state = new Map(this.#present())
		change(state)
		this.#entries.push(entry)
		this.#states.push(state)
	}
}

function omit(data: Record<string, unknown>, names: string[]): Record<string, unknown> {
	return Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)))
}
