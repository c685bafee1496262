/** A cell's monitor on `node:sqlite`: the real thinking and the real SQL; what the world is like, the test says. */
import { mintId, type Region } from '../core/ids.ts'
import type { Monitor, ProbeResult } from '../core/monitor.ts'
import type { Observation } from '../db/neon/observe.ts'
import { IncidentLog } from '../workers/monitor/incidents.ts'
import { MonitorStore } from '../workers/monitor/store.ts'
import { Watch } from '../workers/monitor/watch.ts'
import { nodeSql } from './node-sql.ts'

export const quiet = {
	shards: 10,
	late: 0,
	stalled: 0,
	worstLagMs: 0,
	differing: 0,
	incomplete: 0,
	deadLetters: 0,
	largestBytes: 1_000,
} satisfies Observation['census']

export class TestMonitor implements Monitor {
	now = Date.UTC(2026, 10, 22, 12)
	/** What the database answers to the next tick; null when it is dead. */
	observation: Observation | null = { census: quiet, requests: [] }
	probe: ProbeResult | null = null
	readonly logged: { event: string; rule: unknown; subject: unknown; at: number }[] = []
	readonly store = new MonitorStore(nodeSql())
	readonly log = new IncidentLog(this.store)
	readonly watch: Watch
	overdue = 0
	/** Since when the last tick asked the database. */
	since = 0

	constructor(region = 'eu' as Region, erasureMinutesMax = 1_440) {
		this.watch = new Watch({
			region,
			store: this.store,
			observe: async (since) => {
				this.since = since
				return this.observation
			},
			overdueErasures: async () => this.overdue,
			shardBytesMax: 10_000_000_000,
			erasureMinutesMax,
			probe: async () => this.probe ?? { at: this.now, failed: null, writeMs: 5, readMs: 2, viewMs: 900 },
			hasReceiver: true,
			mintId: () => `${region}_${mintId(this.now, (bytes) => crypto.getRandomValues(bytes))}`,
			log: (_level, event, { rule = null, subject = null }) => this.logged.push({ event, rule, subject, at: this.now }),
		})
	}

	/** One minute with so many requests, of which some fail and some are slow. */
	async minute({ requests = 1_000, failed = 0, slow = 0 } = {}): Promise<void> {
		const at = this.now
		if (this.observation) {
			const counts = {
				availability: { good: requests - failed, total: requests },
				latency: { good: requests - slow, total: requests },
			}
			this.observation = { ...this.observation, requests: [{ at, counts }] }
		}
		await this.tick(at)
		this.now += 60_000
	}

	/** So many minutes that went by before the test began to look. */
	history(count: number, { requests, failed = 0 }: { requests?: (n: number) => number; failed?: number } = {}): void {
		const all = (total: number) => ({ good: total, total })
		const start = this.now
		this.now += count * 60_000
		const minutes = Array.from({ length: count }, (_, n) => {
			const total = requests?.(n) ?? 1_000
			const shards = { freshness: all(10), accuracy: all(10), 'probe-availability': all(1), 'probe-freshness': all(1) }
			return {
				at: start + n * 60_000,
				counts: { availability: { good: total - failed, total }, latency: all(total), ...shards },
			}
		})
		this.store.transaction(() => this.store.addMinutes(minutes))
		this.store.remember('read_at', this.now)
		this.store.remember('shards', 10)
	}

	async minutes(count: number, counts?: Parameters<TestMonitor['minute']>[0]): Promise<void> {
		for (let n = 0; n < count; n++) await this.minute(counts)
	}

	/** `firing` and `resolved` by rule, in their order, e.g. `firing dead_letters`. */
	told(): string[] {
		return this.logged.map(({ event, rule, subject }) =>
			[event.replace('alert_', ''), rule, ...(subject === null ? [] : [subject])].join(' '),
		)
	}

	tick(at: number): Promise<void> {
		return this.watch.tick(at)
	}

	async state() {
		return this.watch.state(this.now)
	}

	async slos(at: number) {
		return this.watch.slos(at)
	}

	async month(from: number, to: number) {
		return this.watch.month(from, to)
	}

	async acknowledge(alert: string, by: string) {
		return this.watch.acknowledge(alert, by)
	}

	async incidents() {
		return this.log.list()
	}

	async incident(id: string) {
		return this.log.read(id)
	}

	async openIncident(...[opening, idempotency]: Parameters<Monitor['openIncident']>) {
		return this.log.open(opening, idempotency, this.now)
	}

	async noteIncident(...[id, note, idempotency]: Parameters<Monitor['noteIncident']>) {
		return this.log.note(id, note, idempotency, this.now)
	}

	async silence(...all: Parameters<Monitor['silence']>) {
		return this.watch.silence(...all)
	}
}
