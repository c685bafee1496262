import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { clock, time } from '../format.ts'
import { theme } from '../theme.ts'
import { Table } from './table.tsx'

interface Series {
	name: string
	/** One a moment; null where there is nothing to draw. */
	values: readonly (number | null)[]
}

interface ChartProps {
	title: string
	/** Times in RFC 3339. */
	at: readonly string[]
	series: readonly Series[]
	format: (value: number) => string
}

const height = 180
/** Around a single moment, in seconds. */
const halfHour = 1_800

/** Lines over time, and the same numbers as a table for whoever cannot see or trust a line. */
export function Chart({ title, at, series, format }: ChartProps) {
	const place = useRef<HTMLDivElement>(null)
	const plot = useRef<uPlot | null>(null)
	const seconds = at.map((moment) => Date.parse(moment) / 1_000)
	const data: uPlot.AlignedData = [seconds, ...series.map(({ values }) => [...values])]
	const latest = useRef(data)
	latest.current = data
	const names = series.map(({ name }) => name).join()
	useEffect(() => {
		const box = place.current
		if (box === null) return
		const drawn = new uPlot(
			optionsOf(names.split(','), format, box.clientWidth, latest.current[0].length === 1),
			latest.current,
			box,
		)
		plot.current = drawn
		const watching = new ResizeObserver(() => drawn.setSize({ width: box.clientWidth, height }))
		watching.observe(box)
		return () => {
			watching.disconnect()
			drawn.destroy()
			plot.current = null
		}
		// The colours of the lines come from the style sheet, so another theme is another drawing.
	}, [names, format, theme.value])
	useEffect(() => plot.current?.setData(data))
	return (
		<figure class="chart">
			<div ref={place} aria-hidden="true" />
			<figcaption>
				{series.map(({ name, values }, place) => (
					<span key={name} class={`key series-${place}`}>
						{name}: {sayLast(values, format)}
					</span>
				))}
			</figcaption>
			<details>
				<summary>As a table</summary>
				<Table
					caption={title}
					keyOf={({ moment }) => moment}
					empty="Nothing was measured."
					rows={at
						.map((moment, place) => ({ moment, values: series.map(({ values }) => values[place] ?? null) }))
						.reverse()}
					columns={[
						{ name: 'time', show: ({ moment }) => time(moment) },
						...series.map(({ name }, place) => ({
							name,
							number: true as const,
							show: ({ values }: { values: (number | null)[] }) => {
								const value = values[place] ?? null
								return value === null ? '–' : format(value)
							},
						})),
					]}
				/>
			</details>
		</figure>
	)
}

function sayLast(values: readonly (number | null)[], format: (value: number) => string): string {
	const last = values.at(-1) ?? null
	return last === null ? 'nothing in the last period' : format(last)
}

function optionsOf(
	names: readonly string[],
	format: (value: number) => string,
	width: number,
	single: boolean,
): uPlot.Options {
	const axis = {
		stroke: () => color('--ink-2'),
		grid: { stroke: () => color('--line'), width: 1 },
		ticks: { show: false },
	}
	return {
		width,
		height,
		legend: { show: false },
		cursor: { y: false, points: { size: 6 } },
		scales: {
			x: {
				// What uPlot would show around a single moment is years.
				range: ({ data: [moments] }, first, last) =>
					moments.length === 1 && first !== null ? [first - halfHour, first + halfHour] : [first, last],
			},
			y: { range: (_, __, max) => [0, max > 0 ? max * 1.15 : 1] },
		},
		axes: [
			{ ...axis, values: (_, moments) => moments.map((moment) => clock(moment * 1_000).split(' ')[0] ?? '') },
			{ ...axis, size: 72, values: (_, values) => values.map(format) },
		],
		series: [
			{},
			...names.map((label, place) => ({
				label,
				width: 1.75,
				stroke: () => color(`--series-${place}`),
				...(place === 0 && { fill: () => color('--series-fill') }),
				points: { show: single },
			})),
		],
	}
}

function color(name: string): string {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}
