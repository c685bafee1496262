import { z } from 'zod'
import { type Alert, type RuleName, ruleNames, type Silence } from '../../core/alert.ts'
import type { Idempotency } from '../../core/contract.ts'
import { type Incident, incidentShape, recordShape } from '../../core/incident.ts'
import { idempotencyKeptMs } from '../../core/limits.ts'
import type { IncidentRecord } from '../../core/monitor.ts'
import { type Counts, combine, type Period } from '../../core/sli.ts'
import { burnMinutesMax } from '../../core/slo.ts'
import type { Sql, SqlValue } from '../../db/shard/sql.ts'

/** All SQL of the monitor. */

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Periods by their length; each is kept for as long as something is computed from it. */
const grains = {
	minute: { lengthMs: minuteMs, keptMs: burnMinutesMax * minuteMs + hourMs },
	quarter: { lengthMs: 15 * minuteMs, keptMs: 15 * dayMs },
	hour: { lengthMs: hourMs, keptMs: 400 * dayMs },
} as const
type Grain = keyof typeof grains

const alertsKeptMs = 90 * dayMs

const tables = `
CREATE TABLE IF NOT EXISTS period (grain TEXT NOT NULL, at INTEGER NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (grain, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alert (id TEXT PRIMARY KEY, open INTEGER NOT NULL, last_at INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS silence (rule TEXT PRIMARY KEY, until INTEGER NOT NULL, by TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (id TEXT PRIMARY KEY, body TEXT NOT NULL, made_at INTEGER NOT NULL, failures INTEGER NOT NULL, next_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incident (id TEXT PRIMARY KEY, open INTEGER NOT NULL, opened_at INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`

const rule = z.enum(ruleNames)

export interface Outgoing {
	id: string
	body: string
	madeAt: number
	failures: number
}

export class MonitorStore {
	readonly #sql: Sql

	constructor(sql: Sql) {
		this.#sql = sql
		for (const statement of tables.split(';')) sql.all(statement)
	}

	transaction<T>(work: () => T): T {
		return this.#sql.transaction(work)
	}

	/** Adds what is known of minutes, and sums up the longer periods that hold them. What is said again replaces what was said. */
	addMinutes(minutes: readonly Period[]): void {
		for (const { at, counts } of minutes) {
			const before = this.#counts('minute', at)
			const next = { ...before, ...counts }
			if (JSON.stringify(next) !== JSON.stringify(before)) this.#save('minute', at, next)
		}
		for (const grain of ['quarter', 'hour'] as const) {
			const { lengthMs } = grains[grain]
			for (const start of new Set(minutes.map(({ at }) => Math.floor(at / lengthMs) * lengthMs)))
				this.#save(grain, start, combine(this.periods('minute', start, start + lengthMs)))
		}
	}

	/** From `from` up to, not including, `to`, in their order. */
	periods(grain: Grain, from: number, to: number): Period[] {
		return this.#sql
			.all<{ at: number; counts: string }>(
				'SELECT at, counts FROM period WHERE grain = ? AND at >= ? AND at < ? ORDER BY at',
				grain,
				from,
				to,
			)
			.map(({ at, counts }) => ({ at, counts: JSON.parse(counts) }))
	}

	/** Deletes what is no longer needed. */
	retire(now: number): void {
		for (const [grain, { keptMs }] of Object.entries(grains))
			this.#sql.all('DELETE FROM period WHERE grain = ? AND at < ?', grain, now - keptMs)
		this.#sql.all('DELETE FROM alert WHERE open = 0 AND last_at < ?', now - alertsKeptMs)
		this.#sql.all('DELETE FROM silence WHERE until <= ?', now)
	}

	/** Pending and firing alerts. */
	openAlerts(): Alert[] {
		return this.#alerts('SELECT body FROM alert WHERE open = 1 ORDER BY id')
	}

	/** The last resolved ones, newest first. */
	pastAlerts(limit: number): Alert[] {
		return this.#alerts(`SELECT body FROM alert WHERE open = 0 ORDER BY last_at DESC, id LIMIT ${limit}`)
	}

	/** Replaces the open alerts by these, of which resolved ones stay as the past. */
	saveAlerts(alerts: readonly Alert[]): void {
		this.#sql.all('DELETE FROM alert WHERE open = 1')
		for (const alert of alerts) this.saveAlert(alert)
	}

