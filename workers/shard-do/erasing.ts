import type { Announcement } from '../../core/contract.ts'
import type { Control } from '../../core/control.ts'
import type { ErasureOrder, ShardRemains } from '../../core/erasure.ts'
import { announceAgainMs, announceAgainMsMax } from '../../core/limits.ts'
import type { Sql } from '../../db/shard/sql.ts'
import type { Catalog } from './catalog.ts'
import type { Duty, Moment } from './duty.ts'
import {
	bury,
	type ErasureRow,
	forgetErasure,
	readErasure,
	readTombstone,
	remainsOf,
	setHorizon,
	writeErasure,
} from './erasure.ts'
import { readTenant } from './tenant.ts'

export interface ErasingPorts {
	sql: Sql
	catalog: Catalog
	clock(): number
	arm(atMs: number): void
	announce(message: Announcement): Promise<void>
	deleteAll(): Promise<void>
}

/**
 * A shard's part in the erasure of its tenant. The control object decides; this brings the shard in line with it and calls
 * the consumer, again and again, until it has heard the end.
 */
export class Erasing implements Duty {
	readonly #ports: ErasingPorts
	readonly #reminder = new Reminder()
	/** The control object says that the tenant was erased, whatever the storage holds. */
	#erased = false

	constructor(ports: ErasingPorts) {
		this.#ports = ports
	}

