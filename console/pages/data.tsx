import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { Mark, Time } from '../parts/marks.tsx'
import { Page } from '../parts/page.tsx'
import { Pager, usePages } from '../parts/pager.tsx'
import { Panel } from '../parts/panel.tsx'
import { useCall } from '../poll.ts'
import { collectionList, type Freshness, viewCollectionList, viewRecordList } from '../shapes.ts'
import { DataForm } from './data-form.tsx'
import { type DataQuery, queryText, readQuery } from './data-query.ts'
import { RecordDialog, RecordTable } from './data-records.tsx'
import { type Field, fieldsOf } from './fields.ts'

/** Records of all tenants, as far as they may leave their shards. */
export function DataPage() {
	const { query: parameters, route } = useLocation()
	const query = readQuery(parameters)
	const collections = useCall(viewCollectionList, '/v1/view/collections?limit=1000')
	const present = collections.value?.collections ?? []
	// With the schema of one tenant the form knows the fields; another tenant's may differ.
	const holder = query.tenant || present.find(({ name }) => name === query.collection)?.tenant
	return (
		<Page title="Data">
			<Panel title="What to show" of={collections}>
				{(list) =>
					list.collections.length === 0 ? (
						<p class="empty">No tenant has a collection yet.</p>
					) : (
						<WithFields holder={holder ?? null} collection={query.collection}>
							{(fields) => (
								<DataForm
									key={queryText(query)}
									query={query}
									collections={list.collections}
									fields={fields}
									onAsk={(asked) => route(`/console/data?${queryText(asked)}`)}
								/>
							)}
						</WithFields>
					)
				}
			</Panel>
			{query.collection !== '' && (
				<WithFields holder={holder ?? null} collection={query.collection}>
					{(fields) => <Records query={query} fields={fields} />}
				</WithFields>
			)}
		</Page>
	)
}

interface WithFieldsProps {
	holder: string | null
	collection: string
	children: (fields: Field[]) => ComponentChildren
}

function WithFields({ holder, collection, children }: WithFieldsProps) {
	return holder === null || collection === '' ? children([]) : <Schemas tenant={holder} {...{ collection, children }} />
}

function Schemas({ tenant, collection, children }: Omit<WithFieldsProps, 'holder'> & { tenant: string }) {
	const of = useCall(collectionList, `/v1/tenants/${tenant}/collections?limit=1000`)
	const found = of.value?.collections.find(({ name }) => name === collection)
	return <>{children(found ? fieldsOf(found.schema) : [])}</>
}

function Records({ query, fields }: { query: DataQuery; fields: Field[] }) {
	const asked = queryText(query)
	const pages = usePages(asked)
	const cursor = pages.cursor === null ? '' : `&cursor=${encodeURIComponent(pages.cursor)}`
	const records = useCall(viewRecordList, `/v1/view/records?${asked}&limit=50${cursor}`, 15_000)
	const [open, setOpen] = useState<{ tenant: string; id: string } | null>(null)
	return (
		<>
			<Panel title={`Records of ${query.collection}`} of={records}>
				{(page) => (
					<>
						<Trust freshness={page.freshness} />
						<Absent fields={fields} />
						<RecordTable records={page.records} fields={fields} onOpen={setOpen} />
						<Pager pages={pages} next={records.next} />
					</>
				)}
			</Panel>
			{open && <RecordDialog {...open} collection={query.collection} onClose={() => setOpen(null)} />}
		</>
	)
}

function Trust({ freshness: { exact, complete, as_of: asOf } }: { freshness: Freshness }) {
	return (
		<p>
			<Mark tone={exact ? 'good' : 'fair'}>{exact ? 'exact' : 'not exact'}</Mark>
			{', '}
			<Mark tone={complete ? 'good' : 'fair'}>{complete ? 'complete' : 'not complete'}</Mark>
			{', as of '}
			<Time at={asOf} />
		</p>
	)
}

function Absent({ fields }: { fields: Field[] }) {
	const personal = fields.filter((field) => field.personal !== null)
	if (personal.length === 0) return null
	return (
		<p class="quiet">
			Personal, so never in the view: {personal.map(({ name }) => name).join(', ')}. The tenant reads them with its own
			key.
		</p>
	)
}
