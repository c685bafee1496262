import { count } from '../format.ts'
import { Dialog } from '../parts/act.tsx'
import { Time } from '../parts/marks.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { type ViewRecord, viewRecordList } from '../shapes.ts'
import type { Field } from './fields.ts'

interface RecordTableProps {
	records: readonly ViewRecord[]
	fields: readonly Field[]
	onOpen: (record: { tenant: string; id: string }) => void
}

/** A column for each property; those that stay in the shard are there, too, and empty for everybody to see. */
export function RecordTable({ records, fields, onOpen }: RecordTableProps) {
	const known = new Set(fields.map(({ name }) => name))
	const others = new Set(records.flatMap(({ data }) => Object.keys(data)).filter((name) => !known.has(name)))
	const columns = [...fields, ...[...others].map((name) => ({ name, personal: null }))]
	return (
		<Table
			caption="Records"
			rows={records}
			keyOf={({ tenant, id }) => `${tenant}/${id}`}
			empty="No record fits. Take a filter away, or choose another tenant."
			columns={[
				{
					name: 'id',
					show: ({ tenant, id }) => (
						<button type="button" class="link" onClick={() => onOpen({ tenant, id })}>
							{id}
						</button>
					),
				},
				...columns.map(({ name, personal }) => ({
					name: personal === null ? `data: ${name}` : `data: ${name} (personal)`,
					show: ({ data }: ViewRecord) =>
						personal === null ? <Value of={data[name]} /> : <span class="withheld">stays in the shard</span>,
				})),
				{ name: 'updated', show: ({ updated_at: at }) => <Time at={at} /> },
				{ name: 'tenant', show: ({ tenant }) => <a href={`/console/tenants/${tenant}`}>{tenant}</a> },
			]}
		/>
	)
}

/** Characters of a value that a cell shows; the whole is a click away. */
const cellCharsMax = 60

function Value({ of }: { of: unknown }) {
	if (of === undefined || of === null) return <span class="quiet">–</span>
	const said = typeof of === 'string' ? of : JSON.stringify(of)
	return <>{said.length > cellCharsMax ? `${said.slice(0, cellCharsMax)}…` : said}</>
}

interface RecordDialogProps {
	tenant: string
	collection: string
	id: string
	onClose: () => void
}

export function RecordDialog({ tenant, collection, id, onClose }: RecordDialogProps) {
	const asked = new URLSearchParams({ collection, tenant, id: `eq.${id}` })
	const found = useCall(viewRecordList, `/v1/view/records?${asked}`)
	return (
		<Dialog title={`${collection}/${id}`} onClose={onClose}>
			<Panel title="In the view" of={found}>
				{({ records: [record] }) =>
					record === undefined ? (
						<p class="empty">The view has it no more: it was deleted a moment ago.</p>
					) : (
						<>
							<p>
								version {count(record.version)} · created <Time at={record.created_at} /> · updated{' '}
								<Time at={record.updated_at} />
							</p>
							<pre>{JSON.stringify(record.data, null, 2)}</pre>
						</>
					)
				}
			</Panel>
			<a href={`/console/tenants/${tenant}`}>Open its tenant</a>
		</Dialog>
	)
}
