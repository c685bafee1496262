import { useRoute } from 'preact-iso'
import { ask } from '../api.ts'
import { count } from '../format.ts'
import { Act } from '../parts/act-button.tsx'
import { Meter, Status, Time } from '../parts/marks.tsx'
import { Page } from '../parts/page.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { type Loaded, useCall } from '../poll.ts'
import { saveFile } from '../save.ts'
import { isAdmin } from '../session.ts'
import { type Erasure, erasure, erasureList } from '../shapes.ts'
import { say } from '../toast.ts'

export function ErasuresPage() {
	const { id } = useRoute().params
	return id === undefined ? <AllErasures /> : <OneErasure id={id} />
}

function AllErasures() {
	const erasures = useCall(erasureList, '/v1/erasures', 5_000)
	return (
		<Page title="Erasures">
			<Panel title="The last erasures of all regions" of={erasures}>
				{(list) => (
					<Table
						caption="The last erasures of all regions"
						rows={list.erasures}
						keyOf={({ id }) => id}
						empty="Nobody was erased yet."
						columns={[
							{
								name: 'erasure',
								show: ({ id }) => (
									<a href={`/console/erasures/${id}`}>
										<code>{id}</code>
									</a>
								),
							},
							{ name: 'status', show: ({ status }) => <Status name={status} /> },
							{ name: 'steps', show: (one) => <Steps of={one} /> },
							{ name: 'asked by', show: ({ requested_by: by }) => by },
							{ name: 'asked', show: ({ requested_at: at }) => <Time at={at} /> },
							{ name: 'due', show: ({ due_at: at }) => (at === null ? '–' : <Time at={at} />) },
						]}
					/>
				)}
			</Panel>
		</Page>
	)
}

function OneErasure({ id }: { id: string }) {
	const one = useCall(erasure, `/v1/erasures/${id}`, 2_000)
	return (
		<Page title="Erasure" actions={one.value && <Actions of={one} shown={one.value} />}>
			<Panel title="Progress" of={one}>
				{(now) => (
					<>
						<p>
							<Status name={now.status} /> · tenant <code>{now.tenant}</code> in {now.region} · asked by{' '}
							{now.requested_by}, <Time at={now.requested_at} />
						</p>
						{now.due_at !== null && now.steps.length === 0 && (
							<p>
								It begins at <Time at={now.due_at} />. Until then it can be cancelled.
							</p>
						)}
						<Steps of={now} />
						<Table
							caption="Steps that are done"
							rows={now.steps}
							keyOf={({ step }) => step}
							empty="No step is done yet."
							columns={[
								{ name: 'step', show: ({ step }) => step },
								{ name: 'done', show: ({ done_at: at }) => <Time at={at} /> },
							]}
						/>
						{now.horizon !== null && (
							<p>
								No recoverable copy exists after <Time at={now.horizon} />.
							</p>
						)}
						{now.certificate !== null && (
							<details>
								<summary>What the certificate says</summary>
								<pre>{JSON.stringify(now.certificate, null, 2)}</pre>
							</details>
						)}
					</>
				)}
			</Panel>
			<p>
				<a href="/console/erasures">All erasures</a>
			</p>
		</Page>
	)
}

/** The file is the answer of the API itself, which `npm run certificate -- verify` checks. */
function Actions({ of, shown }: { of: Loaded<Erasure>; shown: Erasure }) {
	const save = async () => {
		saveFile(new Blob([JSON.stringify(shown, null, '\t')], { type: 'application/json' }), `erasure-${shown.id}.json`)
	}
	const cancel = async () => {
		await ask(erasure, `/v1/erasures/${shown.id}`, { method: 'DELETE' })
		say('The erasure is cancelled.')
		of.reload()
	}
	return (
		<>
			{shown.certificate_jws !== null && <Act verb="Download the certificate" act={save} />}
			{isAdmin.value && shown.status === 'scheduled' && <Act verb="Cancel the erasure" act={cancel} />}
		</>
	)
}

function Steps({ of: { id, steps, steps_to_come: coming } }: { of: Erasure }) {
	const all = steps.length + coming.length
	const words = `${count(steps.length)} of ${count(all)} steps`
	return <Meter label={`steps of erasure ${id}`} value={steps.length} max={all} words={words} />
}
