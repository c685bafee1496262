import { z } from 'zod'
import type { BaseStart, Reading, SchemaPage, WakeUp } from '../../core/contract.ts'
import { movedBy, movedPast, noBase, type Watermark } from '../../core/watermark.ts'
import type { Move } from '../../db/neon/apply.ts'
import type { BaseMove } from '../../db/neon/apply-base.ts'
import { DatabaseFailure } from '../../db/neon/client.ts'
import type { PoisonEntry } from '../../db/neon/set-aside.ts'
import type { ViewStore } from '../../db/neon/writer.ts'
import type { Data, ViewRow, ViewSample } from './history.ts'

/** A view in memory. What it answers is held equal to what Postgres answers by the contract suite of the store. */
export class MemoryView {
	readonly #shards = new Map<string, Watermark & { readSeq: number }>()
	readonly #rows = new Map<string, Map<string, ViewRow>>()
	#deadLetters: Letter[] = []
	/** Tenants whose part was gone at some time. */
	readonly lost = new Set<string>()
	readonly #furthest = new Map<string, number>()

	/** Each call is one statement: it happens as a whole or, when it throws, not at all. */
	readonly store: Synchronous<ViewStore> = {
		readWatermarks: (wakeUps) => wakeUps.map(({ tenant, shard }) => this.#shards.get(`${tenant}/${shard}`) ?? null),
		startWatermark: (wakeUp) => this.#start(wakeUp),
		startOver: (of, epoch) => this.#startOver(of, epoch),
		applyPages: (moves) => this.#applyPages(moves),
		applySchema: ({ watermark, page }, schema) =>
			this.#move(watermark, { kind: 'page', page }, () => this.#define(watermark, schema)),
		startBase: ({ watermark, page }, start) =>
			this.#move(watermark, { kind: 'page', page }, () => this.#forgetStrays(watermark, start)),
		applyBase: (move) => this.#applyBase(move),
		setAside: (watermark, reading, entry) => this.#setAside(watermark, reading, entry),
	}

	appliedSeq(tenant: string): number {
		return this.#shards.get(`${tenant}/0`)?.appliedSeq ?? 0
	}

	sample(tenant: string): ViewSample {
		const { epoch = 0, appliedSeq = 0, readSeq = 0, base = noBase } = this.#shards.get(`${tenant}/0`) ?? {}
		const letters = this.#deadLetters.filter((letter) => letter.tenant === tenant)
		return {
			tenant,
			epoch,
			appliedSeq,
			readSeq,
			exact: appliedSeq === readSeq && base.pending.length === 0 && letters.length === 0,
			filling: base.hollow,
			final: false,
			rows: [...this.#rowsOf(tenant).values()],
			deadLetters: letters.flatMap(({ collection, id }) => (collection === null ? [] : [{ collection, id }])),
		}
	}

	/** The furthest that the view has ever been, whatever became of it since. */
	furthest(tenant: string): number {
		return this.#furthest.get(`${tenant}/0`) ?? 0
	}

	/** The tenant's part is gone, watermark and all, as after a restore of the database from before it existed. */
	lose(tenant: string): void {
		this.#rowsOf(tenant).clear()
		this.#forgetLetters((letter) => letter.tenant === tenant)
		this.#shards.delete(`${tenant}/0`)
		this.lost.add(tenant)
	}

	/** Changes with every change of the tenant's part; null when there is none. */
	stateOf(tenant: string): string | null {
		const found = this.#shards.get(`${tenant}/0`)
		return found ? [found.epoch, found.revision, found.appliedSeq, found.readSeq].join() : null
	}

	/** What the erasure of a tenant does to its part of the view: the rows go, and a new epoch lets no late event bring them back. */
	erase(tenant: string): void {
		const watermark = this.#shards.get(`${tenant}/0`)
		if (!watermark) return
		this.#rowsOf(tenant).clear()
		this.#forgetLetters((letter) => letter.tenant === tenant)
		this.#shards.set(`${tenant}/0`, {
			...watermark,
			epoch: watermark.epoch + 1,
			revision: 0,
			appliedSeq: 0,
			chain: null,
			readSeq: 0,
			base: noBase,
		})
	}

	#start({ tenant, shard, epoch }: WakeUp): void {
		const name = `${tenant}/${shard}`
		const started = { tenant, shard, epoch, revision: 0, appliedSeq: 0, chain: null, readSeq: 0, base: noBase }
		if (!this.#shards.has(name)) this.#shards.set(name, started)
	}