	/** False when the control object gives the shard no right to answer. Afterwards its tables may be gone. */
	admit(control: Control | null, isProvisioned: boolean): boolean {
		const { sql, catalog, clock, arm } = this.#ports
		this.#erased = control?.state === 'erased'
		if (!isProvisioned) {
			if (readTombstone(sql)) arm(clock())
			return true
		}
		const consequence = consequenceOf(control, catalog.tenant().epoch, catalog.erasure(), clock())
		if (consequence.is === 'none') return true
		sql.transaction(() => this.#follow(consequence, control))
		return consequence.is !== 'refuse'
	}

	/** Does what was ordered if the control object agrees, and answers what is left here. */
	obey(order: ErasureOrder, control: Control | null, isProvisioned: boolean): ShardRemains {
		const { sql, clock, arm } = this.#ports
		const doomed = control?.state === 'erasing' || control?.state === 'erased'
		if (doomed && order.do === 'bury' && isProvisioned) this.#bury(control)
		if (doomed && order.do === 'rest' && readTombstone(sql)) {
			setHorizon(sql, order.horizon)
			arm(clock())
		}
		return remainsOf(sql)
	}

	/** Whether nothing is left here, or should be; storage is asked each time (S1). */
	isErased(): boolean {
		return this.#erased || readTombstone(this.#ports.sql) !== null
	}

	/** What is scheduled calls when it is due. */
	ring({ now, tenant: { id: tenant, shard, epoch } }: Moment): Announcement[] {
		const row = this.#ports.catalog.erasure()
		if (!row || !this.#reminder.ring(now, startOf(row)) || row.stage === 'asked') return []
		return [{ kind: 'erasure', tenant, shard, epoch }]
	}

	wants(): number | null {
		const row = this.#ports.catalog.erasure()
		return row && this.#reminder.nextAt(startOf(row))
	}

	/** The alarm of a shard that answers nothing any more: it has no other duty left. */
	async alarm(moment: Moment): Promise<void> {
		const messages = this.ring(moment)
		const next = this.wants()
		if (next !== null) this.#ports.arm(next)
		for (const message of messages) await this.#ports.announce(message)
	}

	/** The alarm of a shard that holds nothing but its tombstone: it asks for the end, and rests until the horizon. */
	async rest(now: number): Promise<void> {
		const { sql, arm, announce, deleteAll } = this.#ports
		const tombstone = readTombstone(sql)
		if (!tombstone) return
		const { tenant, shard, epoch, horizon } = tombstone
		if (horizon !== null) {
			if (now >= horizon) await deleteAll()
			else arm(horizon)
			return
		}
		const calls = this.#reminder.ring(now, 0)
		arm(this.#reminder.nextAt(0))
		if (calls) await announce({ kind: 'erasure', tenant, shard, epoch })
	}

	#follow(consequence: Exclude<Consequence, { is: 'none' }>, control: Control | null): void {
		const { sql, clock, catalog, arm } = this.#ports
		const now = clock()
		const { id = control?.erasure?.id ?? '', asked_at = now } = readErasure(sql) ?? {}
		switch (consequence.is) {
			case 'refuse':
				return
			case 'forget':
				forgetErasure(sql)
				catalog.change()
				return
			case 'adopt':
				sql.all('UPDATE tenant SET epoch = ?', consequence.epoch)
				catalog.change()
				return
			case 'schedule':
				writeErasure(sql, { id: consequence.id, stage: 'scheduled', asked_at, due_at: consequence.dueAt })
				catalog.change()
				break
			case 'fence':
				writeErasure(sql, { id, stage: 'fenced', asked_at, due_at: now })
				sql.all('DELETE FROM api_key')
				catalog.change()
				break
			case 'bury':
				this.#bury(control)
				return
		}
		this.#reminder.reset()
		arm(now)
	}

	#bury(control: Control | null): void {
		const { sql, clock, arm } = this.#ports
		const { id: tenant, shard, epoch } = readTenant(sql)
		bury(sql, { tenant, shard, epoch: control?.epoch ?? epoch })
		const horizon = control?.erasure?.horizon
		if (horizon !== undefined) setHorizon(sql, horizon)
		this.#reminder.reset()
		arm(clock())
	}
}

function startOf({ stage, asked_at, due_at }: ErasureRow): number {
	return stage === 'asked' ? asked_at : due_at
}

/** What the shard has to do so that it agrees with its control object. */
type Consequence =
	| { is: 'none' }
	/** No right to answer: nobody registered the tenant, or it has been restored elsewhere under a newer epoch. */
	| { is: 'refuse' }
	| { is: 'schedule'; id: string; dueAt: number }
	| { is: 'forget' }
	/** The view reads the shard anew, under this epoch. */
	| { is: 'adopt'; epoch: number }
	| { is: 'fence' }
	| { is: 'bury' }

/** A request whose control object never came is given up after this. */
const askedMsMax = 600_000

/** Decides from the control object, which is right, what becomes of an erasure here, where everything is only a hint. */
function consequenceOf(control: Control | null, epoch: number, row: ErasureRow | null, now: number): Consequence {
	if (control === null) return { is: 'refuse' }
	if (control.state === 'erased') return { is: 'bury' }
	if (control.state === 'erasing') return row?.stage === 'fenced' ? { is: 'none' } : { is: 'fence' }
	// A fenced shard whose control object is active again would be a decision taken back, which nobody can.
	if (row?.stage === 'fenced') return { is: 'refuse' }
	if (control.epoch > epoch)
		return control.epoch === control.diverged ? { is: 'adopt', epoch: control.epoch } : { is: 'refuse' }
	if (control.erasure) {
		const { id, dueAt } = control.erasure
		const known = row?.stage === 'scheduled' && row.due_at === dueAt && row.id === id
		return known ? { is: 'none' } : { is: 'schedule', id, dueAt }
	}
	if (row === null) return { is: 'none' }
	const waits = row.stage === 'asked' && now < row.asked_at + askedMsMax
	return waits ? { is: 'none' } : { is: 'forget' }
}

/** Decides when the shard calls for the consumer to go on: again and again, with growing waits. */
class Reminder {
	#againAt = 0
	#waitMs = announceAgainMs

	/** True when it is time for a call that is due since `dueAt`. */
	ring(now: number, dueAt: number): boolean {
		if (now < this.nextAt(dueAt)) return false
		this.#againAt = now + this.#waitMs
		this.#waitMs = Math.min(this.#waitMs * 2, announceAgainMsMax)
		return true
	}

	nextAt(dueAt: number): number {
		return Math.max(dueAt, this.#againAt)
	}

	/** Something has moved: the waits begin anew. */
	reset(): void {
		this.#againAt = 0
		this.#waitMs = announceAgainMs
	}
}
