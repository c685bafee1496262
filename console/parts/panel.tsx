import type { ComponentChildren } from 'preact'
import { milliseconds, time } from '../format.ts'
import type { Loaded } from '../poll.ts'
import { ProblemNote } from './problem.tsx'
import { Source } from './source.tsx'

interface PanelProps<T> {
	title: string
	/** The call whose answer the panel shows. */
	of: Loaded<T>
	/** Buttons beside the title. */
	actions?: ComponentChildren
	wide?: boolean
	half?: boolean
	children: (value: T) => ComponentChildren
}

/** One answer of the API with its name: nothing is shown here that did not come from that call. */
export function Panel<T>({ title, of, actions, wide = false, half = false, children }: PanelProps<T>) {
	const { value, failure } = of
	return (
		<section
			class={`panel${wide ? ' wide' : half ? ' half' : ''}`}
			aria-label={title}
			aria-busy={value === null && failure === null}
		>
			<header>
				<h2>{title}</h2>
				{actions && <div class="actions">{actions}</div>}
			</header>
			{failure !== null && <ProblemNote failure={failure} again={of.reload} />}
			{value !== null ? children(value) : failure === null && <p class="quiet">Loading…</p>}
			<footer>
				<Source path={of.path} />
				{of.loadedAt !== null && <Age at={of.loadedAt} stale={failure !== null} />}
			</footer>
		</section>
	)
}

function Age({ at, stale }: { at: number; stale: boolean }) {
	const words = stale ? `${milliseconds(Date.now() - at)} old` : ''
	return (
		<span class="quiet">{stale ? words : <span title={time(new Date(at).toISOString())}>{clockOf(at)}</span>}</span>
	)
}

function clockOf(at: number): string {
	return new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' }).format(at)
}
