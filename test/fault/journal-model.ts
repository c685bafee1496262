import { isDeepStrictEqual } from 'node:util'
import type { Condition, Data, JournalEntry, RecordOperation, ViewRow } from './history.ts'

/** A record from position `from` until before `until`; without data it does not exist then. */
export interface RecordState {
	from: number
	until: number
	version: number
	data: Data | null
}

interface CollectionState {
	from: number
	/** Null when there is no such collection. */
	version: number | null
	schema: Data
	personal: string[]
	uniques: { property: string; folded: boolean }[]
	/** Live records. */
	count: number
}

/** Says what is wrong with an entry, or null. */
type Fault = { kind: 'wrong_entry' | 'condition_ignored' | 'unique'; detail: string } | null

const nowhere: CollectionState = { from: 0, version: null, schema: {}, personal: [], uniques: [], count: 0 }

/**
 * What a shard must hold after each position of its journal. It knows the rules of the API and nothing of how the shard
 * keeps them. Entries are played in order; the state of every position stays readable.
 */
export class JournalModel {
	readonly #records = new Map<string, Map<string, RecordState[]>>()
	readonly #collections = new Map<string, CollectionState[]>()
	/** Who holds a unique value at the end of what was played, and who held it when. */
	readonly #holders = new Map<string, { id: string; from: number; until: number }[]>()

