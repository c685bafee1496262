import type { Idempotency } from '../../core/contract.ts'
import { type Incident, timelineOf } from '../../core/incident.ts'
import { alertsShownMax, incidentsShownMax } from '../../core/limits.ts'
import type { IncidentRecord, NewNote, Opening, Recorded } from '../../core/monitor.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { MonitorStore } from './store.ts'

/** The log of a cell's incidents. Expects one caller at a time; nothing in it waits. */
export class IncidentLog {
	readonly #store: MonitorStore

	constructor(store: MonitorStore) {
		this.#store = store
	}

	list(): Incident[] {
		return this.#store.incidents(incidentsShownMax)
	}

	read(id: string): Outcome<IncidentRecord> {
		const incident = this.#store.incident(id)
		return incident ? accept(this.#record(incident)) : unknownIncident()
	}

	open({ id, title, text, by }: Opening, idempotency: Idempotency | null, now: number): Recorded {
		return this.#once(idempotency, now, () => {
			const notes = [{ at: now, by, status: 'investigating' as const, text }]
			return accept({ id, title, status: 'investigating', openedAt: now, resolvedAt: null, notes })
		})
	}

	note(id: string, note: NewNote, idempotency: Idempotency | null, now: number): Recorded {
		return this.#once(idempotency, now, () => {
			const present = this.#store.incident(id)
			if (!present) return unknownIncident()
			const resolvedAt = note.status === 'resolved' ? (present.resolvedAt ?? now) : null
			return accept({ ...present, status: note.status, resolvedAt, notes: [...present.notes, { ...note, at: now }] })
		})
	}

	/** Saves what `work` makes of an incident; a retry with the same key gets the first answer and changes nothing (I1). */
	#once(idempotency: Idempotency | null, now: number, work: () => Outcome<Incident>): Recorded {
		const earlier = idempotency && this.#store.answer(idempotency.key)
		if (earlier) {
			if (earlier.fingerprint === idempotency.fingerprint) return { ...accept(earlier.record), replayed: true }
			const errors = [{ pointer: 'Idempotency-Key', detail: 'came with another request' }]
			return { ...refuse('idempotency_mismatch', 'this idempotency key is taken', { errors }), replayed: false }
		}
		const made = work()
		if (!made.ok) return { ...made, replayed: false }
		return this.#store.transaction(() => {
			this.#store.saveIncident(made.value)
			const record = this.#record(made.value)
			if (idempotency) this.#store.saveAnswer(idempotency, record, now)
			return { ...accept(record), replayed: false }
		})
	}

	#record(incident: Incident): IncidentRecord {
		const alerts = [...this.#store.openAlerts(), ...this.#store.pastAlerts(alertsShownMax)]
		return { incident, timeline: timelineOf(incident, alerts) }
	}
}

function unknownIncident(): Outcome<never> {
	return refuse('not_found', 'there is no such incident')
}