	saveAlert(alert: Alert): void {
		const open = alert.state === 'resolved' ? 0 : 1
		const body = JSON.stringify(alert)
		this.#sql.all(
			'INSERT OR REPLACE INTO alert (id, open, last_at, body) VALUES (?, ?, ?, ?)',
			alert.id,
			open,
			alert.lastAt,
			body,
		)
	}

	silences(now: number): Silence[] {
		return this.#sql
			.all<Silence>('SELECT rule, until, by FROM silence WHERE until > ? ORDER BY rule', now)
			.map((row) => ({ ...row, rule: rule.parse(row.rule) }))
	}

	saveSilence({ rule: name, until, by }: Silence): void {
		this.#sql.all(
			'INSERT OR REPLACE INTO silence (rule, until, by) VALUES (?, ?, ?)',
			name satisfies RuleName,
			until,
			by,
		)
	}

	/** Open ones first, then the newest. */
	incidents(limit: number): Incident[] {
		return this.#incidents(`SELECT body FROM incident ORDER BY open DESC, opened_at DESC, id LIMIT ${limit}`)
	}

	incident(id: string): Incident | null {
		return this.#incidents('SELECT body FROM incident WHERE id = ?', id)[0] ?? null
	}

	saveIncident(incident: Incident): void {
		this.#sql.all(
			'INSERT OR REPLACE INTO incident (id, open, opened_at, body) VALUES (?, ?, ?, ?)',
			incident.id,
			incident.status === 'resolved' ? 0 : 1,
			incident.openedAt,
			JSON.stringify(incident),
		)
	}

	/** What was answered to the first request of an idempotency key. */
	answer(key: string): { fingerprint: string; record: IncidentRecord } | null {
		const row = this.#sql.all<{ fingerprint: string; body: string }>(
			'SELECT fingerprint, body FROM answer WHERE key = ?',
			key,
		)[0]
		return row === undefined ? null : { fingerprint: row.fingerprint, record: recordShape.parse(JSON.parse(row.body)) }
	}

	saveAnswer({ key, fingerprint }: Idempotency, record: IncidentRecord, now: number): void {
		this.#sql.all('DELETE FROM answer WHERE at < ?', now - idempotencyKeptMs)
		this.#sql.all(
			'INSERT INTO answer (key, fingerprint, body, at) VALUES (?, ?, ?, ?)',
			key,
			fingerprint,
			JSON.stringify(record),
			now,
		)
	}

	/** A message of an id that waits already stays as it is. */
	addMessage(id: string, body: string, now: number): void {
		this.#sql.all(
			'INSERT OR IGNORE INTO message (id, body, made_at, failures, next_at) VALUES (?, ?, ?, 0, ?)',
			id,
			body,
			now,
			now,
		)
	}

	dueMessages(now: number): Outgoing[] {
		return this.#sql.all<Outgoing & object>(
			'SELECT id, body, made_at AS madeAt, failures FROM message WHERE next_at <= ? ORDER BY made_at, id',
			now,
		)
	}

	/** When the next message is due; null when none waits. */
	nextMessageAt(): number | null {
		return this.#sql.all<{ at: number | null }>('SELECT min(next_at) AS at FROM message')[0]?.at ?? null
	}

	forgetMessage(id: string): void {
		this.#sql.all('DELETE FROM message WHERE id = ?', id)
	}

	postponeMessage(id: string, nextAt: number): void {
		this.#sql.all('UPDATE message SET failures = failures + 1, next_at = ? WHERE id = ?', nextAt, id)
	}

	/** A single value that outlives the instance. @throws when it is not what the schema says */
	recall<S extends z.ZodType>(name: string, schema: S): z.output<S> | null {
		const row = this.#sql.all<{ value: string }>('SELECT value FROM fact WHERE name = ?', name)[0]
		return row === undefined ? null : schema.parse(JSON.parse(row.value))
	}

	remember(name: string, value: unknown): void {
		this.#sql.all('INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)', name, JSON.stringify(value))
	}

	#counts(grain: Grain, at: number): Counts {
		const row = this.#sql.all<{ counts: string }>('SELECT counts FROM period WHERE grain = ? AND at = ?', grain, at)[0]
		return row === undefined ? {} : JSON.parse(row.counts)
	}

	#save(grain: Grain, at: number, counts: Counts): void {
		this.#sql.all(
			'INSERT OR REPLACE INTO period (grain, at, counts) VALUES (?, ?, ?)',
			grain,
			at,
			JSON.stringify(counts),
		)
	}

	#incidents(query: string, ...bindings: SqlValue[]): Incident[] {
		return this.#sql.all<{ body: string }>(query, ...bindings).map(({ body }) => incidentShape.parse(JSON.parse(body)))
	}

	#alerts(query: string): Alert[] {
		return this.#sql.all<{ body: string }>(query).map(({ body }) => alertShape.parse(JSON.parse(body)))
	}
}

const moment = z.number().nullable()
const alertShape = z.object({
	id: z.string(),
	rule,
	subject: z.string().nullable(),
	summary: z.string(),
	state: z.enum(['pending', 'firing', 'resolved']),
	foundAt: z.number(),
	lastAt: z.number(),
	firedAt: moment,
	resolvedAt: moment,
	toldAt: moment,
	acknowledgedBy: z.string().nullable(),
})
