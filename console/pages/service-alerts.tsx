import type { ComponentChildren } from 'preact'
import { milliseconds, words } from '../format.ts'
import { Mark, Status, Time } from '../parts/marks.tsx'
import { Table } from '../parts/table.tsx'
import type { Alert, Monitor } from '../shapes.ts'

interface AlertTableProps {
	list: readonly Alert[]
	/** What can be done about one. */
	actions?: (alert: Alert) => ComponentChildren
}

export function AlertTable({ list, actions }: AlertTableProps) {
	return (
		<Table
			caption="Alerts"
			rows={list}
			keyOf={({ id }) => id}
			empty="Nothing is wrong."
			columns={[
				{ name: 'rule', show: ({ rule }) => words(rule) },
				{ name: 'state', show: ({ state }) => <Status name={state} /> },
				{ name: 'region', show: ({ region, subject }) => (subject === null ? region : `${region}, ${subject}`) },
				{ name: 'what', show: ({ summary }) => summary },
				{ name: 'since', show: ({ fired_at: fired, found_at: found }) => <Time at={fired ?? found} /> },
				{ name: 'runbook', show: ({ runbook }) => <code>{runbook}</code> },
				{ name: 'taken by', show: ({ acknowledged_by: by }) => by ?? '–' },
				...(actions ? [{ name: 'actions', show: actions }] : []),
			]}
		/>
	)
}

export function ProbeTable({ monitors }: { monitors: readonly Monitor[] }) {
	const took = (pick: (probe: NonNullable<Monitor['probe']>) => number | null) => {
		return ({ probe }: Monitor) => {
			const ms = probe && pick(probe)
			return ms === null ? '–' : milliseconds(ms)
		}
	}
	return (
		<Table
			caption="The probe of each region"
			rows={monitors}
			keyOf={({ region }) => region}
			empty="There is no monitor."
			columns={[
				{ name: 'region', show: ({ region }) => region },
				{ name: 'result', show: ({ probe }) => <ProbeResult probe={probe} /> },
				{ name: 'write', number: true, show: took(({ write_ms: ms }) => ms) },
				{ name: 'read', number: true, show: took(({ read_ms: ms }) => ms) },
				{ name: 'in the view', number: true, show: took(({ view_ms: ms }) => ms) },
				{ name: 'at', show: ({ probe }) => <Time at={probe?.at ?? null} /> },
				{ name: 'evaluated', show: ({ evaluated_at: at }) => <Time at={at} /> },
			]}
		/>
	)
}

function ProbeResult({ probe }: Pick<Monitor, 'probe'>) {
	if (probe === null) return <Mark tone="plain">has not run</Mark>
	return probe.failed === null ? <Mark tone="good">good</Mark> : <Mark tone="bad">failed at {words(probe.failed)}</Mark>
}
