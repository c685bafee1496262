import type { Checksum } from '../../core/contract.ts'
import {
	announceIntervalMs,
	journalKeptMs,
	journalSegmentEntriesMax,
	journalSegmentMs,
	keyedRowsMax,
} from '../../core/limits.ts'
import { accept } from '../../core/refusal.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import { runningChange } from './definition.ts'
import type { Idempotencies } from './idempotency.ts'
import type { Journal } from './journal.ts'
import { isRotating, type KeyOrder, keyOrder, stepRotation } from './key-rotation.ts'
import { stepResealing } from './resealing.ts'
import { viewedRecords } from './restricted.ts'
import { Retention } from './retention.ts'
import { failChange, stepChange } from './schema-change.ts'
import { keyedByPerson } from './sealing.ts'
import { KeyDestroyed, PagesAbsent } from './subject-keys.ts'
import { stepDigest } from './summing.ts'
import { readCheckpoint } from './totals.ts'
import { KeyAbsent } from './vault.ts'
import { attempt, seal, type Work } from './work.ts'

/** Records that one ring checks of a running change of schema; about 50 ms. */
const changeStepRecords = 10_000

/** Between two tries of a step that found no key, or an export at work. */
const stepRetryMs = 30_000

/** Between two steps of a rotation, each of which takes about as long: half of the object's time stays the tenant's. */
const rotationGapMs = 100

/** Entries after which the totals are saved even though the view has acknowledged nothing; bounds the work of a cold start. */
const checkpointEntries = 10_000

/**
 * What the shard does for itself whenever its alarm or timer rings: it goes on with a change of schema and with digests that
 * are computed anew, deletes records whose time is over, saves a checkpoint, and drops what is old enough. It knows how far the view has come, because nothing
 * goes before the view has it.
 */
export class Upkeep {
	readonly #sql: Sql
	readonly #catalog: Catalog
	readonly #idempotencies: Idempotencies
	#acknowledged = 0
	/** What the last checkpoint in storage says. */
	#saved = { seq: 0, acknowledged: 0 }
	/** When rows may have to go next, in milliseconds; a new instance looks at once. */
	#maintenanceAt = 0
	/** When it rang last, in milliseconds, and the journal's head then. */
	#rung = { at: Number.NEGATIVE_INFINITY, head: 0 }
	/** The position at which the journal's segment is looked at; a new instance looks at once. */
	#segmentLookAt = 0
	/** Whether a segment is overdue that the view had not applied. */
	#dropWaits = false
	/** Whether a change of schema may be running; true until a ring has found none. */
	#changing = true
	/** Whether records may have to be encrypted; true until a ring has found none. */
	#resealing = true
	/** Whether a rotation of the tenant's key is running; null until the first ring has looked. */
	#rotating: boolean | null = null
	#keyOrder: KeyOrder | null = null
	/** When the rotation is looked at next, in milliseconds: what it waits for must not be held up by that. */
	#rotateAt = 0
	/** When a step that could not be done is tried again, in milliseconds. */
	#stepAt = 0
	/** What it lacked. */
	#absent: PagesAbsent | null = null
	readonly #retention = new Retention()
	/** Whether digests have become whole that no checkpoint holds. */
	#digested = false

	constructor(sql: Sql, catalog: Catalog, idempotencies: Idempotencies) {
		this.#sql = sql
		this.#catalog = catalog
		this.#idempotencies = idempotencies
	}

	/** Reads what storage knows; once provisioned, and again after that was rolled back. */
	load(): void {
		this.#saved = readCheckpoint(this.#sql)
		this.#acknowledged = this.#saved.acknowledged
	}

	/** The last position that the view has said to have. */
	get acknowledged(): number {
		return this.#acknowledged
	}

	acknowledge(applied: number): void {
		this.#acknowledged = Math.max(this.#acknowledged, applied)
	}

	/** A change of schema may have begun. */
	schemaChanged(): void {
		this.#changing = true
		this.#resealing = true
		this.#retention.changed()
	}

	/** A rotation of the tenant's key may have come further. */
	rotationChanged(): void {
		this.#rotating = true
		this.#rotateAt = 0
	}

	get isRotating(): boolean {
		return this.#rotating ?? false
	}

