import { useEffect, useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { ask } from '../api.ts'
import { Action } from '../parts/act.tsx'
import { Field } from '../parts/field.tsx'
import { Status, Time } from '../parts/marks.tsx'
import { Page } from '../parts/page.tsx'
import { Pager, usePages } from '../parts/pager.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { isAdmin, operator } from '../session.ts'
import { type CreatedTenant, createdTenant, tenantList } from '../shapes.ts'
import { FirstKey } from './tenant-key.tsx'

/** How long nobody types before it is searched. */
const searchMs = 250

export function TenantsPage() {
	const { query, route } = useLocation()
	const search = query.search ?? ''
	const pages = usePages(search)
	const asked = new URLSearchParams({
		limit: '50',
		...(search !== '' && { search }),
		...(pages.cursor !== null && { cursor: pages.cursor }),
	})
	const tenants = useCall(tenantList, `/v1/tenants?${asked}`, 15_000)
	const [creating, setCreating] = useState(false)
	const [created, setCreated] = useState<CreatedTenant | null>(null)
	return (
		<Page
			title="Tenants"
			actions={
				isAdmin.value && (
					<button type="button" class="primary" onClick={() => setCreating(true)}>
						Create a tenant
					</button>
				)
			}
		>
			<SearchField
				text={search}
				onSearch={(text) =>
					route(text === '' ? '/console/tenants' : `/console/tenants?search=${encodeURIComponent(text)}`, true)
				}
			/>
			<Panel title="Tenants of all regions" of={tenants}>
				{(list) => (
					<>
						<Table
							caption="Tenants of all regions"
							rows={list.tenants}
							keyOf={({ id }) => id}
							empty={
								search === '' ? 'There is no tenant yet. Create the first one.' : 'No slug, name or id has this in it.'
							}
							columns={[
								{ name: 'slug', show: ({ id, slug }) => <a href={`/console/tenants/${id}`}>{slug}</a> },
								{ name: 'name', show: ({ name }) => name },
								{ name: 'region', show: ({ region }) => region },
								{ name: 'status', show: ({ status }) => <Status name={status} /> },
								{ name: 'created', show: ({ created_at: at }) => <Time at={at} /> },
								{ name: 'id', show: ({ id }) => <code>{id}</code> },
							]}
						/>
						<Pager pages={pages} next={tenants.next} />
					</>
				)}
			</Panel>
			{creating && (
				<CreateTenant
					onClose={() => setCreating(false)}
					onCreated={(made) => {
						setCreating(false)
						setCreated(made)
						tenants.reload()
					}}
				/>
			)}
			{created && <FirstKey created={created} onClose={() => setCreated(null)} />}
		</Page>
	)
}

function SearchField({ text, onSearch }: { text: string; onSearch: (text: string) => void }) {
	const [written, setWritten] = useState(text)
	useEffect(() => {
		if (written === text) return
		const timer = setTimeout(() => onSearch(written), searchMs)
		return () => clearTimeout(timer)
	}, [written, text, onSearch])
	return (
		<search>
			<label>
				Search by slug, name or id
				<input type="search" value={written} onInput={({ currentTarget }) => setWritten(currentTarget.value.trim())} />
			</label>
		</search>
	)
}

function CreateTenant({ onClose, onCreated }: { onClose: () => void; onCreated: (made: CreatedTenant) => void }) {
	const regions = operator.value?.regions ?? []
	const [slug, setSlug] = useState('')
	const [name, setName] = useState('')
	const [region, setRegion] = useState(regions[0] ?? '')
	const create = async () => {
		const { value } = await ask(createdTenant, '/v1/tenants', { method: 'POST', body: { slug, name, region } })
		onCreated(value)
	}
	return (
		<Action title="Create a tenant" verb="Create" act={create} onClose={onClose}>
			<Field
				label="Slug"
				hint="Lower-case letters, digits and hyphens; unique over all regions."
				value={slug}
				onWrite={setSlug}
			/>
			<Field label="Name" value={name} onWrite={setName} />
			<label>
				Region, where its data stays
				<select value={region} onChange={({ currentTarget }) => setRegion(currentTarget.value)}>
					{regions.map((one) => (
						<option key={one}>{one}</option>
					))}
				</select>
			</label>
		</Action>
	)
}
