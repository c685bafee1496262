/** What a deployment of some size needs, costs and breaks at: arithmetic on what the bench measured and on list prices. */
import { shardBytesMax } from '../core/limits.ts'
import { objectGb, prices, queueOperationsPerMessage } from '../core/prices.ts'
import type { PriceResult } from './price.ts'

export interface Load {
	tenants: number
	/** Of all tenants together, on average over a month. */
	writesPerSecond: number
	readsPerSecond: number
	/** Share of the tenants that write at the same time: the fewer, the more of their writes share a message and a page. */
	activeShare: number
	recordsPerTenant: number
	/** Of a record's data as JSON. */
	recordBytes: number
	/** Share of all writes, and of all records, that the largest tenant has. */
	largestShare: number
	regions: number
}

/** What the bench measured, as far as the model needs it. */
export interface Measures {
	price: PriceResult
	/** Rows a second that one consumer brings into Postgres, with everything on two cores. */
	etlRowsPerSecond: number
	/** Keyed writes a second of one tenant. */
	hotWritesPerSecond: number
}

export interface Capacity {
	objects: number
	/** Objects that write at the same time. */
	activeObjects: number
	objectRequestsPerSecond: number
	queueOperationsPerSecond: number
	objectGigabytes: number
	neonGigabytes: number
	/** Of each region, at an average moment. */
	neonComputeUnits: number
	/** Of each region, when each consumer of an average moment has all the statements under way that it may. */
	neonConnectionsMax: number
	/** Dollars a month at list price, the largest first. */
	lines: { line: string; dollars: number }[]
	dollars: number
	/** What is used of each limit, the one that breaks first at the beginning. */
	limits: { limit: string; used: number; of: number; unit: string; share: number }[]
}

const secondsPerMonth = 30 * 86_400
/** A database of an object with its tables and nothing in them; measured. */
const emptyObjectBytes = 45_056
/** Of a record's row beside its data: id, version, position, times and a unique value. */
const rowBytes = 120
/** Index entries of a record, and its journal entries, which are kept for 400 days. */
const besideRowBytes = 280
const pageBytes = 4_096
/** A longer row of a table without row ids leaves this much in its page of the table, and the rest takes pages of its own. */
const rowBytesInPageMax = 1_002
const longRowBytesInPage = 489
/** A row of the view beside its data: tuple header, key columns, primary key entry; jsonb is about as long as its text. */
const neonBytesPerRecord = 260
/** The local Postgres of the measurement had two cores beside the consumer that fed it. */
const measuredCores = 2
/** The smallest compute, which an ETL that never rests keeps awake. */
const computeUnitsMin = 0.25
/** Wake-ups that one invocation takes (`max_batch_size`), whose shards share statements, and how long it takes. */
const messagesPerBatch = 100
const batchSeconds = 0.25
/** Answers that an invocation may wait for; the platform's own figure. */
const answersAtOnceMax = 6

