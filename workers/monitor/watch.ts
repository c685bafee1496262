import { z } from 'zod'
import {
	type Alert,
	type AlertEvent,
	evaluate,
	type RuleName,
	rules,
	runbookOf,
	type Silence,
} from '../../core/alert.ts'
import { findingsOf } from '../../core/alert-rules.ts'
import type { Region } from '../../core/ids.ts'
import { alertsShownMax } from '../../core/limits.ts'
import type { MonitorState, ProbeResult, SloMonth } from '../../core/monitor.ts'
import { accept, type Outcome, refuse } from '../../core/refusal.ts'
import { type Period, sumOf } from '../../core/sli.ts'
import { burnMinutesMax, type SloStatus, sloStatus } from '../../core/slo.ts'
import { slos } from '../../core/slos.ts'
import type { Observation } from '../../db/neon/observe.ts'
import type { MonitorStore } from './store.ts'

export interface WatchPorts {
	region: Region
	store: MonitorStore
	/** Null when the database does not answer. */
	observe(since: number): Promise<Observation | null>
	/** Counts erasures of tenants that are past their due date. */
	overdueErasures(now: number): Promise<number>
	/** What a shard may hold in this deployment. */
	shardBytesMax: number
	/** How long a due erasure may take. */
	erasureMinutesMax: number
	/** Null where this deployment knows no public address of its own. */
	probe: (() => Promise<ProbeResult>) | null
	/** Whether anybody is to be told. */
	hasReceiver: boolean
	mintId(): string
	log(level: 'info' | 'warn', event: string, fields: Record<string, string | number | null>): void
}

const minuteMs = 60_000
const dayMs = 86_400_000
/** Counting reads an object for each erasure, so it is done this often in the time that an erasure may take. */
const overdueLooks = 24
/** Telemetry of a minute may arrive this late; after an outage, everything since then is read again. */
const lateMs = 15 * minuteMs

/** Thinks for a cell's monitor: what is good and bad is noted by the minute, and evaluated with all that was noted before. */
export class Watch {
	readonly #ports: WatchPorts

	constructor(ports: WatchPorts) {
		this.#ports = ports
	}

