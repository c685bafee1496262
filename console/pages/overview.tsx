import { bytes, count, milliseconds, percent, perSecond } from '../format.ts'
import { Chart } from '../parts/chart.tsx'
import { Figure } from '../parts/marks.tsx'
import { Page } from '../parts/page.tsx'
import { Panel } from '../parts/panel.tsx'
import { type Loaded, useCall } from '../poll.ts'
import { alertList, freshness, shardList, sloList, type Traffic, traffic } from '../shapes.ts'
import { AlertTable, ProbeTable } from './service-alerts.tsx'
import { SloTable } from './service-slos.tsx'

/** Everything that says whether it is well, live. */
export function OverviewPage() {
	const requests = useCall(traffic, '/v1/traffic?grain=minute&limit=60', 15_000)
	const shards = useCall(shardList, '/v1/shards?limit=1', 15_000)
	const fresh = useCall(freshness, '/v1/view/freshness', 5_000)
	const slos = useCall(sloList, '/v1/slo', 30_000)
	const alerts = useCall(alertList, '/v1/alerts', 15_000)
	return (
		<Page title="Overview">
			<div class="panels">
				<Panel title="What it holds" of={shards}>
					{({ totals }) => (
						<dl class="figures">
							<Figure name="tenants">{count(totals.tenants)}</Figure>
							<Figure name="records">{count(totals.records)}</Figure>
							<Figure name="size" hint={`${count(totals.shards)} shards`}>
								{bytes(totals.size_bytes)}
							</Figure>
						</dl>
					)}
				</Panel>
				<LastMinute of={requests} />
				<Panel title="How fresh the view is" of={fresh}>
					{(now) => (
						<dl class="figures">
							<Figure name="lag" tone={now.worst_lag_ms > 60_000 ? 'bad' : 'plain'} hint={behind(now.shards_behind)}>
								{milliseconds(now.worst_lag_ms)}
							</Figure>
							<Figure name="exact" tone={now.exact ? 'good' : 'fair'} hint={now.complete ? 'complete' : 'not complete'}>
								{now.exact ? 'yes' : 'not yet'}
							</Figure>
							<Figure name="dead letters" tone={now.dead_letters > 0 ? 'bad' : 'plain'}>
								{count(now.dead_letters)}
							</Figure>
						</dl>
					)}
				</Panel>
				<Panel title="Requests, last hour" of={requests} wide>
					{({ points, seconds }) => (
						<Chart
							title="Requests a second"
							at={points.map(({ at }) => at)}
							format={perSecond}
							series={[
								{ name: 'all', values: points.map((point) => point.requests / seconds) },
								{ name: 'failed', values: points.map(({ failed }) => failed / seconds) },
							]}
						/>
					)}
				</Panel>
				<Panel title="Latency, last hour" of={requests} wide>
					{({ points }) => (
						<Chart
							title="Latency"
							at={points.map(({ at }) => at)}
							format={milliseconds}
							series={[
								{ name: 'p99', values: points.map(({ p99_ms: p99 }) => p99) },
								{ name: 'p50', values: points.map(({ p50_ms: p50 }) => p50) },
							]}
						/>
					)}
				</Panel>
				<Panel title="Alerts" of={alerts} wide>
					{(now) => <AlertTable list={now.alerts.filter(({ state }) => state !== 'resolved')} />}
				</Panel>
				<Panel title="Objectives" of={slos} wide>
					{(now) => <SloTable slos={now.slos} />}
				</Panel>
				<Panel title="Probe" of={alerts} wide>
					{({ monitors }) => <ProbeTable monitors={monitors} />}
				</Panel>
			</div>
		</Page>
	)
}

function LastMinute({ of }: { of: Loaded<Traffic> }) {
	return (
		<Panel title="Last full minute" of={of}>
			{({ points, seconds }) => {
				const last = points.at(-1)
				const { requests = 0, failed = 0, p50_ms: p50 = null, p99_ms: p99 = null } = last ?? {}
				return (
					<dl class="figures">
						<Figure name="requests">{perSecond(requests / seconds)}</Figure>
						<Figure name="latency p99" hint={p50 === null ? 'nothing was asked' : `p50 ${milliseconds(p50)}`}>
							{p99 === null ? '–' : milliseconds(p99)}
						</Figure>
						<Figure name="failed" tone={failed > 0 ? 'bad' : 'plain'} hint={`${count(failed)} of ${count(requests)}`}>
							{percent(requests === 0 ? 0 : failed / requests)}
						</Figure>
					</dl>
				)
			}}
		</Panel>
	)
}

function behind(shards: number): string {
	return shards === 0 ? 'no shard is behind' : `${count(shards)} behind`
}
