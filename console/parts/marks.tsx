import type { ComponentChildren } from 'preact'
import { time, words } from '../format.ts'

export type Tone = 'good' | 'fair' | 'bad' | 'plain'

const signs: Record<Tone, string> = { good: '●', fair: '▲', bad: '■', plain: '○' }

/** A state in words, with a shape beside its colour. */
export function Mark({ tone, children }: { tone: Tone; children: ComponentChildren }) {
	return (
		<span class={`mark ${tone}`}>
			<span aria-hidden="true">{signs[tone]}</span> <span>{children}</span>
		</span>
	)
}

const tones: Record<string, Tone> = {
	active: 'good',
	done: 'good',
	resolved: 'good',
	suspended: 'fair',
	restricted: 'fair',
	waiting: 'fair',
	pending: 'fair',
	scheduled: 'fair',
	held: 'fair',
	running: 'fair',
	listing: 'fair',
	monitoring: 'fair',
	firing: 'bad',
	failed: 'bad',
}

/** A status that the API names; one that the console has not heard of is shown as it is. */
export function Status({ name }: { name: string }) {
	return <Mark tone={tones[name] ?? 'plain'}>{words(name)}</Mark>
}

export function Time({ at }: { at: string | null }) {
	if (at === null) return <span class="quiet">never</span>
	return <time dateTime={at}>{time(at)}</time>
}

/** How much of something is done or used, as a bar and in words. */
export function Meter({
	label,
	value,
	max,
	words: said,
}: {
	label: string
	value: number
	max: number
	words: string
}) {
	return (
		<span class="meter">
			<progress aria-label={label} value={Math.min(value, max)} max={max === 0 ? 1 : max} />
			<span>{said}</span>
		</span>
	)
}

interface FigureProps {
	name: string
	children: ComponentChildren
	hint?: ComponentChildren
	tone?: Tone
}

/** A number that can be read from across the room. */
export function Figure({ name, children, hint, tone = 'plain' }: FigureProps) {
	return (
		<div class={`figure ${tone}`}>
			<dt>{name}</dt>
			<dd>
				<strong>{children}</strong>
				{hint && <span class="quiet">{hint}</span>}
			</dd>
		</div>
	)
}
