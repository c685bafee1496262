/** What a million writes cost at list price: everything that is billed is counted while it happens (`price/main.ts`). */
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { objectGb, prices, queueOperationsPerMessage } from '../core/prices.ts'
import type { Tenant } from './contestants/contestant.ts'
import { cpuSeconds, settle } from './cpu.ts'
import { type Hosted, host } from './hosted.ts'
import { closedLoop, once, openLoop, pause, requestText } from './load.ts'
import { nextSerial } from './population.ts'
import { collection, recordText } from './records.ts'

/** For each write, on average; dollars are for a million writes. */
export interface Priced {
	rowsWritten: number
	rowsRead: number
	objectRequests: number
	workerRequests: number
	messages: number
	/** Milliseconds of wall time in which an object was at work. */
	activeMs: number
	/** Milliseconds of everything that serves: more than is billed, because an object's are part of its duration. */
	cpuMs: number
	/** Rows that are written once more when an entry's time is over; none where segments of the journal are dropped whole. */
	rowsPrunedLater: number
	total: number
}

type Scenario = Record<'keyed' | 'unkeyed', Priced>

export interface PriceResult {
	/** 10 writes a second of each of 20 tenants. */
	steady: Scenario
	/** One write to a tenant that has been still, and nothing after it. */
	lonely: Scenario
	/** As fast as one tenant takes them. */
	burst: Scenario
	/** Computed, not measured: see `naive`. */
	naive: Priced
}

const counted = z.object({
	workerRequests: z.number(),
	objectRequests: z.number(),
	rowsWritten: z.number(),
	rowsRead: z.number(),
	messages: z.number(),
	activeMs: z.number(),
})

const tenantCount = 20
const writesPerSecondAndTenant = 10
/** Longer than the pause after which a shard announces again what nobody has pulled. */
const stillMs = 7_000

export async function measurePrice(dataDir: string, seconds: number): Promise<PriceResult> {
	const counting = fileURLToPath(import.meta.resolve('./price/main.ts'))
	const hosted = await host('freehold', dataDir, { main: counting })
	try {
		const tenants = await hosted.client.provision(tenantCount)
		const both = async (run: (next: () => string) => Promise<number>, among: readonly Tenant[]): Promise<Scenario> => ({
			keyed: await price(hosted, run, writes(hosted, among, true)),
			unkeyed: await price(hosted, run, writes(hosted, among, false)),
		})
		const { port } = hosted.address
		const perSecond = tenantCount * writesPerSecondAndTenant
		const steady = async (next: () => string) =>
			(await openLoop({ port, connections: 50, seconds, perSecond, next })).answers
		const burst = async (next: () => string) => (await closedLoop({ port, connections: 32, seconds, next })).answers
		const lonely = async (next: () => string) => {
			for (let sent = 0; sent < tenantCount; sent++) await once(port, next())
			return tenantCount
		}
		return {
			steady: await both(steady, tenants),
			lonely: await both(lonely, tenants),
			burst: await both(burst, tenants.slice(0, 1)),
			naive,
		}
	} finally {
		await hosted.stop()
	}
}

function writes({ client }: Hosted, tenants: readonly Tenant[], keyed: boolean): () => string {
	let turn = 0
	return () => {
		turn += 1
		const tenant = tenants[turn % tenants.length]
		if (tenant === undefined) throw new Error('nobody to write for')
		const serial = nextSerial()
		return client.create(tenant, collection, recordText(serial, 300), keyed ? `price-${serial}` : null)
	}
}

async function price(
	hosted: Hosted,
	run: (next: () => string) => Promise<number>,
	next: () => string,
): Promise<Priced> {
	// A key's first write of the day makes the day's table; that is not what a million writes cost.
	for (let warm = 0; warm < tenantCount; warm++) await once(hosted.address.port, next())
	await pause(stillMs)
	await takeCounts(hosted)
	const cpuBefore = cpuSeconds(hosted.pid)
	const writes = await run(next)
	await pause(stillMs)
	await settle(hosted.pid, 30)
	const cpuMs = ((cpuSeconds(hosted.pid) - cpuBefore) * 1_000) / writes
	const { rowsWritten, rowsRead, objectRequests, workerRequests, messages, activeMs } = await takeCounts(hosted)
	return withTotal({
		rowsWritten: rowsWritten / writes,
		rowsRead: rowsRead / writes,
		objectRequests: objectRequests / writes,
		workerRequests: workerRequests / writes,
		messages: messages / writes,
		activeMs: activeMs / writes,
		cpuMs,
		rowsPrunedLater: 0,
	})
}

async function takeCounts({ address }: Hosted): Promise<z.infer<typeof counted>> {
	const { body } = await once(address.port, requestText('GET /counts', [], null))
	return counted.parse(JSON.parse(body))
}

function withTotal(one: Omit<Priced, 'total'>): Priced {
	const dollars =
		(one.rowsWritten + one.rowsPrunedLater) * prices.rowWritten +
		one.rowsRead * prices.rowRead +
		one.objectRequests * prices.objectRequest +
		one.workerRequests * prices.workerRequest +
		one.messages * queueOperationsPerMessage * prices.queueOperation +
		(one.activeMs / 1_000) * objectGb * prices.gbSecond +
		one.cpuMs * prices.cpuMs
	return { ...one, total: dollars * 1e6 }
}

/**
 * What the same write costs when nothing is gathered: a message with each, a record and an idempotency key under text keys
 * of a table with row ids (2 rows each), one unique index, a journal with AUTOINCREMENT (2), the alarm's row with each, and
 * the rows of journal and key deleted one by one.
 */
const naive: Priced = withTotal({
	rowsWritten: 2 + 2 + 1 + 2 + 1 + 1,
	rowsPrunedLater: 1,
	rowsRead: 10,
	objectRequests: 3,
	workerRequests: 2,
	messages: 1,
	activeMs: 3,
	cpuMs: 2,
})
