import { expect, test } from 'vitest'
import { type Results, type Run, withFailure, withFigures } from '../../bench/results.ts'
import { judge } from '../../bench/targets.ts'

const nothing: Results = { runs: [], workloads: {}, failures: [] }
const latency = (p99: number) => ({ p50: 1, p99, max: p99 })
const lag = (p99: number) => ({ writesPerSecond: 500, lag: latency(p99), missing: 0 })
const etl = (etlRowsPerSecond: number) => ({
	records: 1_000,
	etlRowsPerSecond,
	bareRowsPerSecond: 1_000,
	etlSeconds: 1,
})

test('a run replaces the figures of what it measured and of nothing else, and every figure keeps the run that it is of', () => {
	const first = withFigures(withFigures(nothing, run('01'), 'lag', [lag(1)]), run('01'), 'etl', [etl(1)])
	const second = withFigures(first, run('02'), 'etl', [etl(2)])
	expect(second.workloads.lag).toEqual({ run: run('01').at, figures: [lag(1)] })
	expect(second.workloads.etl).toEqual({ run: run('02').at, figures: [etl(2)] })
	expect(second.runs.map(({ at }) => at)).toEqual([run('01').at, run('02').at])
	expect(withFigures(second, run('03'), 'lag', [lag(3)]).runs).toEqual([run('02'), run('03')])
})

test('a workload that fails keeps the figures it had and says why, until it is measured', () => {
	const before = withFigures(nothing, run('01'), 'lag', [lag(1)])
	const failed = withFailure(before, run('02'), { workload: 'lag', contestant: null, reason: 'no database' })
	expect(failed.workloads.lag).toEqual({ run: run('01').at, figures: [lag(1)] })
	expect(failed.failures).toEqual([{ workload: 'lag', contestant: null, run: run('02').at, reason: 'no database' }])
	expect(failed.runs).toEqual([run('01'), run('02')])
	const again = withFailure(failed, run('03'), { workload: 'lag', contestant: null, reason: 'no disk' })
	expect(again.failures.map(({ reason }) => reason)).toEqual(['no disk'])
	expect(withFigures(again, run('04'), 'lag', [lag(4)]).failures).toEqual([])
})

test('a contestant that failed in this run stays named when the others of the workload have figures', () => {
	const failed = withFailure(nothing, run('01'), { workload: 'lists', contestant: 'Parse Server', reason: 'no peers' })
	expect(withFigures(failed, run('01'), 'lists', [{}]).failures).toHaveLength(1)
})

test('only what was measured is judged, by its own figures', () => {
	const judged = judge(withFigures(nothing, run('01'), 'etl', [etl(400), etl(600)]))
	expect(judged.map(({ workload, measured, met }) => [workload, measured.median, met])).toEqual([
		['etl', 0.5, true],
		['etl', 500, false],
	])
})

test('of two rounds the median is their mean, and beside a ratio stands what the bare object comes to', () => {
	const pair = (small: number, large: number) => ({ small, large })
	const sizes = { of: 'tenants in memory', small: 10, large: 100, memory: { before: 0, after: 0, held: 0 } } as const
	const results = withFigures(nothing, run('01'), 'growth-tenants', [
		{ ...sizes, contestant: 'freehold', writes: [pair(1, 1), pair(1, 2)], reads: [pair(1, 3), pair(1, 1), pair(1, 1)] },
		{ ...sizes, contestant: 'limit', writes: [pair(2, 3)], reads: [] },
	])
	expect(judge(results)).toMatchObject([
		{ measured: { median: 1.5, min: 1, max: 2 }, met: false, bare: { median: 1.5 } },
		{ measured: { median: 1, min: 1, max: 3 }, met: true, bare: null },
	])
})

function run(day: string): Run {
	return { at: `2026-11-${day}T00:00:00.000Z`, machine: {}, load: { before: 0, after: 0 }, rounds: 1, secondsAPhase: 1 }
}
