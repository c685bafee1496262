import { count } from '../format.ts'
import { Figure, Time } from '../parts/marks.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { verification } from '../shapes.ts'

/** What the last comparisons of shards with the view said. */
export function VerificationPanel() {
	const compared = useCall(verification, '/v1/view/verification', 10_000)
	return (
		<Panel title="Verification" of={compared} wide>
			{(now) => (
				<>
					<dl class="figures">
						<Figure
							name="equal"
							tone={now.differing === 0 ? 'good' : 'plain'}
							hint={`of ${count(now.checked)} compared`}
						>
							{count(now.equal)}
						</Figure>
						<Figure name="differing" tone={now.differing > 0 ? 'bad' : 'plain'}>
							{count(now.differing)}
						</Figure>
						<Figure name="never compared" hint="new, or never still">
							{count(now.unknown)}
						</Figure>
						<Figure name="repairs">{count(now.repairs)}</Figure>
					</dl>
					<p class="quiet">
						The oldest comparison is of <Time at={now.oldest_check_at} />.
					</p>
					<Table
						caption="Shards that differ from the view"
						rows={now.regions.flatMap(({ shards }) => shards)}
						keyOf={({ tenant, shard }) => `${tenant}/${shard}`}
						empty="No shard differs from the view."
						columns={[
							{ name: 'shard', show: ({ tenant, shard }) => `${tenant}/${shard}` },
							{ name: 'compared', show: ({ checked_at: at }) => <Time at={at} /> },
							{ name: 'repairs', number: true, show: ({ repairs }) => count(repairs) },
							{ name: 'last repair', show: ({ repaired_at: at }) => <Time at={at} /> },
						]}
					/>
				</>
			)}
		</Panel>
	)
}
