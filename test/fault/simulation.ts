import type { WakeUp } from '../../core/contract.ts'
import { mintId, mintTenantId, parseRegion, type TenantId } from '../../core/ids.ts'
import { hashOf } from '../shard.ts'
import { check, type Verdict } from './checker.ts'
import { Client } from './client.ts'
import type { Attempt, ClientOperation, ViewSample } from './history.ts'
import { MemoryView } from './memory-view.ts'
import { ObjectHost } from './object-host.ts'
import { Pipeline } from './pipeline.ts'
import { Workload } from './workload.ts'
import { type Candidate, type Fault, type FaultRates, faultNames, World } from './world.ts'

export interface Result {
	seed: number
	/** Empty when all promises were kept. */
	violations: string[]
	/** What the checker counted, and `steps`. */
	counts: Record<string, number>
	trace: string[]
}

const clientsPerTenant = 3
const stepsMax = 20_000
/** Ten times what a run takes to catch up after its faults. */
const convergenceStepsMax = 5_000
const day = 86_400_000
/** Of every tenant: the one before and the one after are others. */
const epoch = 2

/** Runs one seeded world from its first write until its view has caught up, and judges what happened. */
export async function simulate(seed: number): Promise<Result> {
	const run = new Simulation(seed)
	try {
		await run.play()
		return run.judge(seed)
	} finally {
		run.close()
	}
}

class Simulation {
	readonly #world: World
	readonly #view = new MemoryView()
	readonly #pipeline: Pipeline
	readonly #hosts: ObjectHost[]
	readonly #clients: { tenant: string; client: Client }[]
	readonly #workload: Workload
	readonly #attempts: Attempt[] = []
	readonly #samples: ViewSample[] = []
	readonly #erased = new Set<string>()
	/** Asked for and not confirmed yet. */
	readonly #rebuilds = new Set<Promise<unknown>>()
	readonly #talking = new Map<string, number>()
	readonly #sampled = new Map<string, string>()

	constructor(seed: number) {
		const world = new World(seed, {})
		this.#world = world
		this.#workload = new Workload(world)
		const region = parseRegion('eu')
		if (!region) throw new Error('not a region')
		const keys = Array.from({ length: clientsPerTenant }, (_, n) => ({ id: `key-${n}`, secretHash: hashOf(`${n}`) }))
		const [owner] = keys
		if (!owner) throw new Error('there is one')
		const tenants = Array.from({ length: 1 + world.chance.below(3) }, (_, n) =>
			mintTenantId(region, world.now + n, world.chance.bytes),
		)
		this.#hosts = tenants.map((tenant) => {
			const ports = {
				announce: (wakeUp: Parameters<Pipeline['send']>[0]) => this.#pipeline.send(wakeUp),
				// An erased tenant's view needs nothing any more.
				applied: () => (this.#erased.has(tenant) ? Number.MAX_SAFE_INTEGER : this.#view.furthest(tenant)),
			}
			const host = new ObjectHost(world, tenant, { kind: 'key', ...owner }, ports)
			host.provision(owner, epoch)
			return host
		})
		this.#pipeline = new Pipeline(world, this.#view, this.#hosts, (tenant) => this.#sample(tenant))
		this.#clients = this.#hosts.flatMap((host) =>
			keys.map(() => ({
				tenant: host.tenant,
				client: new Client(world, host, { kind: 'key', ...owner }, this.#attempts),
			})),
		)
		world.sources.push(
			() => this.#hosts.filter((host) => host.isDue()).map((host) => ({ name: 'alarm', run: () => void host.ring() })),
			() => this.#accidents(),
		)
		world.alarms.push(...this.#hosts.map((host) => () => host.dueAt()))
	}

