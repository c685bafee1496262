/**
 * Prometheus' text format, version 0.0.4.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { coarseBounds, countWithin, type Histogram, total } from './histogram.ts'

export const expositionMedia = 'text/plain; version=0.0.4; charset=utf-8'

export type Labels = Record<string, string>

/** One metric with all of its series. A counter's name ends in `_total`; units are base units, in the name. */
export function counter(name: string, help: string, series: readonly (readonly [Labels, number])[]): string {
	if (!name.endsWith('_total')) throw new Error('a counter is named _total')
	return family(name, 'counter', help, series)
}

export function gauge(name: string, help: string, series: readonly (readonly [Labels, number])[]): string {
	return family(name, 'gauge', help, series)
}

/** A histogram of durations in seconds, with a bound at every power of two of a millisecond. */
export function durations(
	name: string,
	help: string,
	series: readonly { labels: Labels; histogram: Histogram; sumMs: number }[],
): string {
	const lines = series.flatMap(({ labels, histogram, sumMs }) => {
		const all = total(histogram)
		const bounds = coarseBounds.map((ms) =>
			line(`${name}_bucket`, { ...labels, le: String(ms / 1_000) }, countWithin(histogram, ms)),
		)
		return [
			...bounds,
			line(`${name}_bucket`, { ...labels, le: '+Inf' }, all),
			line(`${name}_sum`, labels, sumMs / 1_000),
			line(`${name}_count`, labels, all),
		]
	})
	return lines.length === 0 ? '' : `${head(name, 'histogram', help)}${lines.join('')}`
}

function family(name: string, type: string, help: string, series: readonly (readonly [Labels, number])[]): string {
	if (series.length === 0) return ''
	return `${head(name, type, help)}${series.map(([labels, value]) => line(name, labels, value)).join('')}`
}

function head(name: string, type: string, help: string): string {
	return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`
}

function line(name: string, labels: Labels, value: number): string {
	const pairs = Object.entries(labels).map(([label, text]) => `${label}="${quoted(text)}"`)
	return `${name}${pairs.length > 0 ? `{${pairs.join()}}` : ''} ${value}\n`
}

function quoted(text: string): string {
	return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
