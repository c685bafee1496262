/** How the latency of one request at a time grows with what is stored. */
import type { Client, Tenant } from './contestants/contestant.ts'
import { residentBytes, settle } from './cpu.ts'
import type { Latency } from './figures.ts'
import { type Hosted, host } from './hosted.ts'
import { inTurn, once, type Side } from './load.ts'
import { freshRecords, nextSerial } from './population.ts'
import { collection, recordText } from './records.ts'

/** The runtime's own share is measured beside ours. */
export type GrowthContestant = 'freehold' | 'limit'

export interface GrowthResult {
	contestant: GrowthContestant
	of: 'records of a tenant' | 'tenants in memory'
	small: number
	large: number
	/** p50 in milliseconds, one entry a round. */
	writes: Medians[]
	reads: Medians[]
	/** Resident memory of the largest workerd, in bytes: before anything was stored, and with what it held at the end. */
	memory: { before: number; after: number; held: number }
}

interface Medians {
	small: number
	large: number
}

/** Somebody to ask, and the records that are there to be read. */
export interface Place {
	tenant: Tenant
	ids: string[]
}

/** One process with its places. */
export interface Group {
	hosted: Hosted
	places: Place[]
}

/** As many processes on each side, asked equally often: what a process has in the caches of the CPU depends on when it was asked last. */
interface Pair {
	small: Group
	large: Group
}

const batchRecords = 1_000
const loadedTogether = 2
const drainSecondsMax = 300
const settleSecondsMax = 10
/** Records of a tenant that reads go round. */
const readIdsMax = 10_000
const fewTenants = 10
const fewRecords = 1_000
/** An object in memory has three files open, and a process may have 20,000 where nobody has raised that. */
const tenantsOfProcessMax = 5_000
/** Making thousands takes minutes, so every so many are told of. */
const toldTenants = 1_000

interface Options {
	large: number
	rounds: number
	/** For which each side of a phase is asked. */
	seconds: number
	/** Tells the person who waits. */
	say(line: string): void
}

/** Two tenants of the same process. */
export async function measureRecordGrowth(
	hosted: Hosted,
	name: GrowthContestant,
	options: Options,
): Promise<GrowthResult> {
	const before = residentBytes(hosted.pid, 'workerd')
	const [few, many] = await hosted.client.provision(2)
	if (few === undefined || many === undefined) throw new Error('no tenants were made')
	const small = { hosted, places: [await fill(hosted.client, few, fewRecords, 300)] }
	const large = { hosted, places: [await fill(hosted.client, many, options.large, 300)] }
	const compared = await compare([{ small, large }], options)
	const memory = { before, after: residentBytes(hosted.pid, 'workerd'), held: options.large }
	return { contestant: name, of: 'records of a tenant', small: fewRecords, large: options.large, ...compared, memory }
}

/**
 * As many processes as the many tenants need, and a process with a few for each of them, with the objects of all tenants in memory: what an
 * object's start costs is measured by itself (`cold-starts.ts`).
 */
export async function measureTenantGrowth(
	name: GrowthContestant,
	dataDir: string,
	options: Options,
): Promise<GrowthResult> {
	const processes = Math.ceil(options.large / tenantsOfProcessMax)
	const held = options.large / processes
	const started: Hosted[] = []
	const start = async () => {
		const hosted = await host(name, dataDir, { keepsObjects: true })
		started.push(hosted)
		return hosted
	}
	try {
		const pairs: Pair[] = []
		for (let process = 0; process < processes; process++)
			pairs.push({ small: { hosted: await start(), places: [] }, large: { hosted: await start(), places: [] } })
		const before = Math.max(...pairs.map(({ large }) => residentBytes(large.hosted.pid, 'workerd')))
		await Promise.all(
			pairs.map(async ({ small, large }) => {
				small.places = await people(small.hosted.client, small.hosted.address.port, fewTenants, false)
				const { client, address } = large.hosted
				large.places = await people(client, address.port, held, true, (made) => {
					if (made % toldTenants === 0) options.say(`${made} of ${held} tenants of a process`)
				})
			}),
		)
		const compared = await compare(pairs, options)
		const after = Math.max(...pairs.map(({ large }) => residentBytes(large.hosted.pid, 'workerd')))
		const sizes = { small: fewTenants, large: options.large, memory: { before, after, held } }
		return { contestant: name, of: 'tenants in memory', ...sizes, ...compared }
	} finally {
		await Promise.all(started.map((hosted) => hosted.stop()))
	}
}