	async play(): Promise<void> {
		const world = this.#world
		for (const { tenant, client } of this.#firstClients()) this.#talk(tenant, client, this.#workload.start())
		await world.run(() => this.#allSaid(), stepsMax)

		world.rates = chosenRates(world)
		for (const { tenant, client } of this.#clients)
			this.#talk(tenant, client, Array<null>(3 + world.chance.below(10)).fill(null))
		if (!(await world.run(() => this.#allSaid(), stepsMax))) world.violated('a client waits for ever')

		// All faults stop but one: whoever is frozen stays so, and the others must not mind (V4).
		world.rates = {}
		const frozen = this.#hosts.filter((host) => host.frozen)
		await this.#converge(this.#hosts.filter((host) => !host.frozen))
		for (const host of frozen) host.frozen = false
		await this.#converge(frozen)
		for (const host of this.#hosts) host.audit()
	}

	judge(seed: number): Result {
		const verdict: Verdict = check({
			attempts: this.#attempts,
			journals: this.#hosts.map(({ tenant, journal }) => ({ tenant, entries: journal })),
			samples: this.#samples.filter(({ tenant }) => !this.#erased.has(tenant)),
			faults: this.#world.faults,
			minimum: {},
		})
		// Only a view that was lost may begin again.
		const violations = verdict.violations.filter(
			({ kind, tenant }) => kind !== 'watermark_back' || !this.#view.lost.has(tenant),
		)
		const found = violations.map(({ kind, tenant, seq, detail }) => `${kind} at ${seq} of ${tenant}: ${detail}`)
		const { trace, ticks: steps } = this.#world
		return { seed, violations: [...this.#world.violations, ...found], counts: { ...verdict.counts, steps }, trace }
	}

	close(): void {
		for (const host of this.#hosts) host.close()
	}

	#firstClients() {
		return this.#clients.filter((_, n) => n % clientsPerTenant === 0)
	}

	/** One thing after another; null lets the workload choose. */
	#talk(tenant: string, client: Client, operations: (ClientOperation | null)[]): void {
		const isNeeded = operations.some((operation) => operation !== null)
		const talk = async () => {
			for (const operation of operations) {
				await this.#world.step('think')
				this.#workload.learn(await client.ask(operation ?? this.#workload.next(tenant), isNeeded ? 10 : 3))
			}
		}
		const left = () => this.#talking.set(tenant, (this.#talking.get(tenant) ?? 0) - 1)
		this.#talking.set(tenant, (this.#talking.get(tenant) ?? 0) + 1)
		void talk().then(left, (error) => this.#world.violated(`a client broke: ${error}`))
	}

	#allSaid(): boolean {
		return this.#hosts.every(({ frozen, tenant }) => frozen || !this.#talking.get(tenant))
	}

	/** What is still under way ends, what Postgres cannot take is made good, and then the view must come to equal the shards. */
	async #converge(hosts: ObjectHost[]): Promise<void> {
		const clients = this.#clients.filter(({ tenant }) => hosts.some((host) => host.tenant === tenant))
		const isQuiet = () =>
			this.#rebuilds.size === 0 &&
			clients.every(({ tenant, client }) => client.open === 0 && !this.#talking.get(tenant))
		await this.#world.run(isQuiet, convergenceStepsMax)
		for (const { tenant, client } of this.#firstClients().filter((one) => clients.includes(one)))
			this.#talk(tenant, client, this.#workload.repair(tenant))
		await this.#world.run(isQuiet, convergenceStepsMax)
		// The sweep compares the view with the registry, and wakes whom it lacks.
		for (const host of hosts) if (this.#view.lost.has(host.tenant)) this.#pipeline.enqueue(wakeUpOf(host))
		const hasAll = (host: ObjectHost) => {
			const { exact, appliedSeq } = this.#view.sample(host.tenant)
			return exact && appliedSeq === host.journal.length
		}
		await this.#world.run(
			() => hosts.every((host) => this.#erased.has(host.tenant) || hasAll(host)),
			convergenceStepsMax,
		)
		for (const { tenant } of hosts) this.#samples.push({ ...this.#view.sample(tenant), final: true })
	}

	/** Keeps every state of the view that there ever was. */
	#sample(tenant: string): void {
		const state = this.#view.stateOf(tenant)
		if (state === null || this.#sampled.get(tenant) === state) return
		this.#sampled.set(tenant, state)
		const sample = this.#view.sample(tenant)
		if (this.#erased.has(tenant) && sample.rows.length > 0) this.#world.violated('[V3] an erased tenant has rows again')
		this.#samples.push(sample)
	}

	/** What may happen at any time, whoever is doing whatever. */
	#accidents(): Candidate[] {
		const { chance, rates } = this.#world
		return [...this.#accident].flatMap(([fault, happen]) =>
			chance.happens(rates[fault] ?? 0)
				? [{ name: fault, run: () => happen(chance.pick(this.#hosts)) && this.#world.made(fault) }]
				: [],
		)
	}

	/** Each answers whether it could happen. */
	readonly #accident = new Map<Fault, (host: ObjectHost) => boolean>([
		['object_crashes', (host) => host.crash(this.#world.chance.happens(0.5))],
		['object_evicted', (host) => host.evict()],
		['object_frozen', (host) => (host.frozen = !host.frozen)],
		['message_of_old_epoch', (host) => this.#wakeAs(host, epoch - 1)],
		['message_of_next_epoch', (host) => this.#wakeAs(host, epoch + 1)],
		['clock_jumps', () => this.#timePasses(this.#world.chance.below(600_000))],
		['clock_back', () => this.#timePasses(-this.#world.chance.below(60_000))],
		['day_passes', () => this.#isIdle() && this.#timePasses(day)],
		['year_passes', () => this.#isIdle() && this.#timePasses(401 * day)],
		['tenant_erased', ({ tenant }) => this.#erase(tenant)],
		['rebuild_asked', (host) => this.#rebuild(host)],
		['view_lost', ({ tenant }) => this.#lose(tenant)],
	])

	/** A wake-up as a move or a restore may have left it behind. */
	#wakeAs({ tenant, journal }: ObjectHost, epochOfMessage: number): boolean {
		if (this.#view.stateOf(tenant) === null) return false
		this.#pipeline.enqueue({ ...wakeUpOf({ tenant, journal }), epoch: epochOfMessage })
		return true
	}

	#timePasses(ms: number): boolean {
		this.#world.now += ms
		return true
	}

	/** After a day, an idempotency key may stand for a new request, so nobody may be waiting for an old one. */
	#isIdle(): boolean {
		return this.#clients.every(({ client }) => client.open === 0)
	}

	#rebuild(host: ObjectHost): boolean {
		const asked = host.rebuild(mintId(this.#world.now, this.#world.chance.bytes))
		const settled = () => void this.#rebuilds.delete(asked)
		this.#rebuilds.add(asked)
		asked.then(settled, settled)
		return true
	}

	#lose(tenant: TenantId): boolean {
		if (this.#view.stateOf(tenant) === null || this.#erased.has(tenant)) return false
		this.#view.lose(tenant)
		return true
	}

	#erase(tenant: TenantId): boolean {
		if (this.#view.stateOf(tenant) === null || this.#erased.has(tenant)) return false
		this.#erased.add(tenant)
		this.#view.erase(tenant)
		return true
	}
}

function wakeUpOf({ tenant, journal }: Pick<ObjectHost, 'tenant' | 'journal'>): WakeUp {
	return { tenant, shard: 0, epoch, head: journal.length }
}

/** How likely a fault is in a run that has it: for each chance that it gets, or for each step of the world. */
const usualRates: Record<Fault, number> = {
	request_lost: 0.05,
	reply_lost: 0.1,
	client_gives_up: 0.1,
	object_crashes: 0.02,
	object_evicted: 0.03,
	commit_fails: 0.05,
	commit_unknown: 0.05,
	turn_fails: 0.05,
	statement_fails: 0.01,
	object_frozen: 0.02,
	send_fails: 0.2,
	message_lost: 0.4,
	message_doubled: 0.3,
	message_delayed: 0.3,
	message_of_old_epoch: 0.02,
	message_of_next_epoch: 0.04,
	pull_fails: 0.1,
	consumer_dies: 0.06,
	database_refuses: 0.1,
	answer_lost: 0.1,
	clock_jumps: 0.02,
	clock_back: 0.02,
	day_passes: 0.2,
	year_passes: 0.2,
	poison: 0.15,
	tenant_erased: 0.02,
	rebuild_asked: 0.05,
	view_lost: 0.02,
}

/** Each run has some faults and not others: what one hides, its absence shows. */
function chosenRates({ chance }: World): FaultRates {
	const chosen = faultNames.filter(() => chance.happens(0.35))
	const rates: FaultRates = Object.fromEntries(chosen.map((fault) => [fault, usualRates[fault]]))
	if (rates.message_lost && chance.happens(0.3)) rates.message_lost = 1
	return rates
}
