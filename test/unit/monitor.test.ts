import { expect, test } from 'vitest'
import { ruleNames, runbookOf } from '../../core/alert.ts'
import { anomalyOf } from '../../core/anomaly.ts'
import type { Region } from '../../core/ids.ts'
import { slos } from '../../core/slos.ts'
import { quiet, TestMonitor } from '../monitor.ts'

/** A cell that has served well for so many hours. */
async function settled(hours = 6): Promise<TestMonitor> {
	const monitor = new TestMonitor()
	monitor.history(hours * 60 - 1)
	await monitor.minute()
	expect(monitor.told()).toEqual([])
	return monitor
}

test('a dead database pages in the second minute, and is resolved once it has answered for two', async () => {
	const monitor = await settled(1)
	const { observation } = monitor
	monitor.observation = null
	await monitor.minute()
	expect(monitor.told()).toEqual([])
	await monitor.minute()
	expect(monitor.told()).toEqual(['firing database_unreachable'])
	const [alert] = (await monitor.state()).alerts
	expect(alert).toMatchObject({ rule: 'database_unreachable', state: 'firing' })
	monitor.observation = observation
	await monitor.minutes(3)
	expect(monitor.told()).toContain('resolved database_unreachable')
})

test('a short blip does not page: one minute without the database, 300 errors in one minute, two failed probes', async () => {
	const monitor = await settled()
	const { observation } = monitor
	monitor.observation = null
	await monitor.minute()
	monitor.observation = observation
	await monitor.minutes(10)
	await monitor.minute({ requests: 1_000, failed: 300 })
	await monitor.minutes(10)
	monitor.probe = { at: monitor.now, failed: 'write', writeMs: null, readMs: null, viewMs: null }
	await monitor.minutes(2)
	monitor.probe = null
	await monitor.minutes(20)
	expect(monitor.told()).toEqual([])
})

test.each([
	[0.02, 'slo_burn_fast', 60],
	[0.008, 'slo_burn_fast', 6 * 60],
	[0.004, 'slo_burn_slow', 24 * 60],
	[0.0015, 'slo_burn_slow', 72 * 60],
	[0.0005, null, 72 * 60],
])('an error rate of %d with a budget of 0.001 leads to %s', async (rate, rule, within) => {
	const monitor = await settled(2)
	const start = monitor.now
	while (monitor.logged.length === 0 && monitor.now - start < within * 60_000) {
		monitor.history(within / 30, { requests: () => 10_000, failed: 10_000 * rate })
		await monitor.minute({ requests: 10_000, failed: 10_000 * rate })
	}
	const expected = rule === null ? [] : [`firing ${rule} availability`]
	expect(monitor.told()).toEqual(expected)
})

test('an outage pages within minutes, once, and stops burning soon after it is over', async () => {
	const monitor = await settled()
	const start = monitor.now
	while (monitor.logged.length === 0) await monitor.minute({ failed: 1_000 })
	expect(monitor.now - start).toBeLessThanOrEqual(5 * 60_000)
	await monitor.minutes(5, { failed: 1_000 })
	expect(monitor.told()).toEqual(['firing slo_burn_fast availability'])
	// The short window forgets within half an hour; the slow rule may go on as a ticket.
	await monitor.minutes(60)
	expect(monitor.told()).toContain('resolved slo_burn_fast availability')
	expect(monitor.told().filter((one) => one === 'firing slo_burn_fast availability')).toHaveLength(1)
})

test('few events never page by their share alone', async () => {
	const monitor = new TestMonitor()
	monitor.history(120, { requests: () => 0 })
	await monitor.minutes(4, { requests: 1, failed: 1 })
	await monitor.minutes(10, { requests: 0 })
	expect(monitor.told()).toEqual([])
})

test('what the shards say is told by rule, and the larger of two sizes alone', async () => {
	const monitor = await settled(1)
	const census = {
		...quiet,
		stalled: 2,
		worstLagMs: 400_000,
		differing: 1,
		deadLetters: 3,
		incomplete: 1,
		largestBytes: 9_100_000_000,
	}
	monitor.observation = { census, requests: [] }
	await monitor.minute()
	expect(monitor.told().sort()).toEqual(['firing dead_letters', 'firing shard_size_90', 'firing view_difference'])
	await monitor.minute()
	expect(monitor.told()).toContain('firing shard_stalled')
	monitor.observation = { census: { ...quiet, largestBytes: 7_100_000_000 }, requests: [] }
	await monitor.minutes(4)
	expect(monitor.told().filter((one) => one.includes('size'))).toEqual([
		'firing shard_size_90',
		'firing shard_size_70',
		'resolved shard_size_90',
	])
})

test('an erasure past its due date is found within the hour, and is resolved when it is done', async () => {
	const monitor = await settled(1)
	monitor.overdue = 1
	await monitor.minutes(61)
	expect(monitor.told()).toEqual(['firing erasure_overdue'])
	monitor.overdue = 0
	await monitor.minutes(64)
	expect(monitor.told()).toEqual(['firing erasure_overdue', 'resolved erasure_overdue'])
})

