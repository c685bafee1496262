import { useState } from 'preact/hooks'
import { ask } from '../api.ts'
import { count, milliseconds, percent } from '../format.ts'
import { Act } from '../parts/act-button.tsx'
import { Time } from '../parts/marks.tsx'
import { Page } from '../parts/page.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { isAdmin } from '../session.ts'
import { type Alert, alert, alertList, silenceList, sloList, traffic } from '../shapes.ts'
import { say } from '../toast.ts'
import { AlertTable, ProbeTable } from './service-alerts.tsx'
import { IncidentsPanel } from './service-incidents.tsx'
import { SloTable } from './service-slos.tsx'

/** What was promised, how it is kept, and what to do when it is not. */
export function ServicePage() {
	const slos = useCall(sloList, '/v1/slo', 30_000)
	const alerts = useCall(alertList, '/v1/alerts', 5_000)
	const [grain, setGrain] = useState('hour')
	const routes = useCall(traffic, `/v1/traffic?grain=${grain}&limit=24`, 30_000)
	const take = async ({ id }: Alert) => {
		await ask(alert, `/v1/alerts/${id}/acknowledgement`, { method: 'PUT' })
		say('The alert is yours.')
		alerts.reload()
	}
	const silence = async (rule: string, minutes: number) => {
		await ask(silenceList, `/v1/silences/${rule}`, { method: 'PUT', body: { minutes } })
		say(minutes === 0 ? 'The rule speaks again.' : `Nobody is told of this rule for ${minutes} minutes.`)
		alerts.reload()
	}
	const actions = (one: Alert) =>
		one.state !== 'resolved' && (
			<span class="actions">
				{one.acknowledged_by === null && (
					<Act verb="Take" label={`Take ${one.rule} in ${one.region}`} act={() => take(one)} />
				)}
				{!one.silenced && (
					<Act verb="Silence 1 h" label={`Silence 1 h: ${one.rule}`} act={() => silence(one.rule, 60)} />
				)}
			</span>
		)
	return (
		<Page title="Service levels">
			<div class="panels">
				<Panel title="Objectives and error budgets" of={slos} wide>
					{(now) => <SloTable slos={now.slos} />}
				</Panel>
				<Panel title="Alerts, open and lately resolved" of={alerts} wide>
					{(now) => <AlertTable list={now.alerts} {...(isAdmin.value && { actions })} />}
				</Panel>
				<Panel title="Silences" of={alerts} half>
					{(now) => (
						<Table
							caption="Silences"
							rows={now.silences.filter(({ until }) => Date.parse(until) > Date.now())}
							keyOf={({ region, rule }) => `${region} ${rule}`}
							empty="No rule is silenced."
							columns={[
								{ name: 'rule', show: ({ rule }) => rule },
								{ name: 'region', show: ({ region }) => region },
								{ name: 'until', show: ({ until }) => <Time at={until} /> },
								{ name: 'by', show: ({ by }) => by },
								...(isAdmin.value
									? [
											{
												name: 'actions',
												show: ({ rule, region }: { rule: string; region: string }) => (
													<Act verb="End" label={`End: ${rule} in ${region}`} act={() => silence(rule, 0)} />
												),
											},
										]
									: []),
							]}
						/>
					)}
				</Panel>
				<Panel title="Probe" of={alerts} half>
					{({ monitors }) => <ProbeTable monitors={monitors} />}
				</Panel>
				<IncidentsPanel />
				<Panel
					title="Requests by route"
					of={routes}
					wide
					actions={
						<label class="check">
							over
							<select value={grain} onChange={({ currentTarget }) => setGrain(currentTarget.value)}>
								<option value="minute">24 minutes</option>
								<option value="hour">24 hours</option>
								<option value="day">24 days</option>
							</select>
						</label>
					}
				>
					{(now) => (
						<Table
							caption="Requests by route"
							rows={now.routes}
							keyOf={({ route }) => route}
							empty="Nothing was asked in whole periods of this range yet; choose minutes."
							columns={[
								{ name: 'route', show: ({ route }) => <code>{route}</code> },
								{ name: 'requests', number: true, show: ({ requests }) => count(requests) },
								{
									name: 'failed',
									number: true,
									show: ({ failed, requests }) => `${count(failed)} (${percent(failed / Math.max(1, requests))})`,
								},
								{ name: 'p50', number: true, show: ({ p50_ms: ms }) => (ms === null ? '–' : milliseconds(ms)) },
								{ name: 'p99', number: true, show: ({ p99_ms: ms }) => (ms === null ? '–' : milliseconds(ms)) },
							]}
						/>
					)}
				</Panel>
			</div>
		</Page>
	)
}
