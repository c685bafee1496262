import { z } from 'zod'
import type { Alert } from './alert.ts'

/** The log of an incident: opened by a person, told in notes, closed by a note. */

export const incidentStatuses = ['investigating', 'identified', 'monitoring', 'resolved'] as const
export type IncidentStatus = (typeof incidentStatuses)[number]

export const incidentShape = z.object({
	/** `<region>_<26 characters>`. */
	id: z.string(),
	/** What everybody may read: no tenant's name or data. */
	title: z.string(),
	status: z.enum(incidentStatuses),
	openedAt: z.number(),
	resolvedAt: z.number().nullable(),
	notes: z.array(
		z.object({
			at: z.number(),
			by: z.string(),
			status: z.enum(incidentStatuses),
			text: z.string(),
		}),
	),
})
export type Incident = z.infer<typeof incidentShape>

/** What the timeline of an incident is made of: its notes, and the alerts that fired while it was open. */
export interface TimelineEntry {
	at: number
	text: string
}

/** How long before an incident was opened an alert still belongs to it: somebody had to read it first. */
const beforeMs = 60 * 60_000

export function timelineOf(incident: Incident, alerts: readonly Alert[]): TimelineEntry[] {
	const from = incident.openedAt - beforeMs
	const to = incident.resolvedAt ?? Number.POSITIVE_INFINITY
	const entries: TimelineEntry[] = [
		...incident.notes.map(({ at, by, status, text }) => ({ at, text: `${by} (${status}): ${text}` })),
	]
	for (const { rule, subject, summary, firedAt, resolvedAt } of alerts) {
		const name = subject === null ? rule : `${rule} (${subject})`
		if (firedAt === null || firedAt < from || firedAt > to) continue
		entries.push({ at: firedAt, text: `alert ${name} fires: ${summary}` })
		if (resolvedAt !== null) entries.push({ at: resolvedAt, text: `alert ${name} is resolved` })
	}
	return entries.sort((a, b) => a.at - b.at)
}

/** The draft of a postmortem: what the record knows is filled in, the rest is asked for. */
export function postmortemOf(incident: Incident, timeline: readonly TimelineEntry[]): string {
	const time = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
	const first = timeline[0]?.at ?? incident.openedAt
	const minutes = (ms: number) => `${Math.max(0, Math.round(ms / 60_000))} min`
	const end = incident.resolvedAt
	return `# Postmortem: ${incident.title}

| | |
| --- | --- |
| Incident | ${incident.id} |
| Began | ${time(first)} UTC |
| Noticed | ${time(incident.openedAt)} UTC, after ${minutes(incident.openedAt - first)} |
| Resolved | ${end === null ? 'not yet' : `${time(end)} UTC, after ${minutes(end - first)}`} |

## Summary

_Two sentences for somebody who was not there._

## Impact

_Which tenants, which requests, how many; how much of which error budget (\`GET /v1/slo\`). Were acknowledged writes lost? (They must not be.)_

## Timeline (UTC)

${timeline.map(({ at, text }) => `- ${time(at)} ${text}`).join('\n')}

## Causes

_Why did it happen, and why was that possible? Systems and decisions, not people._

## What went well, what went badly, where we were lucky

## Actions

| what | prevents, finds or shortens | who | until |
| --- | --- | --- | --- |
`
}

/** An incident with its timeline, as it is kept for retries. */
export const recordShape = z.object({
	incident: incidentShape,
	timeline: z.array(z.object({ at: z.number(), text: z.string() })),
})
