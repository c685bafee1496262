import { useState } from 'preact/hooks'
import { ask } from '../api.ts'
import { bytes, count, milliseconds } from '../format.ts'
import { Action } from '../parts/act.tsx'
import { Figure, Mark, Meter, Status, Time } from '../parts/marks.tsx'
import { Page } from '../parts/page.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { isAdmin, operator } from '../session.ts'
import { freshness, rebuild, rebuildList, type Shard, shardList } from '../shapes.ts'
import { say } from '../toast.ts'
import { DeadLettersPanel } from './view-dead-letters.tsx'
import { VerificationPanel } from './view-verification.tsx'

/** How the changes of all shards come into the view, and whether what is there is right. */
export function ViewPage() {
	const fresh = useCall(freshness, '/v1/view/freshness', 3_000)
	const rebuilds = useCall(rebuildList, '/v1/view/rebuilds', 3_000)
	const [rebuilding, setRebuilding] = useState(false)
	return (
		<Page
			title="View"
			actions={
				isAdmin.value && (
					<button type="button" onClick={() => setRebuilding(true)}>
						Rebuild
					</button>
				)
			}
		>
			<div class="panels">
				<Panel title="Freshness" of={fresh} wide>
					{(now) => (
						<>
							<dl class="figures">
								<Figure name="exact" tone={now.exact ? 'good' : 'fair'}>
									{now.exact ? 'yes' : 'not yet'}
								</Figure>
								<Figure name="complete" tone={now.complete ? 'good' : 'fair'}>
									{now.complete ? 'yes' : 'not yet'}
								</Figure>
								<Figure name="worst lag">{milliseconds(now.worst_lag_ms)}</Figure>
								<Figure name="dead letters" tone={now.dead_letters > 0 ? 'bad' : 'plain'}>
									{count(now.dead_letters)}
								</Figure>
							</dl>
							<p class="quiet">
								Everything up to <Time at={now.as_of} /> is in the view.
							</p>
							<Table
								caption="Freshness by region"
								rows={now.regions}
								keyOf={({ region }) => region}
								empty="There is no region."
								columns={[
									{ name: 'region', show: ({ region }) => region },
									{ name: 'shards', number: true, show: ({ shards }) => count(shards) },
									{ name: 'behind', number: true, show: ({ shards_behind: behind }) => count(behind) },
									{ name: 'rebuilding', number: true, show: ({ shards_rebuilding: shards }) => count(shards) },
									{ name: 'worst lag', number: true, show: ({ worst_lag_ms: lag }) => milliseconds(lag) },
									{
										name: 'tenants missing',
										number: true,
										show: ({ tenants_missing: missing }) => (missing === null ? 'not known yet' : count(missing)),
									},
									{ name: 'dead letters', number: true, show: ({ dead_letters: letters }) => count(letters) },
								]}
							/>
						</>
					)}
				</Panel>
				<ShardsPanel />
				<DeadLettersPanel />
				<VerificationPanel />
				<Panel title="Rebuilds" of={rebuilds} wide>
					{(list) => (
						<Table
							caption="Rebuilds"
							rows={list.rebuilds}
							keyOf={({ id }) => id}
							empty="There was none. A rebuild reads the view anew from the shards, while writes and reads go on."
							columns={[
								{ name: 'rebuild', show: ({ id }) => <code>{id}</code> },
								{ name: 'of', show: ({ tenant, regions }) => tenant ?? regions.map(({ region }) => region).join(', ') },
								{ name: 'state', show: ({ state }) => <Status name={state} /> },
								{
									name: 'shards',
									show: ({ id, shards: { done, total } }) => (
										<Meter
											label={`shards of rebuild ${id}`}
											value={done}
											max={total}
											words={`${count(done)} of ${count(total)}`}
										/>
									),
								},
								{
									name: 'records',
									show: ({ id, records: { done, total } }) => (
										<Meter
											label={`records of rebuild ${id}`}
											value={done}
											max={total}
											words={`${count(done)} of ${count(total)}`}
										/>
									),
								},
								{ name: 'begun', show: ({ started_at: at }) => <Time at={at} /> },
								{ name: 'finished', show: ({ finished_at: at }) => (at === null ? 'not yet' : <Time at={at} />) },
							]}
						/>
					)}
				</Panel>
			</div>
			{rebuilding && (
				<StartRebuild
					onClose={() => setRebuilding(false)}
					onStarted={() => {
						setRebuilding(false)
						rebuilds.reload()
					}}
				/>
			)}
		</Page>
	)
}

function ShardsPanel() {
	const shards = useCall(shardList, '/v1/shards?limit=50', 5_000)
	return (
		<Panel title="Shards, the furthest behind first" of={shards} wide>
			{(list) => (
				<Table
					caption="Shards, the furthest behind first"
					rows={list.shards}
					keyOf={({ tenant, shard }) => `${tenant}/${shard}`}
					empty="The view follows no shard yet. Create a tenant."
					columns={[
						{ name: 'shard', show: (one) => <ShardName of={one} /> },
						{ name: 'lag', number: true, show: ({ lag_ms: lag }) => milliseconds(lag) },
						{ name: 'in the view', number: true, show: ({ applied, head }) => `${count(applied)} of ${count(head)}` },
						{
							name: 'exact',
							show: ({ exact }) => <Mark tone={exact ? 'good' : 'fair'}>{exact ? 'yes' : 'not yet'}</Mark>,
						},
						{ name: 'records', number: true, show: ({ records }) => (records === null ? '–' : count(records)) },
						{ name: 'size', number: true, show: ({ size_bytes: size }) => (size === null ? '–' : bytes(size)) },
						{ name: 'rebuild', show: (one) => <Rebuilding of={one} /> },
						{ name: 'reported', show: ({ reported_at: at }) => <Time at={at} /> },
					]}
				/>
			)}
		</Panel>
	)
}

function ShardName({ of: { tenant, slug, shard } }: { of: Shard }) {
	return (
		<a href={`/console/tenants/${tenant}`}>
			{slug ?? tenant}/{shard}
		</a>
	)
}

function Rebuilding({ of: { tenant, rebuilding } }: { of: Shard }) {
	if (rebuilding === null) return <>–</>
	const { done, total } = rebuilding
	return <Meter label={`rebuild of ${tenant}`} value={done} max={total} words={`${count(done)} of ${count(total)}`} />
}

function StartRebuild({ onClose, onStarted }: { onClose: () => void; onStarted: () => void }) {
	const [region, setRegion] = useState('')
	const start = async () => {
		await ask(rebuild, '/v1/view/rebuild', { method: 'POST', body: region === '' ? {} : { region } })
		say('The rebuild has begun.')
		onStarted()
	}
	return (
		<Action title="Rebuild the view" verb="Begin" act={start} onClose={onClose}>
			<p>The view is read anew from every shard. Readers see neither a hole nor an older state meanwhile.</p>
			<label>
				Region
				<select value={region} onChange={({ currentTarget }) => setRegion(currentTarget.value)}>
					<option value="">all</option>
					{operator.value?.regions.map((one) => (
						<option key={one} value={one}>
							{one}
						</option>
					))}
				</select>
			</label>
		</Action>
	)
}
