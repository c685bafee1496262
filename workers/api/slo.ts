import type { Region } from '../../core/ids.ts'
import type { SloMonth } from '../../core/monitor.ts'
import { accept, type Outcome } from '../../core/refusal.ts'
import type { Burn, SloStatus } from '../../core/slo.ts'
import type { OperatorCall } from './call.ts'
import { askMonitors } from './monitors.ts'
import { markdown, sloList, sloReport, sloReportQuery } from './operating-schemas.ts'
import { badParameter, readQuery } from './request.ts'
import { respond, respondJson } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'

const tag = 'Operating (operator)'
const monthExample = { region: 'eu', slo: 'availability', target: 0.999, good: 99_990, total: 100_000 }

export const sloRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'get',
			path: '/v1/slo',
			scope: 'read',
			tag,
			summary: 'How well each region keeps its objectives',
			description:
				'Attainment and error budget over the window, and how fast the budget burns over the windows that alerts look at: 1 would use it up exactly. `null` where nothing happened.',
			answers: {
				200: {
					description: 'The objectives of every region',
					schema: sloList,
					example: {
						slos: [
							{
								...{ region: 'eu', name: 'availability', target: 0.999, window_days: 30, good: 99_990, total: 100_000 },
								...{ attained: 0.9999, budget_left: 0.9 },
								burns: [
									{
										severity: 'page',
										factor: 14.4,
										long_minutes: 60,
										short_minutes: 5,
										long: 0.2,
										short: 0,
										burning: false,
									},
								],
							},
						],
					},
				},
			},
			refusals: ['unknown_field'],
		},
		async (call) => {
			const asked = readQuery(call, [])
			if (!asked.ok) return asked
			const told = await askMonitors(call, 'slo', (monitor) => monitor.slos(call.ports.clock()))
			if (!told.ok) return told
			const slos = told.value.flatMap(({ region, answer }) => answer.map((status) => showStatus(region, status)))
			return respondJson(call, 200, JSON.stringify({ slos }))
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/slo/report',
			scope: 'read',
			tag,
			summary: 'The objectives over a calendar month in UTC',
			query: sloReportQuery,
			answers: {
				200: {
					description: 'The report; Markdown for `Accept: text/markdown`',
					schema: sloReport,
					example: { month: '2026-11', slos: [{ ...monthExample, attained: 0.9999, met: true, budget_used: 0.1 }] },
					alternative: { media: 'text/markdown', schema: markdown, example: '# Service levels in 2026-11\n' },
				},
			},
			refusals: ['unknown_field'],
		},
		async (call) => {
			const month = readMonth(call)
			if (!month.ok) return month
			const { from, to, name } = month.value
			const told = await askMonitors(call, 'slo', (monitor) => monitor.month(from, to))
			if (!told.ok) return told
			const slos = told.value.flatMap(({ region, answer }) => answer.map((one) => showMonth(region, one)))
			if (!call.c.req.header('Accept')?.includes('text/markdown'))
				return respondJson(call, 200, JSON.stringify({ month: name, slos }))
			return respond(call, 200, reportText(name, slos), {
				'Content-Type': 'text/markdown; charset=utf-8',
				Vary: 'Accept',
			})
		},
	),
]

function showStatus(region: Region, { slo, events, attained, budgetLeft, burns }: SloStatus) {
	return {
		...{ region, name: slo.name, target: slo.target, window_days: slo.windowDays },
		...{ good: events.good, total: events.total, attained, budget_left: budgetLeft },
		burns: burns.map(showBurn),
	}
}

function showBurn({ severity, factor, longMinutes, shortMinutes, long, short, burning }: Burn) {
	return { severity, factor, long_minutes: longMinutes, short_minutes: shortMinutes, long, short, burning }
}

function showMonth(region: Region, { name, target, good, total }: SloMonth) {
	const attained = total === 0 ? null : good / total
	return {
		...{ region, slo: name, target, good, total, attained },
		met: attained === null ? null : attained >= target,
		budget_used: attained === null ? 0 : (1 - attained) / (1 - target),
	}
}

function reportText(month: string, slos: readonly ReturnType<typeof showMonth>[]): string {
	const percent = (share: number | null) => (share === null ? 'no events' : `${(share * 100).toFixed(3)} %`)
	const rows = slos.map(({ region, slo, target, total, attained, met, budget_used: used }) =>
		[
			region,
			slo,
			percent(target),
			percent(attained),
			met === null ? '' : met ? 'yes' : 'no',
			percent(used),
			total,
		].join(' | '),
	)
	return [
		`# Service levels in ${month}\n`,
		'| region | objective | target | attained | met | budget used | events |',
		'| --- | --- | --- | --- | --- | --- | --- |',
		...rows.map((row) => `| ${row} |`),
		'',
	].join('\n')
}

function readMonth(call: OperatorCall): Outcome<{ name: string; from: number; to: number }> {
	const asked = readQuery(call, ['month'])
	if (!asked.ok) return asked
	const name = asked.value.month ?? new Date(call.ports.clock()).toISOString().slice(0, 7)
	const [, year, month] = /^(20[0-9]{2})-(0[1-9]|1[0-2])$/.exec(name) ?? []
	if (year === undefined) return badParameter('month', 'must be a month such as 2026-11')
	const start = (months: number) => Date.UTC(Number(year), Number(month) - 1 + months, 1)
	return accept({ name, from: start(0), to: start(1) })
}
