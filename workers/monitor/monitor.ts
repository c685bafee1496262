import { DurableObject } from 'cloudflare:workers'
import type { Alert, RuleName, Silence } from '../../core/alert.ts'
import type { Idempotency } from '../../core/contract.ts'
import type { Incident } from '../../core/incident.ts'
import type {
	Monitor as Contract,
	IncidentRecord,
	MonitorState,
	NewNote,
	Opening,
	Recorded,
	SloMonth,
} from '../../core/monitor.ts'
import type { Outcome } from '../../core/refusal.ts'
import type { SloStatus } from '../../core/slo.ts'
import type { Sql, SqlValue } from '../../db/shard/sql.ts'
import { type DeliveryPorts, deliverMessages } from './delivery.ts'
import { IncidentLog } from './incidents.ts'
import { canaryShape, type ProbePorts, probe } from './probe.ts'
import { MonitorStore } from './store.ts'
import { Watch, type WatchPorts } from './watch.ts'

/** What `workers/main.ts` gives the object. */
export interface MonitorPorts
	extends Pick<WatchPorts, 'region' | 'observe' | 'overdueErasures' | 'shardBytesMax' | 'erasureMinutesMax'>,
		Pick<DeliveryPorts, 'receiver' | 'post' | 'random'> {
	/** 26 lower-case letters and digits. */
	mintSuffix(): string
	/** Null where the deployment knows no public address of its own. */
	probe: Pick<ProbePorts, 'url' | 'operatorToken' | 'fetch'> | null
	log(level: 'info' | 'warn' | 'error', event: string, fields: Record<string, string | number | null>): void
}

/** After a delivery that failed as a whole. */
const alarmRetryMs = 60_000

/** The Durable Object of a cell's monitor: wires a `Watch` to the platform and decides nothing itself. */
export class Monitor<Env> extends DurableObject<Env> implements Contract {
	readonly #watch: Watch
	readonly #delivery: DeliveryPorts
	readonly #incidents: IncidentLog
	readonly #ports: MonitorPorts
	/** A tick waits for the network; the next one must not begin in between. */
	#ticking: Promise<void> | null = null

	constructor(ctx: DurableObjectState, env: Env, portsOf: (region: string) => MonitorPorts) {
		super(ctx, env)
		const ports = portsOf(ctx.id.name ?? '')
		const store = new MonitorStore(sqlOf(ctx.storage))
		const outside = ports.probe && {
			...ports.probe,
			region: ports.region,
			mintSuffix: ports.mintSuffix,
			clock: Date.now,
			recall: () => store.recall('canary', canaryShape),
			remember: (canary: object) => store.remember('canary', canary),
		}
		this.#ports = ports
		this.#incidents = new IncidentLog(store)
		this.#delivery = { ...ports, store }
		this.#watch = new Watch({
			...ports,
			store,
			probe: outside && (() => probe(outside)),
			mintId: () => `${ports.region}_${ports.mintSuffix()}`,
			hasReceiver: ports.receiver !== null,
		})
	}

	async tick(at: number): Promise<void> {
		this.#ticking ??= this.#tick(at).finally(() => {
			this.#ticking = null
		})
		await this.#ticking
	}

	async state(): Promise<MonitorState> {
		return this.#watch.state(Date.now())
	}

	async slos(at: number): Promise<SloStatus[]> {
		return this.#watch.slos(at)
	}

	async month(from: number, to: number): Promise<SloMonth[]> {
		return this.#watch.month(from, to)
	}

	async acknowledge(alert: string, by: string): Promise<Outcome<Alert>> {
		return this.#watch.acknowledge(alert, by)
	}

	async silence(rule: RuleName, until: number, by: string): Promise<Silence> {
		return this.#watch.silence(rule, until, by)
	}

	async incidents(): Promise<Incident[]> {
		return this.#incidents.list()
	}

	async incident(id: string): Promise<Outcome<IncidentRecord>> {
		return this.#incidents.read(id)
	}

	async openIncident(opening: Opening, idempotency: Idempotency | null): Promise<Recorded> {
		return this.#incidents.open(opening, idempotency, Date.now())
	}

	async noteIncident(id: string, note: NewNote, idempotency: Idempotency | null): Promise<Recorded> {
		return this.#incidents.note(id, note, idempotency, Date.now())
	}

	/** Sends again what could not be delivered. Never throws: after seven failures the platform deletes an alarm. */
	override async alarm(): Promise<void> {
		try {
			await this.#deliver()
		} catch (error) {
			this.#ports.log('error', 'alarm_failed', { error: error instanceof Error ? error.name : 'unknown' })
			await this.ctx.storage.setAlarm(Date.now() + alarmRetryMs)
		}
	}

	async #tick(at: number): Promise<void> {
		await this.#watch.tick(at)
		await this.#deliver()
	}

	async #deliver(): Promise<void> {
		const next = await deliverMessages(this.#delivery, Date.now())
		if (next !== null) await this.ctx.storage.setAlarm(next)
	}
}

function sqlOf(storage: DurableObjectStorage): Sql {
	return {
		all: <Row extends object>(query: string, ...bindings: SqlValue[]) =>
			storage.sql.exec(query, ...bindings).toArray() as unknown as Row[],
		transaction: (work) => storage.transactionSync(work),
		sizeBytes: () => storage.sql.databaseSize,
	}
}
