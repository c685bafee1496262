import { accept } from '../../core/refusal.ts'
import type { Sql } from '../../db/shard/sql.ts'
import { dropAnswersAbout } from './idempotency.ts'
import { removeRecord } from './records.ts'
import { unrestricted } from './restricted.ts'
import { attempt, seal, type Work } from './work.ts'

/** Records that one ring deletes; a few dozen milliseconds, during which the tenant waits. */
const stepRecords = 1_000
const dayMs = 86_400_000

/**
 * Deletes records that are older than their collection's `x-retention-days`, as their owner would: each by an entry of its
 * own, which the view, webhooks and digests follow. When the next one is due is kept in memory, so that a ring before then
 * asks nothing of storage.
 */
export class Retention {
	/** In milliseconds; a new instance looks at once. */
	#dueAt = 0

	/** A schema may ask for another time now, or what was kept is free to go. */
	changed(): void {
		this.#dueAt = 0
	}

	/**
	 * One step, if it is due; answers when the next one is, in milliseconds, or infinity for never. Nothing goes from a tenant under a legal
	 * hold or one that is restricted (Art. 17(3), 18(2) GDPR).
	 */
	ring(work: Work): number {
		const { held_at: heldAt, status } = work.catalog.tenant()
		if (heldAt !== null || status === 'restricted') return Number.POSITIVE_INFINITY
		if (work.now < this.#dueAt) return this.#dueAt
		const step = { ...work, actor: 'system:retention' }
		const outcome = attempt(step, () => {
			const dueAt = expireRecords(step)
			seal(step)
			return accept(dueAt)
		})
		if (!outcome.ok) throw new Error('deleting what is old was refused')
		this.#dueAt = outcome.value
		return this.#dueAt
	}
}

function expireRecords(work: Work): number {
	let left = stepRecords
	let dueAt = Number.POSITIVE_INFINITY
	for (const name of retainingCollections(work.sql)) {
		const definition = work.catalog.definition(name)
		const days = definition?.schema.retentionDays ?? null
		if (!definition || days === null) continue
		const keptMs = days * dayMs
		const free = unrestricted(definition.number, 'r.id')
		const old = work.sql.all<{ id: string }>(
			`SELECT id FROM ${definition.table} AS r WHERE created_at <= ? AND ${free} ORDER BY created_at, id LIMIT ?`,
			work.now - keptMs,
			left,
		)
		for (const { id } of old) removeRecord(work, definition, id)
		if (old.length > 0)
			dropAnswersAbout(
				work.sql,
				old.map(({ id }) => id),
			)
		left -= old.length
		if (left === 0) return work.now + 1
		const [oldest] = work.sql.all<{ at: number }>(
			`SELECT created_at AS at FROM ${definition.table} AS r WHERE ${free} ORDER BY created_at, id LIMIT 1`,
		)
		// A record that comes after this look is younger, so an empty collection has nothing due before then.
		dueAt = Math.min(dueAt, (oldest?.at ?? work.now) + keptMs)
	}
	return dueAt
}

/** Collections whose schema in force limits the age of records. */
function retainingCollections(sql: Sql): string[] {
	return sql
		.all<{ name: string }>(`SELECT name FROM collection WHERE json_extract(schema, '$."x-retention-days"') > 0`)
		.map(({ name }) => name)
}
