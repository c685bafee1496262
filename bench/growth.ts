import type { ContestantName } from './contestants/all.ts'
import type { Tenant } from './contestants/contestant.ts'
import { residentBytes, settle } from './cpu.ts'
import type { Hosted } from './hosted.ts'
import { closedLoop } from './load.ts'
import { freshRecords, nextSerial } from './population.ts'
import { collection, recordText } from './records.ts'

/** How the latency of one request at a time grows with what is stored. */
export interface GrowthResult {
	contestant: ContestantName
	of: 'records of a tenant' | 'tenants visited in turn'
	small: number
	large: number
	/** p50 in milliseconds, one entry a round. */
	writes: Pair[]
	reads: Pair[]
	/** Resident memory of all of workerd, in bytes: before anything was stored, and after the load on the large side. */
	memory: { before: number; after: number }
}

interface Pair {
	small: number
	large: number
}

interface Place {
	tenant: Tenant
	ids: string[]
}

const batchRecords = 1_000
const drainSecondsMax = 300
/** Records of a tenant that reads go round. */
const readIdsMax = 10_000

/** Small and large are measured in turn, so that both see the same machine. */
export async function measureRecordGrowth(
	freehold: Hosted,
	options: { large: number; rounds: number; seconds: number },
): Promise<GrowthResult> {
	const small = 1_000
	const before = residentBytes(freehold.pid, 'workerd')
	const places: Record<'small' | 'large', Place[]> = { small: [], large: [] }
	for (const [name, count] of [
		['small', small],
		['large', options.large],
	] as const) {
		const [tenant] = await freehold.client.provision(1)
		if (tenant === undefined) throw new Error('no tenant was made')
		const ids: string[] = []
		for (let done = 0; done < count; done += batchRecords) {
			const made = await freehold.client.seed(tenant, collection, freshRecords(batchRecords, 300))
			// Some of every batch, so that what is read lies all over the table.
			ids.push(...made.slice(0, Math.ceil((readIdsMax * batchRecords) / count)))
		}
		places[name] = [{ tenant, ids }]
	}
	const compared = await compare(freehold, places, options)
	const memory = { before, after: residentBytes(freehold.pid, 'workerd') }
	return { contestant: freehold.name, of: 'records of a tenant', small, large: options.large, ...compared, memory }
}

/** Most of the many have been evicted when their turn comes, and start again; what a bare object pays for that is measured beside. */
export async function measureTenantGrowth(
	hosted: Hosted,
	options: { large: number; rounds: number; seconds: number },
): Promise<GrowthResult> {
	const small = 10
	const before = residentBytes(hosted.pid, 'workerd')
	const large: Place[] = []
	for (const tenant of await hosted.client.provision(options.large)) {
		large.push({ tenant, ids: await hosted.client.seed(tenant, collection, freshRecords(1, 300)) })
	}
	const places = { small: large.slice(0, small), large }
	const compared = await compare(hosted, places, options)
	const memory = { before, after: residentBytes(hosted.pid, 'workerd') }
	return { contestant: hosted.name, of: 'tenants visited in turn', small, large: options.large, ...compared, memory }
}

async function compare(
	freehold: Hosted,
	places: Record<'small' | 'large', Place[]>,
	{ rounds, seconds }: { rounds: number; seconds: number },
): Promise<{ writes: Pair[]; reads: Pair[] }> {
	await settle(freehold.pid, drainSecondsMax)
	const writes: Pair[] = []
	const reads: Pair[] = []
	for (let round = 0; round < rounds; round++) {
		writes.push({
			small: await p50(freehold, seconds, writeTo(freehold, places.small)),
			large: await p50(freehold, seconds, writeTo(freehold, places.large)),
		})
		reads.push({
			small: await p50(freehold, seconds, readFrom(freehold, places.small)),
			large: await p50(freehold, seconds, readFrom(freehold, places.large)),
		})
	}
	return { writes, reads }
}

async function p50({ pid, address }: Hosted, seconds: number, next: () => string): Promise<number> {
	await settle(pid, 20)
	const { latency } = await closedLoop({ port: address.port, connections: 1, seconds, next })
	return latency.p50
}

function writeTo({ client }: Hosted, places: readonly Place[]): () => string {
	return () => {
		const serial = nextSerial()
		return client.create(chosen(places, serial).tenant, collection, recordText(serial, 300), null)
	}
}

function readFrom({ client }: Hosted, places: readonly Place[]): () => string {
	return () => {
		const serial = nextSerial()
		const { tenant, ids } = chosen(places, serial)
		return client.read(tenant, collection, chosen(ids, Math.floor(serial / places.length)))
	}
}

/** Spreads neighbours, so that neither tables nor tenants are visited in the order in which they were made. */
function chosen<T>(all: readonly T[], serial: number): T {
	const one = all[(serial * 7_919) % all.length]
	if (one === undefined) throw new Error('nothing was stored')
	return one
}