	#startOver({ tenant, shard, epoch: from }: Pick<Watermark, 'tenant' | 'shard' | 'epoch'>, epoch: number): void {
		const name = `${tenant}/${shard}`
		const found = this.#shards.get(name)
		if (found?.epoch !== from) return
		const base = { ...found.base, pending: [], after: null, hollow: true }
		const readSeq = Math.max(found.readSeq, 1)
		this.#shards.set(name, { ...found, epoch, revision: found.revision + 1, appliedSeq: 0, chain: null, readSeq, base })
		this.#furthest.delete(name)
	}

	#applyPages(moves: readonly Move[]): boolean[] {
		for (const { page } of moves) refuseWhatPostgresRefuses(page.upserts)
		return moves.map(({ watermark, page }) =>
			this.#move(watermark, { kind: 'page', page }, () => {
				const rows = this.#rowsOf(watermark.tenant)
				const touched = new Set<string>()
				const touch = ({ c, i }: { c: string; i: string }) => {
					const key = `${c}/${i}`
					// A statement that touches a row twice is an error, and here one of the whole system.
					if (touched.has(key)) throw new DatabaseFailure('21000')
					touched.add(key)
					this.#recover(watermark, c, i)
					return key
				}
				for (const upsert of upserts.parse(JSON.parse(page.upserts))) {
					const { c: collection, i: id, v: version, d: data } = upsert
					rows.set(touch(upsert), { collection, id, version, data })
				}
				for (const place of deletes.parse(JSON.parse(page.deletes))) rows.delete(touch(place))
			}),
		)
	}

	#applyBase({ watermark, page }: BaseMove): boolean {
		refuseWhatPostgresRefuses(page.upserts)
		return this.#move(watermark, { kind: 'base', page }, () => {
			const rows = this.#rowsOf(watermark.tenant)
			this.#empty(watermark, page)
			for (const { c: collection, i: id, v: version, d: data } of upserts.parse(JSON.parse(page.upserts)))
				rows.set(`${collection}/${id}`, { collection, id, version, data })
		})
	}

	/** Takes all rows of a range out, and the letters that its page answers. */
	#empty({ tenant, shard }: Watermark, { range, last }: BaseMove['page']): void {
		const rows = this.#rowsOf(tenant)
		const within = (id: string) =>
			range.only === null ? id > (range.after ?? '') && (last === null || id <= last) : id === range.only
		for (const [key, row] of rows) if (row.collection === range.collection && within(row.id)) rows.delete(key)
		const ends = last === null && range.only === null
		this.#forgetLetters(
			(one) =>
				one.tenant === tenant &&
				one.shard === shard &&
				one.collection === range.collection &&
				(one.id === null ? ends : within(one.id)),
		)
	}

	#forgetStrays({ tenant, shard }: Watermark, { all, collections }: BaseStart): void {
		if (!all) return
		const rows = this.#rowsOf(tenant)
		for (const [key, row] of rows) if (!collections.includes(row.collection)) rows.delete(key)
		this.#forgetLetters(
			(one) =>
				one.tenant === tenant &&
				one.shard === shard &&
				(one.collection === null || !collections.includes(one.collection)),
		)
	}

	/** The fence: nothing happens when the watermark is no longer the one that was read. */
	#move(watermark: Watermark, reading: Reading, change: () => void, to = movedBy(reading, watermark)): boolean {
		const name = `${watermark.tenant}/${watermark.shard}`
		const found = this.#shards.get(name)
		if (!found || found.epoch !== watermark.epoch || found.revision !== watermark.revision) return false
		change()
		this.#shards.set(name, { ...to, readSeq: reading.page.head })
		this.#furthest.set(name, Math.max(this.#furthest.get(name) ?? 0, to.appliedSeq))
		return true
	}

	#define({ tenant, shard }: Watermark, schema: SchemaPage): void {
		const rows = this.#rowsOf(tenant)
		for (const [key, row] of rows) {
			if (row.collection !== schema.collection) continue
			if (schema.kind === 'dropped') rows.delete(key)
			else rows.set(key, { ...row, data: without(row.data, schema.personal) })
		}
		if (schema.kind === 'dropped')
			this.#forgetLetters((one) => one.tenant === tenant && one.shard === shard && one.collection === schema.collection)
	}

	#setAside(watermark: Watermark, reading: Reading, { collection, recordId: id }: PoisonEntry): boolean {
		const { tenant, shard } = watermark
		const take = () => {
			const rows = this.#rowsOf(tenant)
			for (const [key, row] of rows)
				if (row.collection === collection && (id === null || row.id === id)) rows.delete(key)
			if (reading.kind === 'base' && reading.page.range.only === null) this.#empty(watermark, reading.page)
			this.#forgetLetters((one) => one.tenant === tenant && one.collection === collection && one.id === id)
			this.#deadLetters.push({ tenant, shard, collection, id })
		}
		return this.#move(watermark, reading, take, movedPast(reading, id === null ? collection : null, watermark))
	}

	#recover({ tenant, shard }: Watermark, collection: string, id: string): void {
		this.#forgetLetters(
			(one) => one.tenant === tenant && one.shard === shard && one.collection === collection && one.id === id,
		)
	}

	#forgetLetters(is: (letter: Letter) => boolean): void {
		this.#deadLetters = this.#deadLetters.filter((letter) => !is(letter))
	}

	#rowsOf(tenant: string): Map<string, ViewRow> {
		const rows = this.#rows.get(tenant) ?? new Map<string, ViewRow>()
		this.#rows.set(tenant, rows)
		return rows
	}
}

interface Letter {
	tenant: string
	shard: number
	collection: string | null
	id: string | null
}

type Synchronous<T> = {
	[K in keyof T]: T[K] extends (...takes: infer A) => Promise<infer R> ? (...takes: A) => R : never
}

const upserts = z.array(z.object({ c: z.string(), i: z.string(), v: z.int(), d: z.record(z.string(), z.unknown()) }))
const deletes = z.array(z.object({ c: z.string(), i: z.string() }))

/** Of all that jsonb does not take, U+0000 stands for the rest here. */
function refuseWhatPostgresRefuses(text: string): void {
	if (/(^|[^\\])(\\\\)*\\u0000/.test(text)) throw new DatabaseFailure('22P05')
}

function without(data: Data, names: readonly string[]): Data {
	return Object.fromEntries(Object.entries(data).filter(([name]) => !names.includes(name)))
}
