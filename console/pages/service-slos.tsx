import { count, percent, words } from '../format.ts'
import { Mark, Meter } from '../parts/marks.tsx'
import { Table } from '../parts/table.tsx'
import type { Slo } from '../shapes.ts'

export function SloTable({ slos }: { slos: readonly Slo[] }) {
	return (
		<Table
			caption="Objectives and what is left of their error budgets"
			rows={slos}
			keyOf={({ region, name }) => `${region} ${name}`}
			empty="No region has objectives; slo/freehold.yaml states them."
			columns={[
				{ name: 'objective', show: ({ name }) => words(name) },
				{ name: 'region', show: ({ region }) => region },
				{ name: 'target', number: true, show: ({ target }) => percent(target) },
				{ name: 'attained', number: true, show: ({ attained }) => (attained === null ? '–' : percent(attained, 3)) },
				{ name: 'budget left', show: (slo) => <Budget slo={slo} /> },
				{ name: 'events', number: true, show: ({ total, window_days: days }) => `${count(total)} in ${days} days` },
				{ name: 'burning', show: (slo) => <Burning slo={slo} /> },
			]}
		/>
	)
}

function Budget({ slo: { name, region, budget_left: left } }: { slo: Slo }) {
	return (
		<Meter label={`budget left of ${name} in ${region}`} value={Math.max(0, left)} max={1} words={percent(left, 0)} />
	)
}

function Burning({ slo: { burns } }: { slo: Slo }) {
	const worst = burns.find(({ burning }) => burning)
	if (!worst) return <Mark tone="good">no</Mark>
	return (
		<Mark tone={worst.severity === 'page' ? 'bad' : 'fair'}>
			over {worst.factor} times in {count(worst.long_minutes)} min
		</Mark>
	)
}