export function capacityOf(load: Load, { price, etlRowsPerSecond, hotWritesPerSecond }: Measures): Capacity {
	const activeObjects = Math.max(1, load.tenants * load.activeShare)
	const one = priceAt(price, load.writesPerSecond / activeObjects)
	const writes = load.writesPerSecond * secondsPerMonth
	const reads = load.readsPerSecond * secondsPerMonth
	const records = load.tenants * load.recordsPerTenant
	const objectGigabytes = (load.tenants * emptyObjectBytes + records * objectBytesOf(load.recordBytes)) / 1e9
	const neonGigabytes = (records * (load.recordBytes + neonBytesPerRecord)) / 1e9
	const rowsPerUnit = etlRowsPerSecond / measuredCores
	const perRegion = load.writesPerSecond / load.regions
	const neonComputeUnits = Math.max(computeUnitsMin, perRegion / rowsPerUnit)
	const messagesPerSecond = load.writesPerSecond * one.messages
	const consumers = Math.max(1, (messagesPerSecond / load.regions / messagesPerBatch) * batchSeconds)
	const lines = [
		{ line: 'rows written', dollars: writes * (one.rowsWritten + one.rowsPrunedLater) * prices.rowWritten },
		{ line: 'rows read', dollars: (writes * one.rowsRead + reads * rowsPerRead) * prices.rowRead },
		{ line: 'object requests', dollars: (writes * one.objectRequests + reads) * prices.objectRequest },
		{ line: 'Worker requests', dollars: (writes * one.workerRequests + reads) * prices.workerRequest },
		{ line: 'CPU', dollars: (writes * one.cpuMs + reads * cpuMsPerRead) * prices.cpuMs },
		{
			line: 'object duration',
			dollars: ((writes * one.activeMs + reads * activeMsPerRead) / 1_000) * objectGb * prices.gbSecond,
		},
		{ line: 'queue operations', dollars: writes * one.messages * queueOperationsPerMessage * prices.queueOperation },
		{ line: 'object storage', dollars: objectGigabytes * prices.objectGbMonth },
		{ line: 'Neon compute', dollars: neonComputeUnits * load.regions * 30 * 24 * prices.neonCuHour },
		{ line: 'Neon storage', dollars: neonGigabytes * prices.neonGbMonth },
	].sort((a, b) => b.dollars - a.dollars)
	const largestBytes = records * load.largestShare * objectBytesOf(load.recordBytes)
	const limits = [
		limit(
			"the largest tenant's writes",
			load.writesPerSecond * load.largestShare,
			hotWritesPerSecond,
			'writes/s of one object',
		),
		limit("the largest tenant's size", largestBytes / 1e9, shardBytesMax / 1e9, 'GB of one object'),
		limit('messages of a region', messagesPerSecond / load.regions, 5_000, 'messages/s of one queue'),
		limit('consumers of a region', consumers, 12, 'at once, our `max_concurrency`'),
		limit(
			'rows into a view',
			perRegion,
			rowsPerUnit * 16,
			'rows/s of 16 compute units, the most that scales by itself',
		),
		limit('size of a view', neonGigabytes / load.regions, 16_000, 'GB of one Neon project'),
	].sort((a, b) => b.share - a.share)
	const dollars = lines.reduce((sum, line) => sum + line.dollars, 0)
	return {
		objects: load.tenants,
		activeObjects,
		objectRequestsPerSecond: load.writesPerSecond * one.objectRequests + load.readsPerSecond,
		queueOperationsPerSecond: messagesPerSecond * queueOperationsPerMessage,
		...{
			objectGigabytes,
			neonGigabytes,
			neonComputeUnits,
			neonConnectionsMax: consumers * answersAtOnceMax,
			lines,
			dollars,
			limits,
		},
	}
}

/** A read by id touches the catalog's token and the record; about 0.5 ms of CPU, of which an object has half. */
const rowsPerRead = 2
const cpuMsPerRead = 0.5
const activeMsPerRead = 0.3

/** What a record of that many bytes takes of its object. */
function objectBytesOf(recordBytes: number): number {
	const row = recordBytes + rowBytes
	if (row <= rowBytesInPageMax) return row + besideRowBytes
	return longRowBytesInPage + Math.ceil((row - longRowBytesInPage) / pageBytes) * pageBytes + besideRowBytes
}

function limit(name: string, used: number, of: number, unit: string): Capacity['limits'][number] {
	return { limit: name, used, of, unit, share: used / of }
}

/** Writes a second of a tenant at which each scenario was measured; between them the logarithm decides. */
const lonelyRate = 0.1
const steadyRate = 10
const burstRate = 1_000

function priceAt({ lonely, steady, burst }: PriceResult, rate: number) {
	if (rate <= steadyRate)
		return between(lonely.keyed, steady.keyed, Math.log(rate / lonelyRate) / Math.log(steadyRate / lonelyRate))
	return between(steady.keyed, burst.keyed, Math.log(rate / steadyRate) / Math.log(burstRate / steadyRate))
}

function between<P extends PriceResult['naive']>(from: P, to: P, share: number) {
	const part = Math.min(1, Math.max(0, share))
	const at = (pick: (price: P) => number) => pick(from) + (pick(to) - pick(from)) * part
	return {
		rowsWritten: at((one) => one.rowsWritten),
		rowsRead: at((one) => one.rowsRead),
		objectRequests: at((one) => one.objectRequests),
		workerRequests: at((one) => one.workerRequests),
		messages: at((one) => one.messages),
		activeMs: at((one) => one.activeMs),
		cpuMs: at((one) => one.cpuMs),
		rowsPrunedLater: at((one) => one.rowsPrunedLater),
	}
}