/** Batches, a few at a time, until the tenant has that many records. */
export async function fill(client: Client, tenant: Tenant, records: number, recordBytes: 300 | 700): Promise<Place> {
	const ids: string[] = []
	let left = records / batchRecords
	const work = async () => {
		while (left > 0) {
			left -= 1
			const made = await client.seed(tenant, collection, freshRecords(batchRecords, recordBytes))
			// Some of every batch, so that what is read lies all over the table.
			ids.push(...made.slice(0, Math.ceil((readIdsMax * batchRecords) / records)))
		}
	}
	await Promise.all(Array.from({ length: loadedTogether }, work))
	return { tenant, ids }
}

/** New tenants with a record to read, each of which has also had a single write; ten at a time, so that the view takes them up together. */
export async function people(
	client: Client,
	port: number,
	count: number,
	quiet: boolean,
	made: (count: number) => void = () => {},
): Promise<Place[]> {
	const places: Place[] = []
	while (places.length < count) {
		const tenants = await client.provision(Math.min(10, count - places.length), quiet)
		const begin = async (tenant: Tenant): Promise<Place> => {
			const ids = await client.seed(tenant, collection, freshRecords(1, 300))
			await once(port, client.create(tenant, collection, recordText(nextSerial(), 300), null))
			return { tenant, ids }
		}
		places.push(...(await Promise.all(tenants.map(begin))))
		made(places.length)
	}
	return places
}

async function compare(
	pairs: readonly Pair[],
	{ rounds, seconds }: Options,
): Promise<{ writes: Medians[]; reads: Medians[] }> {
	const all = pairs.flatMap(({ small, large }) => [small, large])
	for (const { hosted } of all) await settle(hosted.pid, drainSecondsMax)
	await visitAll(all)
	const writes: Medians[] = []
	const reads: Medians[] = []
	const phase = async (next: (group: Group) => () => string): Promise<Medians> => {
		for (const { hosted } of all) await settle(hosted.pid, settleSecondsMax)
		const measured = await inTurn(alternating(pairs, next), { seconds: seconds * 2 })
		return { small: p50(measured.small), large: p50(measured.large) }
	}
	for (let round = 0; round < rounds; round++) {
		writes.push(await phase(writeTo))
		reads.push(await phase(readFrom))
	}
	return { writes, reads }
}

/** Every tenant is read once, so that what an object does at its first request is not measured with the others. */
async function visitAll(groups: readonly Group[]): Promise<void> {
	await Promise.all(
		groups.map(async (group) => {
			const side = { name: 'visit', port: group.hosted.address.port, next: readFrom(group, inOrder()) }
			await inTurn([side], { seconds: drainSecondsMax, turns: group.places.length })
		}),
	)
}

/** A request to the few before each request to the many. */
function alternating(pairs: readonly Pair[], next: (group: Group) => () => string): Side[] {
	return pairs.flatMap(({ small, large }) => [
		{ name: 'small', port: small.hosted.address.port, next: next(small) },
		{ name: 'large', port: large.hosted.address.port, next: next(large) },
	])
}

type Choose = () => number

export function writeTo({ hosted, places }: Group, choose: Choose = spread()): () => string {
	return () => {
		const { tenant } = chosen(places, choose())
		return hosted.client.create(tenant, collection, recordText(nextSerial(), 300), null)
	}
}

export function readFrom({ hosted, places }: Group, choose: Choose = spread()): () => string {
	return () => {
		const turn = choose()
		const { tenant, ids } = chosen(places, turn)
		return hosted.client.read(tenant, collection, chosen(ids, Math.floor(turn / places.length)))
	}
}

export function inOrder(): Choose {
	let turn = -1
	return () => {
		turn += 1
		return turn
	}
}

/** Spreads neighbours, so that neither records nor tenants are visited in the order in which they were made. */
export function spread(): Choose {
	const next = inOrder()
	return () => next() * 7_919
}

function chosen<T>(all: readonly T[], turn: number): T {
	const one = all[turn % all.length]
	if (one === undefined) throw new Error('nothing was stored')
	return one
}

function p50(latency: Latency | undefined): number {
	return latency?.p50 ?? Number.NaN
}
