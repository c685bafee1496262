import type { RuleName } from '../../core/alert.ts'
import type { Region } from '../../core/ids.ts'
import type { Incident } from '../../core/incident.ts'
import { statusKeptMs } from '../../core/limits.ts'
import type { MonitorState } from '../../core/monitor.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { Call } from './call.ts'
import { askMonitors } from './monitors.ts'
import { publicStatus } from './operating-schemas.ts'
import { timeOf } from './representation.ts'
import { respond, respondJson } from './respond.ts'
import { publicRoute, type Route } from './route.ts'
import { html } from './schemas.ts'

type State = 'operational' | 'degraded'

interface Status {
	status: State
	regions: { region: Region; api: State; view: State }[]
	incidents: { title: string; status: string; opened_at: string; resolved_at: string | null }[]
	as_of: string
}

const example: Status = {
	status: 'operational',
	regions: [{ region: 'eu' as Region, api: 'operational', view: 'operational' }],
	incidents: [],
	as_of: '2026-11-22T19:50:49.120Z',
}

/** Which part of a region an alert speaks of; what is absent here, the public does not feel. */
const partByRule: Partial<Record<RuleName, 'api' | 'view'>> = {
	slo_burn_fast: 'api',
	probe_failing: 'api',
	database_unreachable: 'view',
	shard_stalled: 'view',
}

export const statusRoutes: readonly Route[] = [
	publicRoute(
		{
			method: 'get',
			path: '/status',
			tag: 'About',
			summary: 'How the service is, for everybody',
			description: 'Up to ten seconds old. Names no tenant.',
			answers: {
				200: {
					description: 'JSON; HTML for `Accept: text/html`',
					schema: publicStatus,
					example,
					alternative: { media: 'text/html', schema: html, example: '<!doctype html>' },
				},
			},
			refusals: ['unavailable'],
		},
		async (call) => {
			const status = await readStatus(call)
			if (!status.ok) return status
			if (!call.c.req.header('Accept')?.includes('text/html'))
				return respondJson(call, 200, JSON.stringify(status.value), { Vary: 'Accept' })
			const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
			const headers = { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': policy, Vary: 'Accept' }
			return respond(call, 200, page(status.value), headers)
		},
	),
]

const kept = new WeakMap<Call['ports'], { status: Status; until: number }>()

async function readStatus(call: Call): Promise<Outcome<Status>> {
	const now = call.ports.clock()
	const present = kept.get(call.ports)
	if (present && present.until > now) return accept(present.status)
	const told = await askMonitors(call, 'state', async (monitor) => ({
		state: await monitor.state(),
		incidents: await monitor.incidents(),
	}))
	if (!told.ok) return told
	const regions = told.value.map(({ region, answer }) => ({ region, ...partsOf(answer.state) }))
	const incidents = told.value.flatMap(({ answer }) => answer.incidents.map(showPublic))
	const well = regions.every(({ api, view }) => api === 'operational' && view === 'operational')
	const status: Status = { status: well ? 'operational' : 'degraded', regions, incidents, as_of: timeOf(now) }
	kept.set(call.ports, { status, until: now + statusKeptMs })
	return accept(status)
}

function partsOf({ alerts }: MonitorState): Record<'api' | 'view', State> {
	const firing = alerts.filter(({ state }) => state === 'firing').map(({ rule }) => partByRule[rule])
	return {
		api: firing.includes('api') ? 'degraded' : 'operational',
		view: firing.includes('view') ? 'degraded' : 'operational',
	}
}

function showPublic({ title, status, openedAt, resolvedAt }: Incident) {
	return { title, status, opened_at: timeOf(openedAt), resolved_at: resolvedAt === null ? null : timeOf(resolvedAt) }
}

function page({ status, regions, incidents, as_of: asOf }: Status): string {
	const rows = regions.map(
		({ region, api, view }) => `<tr><th scope="row">${region}</th><td>${api}</td><td>${view}</td></tr>`,
	)
	const items = incidents.map(
		(one) => `<li><strong>${escaped(one.title)}</strong>: ${one.status}, since <time>${one.opened_at}</time></li>`,
	)
	return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Status: ${status}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}td,th{padding:.25rem 1rem .25rem 0;text-align:left}</style>
</head>
<body>
<h1>Status: ${status}</h1>
<table><thead><tr><th scope="col">region</th><th scope="col">API</th><th scope="col">view</th></tr></thead><tbody>${rows.join('')}</tbody></table>
<h2>Incidents</h2>
${items.length === 0 ? '<p>None.</p>' : `<ul>${items.join('')}</ul>`}
<p>As of <time>${asOf}</time>.</p>
</body>
</html>
`
}

function escaped(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
