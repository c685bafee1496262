import { count } from '../format.ts'
import { Mark, Meter, Time } from '../parts/marks.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { type Collection, collectionList } from '../shapes.ts'
import { type Field, fieldsOf } from './fields.ts'

/** Collections with what their schemas say about each property. */
export function CollectionsPanel({ id }: { id: string }) {
	const collections = useCall(collectionList, `/v1/tenants/${id}/collections?limit=100`, 15_000)
	return (
		<Panel title="Collections" of={collections} wide>
			{(list) =>
				list.collections.length === 0 ? (
					<p class="empty">There is none yet. The tenant makes them with PUT /v1/collections/{'{name}'}.</p>
				) : (
					<div class="stack">
						{list.collections.map((collection) => (
							<One key={collection.name} tenant={id} collection={collection} />
						))}
					</div>
				)
			}
		</Panel>
	)
}

function One({ tenant, collection }: { tenant: string; collection: Collection }) {
	const { name, records, updated_at: updated, change, schema } = collection
	return (
		<details class="collection">
			<summary>
				<strong>{name}</strong> · {count(records)} records · schema of <Time at={updated} />
			</summary>
			{change && (
				<p>
					<Meter
						label={`schema change of ${name}`}
						value={change.records_done}
						max={change.records_total}
						words={`schema change ${change.status}: ${count(change.records_done)} of ${count(change.records_total)} records`}
					/>
				</p>
			)}
			<Table
				caption={`Properties of ${name}`}
				rows={fieldsOf(schema)}
				keyOf={(field) => field.name}
				empty="The schema names no property."
				columns={[
					{ name: 'property', show: (field) => <code>{field.name}</code> },
					{ name: 'type', show: ({ types }) => types.join(' or ') || 'any' },
					{ name: 'tags', show: (field) => <Tags field={field} /> },
				]}
			/>
			<p>
				<a href={`/console/data?collection=${name}&tenant=${tenant}`}>Its records in the view</a>
			</p>
			<details>
				<summary>Schema</summary>
				<pre>{JSON.stringify(schema, null, 2)}</pre>
			</details>
		</details>
	)
}

function Tags({ field: { personal, tags } }: { field: Field }) {
	return (
		<span class="tags">
			{personal !== null && <Mark tone="fair">{personal}</Mark>}
			{tags.map((tag) => (
				<code key={tag}>{tag}</code>
			))}
		</span>
	)
}
