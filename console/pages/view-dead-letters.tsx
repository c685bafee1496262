import { ask } from '../api.ts'
import { count } from '../format.ts'
import { Act } from '../parts/act-button.tsx'
import { Status, Time } from '../parts/marks.tsx'
import { Pager, usePages } from '../parts/pager.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { useCall } from '../poll.ts'
import { isAdmin } from '../session.ts'
import { anything, type DeadLetter, deadLetterList } from '../shapes.ts'
import { say } from '../toast.ts'

/** What Postgres refused and the view went past. */
export function DeadLettersPanel() {
	const pages = usePages('')
	const cursor = pages.cursor === null ? '' : `&cursor=${encodeURIComponent(pages.cursor)}`
	const letters = useCall(deadLetterList, `/v1/view/dead-letters?limit=20${cursor}`, 5_000)
	const order = async (letter: DeadLetter, intent: 'replay' | 'discard') => {
		const path = `/v1/view/dead-letters/${letter.id}`
		await (intent === 'replay'
			? ask(anything, `${path}/replay`, { method: 'POST' })
			: ask(anything, path, { method: 'DELETE' }))
		say(intent === 'replay' ? 'The consumer tries it again.' : 'It will be discarded.')
		letters.reload()
	}
	return (
		<Panel title="Dead letters" of={letters} wide>
			{(list) => (
				<>
					{list.waiting + list.discarded > 0 && (
						<p class="quiet">
							{count(list.waiting)} waiting, {count(list.discarded)} discarded
						</p>
					)}
					<Table
						caption="Dead letters"
						rows={list.dead_letters}
						keyOf={({ id }) => id}
						empty="There is none: Postgres has taken everything."
						columns={[
							{ name: 'letter', show: ({ id }) => <code>{id}</code> },
							{ name: 'state', show: ({ state }) => <Status name={state} /> },
							{
								name: 'record',
								show: ({ collection, record }) => <code>{`${collection ?? ''}/${record ?? '*'}`}</code>,
							},
							{ name: 'tenant', show: ({ tenant }) => <a href={`/console/tenants/${tenant}`}>{tenant}</a> },
							{ name: 'reason', show: ({ reason }) => reason },
							{ name: 'attempts', number: true, show: ({ attempts }) => count(attempts) },
							{ name: 'since', show: ({ created_at: at }) => <Time at={at} /> },
							...(isAdmin.value
								? [
										{
											name: 'actions',
											show: (letter: DeadLetter) => (
												<span class="actions">
													<Act verb="Replay" label={`Replay ${letter.id}`} act={() => order(letter, 'replay')} />
													<Act verb="Discard" label={`Discard ${letter.id}`} act={() => order(letter, 'discard')} />
												</span>
											),
										},
									]
								: []),
						]}
					/>
					<Pager pages={pages} next={letters.next} />
				</>
			)}
		</Panel>
	)
}
