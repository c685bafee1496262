import { performance } from 'node:perf_hooks'
import pg from 'pg'
import { type Latency, latencyOf } from './figures.ts'
import type { Hosted } from './hosted.ts'
import { openLoop, pause } from './load.ts'
import { type Population, requests } from './population.ts'

const pollMs = 25
const waitSecondsMax = 30

export interface LagResult {
	writesPerSecond: number
	/** From the answer to a write until the view had applied it, to within `pollMs`. */
	lag: Latency
	/** Writes that the view had not applied `waitSecondsMax` after the last one. */
	missing: number
}

/** How far the view is behind while writes come at a steady rate. */
export async function measureLag(
	freehold: Hosted,
	population: Population,
	perSecond: number,
	seconds: number,
): Promise<LagResult> {
	const { database, port } = freehold.address
	if (database === null) throw new Error('the view is elsewhere')
	const view = new pg.Client({ connectionString: database })
	await view.connect()
	try {
		const waiting = new Map<string, { position: number; at: number }[]>()
		const lags: number[] = []
		const tenantOf = new Map(population.tenants.map(({ id, credential }) => [credential, id]))
		const load = openLoop({
			...{ port, connections: 100, seconds, perSecond },
			next: requests(freehold, population).write(true),
			answered: (head, request) => {
				const tenant = tenantOf.get(/Bearer (\S+)/.exec(request)?.[1] ?? '') ?? ''
				const position = Number(/freehold-position: *(\d+)/i.exec(head)?.[1] ?? Number.NaN)
				const before = waiting.get(tenant)
				if (before) before.push({ position, at: performance.now() })
				else waiting.set(tenant, [{ position, at: performance.now() }])
			},
		})
		let endsAt = Number.POSITIVE_INFINITY
		load.then(
			() => {
				endsAt = performance.now() + waitSecondsMax * 1_000
			},
			() => {
				endsAt = 0
			},
		)
		while (performance.now() < endsAt && !(endsAt < Number.POSITIVE_INFINITY && waiting.size === 0)) {
			await notice(view, waiting, lags)
			await pause(pollMs)
		}
		const { perSecond: writesPerSecond } = await load
		const missing = [...waiting.values()].reduce((sum, { length }) => sum + length, 0)
		return { writesPerSecond, lag: latencyOf(lags), missing }
	} finally {
		await view.end()
	}
}

async function notice(
	view: pg.Client,
	waiting: Map<string, { position: number; at: number }[]>,
	lags: number[],
): Promise<void> {
	const { rows } = await view.query<{ tenant: string; seq: string }>({
		name: 'applied',
		text: 'SELECT tenant_id AS tenant, applied_seq AS seq FROM shard WHERE tenant_id = ANY ($1)',
		values: [[...waiting.keys()]],
	})
	const now = performance.now()
	for (const { tenant, seq } of rows) {
		const writes = waiting.get(tenant)
		if (writes === undefined) continue
		const rest = writes.filter(({ position, at }) => {
			const applied = position <= Number(seq)
			// The query may have read before the write was answered.
			if (applied) lags.push(Math.max(0, now - at))
			return !applied
		})
		if (rest.length === 0) waiting.delete(tenant)
		else waiting.set(tenant, rest)
	}
}
