import { useState } from 'preact/hooks'
import { operator } from '../session.ts'
import { type DataFilter, type DataQuery, operators } from './data-query.ts'
import type { Field } from './fields.ts'

interface DataFormProps {
	query: DataQuery
	collections: readonly { tenant: string; name: string }[]
	fields: readonly Field[]
	onAsk: (query: DataQuery) => void
}

const builtIn = ['id', 'version', 'created_at', 'updated_at']
const none: DataFilter = { field: '', operator: 'eq', value: '' }

/** Filters and an order as the API has them; personal properties cannot be asked for. */
export function DataForm({ query, collections, fields, onAsk }: DataFormProps) {
	const [draft, setDraft] = useState(query)
	const names = [...new Set(collections.map(({ name }) => name))].sort()
	const tenants = [...new Set(collections.filter(({ name }) => name === draft.collection).map(({ tenant }) => tenant))]
	const known = [...builtIn, ...fields.filter(({ personal }) => personal === null).map(({ name }) => name)]
	const filters = [...draft.filters, none]
	const setFilter = (place: number, change: Partial<DataFilter>) =>
		setDraft({
			...draft,
			filters: filters
				.map((one, at) => (at === place ? { ...one, ...change } : one))
				.filter(({ field }) => field !== ''),
		})
	const [orderField = '', direction = 'asc'] = draft.order.split('.')
	return (
		<form
			class="query"
			onSubmit={(event) => {
				event.preventDefault()
				onAsk(draft)
			}}
		>
			<Choice
				label="Collection"
				value={draft.collection}
				none="choose one"
				of={names}
				// Another collection has other fields, so its form begins anew.
				onChoose={(collection) => onAsk({ ...draft, collection, tenant: '', filters: [], order: '' })}
			/>
			<Choice
				label="Region"
				value={draft.region}
				none="all"
				of={operator.value?.regions ?? []}
				onChoose={(region) => setDraft({ ...draft, region })}
			/>
			<Choice
				label="Tenant"
				value={draft.tenant}
				none="all"
				of={tenants}
				onChoose={(tenant) => setDraft({ ...draft, tenant })}
			/>
			{filters.map((filter, place) => (
				<fieldset key={place}>
					<legend class="unseen">Filter {place + 1}</legend>
					<Choice
						label="Field"
						value={filter.field}
						none="no filter"
						of={known}
						onChoose={(field) => setFilter(place, { field })}
					/>
					<label>
						Comparison
						<select
							value={filter.operator}
							onChange={({ currentTarget }) => setFilter(place, { operator: currentTarget.value })}
						>
							{Object.entries(operators).map(([name, said]) => (
								<option key={name} value={name}>
									{said}
								</option>
							))}
						</select>
					</label>
					<label>
						Value
						<input
							value={filter.value}
							onInput={({ currentTarget }) => setFilter(place, { value: currentTarget.value })}
						/>
					</label>
				</fieldset>
			))}
			<Choice
				label="Order by"
				value={orderField}
				none="id"
				of={known}
				onChoose={(field) => setDraft({ ...draft, order: field === '' ? '' : `${field}.${direction}` })}
			/>
			<Choice
				label="Direction"
				value={direction}
				of={['asc', 'desc']}
				onChoose={(chosen) => setDraft({ ...draft, order: orderField === '' ? '' : `${orderField}.${chosen}` })}
			/>
			<button type="submit" class="primary">
				Show
			</button>
		</form>
	)
}

interface ChoiceProps {
	label: string
	value: string
	/** For choosing nothing; absent where something must be chosen. */
	none?: string
	of: readonly string[]
	onChoose: (value: string) => void
}

function Choice({ label, value, none: nothing, of, onChoose }: ChoiceProps) {
	return (
		<label>
			{label}
			<select value={value} onChange={({ currentTarget }) => onChoose(currentTarget.value)}>
				{nothing !== undefined && <option value="">{nothing}</option>}
				{of.map((one) => (
					<option key={one} value={one}>
						{one}
					</option>
				))}
			</select>
		</label>
	)
}
