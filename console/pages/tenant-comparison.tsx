import { useEffect, useRef, useState } from 'preact/hooks'
import { ask, Refused } from '../api.ts'
import { count } from '../format.ts'
import { Meter } from '../parts/marks.tsx'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import type { Loaded } from '../poll.ts'
import { type DeepVerification, deepVerification } from '../shapes.ts'

interface Found {
	record: string
	what: string
}

/** How far a comparison came; `at` is where it goes on, null before its first part and after its last. */
interface Comparison {
	state: 'not begun' | 'running' | 'stopped' | 'done'
	compared: number
	records: number
	found: readonly Found[]
	at: string | null
}

const notBegun: Comparison = { state: 'not begun', compared: 0, records: 0, found: [], at: null }

/** Every record of the shard beside its row in the view, part by part, as long as somebody wants it. */
export function ComparisonPanel({ id }: { id: string }) {
	const { of, now, begin, stop } = useComparison(`/v1/view/verification?tenant=${id}&deep=true`)
	const verb = { 'not begun': 'Compare', running: 'Stop', stopped: 'Go on', done: 'Compare again' }[now.state]
	return (
		<Panel
			title="The view, record by record"
			of={of}
			wide
			actions={
				<button type="button" onClick={now.state === 'running' ? stop : begin}>
					{verb}
				</button>
			}
		>
			{({ state, compared, records, found }) =>
				state === 'not begun' ? (
					<p class="empty">
						Nothing was compared yet. Writes may go on meanwhile; what is only on its way is not named.
					</p>
				) : (
					<>
						<p aria-live="polite">
							<Meter
								label="records compared"
								value={compared}
								max={records}
								words={`${state}: ${count(compared)} of ${count(records)} records compared`}
							/>
						</p>
						<Table
							caption="Records that differ"
							rows={found}
							keyOf={({ record }) => record}
							empty={state === 'done' ? 'The view has every record as the shard has it.' : 'Nothing differs so far.'}
							columns={[
								{ name: 'record', show: ({ record }) => <code>{record}</code> },
								{ name: 'the view', show: ({ what }) => what },
							]}
						/>
					</>
				)
			}
		</Panel>
	)
}

/** The same for a panel as a call that is repeated: what was answered last, and why nothing more is. */
function useComparison(path: string) {
	const [now, setNow] = useState(notBegun)
	const [failure, setFailure] = useState<Refused | null>(null)
	const [loadedAt, setLoadedAt] = useState<number | null>(null)
	const ending = useRef(new AbortController())
	useEffect(() => () => ending.current.abort(), [])
	const run = async () => {
		ending.current = new AbortController()
		const { signal } = ending.current
		let far: Comparison = { ...(now.state === 'stopped' ? now : notBegun), state: 'running' }
		setNow(far)
		setFailure(null)
		try {
			while (far.state === 'running') {
				const place = far.at === null ? '' : `&cursor=${encodeURIComponent(far.at)}`
				const { value, next } = await ask(deepVerification, path + place, { signal })
				far = advance(far, value, next)
				setNow(far)
				setLoadedAt(Date.now())
			}
		} catch (error) {
			if (!signal.aborted && !(error instanceof Refused)) throw error
			setNow({ ...far, state: 'stopped' })
			if (error instanceof Refused) setFailure(error)
		}
	}
	const begin = () => void run()
	const of: Loaded<Comparison> = { path, value: now, next: null, failure, loadedAt, reload: begin }
	return { of, now, begin, stop: () => ending.current.abort() }
}

const said = {
	missing: 'lacks it',
	extra: 'has it, and the shard does not',
	different: 'has it otherwise',
	undecided: 'cannot be told: it changed whenever it was looked at',
} as const

function advance(before: Comparison, { deep }: DeepVerification, next: string | null): Comparison {
	const found = (['missing', 'extra', 'different', 'undecided'] as const).flatMap((kind) =>
		deep[kind].map(({ collection, id }) => ({ record: `${collection}/${id}`, what: said[kind] })),
	)
	return {
		state: next === null ? 'done' : 'running',
		compared: deep.compared,
		records: deep.records,
		found: [...before.found, ...found],
		at: next,
	}
}
