import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { Period } from '../../core/sli.ts'
import { budgets, type Drill, minute } from './drill.ts'
import { pastPeriod, writePast } from './past.ts'
import type { Scene, Tenant } from './scene.ts'

const quarterMs = 15 * minute
const dayMs = 24 * 60 * minute
const pastDays = 7
/** The same time of other days differed by so much, so that a busy machine is not an anomaly. */
const swing = [0.92, 1, 1.08] as const
const measuredMs = 30_000
/** Times what is usual for a quarter of an hour, and beside it. */
const surgeFactor = 1.5
const surgeAtOnce = 16
/** A surge has to end with the quarter of an hour in which it began, so that the next one is as usual. */
const surgeMsMax = 5 * minute
const usageShape = z.object({ usage: z.array(z.object({ requests: z.number() })) })

export const trafficAnomaly: Drill = {
	what: 'one tenant sends half as much again as all do in a quarter of an hour, within minutes, after a steady week',
	expects: ['traffic_anomaly'],
	mayFire: budgets,
	run: async (scene, restart) => {
		const loud = await scene.enlist('eu')
		const usual = await usualRequests(scene)
		await restart({}, () => writePast(scene.stack, 'eu', (until) => steadyWeek(until, usual)))
		scene.note(
			`a week of about ${usual} requests a quarter of an hour was written into the storage of the monitor of eu`,
		)
		const left = quarterMs - (Date.now() % quarterMs)
		if (left < surgeMsMax) await pause(left)
		scene.fault()
		const sent = await surge(scene, loud, usual * surgeFactor)
		scene.note(`one tenant has sent ${sent} requests`)
		const said = await scene.awaitAlert('traffic_anomaly', 30 * minute)
		const [counted = 0, expected = 0] = (said.match(/\d+/g) ?? []).map(Number)
		if (counted <= expected) throw new Error('the alert is about a silence')
		const path = `/v1/tenants/${loud.id}`
		const { usage } = usageShape.parse(
			(await scene.send(scene.stack.operatorToken, 'GET', `${path}/usage?grain=hour&limit=2`)).body,
		)
		scene.note(
			`GET /v1/tenants/{id}/usage: ${usage.map(({ requests }) => requests).join(' and ')} requests of that tenant by the hour`,
		)
		await scene.send(scene.stack.operatorToken, 'PATCH', path, { limits: { requests_per_second: 1 } })
		await scene.until('the tenant to be slowed down', minute, async () =>
			(await Promise.all(Array.from({ length: 20 }, () => ask(scene, loud)))).includes(429),
		)
		scene.note('its rate was lowered, and it is answered 429')
		await scene.awaitResolved(['traffic_anomaly'], 30 * minute)
	},
}

/** What the writers of the region come to in a quarter of an hour. */
async function usualRequests({ tenants }: Scene): Promise<number> {
	const writer = tenants.find(({ id }) => id.startsWith('eu_'))
	if (!writer) throw new Error('nobody writes in eu')
	const before = writer.acknowledged.length
	await pause(measuredMs)
	return Math.round(((writer.acknowledged.length - before) * quarterMs) / measuredMs)
}

/** Whole quarters of an hour, and of the one that the stack was started in the minutes before that. */
function steadyWeek(until: number, usual: number): Period[] {
	const begun = Math.floor(until / quarterMs) * quarterMs
	const minutes = Array.from({ length: (until - begun) / minute }, (_, n) =>
		pastPeriod(begun + n * minute, Math.round((usual * minute) / quarterMs)),
	)
	const quarters = Array.from({ length: (pastDays * dayMs) / quarterMs }, (_, n) => {
		const at = begun - (n + 1) * quarterMs
		return pastPeriod(at, Math.round(usual * (swing[Math.floor(at / dayMs) % swing.length] ?? 1)))
	})
	return [...minutes, ...quarters]
}

/** Answers how many requests were sent. */
async function surge(scene: Scene, tenant: Tenant, requests: number): Promise<number> {
	const end = performance.now() + surgeMsMax
	let sent = 0
	const flood = async () => {
		while (sent < requests && performance.now() < end) {
			sent += 1
			await ask(scene, tenant).catch(() => {})
		}
	}
	await Promise.all(Array.from({ length: surgeAtOnce }, flood))
	return sent
}

async function ask(scene: Scene, { key }: Tenant): Promise<number> {
	return (await scene.send(key, 'GET', '/v1/tenant')).status
}