	/**
	 * One step of a rotation, if it is time, and what the control object has to do for it; null for nothing. It comes behind
	 * everything else, so that a record that does not open holds up nothing but this.
	 */
	rotate(work: Work): KeyOrder | null {
		if (work.now < this.#rotateAt) return this.#keyOrder
		const step = this.#stepRotation(work)
		this.#rotating = step !== 'ends'
		this.#keyOrder = keyOrder(this.#sql)
		this.#rotateAt = work.now + (step === 'waits' ? stepRetryMs : rotationGapMs)
		return this.#keyOrder
	}

	/** Records may go now that could not before. */
	retentionChanged(): void {
		this.#retention.changed()
	}

	/** Keys that a step lacked; told once, and the next ring tries the step again. */
	takeAbsent(): PagesAbsent | null {
		const absent = this.#absent
		this.#absent = null
		if (absent) {
			this.#stepAt = 0
			this.#rotateAt = 0
		}
		return absent
	}

	/** What the view should come to at the head; null while nobody can say. */
	checksum({ totals }: Journal): Checksum | null {
		// The view has none of what is restricted.
		if (this.#catalog.tenant().status === 'restricted') return { count: 0, digest: '0' }
		const { records, digest } = totals.sum()
		// While a change of schema runs, the view already lacks what the new schema calls personal.
		if (digest === null || (this.#changing && runningChange(this.#sql))) return null
		return { count: viewedRecords(this.#catalog, records), digest: digest.toString() }
	}

	/** One ring's worth of work; answers when there will be more, in milliseconds, or infinity for never. */
	ring(work: Work): number {
		const { journal, now } = work
		const { totals } = journal
		if (now >= this.#stepAt) this.#stepsWithKeys(work)
		const expiryAt = this.#retention.ring(work)
		journal.commit()
		if (totals.unsummed()) this.#digested = stepDigest(this.#sql, this.#catalog, totals)
		const last = journal.head
		const busy = last !== this.#rung.head && now - this.#rung.at <= 2 * announceIntervalMs
		this.#rung = { at: now, head: last }
		this.#checkpoint(journal, busy)
		if (this.#idempotencies.takeNews() || now >= this.#maintenanceAt || last >= this.#segmentLookAt) {
			const dates = [this.#idempotencies.expire(now), this.#closeSegment(journal, now), this.#dropSegment(journal, now)]
			this.#maintenanceAt = Math.min(...dates.map((date) => date ?? Number.POSITIVE_INFINITY))
		}
		const steps = this.#changing || this.#resealing ? Math.max(now + 1, this.#stepAt) : Number.POSITIVE_INFINITY
		this.#rotating ??= isRotating(this.#sql)
		const rotateAt = this.#rotating ? Math.max(now + rotationGapMs, this.#rotateAt) : Number.POSITIVE_INFINITY
		const sums = totals.unsummed() !== null ? now + 1 : Number.POSITIVE_INFINITY
		return Math.min(this.#maintenanceAt, expiryAt, steps, rotateAt, sums)
	}

	/** One step each of what may need a key. Where it cannot be had, this waits, and everything else goes on. */
	#stepsWithKeys(work: Work): void {
		try {
			if (this.#changing) {
				this.#changing = this.#sql.transaction(() => stepsOn(work))
				// The step may have put a schema in force.
				this.#retention.changed()
			}
			// An export reads the records of before as its schema says that they rest.
			if (this.#resealing && work.catalog.snapshot()) this.#stepAt = work.now + stepRetryMs
			else if (this.#resealing) this.#resealing = this.#sql.transaction(() => resealsOn(work))
		} catch (error) {
			if (!this.#lacksKey(error)) throw error
			this.#stepAt = work.now + stepRetryMs
		}
	}

	/** A step writes no entries of the journal: those come with what the control object says. */
	#stepRotation(work: Work): ReturnType<typeof stepRotation> {
		try {
			return work.sql.transaction(() => stepRotation(work))
		} catch (error) {
			if (this.#lacksKey(error)) return 'waits'
			throw error
		}
	}

	#lacksKey(error: unknown): boolean {
		if (error instanceof PagesAbsent) this.#absent = error
		return error instanceof PagesAbsent || error instanceof KeyAbsent || error instanceof KeyDestroyed
	}

	/** While writes go on, a checkpoint a second would be one more row to pay; it waits for a ring after the last of them. */
	#checkpoint({ head: last, totals }: Journal, busy: boolean): void {
		const settled = !busy && this.#acknowledged === last && this.#saved.acknowledged < last
		if (!settled && !this.#digested && last - this.#saved.seq < checkpointEntries) return
		totals.save(this.#sql, last, this.#acknowledged)
		this.#saves(last)
	}

	#saves(seq: number): void {
		this.#digested = false
		this.#saved = { seq, acknowledged: this.#acknowledged }
		if (this.#dropWaits) this.#maintenanceAt = 0
	}

	/** Begins a new segment of the journal when this one is full or old, and answers when it will be old, in milliseconds. */
	#closeSegment({ head, segments, totals }: Journal, now: number): number | null {
		const current = segments.current()
		// How old a segment is shows once it has an entry.
		this.#segmentLookAt = current ? current.first + journalSegmentEntriesMax - 1 : head + 1
		if (!current) return null
		if (head < this.#segmentLookAt && now < current.since + journalSegmentMs) return current.since + journalSegmentMs
		this.#sql.transaction(() => {
			// A cold start reads the entries since the checkpoint, and looks for them in the new segment only.
			totals.save(this.#sql, head, this.#acknowledged)
			segments.close()
		})
		this.#saves(head)
		this.#segmentLookAt = head + 1
		return null
	}

	/** Drops the oldest segment if its time is over and the view has it (J2), and answers when there will be more to do. */
	#dropSegment({ segments }: Journal, now: number): number | null {
		const { oldest } = segments
		const overdue = oldest !== null && oldest.lastAt + journalKeptMs <= now
		this.#dropWaits = overdue && oldest.last > Math.min(this.#saved.acknowledged, this.#saved.seq)
		if (!oldest || this.#dropWaits) return null
		if (!overdue) return oldest.lastAt + journalKeptMs
		this.#sql.transaction(() => segments.drop(oldest))
		return now + 1
	}
}

/** Whether a change of schema goes on after this step. */
function stepsOn(work: Work): boolean {
	const running = runningChange(work.sql)
	if (!running) return false
	const records = keyedByPerson(running.schema) ? keyedRowsMax : changeStepRecords
	const outcome = attempt(work, () => {
		const stepped = stepChange(work, running.name, records)
		if (stepped.ok) seal(work)
		return stepped
	})
	if (!outcome.ok) failChange(work, running, outcome.refusal.errors ?? [])
	return outcome.ok && !outcome.value.done
}

/** Whether there is more to encrypt after this step. */
function resealsOn(work: Work): boolean {
	const outcome = attempt(work, () => {
		const more = stepResealing(work)
		seal(work)
		return accept(more)
	})
	return outcome.ok && outcome.value
}
