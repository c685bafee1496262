import { expect, test } from 'vitest'
import type { Region } from '../../core/ids.ts'
import { Edge } from '../api-ports.ts'
import { TestMonitor } from '../monitor.ts'

const eu = 'eu' as Region
const root = { as: 'root-token' }

async function outage(): Promise<{ edge: Edge; monitor: TestMonitor }> {
	const edge = new Edge()
	const monitor = new TestMonitor(eu)
	edge.monitors.set(eu, monitor)
	monitor.history(60)
	monitor.observation = null
	await monitor.minutes(3)
	edge.now = monitor.now
	return { edge, monitor }
}

test('an incident is opened, told in notes and resolved; its timeline has the alerts that fired, its postmortem is filled from it', async () => {
	const { edge, monitor } = await outage()
	const opened = await edge.fetch('POST', '/v1/incidents', {
		...root,
		body: { region: 'eu', title: 'Views are late', text: 'Neon restarts.' },
	})
	expect(opened.status).toBe(201)
	const path = opened.headers.get('Location') ?? ''
	expect(await opened.json()).toMatchObject({
		...{ region: 'eu', status: 'investigating', resolved_at: null },
		timeline: [
			{ text: expect.stringContaining('alert database_unreachable fires') },
			{ text: 'operator:root (investigating): Neon restarts.' },
		],
	})
	monitor.now += 10 * 60_000
	const noted = await edge.fetch('POST', `${path}/notes`, {
		...root,
		body: { status: 'resolved', text: 'It answers again.' },
	})
	expect(await noted.json()).toMatchObject({ status: 'resolved', resolved_at: new Date(monitor.now).toISOString() })
	const postmortem = await (await edge.fetch('GET', `${path}/postmortem`, { as: 'reader-token' })).text()
	for (const part of [
		'# Postmortem: Views are late',
		'after 12 min',
		'database_unreachable fires',
		'It answers again.',
		'## Actions',
	])
		expect(postmortem).toContain(part)
	expect(await (await edge.fetch('GET', '/v1/incidents', { as: 'reader-token' })).json()).toMatchObject({
		incidents: [{ status: 'resolved' }],
	})
})

test('a retry with the same key opens one incident and adds one note; another request with the key is 422', async () => {
	const { edge } = await outage()
	const send = (path: string, body: object) =>
		edge.fetch('POST', path, { ...root, body, headers: { 'Idempotency-Key': 'one' } })
	const body = { region: 'eu', title: 'Slow', text: 'We look.' }
	const paths = [await send('/v1/incidents', body), await send('/v1/incidents', body)].map(
		(answer) => answer.headers.get('Location') ?? '',
	)
	expect(new Set(paths).size).toBe(1)
	expect((await send('/v1/incidents', { ...body, title: 'Fast' })).status).toBe(422)
	const note = { status: 'identified', text: 'Found.' }
	for (let n = 0; n < 2; n++) await send(`${paths[0]}/notes`, note)
	expect((await send(`${paths[0]}/notes`, { ...note, text: 'Lost.' })).status).toBe(422)
	const { timeline } = await (await edge.fetch('GET', paths[0] ?? '', root)).json<{ timeline: { text: string }[] }>()
	expect(timeline.filter(({ text }) => text.includes('Found.'))).toHaveLength(1)
	for (const broken of [
		{},
		{ ...body, title: ' ' },
		{ ...body, region: 'mars' },
		{ ...body, text: 'x'.repeat(4_001) },
		{ ...body, more: 1 },
	])
		expect((await edge.fetch('POST', '/v1/incidents', { ...root, body: broken })).status).toBe(422)
})

test('the status page tells everybody what is degraded, without notes or tenants, and asks monitors at most every ten seconds', async () => {
	const { edge, monitor } = await outage()
	const { id } = await edge.tenant('secret-customer')
	await edge.fetch('POST', '/v1/incidents', {
		...root,
		body: { region: 'eu', title: 'Late <b>views</b>', text: `because of ${id}` },
	})
	const json = await edge.fetch('GET', '/status')
	expect(await json.clone().json()).toMatchObject({
		status: 'degraded',
		regions: [
			{ region: 'global', api: 'operational', view: 'operational' },
			{ region: 'eu', view: 'degraded' },
		],
		incidents: [{ title: 'Late <b>views</b>', status: 'investigating' }],
	})
	const page = await edge.fetch('GET', '/status', { headers: { Accept: 'text/html' } })
	const text = await page.text()
	expect(text).toContain('Late &lt;b&gt;views&lt;/b&gt;')
	for (const shown of [text, await json.text()]) {
		expect(shown).not.toContain(id)
		expect(shown).not.toContain('secret-customer')
	}
	monitor.store.saveAlerts([])
	expect(await (await edge.fetch('GET', '/status')).json()).toMatchObject({ status: 'degraded' })
	edge.now += 10_001
	expect(await (await edge.fetch('GET', '/status')).json()).toMatchObject({ status: 'operational' })
})
