import { mintId, parseRegion, type Region } from '../../core/ids.ts'
import { type Incident, postmortemOf } from '../../core/incident.ts'
import type { IncidentRecord } from '../../core/monitor.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { nameOf } from './alerts.ts'
import type { OperatorCall } from './call.ts'
import { askMonitors, monitorOfId } from './monitors.ts'
import { alertParams, incident, incidentInput, incidentList, incidentNote, markdown } from './operating-schemas.ts'
import { reach } from './reach.ts'
import { timeOf } from './representation.ts'
import { readIdempotency, readQuery, readShape } from './request.ts'
import { respond, respondJson, respondReply } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'

const tag = 'Operating (operator)'
const summaryExample = {
	...{
		id: 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p',
		region: 'eu',
		title: 'The view of eu falls behind',
		status: 'investigating',
	},
	...{ opened_at: '2026-11-22T19:52:00.000Z', resolved_at: null },
}
const incidentExample = {
	...summaryExample,
	timeline: [
		{
			at: '2026-11-22T19:51:00.000Z',
			text: "alert database_unreachable fires: The region's database does not answer the monitor.",
		},
	],
}
const bodyRefusals = ['invalid_json', 'payload_too_large', 'unsupported_media_type', 'validation_failed'] as const

export const incidentRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/incidents',
			scope: 'read',
			tag,
			summary: 'List incidents, open ones first',
			answers: {
				200: {
					description: 'The incidents of every region',
					schema: incidentList,
					example: { incidents: [summaryExample] },
				},
			},
			refusals: ['unknown_field'],
		},
		async (call) => {
			const asked = readQuery(call, [])
			if (!asked.ok) return asked
			const told = await askMonitors(call, 'incidents', (monitor) => monitor.incidents())
			if (!told.ok) return told
			const incidents = told.value.flatMap(({ answer }) => answer.map(showIncident))
			incidents.sort((a, b) => Number(a.status === 'resolved') - Number(b.status === 'resolved'))
			return respondJson(call, 200, JSON.stringify({ incidents }))
		},
	),
	operatorRoute(
		{
			method: 'post',
			path: '/v1/incidents',
			scope: 'admin',
			tag,
			summary: 'Open an incident',
			description: 'The title is public, at `/status`: name no tenant. The text is the first note, for operators.',
			body: {
				media: 'application/json',
				schema: incidentInput,
				example: { region: 'eu', title: summaryExample.title, text: 'Neon is restarting.' },
			},
			answers: { 201: { description: 'Opened', schema: incident, example: incidentExample, headers: ['Location'] } },
			refusals: bodyRefusals,
			mutates: true,
		},
		async (call) => {
			const body = await readShape(call, incidentInput)
			if (!body.ok) return body
			const { region: regionText, title, text } = body.value.value
			const region = readRegion(call, regionText)
			if (!region.ok) return region
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const id = `${region.value}_${mintId(call.ports.clock(), call.ports.random)}`
			const opening = { id, title, text, by: nameOf(call) }
			const reply = await reach(call, 'monitor.incident', () =>
				call.ports.monitorOf(region.value).openIncident(opening, idempotency.value),
			)
			if (!reply.ok) return reply
			if (!reply.value.ok) return reply.value
			const location = `/v1/incidents/${reply.value.value.incident.id}`
			return respondRecorded(call, reply.value.value, reply.value.replayed, { Location: location })
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/incidents/{id}',
			scope: 'read',
			tag,
			summary: 'An incident with its timeline of notes and alerts',
			params: alertParams,
			answers: { 200: { description: 'The incident', schema: incident, example: incidentExample } },
			refusals: ['not_found'],
		},
		async (call) => {
			const record = await readIncident(call)
			return record.ok ? respondJson(call, 200, recordText(record.value)) : record
		},
	),
	operatorRoute(
		{
			method: 'post',
			path: '/v1/incidents/{id}/notes',
			scope: 'admin',
			tag,
			summary: 'Add a note, and move an incident on',
			params: alertParams,
			body: {
				media: 'application/json',
				schema: incidentNote,
				example: { status: 'resolved', text: 'The database answers again.' },
			},
			answers: { 201: { description: 'Added', schema: incident, example: incidentExample } },
			refusals: ['not_found', ...bodyRefusals],
			mutates: true,
		},
		async (call) => {
			const body = await readShape(call, incidentNote)
			if (!body.ok) return body
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const id = call.c.req.param('id') ?? ''
			const monitor = monitorOfId(call, id)
			if (!monitor.ok) return monitor
			const note = { ...body.value.value, by: nameOf(call) }
			const reply = await reach(call, 'monitor.incident', () => monitor.value.noteIncident(id, note, idempotency.value))
			if (!reply.ok) return reply
			return reply.value.ok ? respondRecorded(call, reply.value.value, reply.value.replayed) : reply.value
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/incidents/{id}/postmortem',
			scope: 'read',
			tag,
			summary: 'The draft of a postmortem',
			params: alertParams,
			answers: {
				200: {
					description: 'What the record knows, and the questions that it cannot answer',
					media: 'text/markdown',
					schema: markdown,
					example: '# Postmortem: …\n',
				},
			},
			refusals: ['not_found'],
		},
		async (call) => {
			const record = await readIncident(call)
			if (!record.ok) return record
			const text = postmortemOf(record.value.incident, record.value.timeline)
			return respond(call, 200, text, { 'Content-Type': 'text/markdown; charset=utf-8' })
		},
	),
]

async function readIncident(call: OperatorCall): Promise<Outcome<IncidentRecord>> {
	const id = call.c.req.param('id') ?? ''
	const monitor = monitorOfId(call, id)
	if (!monitor.ok) return monitor
	const read = await reach(call, 'monitor.incident', () => monitor.value.incident(id))
	return read.ok ? read.value : read
}

function respondRecorded(call: OperatorCall, record: IncidentRecord, replayed: boolean, headers = {}): Response {
	return respondReply(call, { replayed, rate: null }, 201, recordText(record), headers)
}

function readRegion(call: OperatorCall, text: string | undefined): Outcome<Region> {
	const { regions } = call.ports.config
	const region = text === undefined ? regions[0] : parseRegion(text)
	if (region !== null && regions.includes(region)) return accept(region)
	const errors = [{ pointer: '/region', detail: `must be one of ${regions.join(', ')}` }]
	return refuse('validation_failed', 'the input violates its schema', { errors })
}

function showIncident({ id, title, status, openedAt, resolvedAt }: Incident) {
	const region = id.slice(0, id.indexOf('_'))
	return {
		id,
		region,
		title,
		status,
		opened_at: timeOf(openedAt),
		resolved_at: resolvedAt === null ? null : timeOf(resolvedAt),
	}
}

function recordText({ incident: shown, timeline }: IncidentRecord): string {
	return JSON.stringify({
		...showIncident(shown),
		timeline: timeline.map(({ at, text }) => ({ at: timeOf(at), text })),
	})
}
