/** A cell's monitor as the rest of the system sees it. It keeps its own state, so that it works while the database does not. */
import type { Alert, RuleName, Silence } from './alert.ts'
import type { Idempotency } from './contract.ts'
import type { Incident, IncidentStatus, TimelineEntry } from './incident.ts'
import type { Outcome } from './refusal.ts'
import type { SloStatus } from './slo.ts'

/** What the last evaluation came to; null before the first. */
export interface MonitorState {
	evaluatedAt: number | null
	/** Pending and firing ones, then those that were resolved lately. */
	alerts: Alert[]
	silences: Silence[]
	probe: ProbeResult | null
}

/** One run of the probe, from outside. */
export interface ProbeResult {
	at: number
	/** The step that did not succeed; null when all did. */
	failed: 'tenant' | 'write' | 'read' | 'view' | null
	/** Milliseconds that each step took, null for those that were not reached. */
	writeMs: number | null
	readMs: number | null
	/** From the write's answer until the view had it. */
	viewMs: number | null
}

/** One objective over one calendar month, in UTC. */
export interface SloMonth {
	name: string
	target: number
	good: number
	total: number
}

export interface Monitor {
	/** One evaluation; the cron trigger calls it every minute. @param at milliseconds since 1970 */
	tick(at: number): Promise<void>
	state(): Promise<MonitorState>
	slos(at: number): Promise<SloStatus[]>
	/** @param from and `to` are milliseconds since 1970 */
	month(from: number, to: number): Promise<SloMonth[]>
	/** Takes an alert on; doing it again changes nothing. */
	acknowledge(alert: string, by: string): Promise<Outcome<Alert>>
	/** Nobody is told of this rule's alerts until then; a time that has passed ends a silence. */
	silence(rule: RuleName, until: number, by: string): Promise<Silence>
	/** Those that are open, then those that were resolved last. */
	incidents(): Promise<Incident[]>
	incident(id: string): Promise<Outcome<IncidentRecord>>
	openIncident(opening: Opening, idempotency: Idempotency | null): Promise<Recorded>
	/** Adds a note, which may move the incident on, also back from `resolved`. */
	noteIncident(id: string, note: NewNote, idempotency: Idempotency | null): Promise<Recorded>
}

/** `id` is a new one of the region; `text` becomes the first note. */
export interface Opening {
	id: string
	title: string
	text: string
	by: string
}

export interface NewNote {
	status: IncidentStatus
	text: string
	by: string
}

/** What a call made of an incident, or what the first call of the same idempotency key made of it. */
export type Recorded = Outcome<IncidentRecord> & { replayed: boolean }

export interface IncidentRecord {
	incident: Incident
	timeline: TimelineEntry[]
}
