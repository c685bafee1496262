import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { RuleName } from '../../core/alert.ts'
import { Client, nextOf } from '../client.ts'
import type { Stack } from '../stack.ts'

/** What a drill sees of a running stack: it speaks to the public API only, like a tenant, an operator and a receiver of alerts. */

const writersPerTenant = 2
/** A steady pace, as long as a write takes less. */
const writeEveryMs = 100
const lookEveryMs = 1_000

export interface Tenant {
	id: string
	key: string
	/** Ids of the records whose writes were acknowledged. */
	acknowledged: string[]
	unanswered: number
}

const alertList = z.object({
	alerts: z.array(z.object({ rule: z.string(), state: z.string(), summary: z.string() })),
	monitors: z.array(z.object({ probe: z.object({ failed: z.string().nullable() }).nullable() })),
})
const createdTenant = z.object({ id: z.string(), api_key: z.object({ secret: z.string() }) })
const createdRecord = z.object({ id: z.string() })
const recordList = z.object({ records: z.array(createdRecord) })
type Alerts = z.infer<typeof alertList>['alerts']
const collections = z.object({ collections: z.array(z.object({ name: z.string(), records: z.number() })) })

export class Scene {
	stack: Stack
	readonly tenants: Tenant[] = []
	/** When each rule was first seen firing, in milliseconds since the fault. */
	readonly fired = new Map<string, number>()
	/** When none of a rule that had fired was open any more, likewise. */
	readonly resolved = new Map<string, number>()
	/** What was done and seen, in its order; before the fault `ms` is null. */
	readonly notes: { ms: number | null; text: string }[] = []
	#faultAt: number | null = null
	#over = false
	#work: Promise<unknown>[] = []
	readonly #leftovers: (() => Promise<void>)[] = []

	constructor(stack: Stack) {
		this.stack = stack
	}

