import type { Tenant } from './contestants/contestant.ts'
import type { Hosted } from './hosted.ts'
import { collection, indexedCollection, recordText, teamOf, teams } from './records.ts'

/** Sizes of records in bytes that reads are measured with. */
export const readSizes = [300, 2_000] as const
export type ReadSize = (typeof readSizes)[number]

/** What a contestant holds before anything is measured. */
export interface Population {
	tenants: Tenant[]
	/** Ids of records of each size, by the tenant's place in `tenants`. */
	ids: Record<ReadSize, string[][]>
	/** How many of `tenants` have records enough for lists; the first ones. */
	listed: number
}

const tenantCount = 100
const recordsPerSize = 20
const listedTenants = 5
/** Of each listed tenant, so that every team fills a page of 50. */
const listedRecords = teams * 60
const seedRecords = 300

let serial = 0

/** A number that no record of this run has yet. */
export function nextSerial(): number {
	serial += 1
	return serial
}

/** Takes `count` numbers at once and returns the first. */
export function takeSerials(count: number): number {
	const first = serial + 1
	serial += count
	return first
}

export async function populate({ client }: Hosted): Promise<Population> {
	const tenants = await client.provision(tenantCount)
	const ids: Population['ids'] = { 300: [], 2000: [] }
	for (const tenant of tenants) {
		for (const size of readSizes)
			ids[size].push(await client.seed(tenant, collection, freshRecords(recordsPerSize, size)))
	}
	if (client.list) {
		for (const tenant of tenants.slice(0, listedTenants)) {
			for (let done = 0; done < listedRecords; done += seedRecords) {
				await client.seed(tenant, indexedCollection, freshRecords(seedRecords, 300))
			}
		}
	}
	return { tenants, ids, listed: listedTenants }
}

export function freshRecords(count: number, bytes: number): string[] {
	return Array.from({ length: count }, () => recordText(nextSerial(), bytes))
}

/** Requests of one kind, going round the tenants. */
export function requests({ client }: Hosted, { tenants, ids, listed }: Population) {
	let turn = 0
	const next = <T>(all: readonly T[]): T => {
		turn += 1
		const one = all[turn % all.length]
		if (one === undefined) throw new Error('nothing to choose from')
		return one
	}
	const write = (among: readonly Tenant[], keyed: boolean) => () => {
		const number = nextSerial()
		return client.create(next(among), collection, recordText(number, 300), keyed ? `write-${number}` : null)
	}
	const read = (size: ReadSize) => () => {
		turn += 1
		const place = turn % tenants.length
		const [tenant, records] = [tenants[place], ids[size][place]]
		// Every tenant's records in turn, not only those that fall together with its place.
		const id = records?.[Math.floor(turn / tenants.length) % records.length]
		if (tenant === undefined || id === undefined) throw new Error('nothing was stored')
		return client.read(tenant, collection, id)
	}
	const writeOne = write(tenants, true)
	const readOne = read(300)
	return {
		write: (keyed: boolean) => write(tenants, keyed),
		writeHot: (keyed: boolean) => write(tenants.slice(0, 1), keyed),
		read,
		mixed: () => (nextSerial() % 5 === 0 ? writeOne() : readOne()),
		list: () => client.list?.(next(tenants.slice(0, listed)), indexedCollection, teamOf(turn), 50) ?? '',
		batch: (records: number) => () => client.batch?.(next(tenants), collection, freshRecords(records, 300)) ?? '',
	}
}
