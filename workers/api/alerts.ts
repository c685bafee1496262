import { type Alert, type RuleName, ruleNames, rules, runbookOf, type Silence } from '../../core/alert.ts'
import type { Region } from '../../core/ids.ts'
import type { ProbeResult } from '../../core/monitor.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import type { CallerCall, OperatorCall } from './call.ts'
import { askMonitors, monitorOfId } from './monitors.ts'
import {
	alertList,
	alertParams,
	alert as alertSchema,
	silenceInput,
	silenceList,
	silenceParams,
} from './operating-schemas.ts'
import { reach } from './reach.ts'
import { timeOf } from './representation.ts'
import { readQuery, readShape } from './request.ts'
import { respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'

const tag = 'Operating (operator)'
const alertExample = {
	...{
		id: 'eu_01k9zq4m3c8t5w2x7v6y0r1n4p',
		region: 'eu',
		rule: 'database_unreachable',
		subject: null,
		severity: 'page',
	},
	...{ state: 'firing', summary: "The region's database does not answer the monitor." },
	...{ runbook: 'docs/runbooks/database-unreachable.md', acknowledged_by: null, silenced: false },
	...{ found_at: '2026-11-22T19:50:00.000Z', fired_at: '2026-11-22T19:51:00.000Z', resolved_at: null },
}
const silenceExample = {
	region: 'eu',
	rule: 'dead_letters',
	until: '2026-11-22T20:50:00.000Z',
	by: 'operator:operator',
}

export const alertRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/alerts',
			scope: 'read',
			tag,
			summary: 'What is wrong, and what was lately',
			description:
				'Open alerts, then resolved ones. `evaluated_at` is older than two minutes where no cron trigger fires. Evaluation does not need the database.',
			answers: {
				200: {
					description: 'The alerts of every region',
					schema: alertList,
					example: { alerts: [alertExample], silences: [silenceExample], monitors: [] },
				},
			},
			refusals: ['unknown_field'],
		},
		async (call) => {
			const asked = readQuery(call, [])
			if (!asked.ok) return asked
			const told = await askMonitors(call, 'state', (monitor) => monitor.state())
			if (!told.ok) return told
			const now = call.ports.clock()
			const alerts = told.value.flatMap(({ region, answer }) =>
				answer.alerts.map((one) => showAlert(region, one, answer.silences, now)),
			)
			const silences = told.value.flatMap(({ region, answer }) =>
				answer.silences.map((one) => showSilence(region, one)),
			)
			const monitors = told.value.map(({ region, answer: { evaluatedAt, probe } }) => ({
				region,
				evaluated_at: evaluatedAt === null ? null : timeOf(evaluatedAt),
				probe: probe && showProbe(probe),
			}))
			return respondJson(call, 200, JSON.stringify({ alerts, silences, monitors }))
		},
	),
	operatorRoute(
		{
			method: 'put',
			path: '/v1/alerts/{id}/acknowledgement',
			scope: 'admin',
			tag,
			summary: 'Take an alert on',
			description: 'The first to do so is named; doing it again changes nothing.',
			params: alertParams,
			answers: {
				200: {
					description: 'Taken on',
					schema: alertSchema,
					example: { ...alertExample, acknowledged_by: 'operator:operator' },
				},
			},
			refusals: ['not_found'],
		},
		async (call) => {
			const id = call.c.req.param('id') ?? ''
			const monitor = monitorOfId(call, id)
			if (!monitor.ok) return monitor
			const taken = await reach(call, 'monitor.acknowledge', () => monitor.value.acknowledge(id, nameOf(call)))
			if (!taken.ok) return taken
			if (!taken.value.ok) return taken.value
			const region = id.slice(0, id.indexOf('_')) as Region
			return respondJson(call, 200, JSON.stringify(showAlert(region, taken.value.value, [], call.ports.clock())))
		},
	),
	operatorRoute(
		{
			method: 'put',
			path: '/v1/silences/{rule}',
			scope: 'admin',
			tag,
			summary: 'Tell nobody of a rule for a while',
			description:
				'In every region. Alerts are still evaluated and shown; one that still fires at the end is told then. 0 minutes end a silence.',
			params: silenceParams,
			body: { media: 'application/json', schema: silenceInput, example: { minutes: 60 } },
			answers: { 200: { description: 'Silenced', schema: silenceList, example: { silences: [silenceExample] } } },
			refusals: ['invalid_json', 'not_found', 'payload_too_large', 'unsupported_media_type', 'validation_failed'],
		},
		async (call) => {
			const rule = readRule(call)
			if (!rule.ok) return rule
			const body = await readShape(call, silenceInput)
			if (!body.ok) return body
			const until = call.ports.clock() + body.value.value.minutes * 60_000
			const told = await askMonitors(call, 'silence', (monitor) => monitor.silence(rule.value, until, nameOf(call)))
			if (!told.ok) return told
			const silences = told.value.map(({ region, answer }) => showSilence(region, answer))
			return respondJson(call, 200, JSON.stringify({ silences }))
		},
	),
]

function readRule(call: OperatorCall): Outcome<RuleName> {
	const rule = ruleNames.find((one) => one === call.c.req.param('rule'))
	return rule ? accept(rule) : refuse('not_found', 'there is no such rule')
}

/** Who acts, as the log of alerts and incidents names them. */
export function nameOf({ caller }: CallerCall): string {
	return caller.kind === 'operator' ? `operator:${caller.name}` : `key:${caller.id}`
}

function showAlert(region: Region, alert: Alert, silences: readonly Silence[], now: number) {
	const { id, rule, subject, summary, state, foundAt, firedAt, resolvedAt, acknowledgedBy } = alert
	return {
		...{ id, region, rule, subject, severity: rules[rule].severity, state, summary, runbook: runbookOf(rule) },
		acknowledged_by: acknowledgedBy,
		silenced: silences.some((silence) => silence.rule === rule && silence.until > now),
		found_at: timeOf(foundAt),
		fired_at: firedAt === null ? null : timeOf(firedAt),
		resolved_at: resolvedAt === null ? null : timeOf(resolvedAt),
	}
}

function showSilence(region: Region, { rule, until, by }: Silence) {
	return { region, rule, until: timeOf(until), by }
}

function showProbe({ at, failed, writeMs, readMs, viewMs }: ProbeResult) {
	return { at: timeOf(at), failed, write_ms: writeMs, read_ms: readMs, view_ms: viewMs }
}
