/**
 * A strict reader of Prometheus' text format: it throws at whatever `promtool check metrics` would refuse or warn about.
 * promtool itself is no package of npm; its rules are those of promlint in prometheus/client_golang (help, base units, counters,
 * reserved names and labels, types and abbreviated units in names, snake case), of which each has a broken sample in
 * `unit/metrics`. promtool 2.42.0 took the `/metrics` of a running stack without a warning.
 */
export interface Family {
	name: string
	type: string
	samples: { name: string; labels: Record<string, string>; value: number }[]
}

const metricName = /^[a-z_][a-z0-9_]*$/
const labelName = /^[a-z_][a-z0-9_]*$/
const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/y
/** Words that a name should not have: units that are not base units, abbreviated ones, and types. */
const otherWords = new RegExp(
	`^(${[
		'minutes|hours|days|weeks|kelvins|fahrenheit|rankine|inches|yards|miles|bits|calories|pounds|ounces|percent',
		'(pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mibi|giga|gibi|tera|tebi|peta|pebi)(seconds|bytes|bits|meters|metres|grams|joules|volts|amperes)',
		's|ms|us|ns|sec|b|kb|mb|gb|tb|pb|m|h|d',
		'counter|gauge|summary|histogram|untyped',
	].join('|')})$`,
)

export function parseExposition(text: string): Family[] {
	if (text !== '' && !text.endsWith('\n')) throw new Error('the last line must end')
	const families: Family[] = []
	const help = new Set<string>()
	for (const line of text.split('\n').slice(0, -1)) {
		const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
		const last = families.at(-1)
		if (kind === 'HELP') {
			if (help.has(name)) throw new Error(`${name} has two HELP lines`)
			help.add(name)
		} else if (kind === 'TYPE') {
			if (!help.has(name) || families.some((family) => family.name === name))
				throw new Error(`TYPE of ${name} must follow its HELP, once`)
			families.push({ name, type: rest, samples: [] })
		} else if (last === undefined) throw new Error('a sample before any TYPE')
		else last.samples.push(parseSample(line))
	}
	for (const family of families) check(family)
	return families
}

function parseSample(line: string): Family['samples'][number] {
	const [, name = '', labelText = '', value = ''] = sampleLine.exec(line) ?? []
	if (name === '') throw new Error(`not a sample: ${line}`)
	const labels: Record<string, string> = {}
	labelPair.lastIndex = 0
	while (labelPair.lastIndex < labelText.length) {
		const [, label = '', text = ''] = labelPair.exec(labelText) ?? []
		if (label === '' || label.startsWith('__') || label in labels) throw new Error(`broken labels: ${line}`)
		labels[label] = text
	}
	return { name, labels, value: Number(value.replace('Inf', 'Infinity')) }
}

function check({ name, type, samples }: Family): void {
	if (!metricName.test(name)) throw new Error(`${name} is no name of a metric`)
	if (!['counter', 'gauge', 'histogram'].includes(type)) throw new Error(`${name} has the type ${type}`)
	if ((type === 'counter') !== name.endsWith('_total'))
		throw new Error(`${name}: counters, and only they, end in _total`)
	const wrong = name.split('_').find((word, place) => place > 0 && otherWords.test(word))
	if (wrong !== undefined) throw new Error(`${name}: ${wrong} is no base unit, abbreviated or a type`)
	if (type !== 'histogram' && /_(bucket|count|sum)$/.test(name)) throw new Error(`${name} is named like a histogram`)
	const labels = samples.flatMap((sample) => Object.keys(sample.labels))
	if (
		labels.some((label) => label === 'quantile' || (label === 'le' && type !== 'histogram') || !labelName.test(label))
	)
		throw new Error(`${name} has a label that it cannot have`)
	if (samples.length === 0) throw new Error(`${name} has no sample`)
	const series = samples.map((sample) => `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`)
	if (new Set(series).size !== series.length) throw new Error(`${name} has a series twice`)
	if (samples.some(({ value }) => Number.isNaN(value) || (type !== 'gauge' && value < 0)))
		throw new Error(`${name} has a value that it cannot have`)
	if (type === 'histogram') checkHistogram(name, samples)
	else if (samples.some((sample) => sample.name !== name)) throw new Error(`${name} has a sample of another name`)
}

function checkHistogram(name: string, samples: Family['samples']): void {
	const bySeries = Map.groupBy(samples, ({ labels: { le: _le, ...labels } }) =>
		JSON.stringify(Object.entries(labels).sort()),
	)
	for (const [series, own] of bySeries) {
		const buckets = own.filter((sample) => sample.name === `${name}_bucket`)
		const bounds = buckets.map(({ labels }) => Number((labels.le ?? 'NaN').replace('+Inf', 'Infinity')))
		const rises = (values: number[], strictly: boolean) =>
			values.every((value, n) => n === 0 || value > (values[n - 1] ?? 0) || (!strictly && value === values[n - 1]))
		if (!rises(bounds, true) || bounds.at(-1) !== Number.POSITIVE_INFINITY)
			throw new Error(`${name} ${series}: bounds must rise up to +Inf`)
		if (
			!rises(
				buckets.map(({ value }) => value),
				false,
			)
		)
			throw new Error(`${name} ${series}: counts must not fall`)
		const count = own.find((sample) => sample.name === `${name}_count`)
		const sum = own.find((sample) => sample.name === `${name}_sum`)
		if (sum === undefined || count?.value !== buckets.at(-1)?.value || own.length !== buckets.length + 2)
			throw new Error(`${name} ${series}: a histogram has buckets, a sum, and a count that equals +Inf`)
	}
}
