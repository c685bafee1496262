import { useState } from 'preact/hooks'
import { useRoute } from 'preact-iso'
import { bytes, count, dollars, milliseconds, perSecond } from '../format.ts'
import { Chart } from '../parts/chart.tsx'
import { Figure, Mark, Meter, Status, Time } from '../parts/marks.tsx'
import { Page } from '../parts/page.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { type Loaded, useCall } from '../poll.ts'
import { isAdmin } from '../session.ts'
import { keyList, shardList, type Tenant, tenant, usageList } from '../shapes.ts'
import { ChangeStatus, EraseTenant, RenameTenant, statusChangesOf } from './tenant-actions.tsx'
import { CollectionsPanel } from './tenant-collections.tsx'
import { ComparisonPanel } from './tenant-comparison.tsx'
import { HoldPanel } from './tenant-hold.tsx'
import { ExportsPanel, ImportsPanel } from './tenant-jobs.tsx'

/** One tenant, from its shard. */
export function TenantPage() {
	const id = useRoute().params.id ?? ''
	const one = useCall(tenant, `/v1/tenants/${id}`, 10_000)
	return (
		<Page
			title={one.value?.slug ?? 'Tenant'}
			actions={one.value && isAdmin.value && <Actions of={one} tenant={one.value} />}
		>
			<div class="panels">
				<Panel title="What it is" of={one} wide>
					{(now) => <Facts tenant={now} />}
				</Panel>
				<ShardsPanel id={id} />
				<HoldPanel id={id} />
				<ComparisonPanel key={id} id={id} />
				<UsagePanel id={id} />
				<CollectionsPanel id={id} />
				<KeysPanel id={id} />
				<ExportsPanel id={id} />
				<ImportsPanel id={id} />
			</div>
		</Page>
	)
}

function Facts({ tenant: { id, name, region, status, created_at: created, usage, limits } }: { tenant: Tenant }) {
	return (
		<>
			<p>
				{name} · {region} · <Status name={status} /> · since <Time at={created} /> · <code>{id}</code>
			</p>
			<dl class="figures">
				<Figure name="records">{count(usage.records)}</Figure>
				<Figure name="collections">{count(usage.collections)}</Figure>
				<Figure name="API keys">{count(usage.keys)}</Figure>
				<Figure name="journal position">{count(usage.position)}</Figure>
				<Figure name="requests, at most">{perSecond(limits.requests_per_second)}</Figure>
				<Figure
					name="storage"
					hint={
						<Meter
							label="storage used"
							value={usage.storage_bytes}
							max={limits.storage_bytes}
							words={`of ${bytes(limits.storage_bytes)}`}
						/>
					}
				>
					{bytes(usage.storage_bytes)}
				</Figure>
			</dl>
		</>
	)
}

type Doing = 'rename' | 'erase' | ReturnType<typeof statusChangesOf>[number] | null

function Actions({ of, tenant: shown }: { of: Loaded<Tenant>; tenant: Tenant }) {
	const [doing, setDoing] = useState<Doing>(null)
	const done = () => {
		setDoing(null)
		of.reload()
	}
	const close = () => setDoing(null)
	return (
		<>
			<button type="button" onClick={() => setDoing('rename')}>
				Rename or limit
			</button>
			{statusChangesOf(shown).map((change) => (
				<button key={change.verb} type="button" onClick={() => setDoing(change)}>
					{change.verb}
				</button>
			))}
			<button type="button" class="danger" onClick={() => setDoing('erase')}>
				Erase
			</button>
			{doing === 'rename' && <RenameTenant tenant={shown} onDone={done} onClose={close} />}
			{doing === 'erase' && <EraseTenant tenant={shown} onClose={close} />}
			{doing !== null && typeof doing === 'object' && (
				<ChangeStatus tenant={shown} change={doing} onDone={done} onClose={close} />
			)}
		</>
	)
}

function ShardsPanel({ id }: { id: string }) {
	const shards = useCall(shardList, `/v1/shards?tenant=${id}`, 5_000)
	return (
		<Panel title="Shards and the view" of={shards} half>
			{(list) => (
				<Table
					caption="Shards and the view"
					rows={list.shards}
					keyOf={({ shard }) => String(shard)}
					empty="The view has not heard of this tenant yet."
					columns={[
						{ name: 'shard', show: ({ shard }) => shard },
						{ name: 'lag', number: true, show: ({ lag_ms: lag }) => milliseconds(lag) },
						{ name: 'in the view', number: true, show: ({ applied, head }) => `${count(applied)} of ${count(head)}` },
						{
							name: 'exact',
							show: ({ exact }) => <Mark tone={exact ? 'good' : 'fair'}>{exact ? 'yes' : 'not yet'}</Mark>,
						},
						{ name: 'size', number: true, show: ({ size_bytes: size }) => (size === null ? '–' : bytes(size)) },
					]}
				/>
			)}
		</Panel>
	)
}

function UsagePanel({ id }: { id: string }) {
	const usage = useCall(usageList, `/v1/tenants/${id}/usage?grain=hour&limit=48`, 60_000)
	return (
		<Panel title="Usage by the hour" of={usage} wide>
			{(list) => {
				const hours = list.usage.toReversed()
				if (hours.length === 0)
					return <p class="empty">Nothing was counted yet; the first hour appears within a minute.</p>
				const cost = hours.reduce((sum, { cost_dollars: dollarsOf }) => sum + dollarsOf, 0)
				return (
					<>
						<Chart
							title="Requests and writes by the hour"
							at={hours.map(({ at }) => at)}
							format={count}
							series={[
								{ name: 'requests', values: hours.map(({ requests }) => requests) },
								{ name: 'writes', values: hours.map(({ writes }) => writes) },
							]}
						/>
						<p class="quiet">
							{dollars(cost)} at list price over {count(hours.length)} h, without the time in which objects work.
						</p>
					</>
				)
			}}
		</Panel>
	)
}

function KeysPanel({ id }: { id: string }) {
	const keys = useCall(keyList, `/v1/tenants/${id}/keys?limit=100`, 30_000)
	return (
		<Panel title="API keys" of={keys} wide>
			{(list) => (
				<Table
					caption="API keys"
					rows={list.keys}
					keyOf={({ id: key }) => key}
					empty="There is none: only an operator reaches this tenant."
					columns={[
						{ name: 'key', show: ({ id: key }) => <code>{key}</code> },
						{ name: 'name', show: ({ name }) => name ?? '–' },
						{ name: 'scopes', show: ({ scopes }) => scopes.join(', ') },
						{ name: 'created', show: ({ created_at: at }) => <Time at={at} /> },
						{ name: 'expires', show: ({ expires_at: at }) => <Time at={at} /> },
					]}
				/>
			)}
		</Panel>
	)
}
