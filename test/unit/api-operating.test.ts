import { expect, test } from 'vitest'
import type { Region } from '../../core/ids.ts'
import { Edge } from '../api-ports.ts'
import { quiet, TestMonitor } from '../monitor.ts'

const eu = 'eu' as Region

async function edgeWithAlert(): Promise<{ edge: Edge; id: string }> {
	const edge = new Edge()
	const monitor = new TestMonitor(eu)
	edge.monitors.set(eu, monitor)
	monitor.observation = { census: { ...quiet, deadLetters: 2, incomplete: 1 }, requests: [] }
	await monitor.minute()
	edge.now = monitor.now
	const [alert] = (await monitor.state()).alerts
	return { edge, id: alert?.id ?? '' }
}

test('alerts of every region are listed with their runbooks, can be taken on, and silenced by rule', async () => {
	const { edge, id } = await edgeWithAlert()
	const list = async () =>
		(await edge.fetch('GET', '/v1/alerts', { as: 'reader-token' })).json<{
			alerts: object[]
			monitors: object[]
			silences: object[]
		}>()
	const listed = await list()
	const runbook = 'docs/runbooks/dead-letters.md'
	expect(listed.alerts).toMatchObject([
		{ id, region: 'eu', rule: 'dead_letters', state: 'firing', runbook, silenced: false },
	])
	expect(listed.monitors).toMatchObject([
		{ region: 'global', evaluated_at: null, probe: null },
		{ region: 'eu', probe: { failed: null } },
	])
	const taken = await edge.fetch('PUT', `/v1/alerts/${id}/acknowledgement`, { as: 'root-token' })
	expect([taken.status, await taken.json()]).toMatchObject([200, { id, acknowledged_by: 'operator:root' }])
	await edge.fetch('PUT', '/v1/silences/dead_letters', { as: 'root-token', body: { minutes: 30 } })
	expect(await list()).toMatchObject({
		alerts: [{ silenced: true }],
		silences: [{ region: 'global' }, { region: 'eu' }],
	})
	await edge.fetch('PUT', '/v1/silences/dead_letters', { as: 'root-token', body: { minutes: 0 } })
	expect((await list()).silences).toEqual([])
})

test('ids and rules that nobody has are 404 and broken input is 400 or 422, without a call of an object', async () => {
	const { edge } = await edgeWithAlert()
	const put = async (path: string, body?: object) =>
		(await edge.fetch('PUT', path, { as: 'root-token', ...(body && { body }) })).status
	const zeros = '0'.repeat(26)
	for (const id of [`eu_${zeros}`, `mars_${zeros}`, 'eu', `eu_${zeros}_1`, '%00', '../x'])
		expect(await put(`/v1/alerts/${id}/acknowledgement`), id).toBe(404)
	expect(await put('/v1/silences/nothing', { minutes: 1 })).toBe(404)
	for (const body of [
		{},
		{ minutes: -1 },
		{ minutes: 1e9 },
		{ minutes: 1.5 },
		{ minutes: '1' },
		{ minutes: 1, until: 2 },
	])
		expect(await put('/v1/silences/dead_letters', body), JSON.stringify(body)).toBe(422)
	const report = async (query: string) =>
		(await edge.fetch('GET', `/v1/slo/report${query}`, { as: 'reader-token' })).status
	expect(
		await Promise.all(['?month=2026-13', '?month=x', '?months=2026-11', '?month=2026-11&month=2026-10'].map(report)),
	).toEqual([400, 400, 400, 400])
})

test('objectives tell attainment, budget and burn over every window, and a month is told in JSON and Markdown', async () => {
	const edge = new Edge()
	const monitor = new TestMonitor(eu)
	edge.monitors.set(eu, monitor)
	monitor.history(120, { failed: 2 })
	await monitor.minute({ failed: 2 })
	edge.now = monitor.now
	const { slos } = await (await edge.fetch('GET', '/v1/slo', { as: 'reader-token' })).json<{
		slos: { region: string; name: string; burns: object[] }[]
	}>()
	const availability = slos.find(({ region, name }) => region === 'eu' && name === 'availability')
	expect(availability).toMatchObject({ target: 0.999, window_days: 30, attained: 0.998 })
	expect(availability?.burns).toMatchObject([
		{ factor: 14.4, long_minutes: 60, short_minutes: 5, burning: false },
		{ factor: 6, long_minutes: 360 },
		{ factor: 3, long_minutes: 1_440 },
		{ factor: 1, long_minutes: 4_320 },
	])
	expect(
		slos.filter(({ region }) => region === 'global').every((one) => 'attained' in one && one.attained === null),
	).toBe(true)
	const month = await edge.fetch('GET', '/v1/slo/report?month=2026-11', { as: 'reader-token' })
	const { slos: told } = await month.json<{ slos: { region: string; slo: string }[] }>()
	expect(told.find(({ region, slo }) => region === 'eu' && slo === 'availability')).toMatchObject({
		met: false,
		attained: 0.998,
	})
	const text = await edge.fetch('GET', '/v1/slo/report', { as: 'reader-token', headers: { Accept: 'text/markdown' } })
	expect(text.headers.get('Content-Type')).toContain('text/markdown')
	expect(await text.text()).toContain('| eu | availability | 99.900 % | 99.800 % | no |')
})
