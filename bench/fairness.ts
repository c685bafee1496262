/** What one tenant's backlog costs the others: how far the view is behind with their single fresh changes, without it and beside it. */
import { performance } from 'node:perf_hooks'
import pg from 'pg'
import { appliedSeq, fillBacklog, until, untilMet, wake } from './etl.ts'
import type { Latency } from './figures.ts'
import type { Hosted } from './hosted.ts'
import { measureLag } from './lag.ts'
import type { Population } from './population.ts'

export interface FairnessResult {
	/** Of the tenant with the backlog. */
	changes: number
	/** Of the others: each of their writes finds its tenant silent. */
	alone: Latency
	beside: Latency
	/** From the write that woke the shard with the backlog until the view was up to date, in seconds. */
	drainSeconds: number
}

const writesPerSecond = 20
/** So that each writes every five seconds only, which is far more than a shard takes to fall silent. */
const otherTenants = 100

/** @param firstSerial of `changes` and one more serial numbers that nobody else uses */
export async function measureFairness(
	freehold: Hosted,
	{ changes, seconds, firstSerial }: { changes: number; seconds: number; firstSerial: number },
): Promise<FairnessResult> {
	const { database } = freehold.address
	if (database === null) throw new Error('the view is elsewhere')
	const view = new pg.Client({ connectionString: database })
	await view.connect()
	try {
		const others = await freehold.client.provision(otherTenants)
		const population: Population = { tenants: others, ids: { 300: [], 2000: [] }, listed: 0 }
		const measure = async () => {
			const { lag, missing } = await measureLag(freehold, population, writesPerSecond, seconds)
			if (missing > 0) throw new Error(`the view never had ${missing} changes`)
			return lag
		}
		const [tenant] = await freehold.client.provision(1)
		if (tenant === undefined) throw new Error('no tenant was made')
		await untilMet(view, tenant)
		const alone = await measure()
		await fillBacklog(freehold, tenant, changes, firstSerial)
		const startedAt = performance.now()
		const end = await wake(freehold, tenant, firstSerial + changes)
		const before = await appliedSeq(view, tenant.id)
		await until('the backlog to move', async () => (await appliedSeq(view, tenant.id)) > before)
		const beside = await measure()
		if ((await appliedSeq(view, tenant.id)) >= end) throw new Error('the backlog was gone before the measurement ended')
		await until('the backlog to be gone', async () => (await appliedSeq(view, tenant.id)) >= end)
		return { changes, alone, beside, drainSeconds: (performance.now() - startedAt) / 1_000 }
	} finally {
		await view.end()
	}
}
