import { useState } from 'preact/hooks'
import { ask } from '../api.ts'
import { Action } from '../parts/act.tsx'
import { Mark, Time } from '../parts/marks.tsx'
import { Panel } from '../parts/panel.tsx'
import { useCall } from '../poll.ts'
import { isAdmin } from '../session.ts'
import { hold } from '../shapes.ts'
import { say } from '../toast.ts'

/** Whether somebody keeps the tenant from being erased, and the way to begin and end that. */
export function HoldPanel({ id }: { id: string }) {
	const path = `/v1/tenants/${id}/hold`
	const held = useCall(hold, path, 30_000)
	const [changing, setChanging] = useState(false)
	const isHeld = held.value?.held === true
	const verb = isHeld ? 'Lift the hold' : 'Put a hold'
	const change = async () => {
		await ask(hold, path, { method: isHeld ? 'DELETE' : 'PUT' })
		say(isHeld ? 'The hold is lifted.' : 'Held: nothing of this tenant is erased.')
		setChanging(false)
		held.reload()
	}
	return (
		<Panel
			title="Legal hold"
			of={held}
			half
			actions={
				isAdmin.value &&
				held.value && (
					<button type="button" onClick={() => setChanging(true)}>
						{verb}
					</button>
				)
			}
		>
			{(now) => (
				<>
					<p>
						{now.held ? (
							<>
								<Mark tone="fair">held</Mark> by {now.by} since <Time at={now.since ?? null} />: no erasure goes on.
							</>
						) : (
							<Mark tone="plain">none</Mark>
						)}
					</p>
					{changing && (
						<Action title={verb} verb={verb} danger={isHeld} act={change} onClose={() => setChanging(false)}>
							<p>
								{isHeld
									? 'An erasure that waited goes on at once, and what has come of age is deleted.'
									: 'An erasure waits as long as the hold lasts, also one that has begun, and nothing is deleted by its age.'}
							</p>
						</Action>
					)}
				</>
			)}
		</Panel>
	)
}
