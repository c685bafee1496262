/**
 * How fast the ETL empties one shard's backlog into the view, beside the least that could do it: the same rows, upserted
 * page by page by the same driver through the same endpoint into the same server.
 */
import { performance } from 'node:perf_hooks'
import pg from 'pg'
import { bodyBytesMax, pageEntriesMax } from '../core/limits.ts'
import { connect, type Database } from '../db/neon/client.ts'
import type { Tenant } from './contestants/contestant.ts'
import type { Hosted } from './hosted.ts'
import { once, pause } from './load.ts'
import { collection, recordText } from './records.ts'

export interface EtlResult {
	/** Of the backlog. */
	records: number
	/** Rows a second from the first page's arrival in the view to the last one's. */
	etlRowsPerSecond: number
	bareRowsPerSecond: number
	/** Seconds from the write that woke the shard until the view was exact. */
	etlSeconds: number
}

const recordBytes = 300
const batchRecords = 1_000
/** How long a backlog may take before the measurement gives up. */
const drainSecondsMax = 300

/** @param firstSerial of `records` serial numbers that nobody else uses */
export async function measureEtl(freehold: Hosted, records: number, firstSerial: number): Promise<EtlResult> {
	const { database, endpoint } = freehold.address
	if (database === null || endpoint === null) throw new Error('the view is elsewhere')
	const view = new pg.Client({ connectionString: database })
	await view.connect()
	try {
		const [tenant] = await freehold.client.provision(1)
		if (tenant === undefined) throw new Error('no tenant was made')
		await untilMet(view, tenant)
		await fillBacklog(freehold, tenant, records, firstSerial)
		const drained = await drain(freehold, view, tenant, firstSerial + records)
		const bareRowsPerSecond = await bareUpsert(view, connect(database, endpoint), tenant.id)
		return { records, ...drained, bareRowsPerSecond }
	} finally {
		await view.end()
	}
}

/** A view that has never met the shard would read its records instead of its changes. */
export async function untilMet(view: pg.Client, { id }: Tenant): Promise<void> {
	await until('the view to meet the tenant', async () => (await appliedSeq(view, id)) > 0)
}

export async function until(what: string, check: () => Promise<boolean>): Promise<void> {
	const deadline = performance.now() + drainSecondsMax * 1_000
	while (!(await check())) {
		if (performance.now() > deadline) throw new Error(`waited ${drainSecondsMax} s in vain for ${what}`)
		await pause(10)
	}
}

/** Writes records of a tenant while the view's database refuses everything. */
export async function fillBacklog(
	freehold: Hosted,
	tenant: Tenant,
	records: number,
	firstSerial: number,
): Promise<void> {
	freehold.tell('refuse')
	for (let done = 0; done < records; done += batchRecords) {
		const count = Math.min(batchRecords, records - done)
		const texts = Array.from({ length: count }, (_, place) => recordText(firstSerial + done + place, recordBytes))
		await freehold.client.seed(tenant, collection, texts)
	}
	freehold.tell('serve')
}

/**
 * Writes one more record, and answers its position. The consumer has been told often enough that the database is away; a
 * fresh change wakes it without that wait.
 */
export async function wake(freehold: Hosted, tenant: Tenant, serial: number): Promise<number> {
	const write = freehold.client.create(tenant, collection, recordText(serial, recordBytes), null)
	const { status, head } = await once(freehold.address.port, write)
	const position = Number(/freehold-position: *(\d+)/i.exec(head)?.[1] ?? Number.NaN)
	if (status !== 201 || Number.isNaN(position))
		throw new Error(`the write that wakes the shard was answered with ${status}`)
	return position
}

async function drain(
	freehold: Hosted,
	view: pg.Client,
	tenant: Tenant,
	serial: number,
): Promise<Omit<EtlResult, 'records' | 'bareRowsPerSecond'>> {
	const startedAt = performance.now()
	const end = await wake(freehold, tenant, serial)
	const before = await appliedSeq(view, tenant.id)
	let first: { seq: number; at: number } | null = null
	while (performance.now() - startedAt < drainSecondsMax * 1_000) {
		const seq = await appliedSeq(view, tenant.id)
		const at = performance.now()
		if (first === null && seq > before) first = { seq, at }
		if (first !== null && seq >= end) {
			const rows = seq - first.seq
			return { etlRowsPerSecond: (rows * 1_000) / (at - first.at), etlSeconds: (at - startedAt) / 1_000 }
		}
		await pause(10)
	}
	throw new Error(`the view had not caught up after ${drainSecondsMax} s`)
}

/** How far the view has come with a tenant; 0 when it has not met it. */
export async function appliedSeq(view: pg.Client, tenant: string): Promise<number> {
	const { rows } = await view.query<{ seq: string }>('SELECT applied_seq AS seq FROM shard WHERE tenant_id = $1', [
		tenant,
	])
	return Number(rows[0]?.seq ?? 0)
}

/** In a table of the same columns and indexes, with the ETL's own bounds of a page, and nothing but the rows. */
async function bareUpsert(view: pg.Client, database: Database, tenant: string): Promise<number> {
	await view.query('DROP TABLE IF EXISTS bare_record; CREATE TABLE bare_record (LIKE record INCLUDING ALL)')
	const { rows } = await view.query<{ text: string }>(
		`SELECT jsonb_build_object('c', collection, 'i', id, 'v', version, 't', (extract(epoch FROM created_at) * 1000)::bigint,
			'u', (extract(epoch FROM updated_at) * 1000)::bigint, 'd', data)::text AS text
		FROM record WHERE tenant_id = $1 ORDER BY id`,
		[tenant],
	)
	const pages = pagesOf(rows.map(({ text }) => text))
	const startedAt = performance.now()
	for (const page of pages) await database.query({ text: upsert, params: [tenant, page] })
	const seconds = (performance.now() - startedAt) / 1_000
	await view.query('DROP TABLE bare_record')
	return rows.length / seconds
}

function pagesOf(texts: readonly string[]): string[] {
	const pages: string[] = []
	let page: string[] = []
	let bytes = 0
	for (const text of texts) {
		if (page.length === pageEntriesMax || bytes + text.length > bodyBytesMax) {
			pages.push(`[${page.join(',')}]`)
			page = []
			bytes = 0
		}
		page.push(text)
		bytes += text.length
	}
	return [...pages, `[${page.join(',')}]`]
}

const upsert = `
INSERT INTO bare_record (tenant_id, collection, id, version, data, created_at, updated_at)
SELECT $1, c, i, v, d, to_timestamp(t / 1000.0), to_timestamp(u / 1000.0)
FROM jsonb_to_recordset($2::jsonb) AS p (c text, i text, v int, t bigint, u bigint, d jsonb)
ON CONFLICT (tenant_id, collection, id) DO UPDATE SET
	version = excluded.version, data = excluded.data, created_at = excluded.created_at, updated_at = excluded.updated_at`