	/** The record's state after `seq`. */
	recordAt(collection: string, id: string, seq: number): RecordState | null {
		return lastUpTo(this.#records.get(collection)?.get(id) ?? [], seq)
	}

	/** The record's states after the positions from `first` to `last`, and null where it did not exist yet. */
	recordStates(collection: string, id: string, first: number, last: number): (RecordState | null)[] {
		return window(this.#records.get(collection)?.get(id) ?? [], first, last)
	}

	collectionAt(collection: string, seq: number): CollectionState {
		return lastUpTo(this.#collections.get(collection) ?? [], seq) ?? nowhere
	}

	collectionStates(collection: string, first: number, last: number): CollectionState[] {
		return window(this.#collections.get(collection) ?? [], first, last).map((state) => state ?? nowhere)
	}

	/** Every record that ever was. */
	*keys(): Iterable<{ collection: string; id: string }> {
		for (const [collection, records] of this.#records) for (const id of records.keys()) yield { collection, id }
	}

	/**
	 * Whether a row of the view shows the record as it was after one of these positions; null stands for no row. What is
	 * personal by the last position may be missing already: it leaves the view as soon as the consumer hears of it.
	 */
	showsOneOf(collection: string, id: string, row: ViewRow | null, first: number, last: number): boolean {
		const states = this.recordStates(collection, id, first, last)
		if (row === null) return states.some((state) => (state?.data ?? null) === null)
		const personals = this.collectionStates(collection, first, last)
		return states.some((state) => {
			if (state === null || state.data === null) return false
			const { data, version, from } = state
			if (row.version !== version) return false
			return personals.some((at, index) => {
				const end = personals[index + 1]?.from ?? Number.POSITIVE_INFINITY
				return end > from && isDeepStrictEqual(row.data, without(data, at.personal))
			})
		})
	}

	/** Whether another record held one of the data's unique values after one of these positions. */
	clashes(collection: string, id: string | null, data: Data, first: number, last: number): boolean {
		return this.collectionStates(collection, first, last).some(({ uniques }) =>
			uniques.some(({ property, folded }) =>
				(this.#holders.get(valueKey(collection, property, folded, data)) ?? []).some(
					(holder) => holder.id !== id && holder.from <= last && holder.until > first,
				),
			),
		)
	}

	/** Plays an entry that a record operation caused. */
	play(entry: JournalEntry, operation: RecordOperation): Fault {
		const { seq, collection, id } = entry
		if (collection === null || id === null || collection !== operation.collection)
			return { kind: 'wrong_entry', detail: `${operation.op} of ${operation.collection} is about ${collection}` }
		if (operation.op !== 'create' && operation.id !== id)
			return { kind: 'wrong_entry', detail: `${operation.op} of ${operation.id} is about ${id}` }
		const present = this.recordAt(collection, id, seq)
		const live = present?.data ? present : null
		const wanted = expected(operation, live)
		const data = resultOf(operation, live)
		const clash = data !== null && this.clashes(collection, id, data, seq, seq)
		this.#put(collection, id, { from: seq, until: Number.POSITIVE_INFINITY, version: entry.version ?? 0, data })
		if (this.collectionAt(collection, seq).version === null)
			return { kind: 'wrong_entry', detail: `there is no collection ${collection}` }
		if (wanted === null || entry.op !== wanted.op || entry.version !== wanted.version)
			return {
				kind: 'wrong_entry',
				detail: `${entry.op} to version ${entry.version} where the model has ${wanted ? `${wanted.op} to version ${wanted.version}` : 'nothing to do'}`,
			}
		if (!holds(operation, live)) return { kind: 'condition_ignored', detail: `${operation.op} of ${id}` }
		return clash ? { kind: 'unique', detail: `${collection}/${id} has a value that another record holds` } : null
	}

	/** Plays the entry of a collection's schema, or of its end. */
	define(entry: JournalEntry, collection: string, schema: Data | null): Fault {
		const before = this.collectionAt(collection, entry.seq)
		const version = schema === null ? null : (before.version ?? 0) + 1
		const count = schema === null ? 0 : before.count
		const state = { from: entry.seq, version, schema: schema ?? {}, ...annotations(schema ?? {}), count }
		if (schema === null) this.#removeAll(collection, entry.seq)
		this.#push(collection, state)
		this.#hold(collection, entry.seq)
		const fits = entry.op === 'schema' && entry.collection === collection && entry.version === version
		return fits ? null : { kind: 'wrong_entry', detail: `the schema of ${collection} is version ${entry.version}` }
	}

	#put(collection: string, id: string, state: RecordState): void {
		const records = this.#records.get(collection) ?? new Map<string, RecordState[]>()
		this.#records.set(collection, records)
		const states = records.get(id) ?? []
		records.set(id, states)
		const before = states.at(-1)
		if (before) before.until = state.from
		states.push(state)
		const at = this.collectionAt(collection, state.from)
		const count = at.count + (state.data ? 1 : 0) - (before?.data ? 1 : 0)
		if (count !== at.count) this.#push(collection, { ...at, from: state.from, count })
		for (const { property, folded } of at.uniques) {
			if (before?.data) this.#release(valueKey(collection, property, folded, before.data), id, state.from)
			if (state.data) this.#take(valueKey(collection, property, folded, state.data), id, state.from)
		}
	}

	#removeAll(collection: string, seq: number): void {
		for (const [id, states] of this.#records.get(collection) ?? []) {
			if (states.at(-1)?.data)
				this.#put(collection, id, { from: seq, until: Number.POSITIVE_INFINITY, version: 0, data: null })
		}
	}

	/** A new schema may make present values unique. */
	#hold(collection: string, seq: number): void {
		const { uniques } = this.collectionAt(collection, seq)
		for (const [key, holders] of this.#holders)
			if (key.startsWith(`${collection}\n`)) for (const holder of holders) holder.until = Math.min(holder.until, seq)
		for (const [id, states] of this.#records.get(collection) ?? []) {
			const data = states.at(-1)?.data
			if (data)
				for (const { property, folded } of uniques) this.#take(valueKey(collection, property, folded, data), id, seq)
		}
	}

	#take(key: string, id: string, from: number): void {
		if (key === '') return
		const holders = this.#holders.get(key) ?? []
		this.#holders.set(key, holders)
		holders.push({ id, from, until: Number.POSITIVE_INFINITY })
	}

	#release(key: string, id: string, seq: number): void {
		for (const holder of this.#holders.get(key) ?? [])
			if (holder.id === id && holder.until === Number.POSITIVE_INFINITY) holder.until = seq
	}

	#push(collection: string, state: CollectionState): void {
		const states = this.#collections.get(collection) ?? []
		this.#collections.set(collection, states)
		if (states.at(-1)?.from === state.from) states.pop()
		states.push(state)
	}
}

/** The entry that the operation must leave, or null when it had nothing to do. */
function expected(operation: RecordOperation, live: RecordState | null): { op: string; version: number } | null {
	const version = (live?.version ?? 0) + 1
	switch (operation.op) {
		case 'create':
			return live ? null : { op: 'create', version }
		case 'put':
			return { op: live ? 'update' : 'create', version }
		case 'patch':
			return live && { op: 'update', version }
		case 'delete':
			return live && { op: 'delete', version }
	}
}

function resultOf(operation: RecordOperation, live: RecordState | null): Data | null {
	switch (operation.op) {
		case 'create':
		case 'put':
			return operation.data
		case 'patch':
			return merged(live?.data ?? {}, operation.patch) as Data
		case 'delete':
			return null
	}
}

/** Whether the operation's preconditions are met. */
export function holds(operation: RecordOperation, live: RecordState | null): boolean {
	if ('ifMatch' in operation && operation.ifMatch && !matches(operation.ifMatch, live)) return false
	return !(operation.op === 'put' && operation.ifNoneMatch && matches(operation.ifNoneMatch, live))
}

function matches(condition: Condition, live: RecordState | null): boolean {
	if (live === null || live.data === null) return false
	return condition === '*' || condition.includes(`${live.version}-${live.from}`)
}

/** RFC 7396. */
function merged(target: unknown, patch: unknown): unknown {
	if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
	const result: Data = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {}
	for (const [name, value] of Object.entries(patch)) {
		if (value === null) delete result[name]
		else result[name] = merged(result[name], value)
	}
	return result
}

function annotations(schema: Data): Pick<CollectionState, 'personal' | 'uniques'> {
	const properties = Object.entries((schema.properties ?? {}) as Record<string, Data>)
	return {
		personal: properties.flatMap(([name, property]) => (property['x-personal'] ? [name] : [])),
		uniques: properties.flatMap(([property, { 'x-unique': unique }]) =>
			unique ? [{ property, folded: unique === 'ci' }] : [],
		),
	}
}

/** Empty where there is no value, which clashes with nothing. */
function valueKey(collection: string, property: string, folded: boolean, data: Data): string {
	const value = data[property] ?? null
	if (value === null) return ''
	const text = String(value).normalize('NFC')
	return `${collection}\n${property}\n${typeof value}\n${folded ? text.toUpperCase().toLowerCase() : text}`
}

function without(data: Data, names: string[]): Data {
	return Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)))
}

/** How many of the states begin at or before `seq`. */
function countUpTo(states: { from: number }[], seq: number): number {
	let low = 0
	let high = states.length
	while (low < high) {
		const middle = (low + high) >> 1
		if ((states[middle]?.from ?? 0) <= seq) low = middle + 1
		else high = middle
	}
	return low
}

function lastUpTo<T extends { from: number }>(states: T[], seq: number): T | null {
	return states[countUpTo(states, seq) - 1] ?? null
}

/** The state at `first`, which may be none yet, and those that follow until `last`. */
function window<T extends { from: number }>(states: T[], first: number, last: number): (T | null)[] {
	const before = countUpTo(states, first)
	return [states[before - 1] ?? null, ...states.slice(before, Math.max(before, countUpTo(states, last)))]
}
