import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { RuleName } from '../../core/alert.ts'
import type { Stack } from '../stack.ts'

/** What a drill sees of a running stack: it speaks to the public API only, like a tenant, an operator and a receiver of alerts. */

const writersPerTenant = 2
const writeGapMs = 50
const lookEveryMs = 1_000

interface Tenant {
	id: string
	key: string
	/** Ids of the records whose writes were acknowledged. */
	acknowledged: string[]
	/** Milliseconds that each acknowledged write took. */
	took: number[]
	unanswered: number
}

const alertList = z.object({
	alerts: z.array(z.object({ rule: z.string(), state: z.string() })),
	monitors: z.array(z.object({ probe: z.object({ failed: z.string().nullable() }).nullable() })),
})
const createdTenant = z.object({ id: z.string(), api_key: z.object({ secret: z.string() }) })
const erasureShape = z.object({ id: z.string(), status: z.string() })
const createdRecord = z.object({ id: z.string() })
const collections = z.object({ collections: z.array(z.object({ name: z.string(), records: z.number() })) })

export class Scene {
	stack: Stack
	readonly tenants: Tenant[] = []
	/** When each rule was first seen firing, in milliseconds since the fault. */
	readonly fired = new Map<string, number>()
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

	async awaitAlert(rule: RuleName, withinMs: number): Promise<void> {
		await this.until(`the alert ${rule}`, withinMs, async () => this.fired.has(rule))
	}

	async awaitResolved(rules: readonly RuleName[], withinMs: number): Promise<void> {
		await this.until(`${rules.join(', ')} to be resolved`, withinMs, async () => {
			const { alerts } = await this.alerts()
			return rules.every((rule) => !alerts.some((alert) => alert.rule === rule && alert.state !== 'resolved'))
		})
	}

	/** Ends the writers, then holds what they were told against what is there: in the shards, and in the view once it has caught up. */
	async end(): Promise<{ acknowledged: number; unanswered: number }> {
		await this.stop()
		for (const tenant of this.tenants) {
			for (const id of tenant.acknowledged) {
				const answer = await this.send(tenant.key, 'GET', `/v1/collections/drill/records/${id}`)
				if (answer.status !== 200) throw new Error(`the acknowledged record ${id} is lost: ${answer.status}`)
			}
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
		return { id, key: key.secret, acknowledged: [], took: [], unanswered: 0 }
	}

	/** Erases a tenant for which nobody writes, and waits for the certificate. */
	async erase({ id }: Tenant): Promise<void> {
		const asked = await this.send(this.stack.operatorToken, 'DELETE', `/v1/tenants/${id}`)
		const { id: erasure } = erasureShape.parse(asked.body)
		await this.until('the certificate', 120_000, async () => {
			const shown = await this.send(this.stack.operatorToken, 'GET', `/v1/erasures/${erasure}`)
			return erasureShape.parse(shown.body).status === 'done'
		})
	}

	/** @throws when anything still answers with the tenant's data */
	async expectErased(tenant: Tenant): Promise<void> {
		for (const path of ['/v1/tenant', '/v1/collections', '/v1/collections/drill/records', '/v1/changes']) {
			const { status } = await this.send(tenant.key, 'GET', path)
			if (status !== 410) throw new Error(`${path} of an erased tenant answers ${status}`)
		}
		if ((await this.countInView(tenant)) > 0) throw new Error('the view has an erased tenant')
	}

	/** Reads a region's view anew. */
	async rebuild(region: string, withinMs: number): Promise<void> {
		const asked = await this.send(this.stack.operatorToken, 'POST', '/v1/view/rebuild', { region })
		const shape = z.object({ id: z.string(), state: z.string() })
		const { id } = shape.parse(asked.body)
		await this.until('the rebuild', withinMs, async () => {
			const shown = await this.send(this.stack.operatorToken, 'GET', `/v1/view/rebuilds/${id}`)
			return shape.parse(shown.body).state === 'done'
		})
	}

	async #write(tenant: Tenant): Promise<void> {
		for (let n = 0; !this.#over; n++) {
			const start = performance.now()
			try {
				const answer = await this.send(tenant.key, 'POST', '/v1/collections/drill/records', { n })
				if (answer.status === 201) {
					tenant.acknowledged.push(createdRecord.parse(answer.body).id)
					tenant.took.push(performance.now() - start)
				} else tenant.unanswered += 1
			} catch {
				tenant.unanswered += 1
			}
			await pause(writeGapMs)
		}
	}

	async #watch(): Promise<void> {
		while (!this.#over) {
			const { alerts } = await this.alerts().catch(() => ({ alerts: [] }))
			const now = performance.now()
			for (const { rule, state } of alerts)
				if (state === 'firing' && !this.fired.has(rule)) this.fired.set(rule, now - (this.#faultAt ?? now))
			await pause(lookEveryMs)
		}
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