	/** Two tenants, writers at work, a watcher of alerts. Returns when the probe of every region is well. */
	async begin(): Promise<void> {
		for (const region of ['eu', 'global']) this.tenants.push(await this.enlist(region))
		this.#work = [
			...this.tenants.flatMap((tenant) => Array.from({ length: writersPerTenant }, () => this.#write(tenant))),
			this.#watch(),
		]
		await this.until('the probe of every region to succeed', 120_000, async () => {
			const { monitors } = await this.alerts()
			return monitors.every(({ probe }) => probe?.failed === null)
		})
	}

	/** From now on, times are counted. */
	fault(): void {
		this.#faultAt = performance.now()
	}

	/** For the report: what was just done or seen. */
	note(text: string): void {
		this.notes.push({ ms: this.#faultAt === null ? null : performance.now() - this.#faultAt, text })
	}

	/** Answers what the alert says. */
	async awaitAlert(rule: RuleName, withinMs: number): Promise<string> {
		let said = ''
		await this.until(`the alert ${rule}`, withinMs, async () => {
			const firing = (await this.alerts()).alerts.find((alert) => alert.rule === rule && alert.state === 'firing')
			said = firing?.summary ?? ''
			return firing !== undefined
		})
		this.note(`${rule} fires: ${said}`)
		return said
	}

	async awaitResolved(rules: readonly RuleName[], withinMs: number): Promise<void> {
		await this.until(`${rules.join(', ')} to be resolved`, withinMs, async () => {
			const { alerts } = await this.alerts()
			this.#noteResolved(alerts, performance.now())
			return rules.every((rule) => !isOpen(alerts, rule))
		})
		this.note(`${rules.join(', ')} resolved`)
	}

	/** Ends the writers, then holds what they were told against what is there: in the shards, and in the view once it has caught up. */
	async end(): Promise<{ acknowledged: number; unanswered: number }> {
		await this.stop()
		for (const tenant of this.tenants) {
			const present = await this.#recordIds(tenant)
			for (const id of tenant.acknowledged)
				if (!present.has(id)) throw new Error(`the acknowledged record ${id} is lost`)
			await this.until(`the view to have every record of ${tenant.id}`, 180_000, async () => {
				const [present, inView] = [await this.#count(tenant), await this.countInView(tenant)]
				return present >= tenant.acknowledged.length && present === inView
			})
		}
		const sum = (pick: (tenant: Tenant) => number) => this.tenants.reduce((total, tenant) => total + pick(tenant), 0)
		return {
			acknowledged: sum(({ acknowledged }) => acknowledged.length),
			unanswered: sum(({ unanswered }) => unanswered),
		}
	}

	/** Ends the writers and the watcher. */
	async stop(): Promise<void> {
		this.#over = true
		await Promise.all(this.#work)
	}

	/** What the drill has started and the stack does not know of; `leave` ends it. */
	atEnd(work: () => Promise<void>): void {
		this.#leftovers.push(work)
	}

	async leave(): Promise<void> {
		for (const work of this.#leftovers) await work()
	}

	async alerts(): Promise<z.infer<typeof alertList>> {
		return alertList.parse((await this.send(this.stack.operatorToken, 'GET', '/v1/alerts')).body)
	}

	async until(what: string, withinMs: number, check: () => Promise<boolean>): Promise<void> {
		const deadline = performance.now() + withinMs
		for (;;) {
			if (await check().catch(() => false)) return
			if (performance.now() > deadline) throw new Error(`waited ${withinMs / 1_000} s in vain for ${what}`)
			await pause(lookEveryMs)
		}
	}

	/** @throws when no answer comes */
	async send(bearer: string, method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
		const answer = await fetch(`${this.stack.url}${path}`, {
			method,
			headers: {
				Authorization: `Bearer ${bearer}`,
				'Content-Type': 'application/json',
				'Idempotency-Key': crypto.randomUUID(),
			},
			...(body && { body: JSON.stringify(body) }),
			signal: AbortSignal.timeout(30_000),
		})
		const text = await answer.text()
		return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
	}

	/** A further tenant, for whom nobody writes. */
	async enlist(region: string): Promise<Tenant> {
		const slug = `drill-${region}-${crypto.randomUUID().slice(0, 8)}`
		const made = await this.send(this.stack.operatorToken, 'POST', '/v1/tenants', { slug, name: 'Drill', region })
		const { id, api_key: key } = createdTenant.parse(made.body)
		await this.send(key.secret, 'PUT', '/v1/collections/drill', { schema: { type: 'object' } })
		return { id, key: key.secret, acknowledged: [], unanswered: 0 }
	}

	async #write(tenant: Tenant): Promise<void> {
		for (let n = 0; !this.#over; n++) await Promise.all([this.#writeOne(tenant, n), pause(writeEveryMs)])
	}

	async #writeOne(tenant: Tenant, n: number): Promise<void> {
		try {
			const answer = await this.send(tenant.key, 'POST', '/v1/collections/drill/records', { n })
			if (answer.status === 201) tenant.acknowledged.push(createdRecord.parse(answer.body).id)
			else tenant.unanswered += 1
		} catch {
			tenant.unanswered += 1
		}
	}

	async #watch(): Promise<void> {
		while (!this.#over) {
			const { alerts } = await this.alerts().catch(() => ({ alerts: [] }))
			const now = performance.now()
			for (const { rule, state } of alerts)
				if (state === 'firing' && !this.fired.has(rule)) this.fired.set(rule, now - (this.#faultAt ?? now))
			// An answer that did not come says nothing about what is over.
			if (alerts.length > 0) this.#noteResolved(alerts, now)
			await pause(lookEveryMs)
		}
	}

	#noteResolved(alerts: Alerts, now: number): void {
		for (const rule of this.fired.keys()) {
			if (isOpen(alerts, rule)) this.resolved.delete(rule)
			else if (!this.resolved.has(rule)) this.resolved.set(rule, now - (this.#faultAt ?? now))
		}
	}

	async #recordIds({ key }: Tenant): Promise<Set<string>> {
		const client = new Client(this.stack.url, key)
		const ids = new Set<string>()
		for (let path: string | null = '/v1/collections/drill/records?select=id&limit=1000'; path !== null; ) {
			const answer = await client.send('GET', path)
			for (const { id } of recordList.parse(JSON.parse(answer.text)).records) ids.add(id)
			path = nextOf(answer)
		}
		return ids
	}

	async #count(tenant: Tenant): Promise<number> {
		const { body } = await this.send(tenant.key, 'GET', '/v1/collections/drill')
		return z.object({ records: z.number() }).parse(body).records
	}

	async countInView(tenant: Tenant): Promise<number> {
		const { body } = await this.send(this.stack.operatorToken, 'GET', `/v1/view/collections?tenant=${tenant.id}`)
		return collections.parse(body).collections.find(({ name }) => name === 'drill')?.records ?? 0
	}
}

function isOpen(alerts: Alerts, rule: string): boolean {
	return alerts.some((alert) => alert.rule === rule && alert.state !== 'resolved')
}
