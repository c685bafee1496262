import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { RuleName } from '../../core/alert.ts'
import { type Drill, minute, type Restart, runSql } from './drill.ts'
import { pastPeriod, writePast } from './past.ts'
import type { Scene } from './scene.ts'

/** Where an operator's requests are counted. */
const region = 'global'
const hourMinutes = 60
const dayMinutes = 24 * hourMinutes

/** A right that a migration took away breaks one route, and nothing that the monitor or the probe reads by. */
const breakRoute = 'REVOKE SELECT ON telemetry_usage FROM freehold_read'
const mendRoute = 'GRANT SELECT ON telemetry_usage TO freehold_read'

export const sloBurnFast: Drill = {
	what: 'a route fails for everybody who asks it twenty times a second, after three days in which all was well',
	expects: ['slo_burn_fast'],
	mayFire: [],
	run: (scene, restart) => burn(scene, restart, { rule: 'slo_burn_fast', gapMs: 50, past: () => [1_000, 0] }),
}

export const sloBurnSlow: Drill = {
	what: 'a route fails once a second, after a day with three and a half failures of a thousand that was over for two hours',
	expects: ['slo_burn_slow'],
	mayFire: [],
	run: (scene, restart) => burn(scene, restart, { rule: 'slo_burn_slow', gapMs: 1_000, past: badDay }),
}

/** Requests and failures of a minute so many minutes ago: two good days, a bad one, and two good and quiet hours. */
function badDay(ago: number): [number, number] {
	if (ago <= 2 * hourMinutes) return [300, 0]
	if (ago <= dayMinutes) return [1_000, ago % 2 === 0 ? 4 : 3]
	return [2_000, 0]
}

interface Burning {
	rule: RuleName
	/** Between two requests to the broken route. */
	gapMs: number
	/** Requests and failures of a minute so many minutes ago. */
	past(ago: number): [requests: number, failed: number]
}

async function burn(scene: Scene, restart: Restart, { rule, gapMs, past }: Burning): Promise<void> {
	await restart({}, () =>
		writePast(scene.stack, region, (until) =>
			Array.from({ length: 3 * dayMinutes }, (_, n) => pastPeriod(until - (n + 1) * minute, ...past(n + 1))),
		),
	)
	scene.note(`three days of minutes were written into the storage of the monitor of ${region}`)
	const usage = `/v1/tenants/${(await scene.enlist(region)).id}/usage`
	await expectStatus(scene, usage, 200)
	scene.fault()
	await runSql(scene.stack, breakRoute, region)
	await expectStatus(scene, usage, 500)
	const asking = repeat(gapMs, () => scene.send(scene.stack.operatorToken, 'GET', usage))
	try {
		await scene.awaitAlert(rule, 15 * minute)
		scene.note(`GET /v1/slo: ${await burningNow(scene)}`)
		scene.note(`GET /metrics: ${await failingRoutes(scene)}`)
		await runSql(scene.stack, mendRoute, region)
		scene.note('the route was mended')
		await scene.awaitResolved([rule], 30 * minute)
	} finally {
		await asking.stop()
	}
}

function repeat(gapMs: number, work: () => Promise<unknown>): { stop(): Promise<void> } {
	let over = false
	const loop = async () => {
		while (!over) await Promise.all([work().catch(() => {}), pause(gapMs)])
	}
	const running = loop()
	return {
		stop: () => {
			over = true
			return running
		},
	}
}

async function expectStatus(scene: Scene, path: string, status: number): Promise<void> {
	await scene.until(`${status} from the route`, minute, async () => {
		const answer = await scene.send(scene.stack.operatorToken, 'GET', path)
		return answer.status === status
	})
}

const sloList = z.object({
	slos: z.array(
		z.object({
			region: z.string(),
			name: z.string(),
			burns: z.array(
				z.object({ factor: z.number(), long_minutes: z.number(), long: z.number().nullable(), burning: z.boolean() }),
			),
		}),
	),
})

/** Where the runbook sends its reader first. */
async function burningNow(scene: Scene): Promise<string> {
	const { slos } = sloList.parse((await scene.send(scene.stack.operatorToken, 'GET', '/v1/slo')).body)
	const said = slos.flatMap(({ region: where, name, burns }) =>
		burns
			.filter(({ burning }) => burning)
			.map(
				({ long, long_minutes: over }) =>
					`${name} in ${where} burns ${(long ?? 0).toFixed(1)} times too fast over ${over} minutes`,
			),
	)
	return said.join('; ')
}

/** And where it sends them next. */
async function failingRoutes({ stack }: Scene): Promise<string> {
	const answer = await fetch(`${stack.url}/metrics`, { headers: { Authorization: `Bearer ${stack.operatorToken}` } })
	const failed = (await answer.text()).matchAll(/^freehold_requests_total\{.*route="([^"]+)".*class="5xx".*\} (\d+)$/gm)
	return [...failed].map(([, route, count]) => `${count} failures of ${route}`).join('; ')
}
