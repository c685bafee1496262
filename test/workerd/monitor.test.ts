import { env } from 'cloudflare:workers'
import { expect, test } from 'vitest'
import type { Region } from '../../core/ids.ts'
import { type Env, monitorOf } from '../../workers/env.ts'
import { send } from './client.ts'
import { gatherLog } from './log.ts'

const bindings = env as unknown as Env
gatherLog()

test('the monitor of a cell finds its database dead, tells so over the API, and forgets nothing when it starts anew', async () => {
	const monitor = monitorOf(bindings, 'eu' as Region)
	const now = Date.now()
	// No database answers in this runtime.
	await monitor.tick(now - 120_000)
	await monitor.tick(now - 60_000)
	await monitor.tick(now)
	const alerts = async () => {
		const answer = await send('GET', '/v1/alerts', bindings.OPERATOR_TOKEN)
		return (await answer.json<{ alerts: { id: string; region: string; rule: string; state: string }[] }>()).alerts
	}
	const [alert] = await alerts()
	expect(alert).toMatchObject({ region: 'eu', rule: 'database_unreachable', state: 'firing' })
	const taken = await send('PUT', `/v1/alerts/${alert?.id}/acknowledgement`, bindings.OPERATOR_TOKEN)
	expect(await taken.json()).toMatchObject({ acknowledged_by: 'operator:operator' })
	// The other cell's monitor has not looked yet.
	expect((await alerts()).every(({ region }) => region === 'eu')).toBe(true)
	const slos = await send('GET', '/v1/slo', bindings.OPERATOR_TOKEN)
	expect(slos.status).toBe(200)
	expect(await slos.text()).toContain('"name":"probe-freshness"')
})

test('an erasure that has run for longer than a day is found in the bucket, one on hold or done is not', async () => {
	const hour = 3_600_000
	const now = Math.floor(Date.now() / hour) * hour
	const bucket = bindings.BUCKET_EU as R2Bucket
	const put = async (n: number, control: object, certificate: string | null) => {
		const tenant = `eu_${'0'.repeat(25)}${n}`
		const id = `${tenant}-erasure`
		const times = { requestedAt: now - 30 * hour, claims: [], done: [], found: [], after: [] }
		await bucket.put(
			`erasures/${id}.json`,
			JSON.stringify({ id, tenant, requestedBy: 'operator:x', ...times, certificate }),
		)
		const erasure = { id, dueAt: now - 26 * hour }
		await bucket.put(
			`control/${tenant}.json`,
			JSON.stringify({ state: 'erasing', epoch: 2, createdAt: 0, erasure, ...control }),
		)
	}
	await put(1, {}, null)
	await put(2, { hold: { at: 0, by: 'operator:x' } }, null)
	await put(3, {}, 'signed')
	await monitorOf(bindings, 'eu' as Region).tick(now)
	const { alerts } = await (await send('GET', '/v1/alerts', bindings.OPERATOR_TOKEN)).json<{
		alerts: { rule: string; summary: string }[]
	}>()
	expect(alerts.find(({ rule }) => rule === 'erasure_overdue')?.summary).toBe('1 erasures are past their due date.')
})
