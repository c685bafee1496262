/** The states of alerts: pure, with time as an argument. `core/alert-rules.ts` finds what is wrong; this says who hears of it. */
import type { Severity } from './slo.ts'

export const ruleNames = [
	'slo_burn_fast',
	'slo_burn_slow',
	'database_unreachable',
	'probe_failing',
	'view_difference',
	'dead_letters',
	'shard_stalled',
	'shard_size_90',
	'shard_size_70',
	'erasure_overdue',
	'traffic_anomaly',
] as const
export type RuleName = (typeof ruleNames)[number]

export interface Rule {
	severity: Severity
	/** How long something must be wrong before anybody is told, in milliseconds. */
	pendingMs: number
}

const minute = 60_000

/** Every rule has a runbook of its name in `docs/runbooks/`. Burn rates wait by their windows. */
export const rules: Record<RuleName, Rule> = {
	slo_burn_fast: { severity: 'page', pendingMs: 0 },
	slo_burn_slow: { severity: 'ticket', pendingMs: 0 },
	database_unreachable: { severity: 'page', pendingMs: minute },
	probe_failing: { severity: 'page', pendingMs: 2 * minute },
	view_difference: { severity: 'ticket', pendingMs: 0 },
	dead_letters: { severity: 'ticket', pendingMs: 0 },
	shard_stalled: { severity: 'page', pendingMs: minute },
	shard_size_90: { severity: 'page', pendingMs: 0 },
	shard_size_70: { severity: 'ticket', pendingMs: 0 },
	erasure_overdue: { severity: 'page', pendingMs: 0 },
	traffic_anomaly: { severity: 'ticket', pendingMs: 10 * minute },
}

/** How long a condition must be gone before its alert is resolved, so that one that comes and goes is told once. */
const clearMs = 2 * minute

export function runbookOf(rule: RuleName): string {
	return `docs/runbooks/${rule.replaceAll('_', '-')}.md`
}

/** Something that is wrong at this moment. At most one of each `key`. */
export interface Finding {
	rule: RuleName
	/** What it is about beyond its rule, such as the SLO; null for all else. */
	subject: string | null
	/** Numbers and names of ours; no tenant's data. */
	summary: string
}

export interface Alert extends Finding {
	id: string
	state: 'pending' | 'firing' | 'resolved'
	/** When it was found first, when it began to fire, was last found, and was resolved; milliseconds since 1970. */
	foundAt: number
	firedAt: number | null
	lastAt: number
	resolvedAt: number | null
	/** When the receiver was told that it fires; null while it is silenced. */
	toldAt: number | null
	/** Who has taken it on: `operator:<token name>`. */
	acknowledgedBy: string | null
}

export interface Silence {
	rule: RuleName
	until: number
	by: string
}

export interface AlertEvent {
	kind: 'firing' | 'resolved'
	alert: Alert
}

/**
 * One evaluation. Answers the alerts as they are now, the ones that it resolved among them, and what the receiver is to be told:
 * that an alert fires, once, and that it is resolved, if it was told of it.
 * @param open alerts that are pending or firing
 */
export function evaluate(
	open: readonly Alert[],
	findings: readonly Finding[],
	silences: readonly Silence[],
	now: number,
	mintId: () => string,
): { alerts: Alert[]; events: AlertEvent[] } {
	const known = new Map(open.map((alert) => [keyOf(alert), alert]))
	const alerts: Alert[] = []
	const events: AlertEvent[] = []
	for (const finding of findings) {
		const before = known.get(keyOf(finding))
		known.delete(keyOf(finding))
		const alert = found(before ?? begun(finding, now, mintId()), finding, now)
		if (alert.state === 'firing' && alert.toldAt === null && !isSilenced(alert, silences, now)) {
			alert.toldAt = now
			events.push({ kind: 'firing', alert })
		}
		alerts.push(alert)
	}
	for (const alert of known.values()) {
		// What was never told of leaves without a word.
		if (alert.state === 'pending') continue
		if (now - alert.lastAt < clearMs) alerts.push(alert)
		else {
			const resolved: Alert = { ...alert, state: 'resolved', resolvedAt: now }
			alerts.push(resolved)
			if (alert.toldAt !== null) events.push({ kind: 'resolved', alert: resolved })
		}
	}
	return { alerts, events }
}

function begun({ rule, subject, summary }: Finding, now: number, id: string): Alert {
	const never = { firedAt: null, resolvedAt: null, toldAt: null, acknowledgedBy: null }
	return { id, rule, subject, summary, state: 'pending', foundAt: now, lastAt: now, ...never }
}

function found(alert: Alert, { rule, summary }: Finding, now: number): Alert {
	const next = { ...alert, summary, lastAt: now }
	if (alert.state !== 'pending' || now - alert.foundAt < rules[rule].pendingMs) return next
	return { ...next, state: 'firing', firedAt: now }
}

function isSilenced({ rule }: Alert, silences: readonly Silence[], now: number): boolean {
	return silences.some((silence) => silence.rule === rule && silence.until > now)
}

function keyOf({ rule, subject }: Pick<Finding, 'rule' | 'subject'>): string {
	return `${rule} ${subject ?? ''}`
}
