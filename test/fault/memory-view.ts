import { z } from 'zod'
import type { Page, SchemaPage, WakeUp } from '../../core/contract.ts'
import type { Move, PoisonEntry, Watermark } from '../../db/neon/apply.ts'
import { DatabaseFailure } from '../../db/neon/client.ts'
import type { ViewStore } from '../../db/neon/writer.ts'
import type { Data, ViewRow, ViewSample } from './history.ts'

/** A view in memory. What it answers is held equal to what Postgres answers by the contract suite of the store. */
export class MemoryView {
	readonly #shards = new Map<string, Watermark & { readSeq: number }>()
	readonly #rows = new Map<string, Map<string, ViewRow>>()
	#deadLetters: Letter[] = []

	/** Each call is one statement: it happens as a whole or, when it throws, not at all. */
	readonly store: Synchronous<ViewStore> = {
		readWatermarks: (wakeUps) => wakeUps.map((wakeUp) => this.#readWatermark(wakeUp)),
		applyPages: (moves) => this.#applyPages(moves),
		applySchema: ({ watermark, page }, schema) => this.#move(watermark, page, () => this.#define(watermark, schema)),
		setAside: (watermark, page, entry) => this.#move(watermark, page, () => this.#setAside(watermark, entry)),
	}

	appliedSeq(tenant: string): number {
		return this.#shards.get(`${tenant}/0`)?.appliedSeq ?? 0
	}

	sample(tenant: string): ViewSample {
		const { epoch = 0, appliedSeq = 0, readSeq = 0 } = this.#shards.get(`${tenant}/0`) ?? {}
		const letters = this.#deadLetters.filter((letter) => letter.tenant === tenant)
		return {
			tenant,
			epoch,
			appliedSeq,
			readSeq,
			exact: appliedSeq === readSeq && letters.length === 0,
			filling: false,
			final: false,
			rows: [...this.#rowsOf(tenant).values()],
			deadLetters: letters.flatMap(({ collection, id }) => (collection === null ? [] : [{ collection, id }])),
		}
	}

	/** Changes with every change of the tenant's part. */
	stateOf(tenant: string): string {
		const { epoch = 0, revision = 0 } = this.#shards.get(`${tenant}/0`) ?? {}
		return `${epoch}/${revision}`
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
			readSeq: 0,
		})
	}

	#readWatermark({ tenant, shard, epoch }: WakeUp): Watermark {
		const name = `${tenant}/${shard}`
		const found = this.#shards.get(name) ?? { tenant, shard, epoch, revision: 0, appliedSeq: 0, readSeq: 0 }
		this.#shards.set(name, found)
		const { revision, appliedSeq } = found
		return { tenant, shard, epoch: found.epoch, revision, appliedSeq }
	}

	#applyPages(moves: readonly Move[]): boolean[] {
		for (const { page } of moves) refuseWhatPostgresRefuses(page.upserts)
		return moves.map(({ watermark, page }) =>
			this.#move(watermark, page, () => {
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

	/** The fence: nothing happens when the watermark is no longer the one that was read. */
	#move(watermark: Watermark, page: Page, change: () => void): boolean {
		const name = `${watermark.tenant}/${watermark.shard}`
		const found = this.#shards.get(name)
		if (!found || found.epoch !== watermark.epoch || found.revision !== watermark.revision) return false
		change()
		this.#shards.set(name, { ...found, revision: found.revision + 1, appliedSeq: page.to, readSeq: page.head })
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

	#setAside({ tenant, shard }: Watermark, { collection, recordId: id }: PoisonEntry): void {
		const rows = this.#rowsOf(tenant)
		for (const [key, row] of rows) if (row.collection === collection && (id === null || row.id === id)) rows.delete(key)
		this.#deadLetters.push({ tenant, shard, collection, id })
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
