import { type Incident, timelineOf } from '../../core/incident.ts'
import { alertsShownMax, incidentsShownMax } from '../../core/limits.ts'
import type { IncidentRecord, Monitor, NewNote } from '../../core/monitor.ts'
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
		return incident ? accept(this.#record(incident)) : refuse('not_found', 'there is no such incident')
	}

	open({ id, title, note }: Parameters<Monitor['openIncident']>[0], now: number): IncidentRecord {
		const present = this.#store.incident(id)
		if (present) return this.#record(present)
		const notes = [{ ...note, at: now, status: 'investigating' as const }]
		const incident: Incident = { id, title, status: 'investigating', openedAt: now, resolvedAt: null, notes }
		this.#store.saveIncident(incident)
		return this.#record(incident)
	}

	note(id: string, note: NewNote, now: number): Outcome<IncidentRecord> {
		const present = this.#store.incident(id)
		if (!present) return refuse('not_found', 'there is no such incident')
		if (note.key !== null && present.notes.some(({ key }) => key === note.key)) return accept(this.#record(present))
		const resolvedAt = note.status === 'resolved' ? (present.resolvedAt ?? now) : null
		const incident = { ...present, status: note.status, resolvedAt, notes: [...present.notes, { ...note, at: now }] }
		this.#store.saveIncident(incident)
		return accept(this.#record(incident))
	}

	#record(incident: Incident): IncidentRecord {
		const alerts = [...this.#store.openAlerts(), ...this.#store.pastAlerts(alertsShownMax)]
		return { incident, timeline: timelineOf(incident, alerts) }
	}
}
