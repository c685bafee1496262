import { useState } from 'preact/hooks'
import { ask } from '../api.ts'
import { Action, Dialog } from '../parts/act.tsx'
import { Field } from '../parts/field.tsx'
import { Status, Time } from '../parts/marks.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { isAdmin, operator } from '../session.ts'
import { incident, incidentList } from '../shapes.ts'

/** The log of what went wrong, open incidents first. */
export function IncidentsPanel() {
	const incidents = useCall(incidentList, '/v1/incidents', 10_000)
	const [opening, setOpening] = useState(false)
	const [shown, setShown] = useState<string | null>(null)
	const done = () => {
		setOpening(false)
		incidents.reload()
	}
	const open = isAdmin.value && (
		<button type="button" onClick={() => setOpening(true)}>
			Open an incident
		</button>
	)
	return (
		<>
			<Panel title="Incidents" of={incidents} wide actions={open}>
				{(list) => (
					<Table
						caption="Incidents"
						rows={list.incidents}
						keyOf={({ id }) => id}
						empty="There was none."
						columns={[
							{
								name: 'incident',
								show: ({ id, title }) => (
									<button type="button" class="link" onClick={() => setShown(id)}>
										{title}
									</button>
								),
							},
							{ name: 'status', show: ({ status }) => <Status name={status} /> },
							{ name: 'region', show: ({ region }) => region },
							{ name: 'opened', show: ({ opened_at: at }) => <Time at={at} /> },
							{ name: 'resolved', show: ({ resolved_at: at }) => (at === null ? 'not yet' : <Time at={at} />) },
						]}
					/>
				)}
			</Panel>
			{opening && <OpenIncident onDone={done} onClose={() => setOpening(false)} />}
			{shown !== null && <Timeline id={shown} onClose={() => setShown(null)} />}
		</>
	)
}

function Timeline({ id, onClose }: { id: string; onClose: () => void }) {
	const one = useCall(incident, `/v1/incidents/${id}`, 5_000)
	const [text, setText] = useState('')
	const [status, setStatus] = useState('identified')
	const [noting, setNoting] = useState(false)
	if (noting)
		return (
			<Action
				title="Add a note"
				verb="Add"
				onClose={onClose}
				act={async () => {
					await ask(incident, `/v1/incidents/${id}/notes`, { method: 'POST', body: { status, text } })
					onClose()
				}}
			>
				<label>
					Status
					<select value={status} onChange={({ currentTarget }) => setStatus(currentTarget.value)}>
						{['investigating', 'identified', 'monitoring', 'resolved'].map((name) => (
							<option key={name}>{name}</option>
						))}
					</select>
				</label>
				<label>
					What is known
					<textarea required rows={4} value={text} onInput={({ currentTarget }) => setText(currentTarget.value)} />
				</label>
			</Action>
		)
	return (
		<Dialog title={one.value?.title ?? 'Incident'} onClose={onClose}>
			<Panel title="Timeline" of={one}>
				{({ timeline }) => (
					<Table
						caption="Timeline"
						rows={timeline}
						keyOf={({ at, text: said }) => `${at} ${said}`}
						empty="Nothing is noted."
						columns={[
							{ name: 'time', show: ({ at }) => <Time at={at} /> },
							{ name: 'what', show: ({ text: said }) => said },
						]}
					/>
				)}
			</Panel>
			{isAdmin.value && (
				<div class="actions">
					<button type="button" class="primary" onClick={() => setNoting(true)}>
						Add a note
					</button>
				</div>
			)}
		</Dialog>
	)
}

function OpenIncident({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
	const regions = operator.value?.regions ?? []
	const [title, setTitle] = useState('')
	const [text, setText] = useState('')
	const [region, setRegion] = useState(regions[0] ?? '')
	const open = async () => {
		await ask(incident, '/v1/incidents', { method: 'POST', body: { region, title, text } })
		onDone()
	}
	return (
		<Action title="Open an incident" verb="Open" act={open} onClose={onClose}>
			<Field label="Title" hint="Public, at /status: name no tenant." value={title} onWrite={setTitle} />
			<label>
				What is known
				<textarea required rows={4} value={text} onInput={({ currentTarget }) => setText(currentTarget.value)} />
			</label>
			<label>
				Region
				<select value={region} onChange={({ currentTarget }) => setRegion(currentTarget.value)}>
					{regions.map((one) => (
						<option key={one}>{one}</option>
					))}
				</select>
			</label>
		</Action>
	)
}