	/** Looks, notes, evaluates. Messages to the receiver wait in the store when this returns. */
	async tick(now: number): Promise<void> {
		const { store, observe, probe } = this.#ports
		const readAt = store.recall('read_at', z.number())
		const since = Math.max(now - burnMinutesMax * minuteMs, (readAt ?? now) - lateMs)
		const [observation, probed, overdue] = await Promise.all([
			observe(since),
			probe?.() ?? null,
			this.#countOverdue(now),
		])
		store.transaction(() => {
			store.addMinutes(this.#noted(observation, probed, now))
			if (observation) {
				store.remember('read_at', now)
				store.remember('shards', observation.census.shards)
			}
			if (probed) store.remember('probe', probed)
			if (overdue !== null) store.remember('erasures_overdue', overdue)
			this.#evaluate(observation, probed, now)
			store.remember('evaluated_at', now)
			store.retire(now)
		})
	}

	state(now: number): MonitorState {
		const { store } = this.#ports
		return {
			evaluatedAt: store.recall('evaluated_at', z.number()),
			alerts: [...store.openAlerts(), ...store.pastAlerts(alertsShownMax)],
			silences: store.silences(now),
			probe: store.recall('probe', probeShape),
		}
	}

	slos(now: number): SloStatus[] {
		const { store } = this.#ports
		const minutes = store.periods('minute', now - burnMinutesMax * minuteMs, now + 1)
		const longest = Math.max(...slos.map(({ windowDays }) => windowDays)) * dayMs
		const hours = store.periods('hour', now - longest, now + 1)
		return slos.map((slo) => sloStatus(slo, minutes, hours, now))
	}

	month(from: number, to: number): SloMonth[] {
		const hours = this.#ports.store.periods('hour', from, to)
		return slos.map(({ name, target }) => ({ name, target, ...sumOf(hours, name) }))
	}

	acknowledge(id: string, by: string): Outcome<Alert> {
		const { store } = this.#ports
		const alert = store.openAlerts().find((one) => one.id === id)
		if (!alert) return refuse('not_found', 'no alert of this id is open')
		const taken = { ...alert, acknowledgedBy: alert.acknowledgedBy ?? by }
		store.saveAlert(taken)
		return accept(taken)
	}

	silence(rule: RuleName, until: number, by: string): Silence {
		const silence = { rule, until, by }
		this.#ports.store.saveSilence(silence)
		return silence
	}

	/** Null between two counts, and while the bucket does not answer. */
	async #countOverdue(now: number): Promise<number | null> {
		const everyMinutes = Math.max(1, Math.floor(this.#ports.erasureMinutesMax / overdueLooks))
		if (Math.floor(now / minuteMs) % everyMinutes !== 0) return null
		try {
			return await this.#ports.overdueErasures(now)
		} catch (error) {
			this.#ports.log('warn', 'overdue_uncounted', { error: error instanceof Error ? error.name : typeof error })
			return null
		}
	}

	/** What this tick says about minutes: the database about the last ones, the census and the probe about this one. */
	#noted(observation: Observation | null, probed: ProbeResult | null, now: number): Period[] {
		const at = Math.floor(now / minuteMs) * minuteMs
		const minutes: Period[] = [...(observation?.requests ?? [])]
		if (observation) {
			const { shards, late, incomplete } = observation.census
			const freshness = { good: shards - late, total: shards }
			minutes.push({ at, counts: { freshness, accuracy: { good: shards - incomplete, total: shards } } })
		} else {
			// Nobody can read a view that does not answer; whether its rows are right is not known.
			const shards = this.#ports.store.recall('shards', z.number()) ?? 1
			minutes.push({ at, counts: { freshness: { good: 0, total: shards } } })
		}
		if (probed) minutes.push({ at, counts: probeCounts(probed) })
		return minutes
	}

	#evaluate(observation: Observation | null, probed: ProbeResult | null, now: number): void {
		const { store, mintId, shardBytesMax } = this.#ports
		const findings = findingsOf({
			census: observation?.census ?? null,
			probe: probed && { ok: probed.failed === null, failed: probed.failed },
			erasuresOverdue: store.recall('erasures_overdue', z.number()) ?? 0,
			slos: this.slos(now),
			quarters: store.periods('quarter', 0, now),
			shardBytesMax,
			now,
		})
		const { alerts, events } = evaluate(store.openAlerts(), findings, store.silences(now), now, mintId)
		store.saveAlerts(alerts)
		for (const event of events) this.#tell(event, now)
	}

	#tell({ kind, alert }: AlertEvent, now: number): void {
		const { store, region, hasReceiver, log } = this.#ports
		log('warn', `alert_${kind}`, { region, alert: alert.id, rule: alert.rule, subject: alert.subject })
		if (!hasReceiver) return
		const { id, rule, subject, summary, foundAt, firedAt, resolvedAt } = alert
		const data = {
			...{ id, region, rule, subject, summary },
			severity: rules[rule].severity,
			runbook: runbookOf(rule),
			found_at: timeOf(foundAt),
			fired_at: timeOf(firedAt),
			resolved_at: timeOf(resolvedAt),
		}
		const body = JSON.stringify({ type: `alert.${kind}`, timestamp: timeOf(now), data })
		store.addMessage(`msg_${id}_${kind}`, body, now)
	}
}

const slowViewMs = slos.find(({ name }) => name === 'probe-freshness')?.withinMs ?? 0

function probeCounts({ failed, viewMs }: ProbeResult): Period['counts'] {
	const served = failed === null || failed === 'view'
	const one = (good: boolean) => ({ good: good ? 1 : 0, total: 1 })
	return {
		'probe-availability': one(served),
		// A write that failed cannot be late.
		...(served && { 'probe-freshness': one(viewMs !== null && viewMs <= slowViewMs) }),
	}
}

const took = z.number().nullable()
const probeShape = z.object({
	at: z.number(),
	failed: z.enum(['tenant', 'write', 'read', 'view']).nullable(),
	writeMs: took,
	readMs: took,
	viewMs: took,
})

function timeOf(ms: number | null): string | null {
	return ms === null ? null : new Date(ms).toISOString()
}