test('where erasures may take a minute only, one that is late is found in the next', async () => {
	const monitor = new TestMonitor('eu' as Region, 1)
	monitor.now += 61_000
	monitor.overdue = 1
	await monitor.minute()
	expect(monitor.told()).toEqual(['firing erasure_overdue'])
})

test('traffic that breaks with the days before is told, and the usual rise and fall of a day is not', async () => {
	const monitor = new TestMonitor()
	const usual = (n: number) => Math.round(500 + 400 * Math.sin((2 * Math.PI * n) / 1_440))
	monitor.history(7 * 1_440, { requests: usual })
	for (let n = 0; n < 1_440; n += 40) {
		monitor.history(39, { requests: (later) => usual(n + later) })
		await monitor.minute({ requests: usual(n + 39) })
	}
	expect(monitor.told()).toEqual([])
	for (let n = 0; n < 45; n++) await monitor.minute({ requests: usual(n) * 5 })
	expect(monitor.told()).toEqual(['firing traffic_anomaly'])
})

test('anomalies need history, a share and a number', () => {
	expect(anomalyOf(0, [1_000, 1_000, 1_000, 1_000])).toBeNull()
	expect(anomalyOf(0, [1_000, 1_010, 990, 1_000, 1_005])).toEqual({ value: 0, usual: 1_000 })
	expect(anomalyOf(700, [1_000, 1_010, 990, 1_000, 1_005])).toBeNull()
	expect(anomalyOf(90, [0, 0, 0, 0, 0])).toBeNull()
	expect(anomalyOf(5_000, [1_000, 9_000, 500, 4_000, 7_000])).toBeNull()
})

test('one that comes and goes is told once; a silence holds messages back and not the alert; the first to take it on is named', async () => {
	const monitor = await settled(1)
	monitor.watch.silence('dead_letters', monitor.now + 5 * 60_000, 'operator:root')
	const bad = { census: { ...quiet, deadLetters: 1, incomplete: 1 }, requests: [] }
	const good = { census: quiet, requests: [] }
	for (const observation of [bad, good, bad, good, bad]) {
		monitor.observation = observation
		await monitor.minute()
	}
	expect(monitor.told()).toEqual([])
	const { alerts } = await monitor.state()
	expect(alerts).toMatchObject([{ rule: 'dead_letters', state: 'firing', toldAt: null }])
	const id = alerts[0]?.id ?? ''
	expect(monitor.watch.acknowledge(id, 'operator:ada')).toMatchObject({
		ok: true,
		value: { acknowledgedBy: 'operator:ada' },
	})
	expect(monitor.watch.acknowledge(id, 'operator:bob')).toMatchObject({
		ok: true,
		value: { acknowledgedBy: 'operator:ada' },
	})
	// The silence is over, and it still fires.
	await monitor.minute()
	expect(monitor.told()).toEqual(['firing dead_letters'])
	monitor.observation = good
	await monitor.minutes(5)
	expect(monitor.told()).toEqual(['firing dead_letters', 'resolved dead_letters'])
	expect(monitor.watch.acknowledge(id, 'operator:bob')).toMatchObject({ ok: false })
	expect(monitor.store.dueMessages(monitor.now).map(({ body }) => JSON.parse(body).type)).toEqual([
		'alert.firing',
		'alert.resolved',
	])
})

test('telemetry that arrives late still counts, and after an outage of the database all of it is read again', async () => {
	const monitor = await settled(1)
	const outage = monitor.now
	monitor.observation = null
	await monitor.minutes(60)
	const served = Array.from({ length: 60 }, (_, n) => ({
		at: outage + n * 60_000,
		counts: { availability: { good: 90, total: 100 } },
	}))
	monitor.observation = { census: quiet, requests: served }
	await monitor.tick(monitor.now)
	expect(monitor.since).toBeLessThanOrEqual(outage)
	const availability = monitor.watch.slos(monitor.now).find(({ slo }) => slo.name === 'availability')
	expect(availability?.events).toEqual({ good: 60 * 1_000 + 60 * 90, total: 60 * 1_000 + 60 * 100 })
	await monitor.tick(monitor.now)
	expect(monitor.watch.slos(monitor.now).find(({ slo }) => slo.name === 'availability')?.events.total).toBe(66_000)
})

test('a budget is what the target leaves, and a month counts its own hours only', async () => {
	const monitor = new TestMonitor()
	monitor.history(60, { failed: 1 })
	const status = monitor.watch.slos(monitor.now).find(({ slo }) => slo.name === 'availability')
	expect(status?.attained).toBe(0.999)
	expect(status?.budgetLeft).toBeCloseTo(0, 6)
	const month = (n: number) => monitor.watch.month(Date.UTC(2026, n, 1), Date.UTC(2026, n + 1, 1))
	expect(month(10).find(({ name }) => name === 'availability')).toMatchObject({ good: 59_940, total: 60_000 })
	expect(month(9).find(({ name }) => name === 'availability')).toMatchObject({ total: 0 })
	expect(slos.map(({ windowDays }) => windowDays)).toEqual(slos.map(() => 30))
})

test('every rule names a runbook of its own', () => {
	expect(new Set(ruleNames.map(runbookOf)).size).toBe(ruleNames.length)
})
