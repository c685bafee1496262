import { z } from 'zod'
import { type Answer, problemOf } from '../client.ts'
import type { SourceRecord } from './sources.ts'
import { heldIn, notePosition, type Tenant } from './tenants.ts'

/** Half of what a batch may hold: the progress moves more often, and a repeated batch repeats less. */
const batchRecords = 500

const written = z.object({ results: z.array(z.object({ id: z.string(), version: z.int(), etag: z.string() })) })

/** Tenants at a time. The local runtime has one thread for all of them and for the ETL too, which more would only keep waiting. */
export const tenantsAtOnce = 4

/** Sends every record of every tenant, several tenants at once; `onBatch` learns how many records each batch had. */
export async function load(tenants: Tenant[], onBatch: (records: number) => void): Promise<void> {
	const waiting = [...tenants]
	const worker = async () => {
		for (let tenant = waiting.shift(); tenant !== undefined; tenant = waiting.shift()) await loadTenant(tenant, onBatch)
	}
	await Promise.all(Array.from({ length: tenantsAtOnce }, worker))
}

async function loadTenant(tenant: Tenant, onBatch: (records: number) => void): Promise<void> {
	for (const { name, records } of tenant.dataset.collections) {
		for (let start = 0; start < records.length; start += batchRecords) {
			const part = records.slice(start, start + batchRecords)
			await writeBatch(tenant, name, part, `load-${name}-${start}`)
			onBatch(part.length)
		}
	}
}

async function writeBatch(
	tenant: Tenant,
	collection: string,
	records: SourceRecord[],
	idempotencyKey: string,
): Promise<void> {
	const operations = records.map(({ id, data }) =>
		id === null ? { op: 'create', collection, data } : { op: 'put', collection, id, data },
	)
	const answer = await batch(tenant, operations, idempotencyKey)
	const { results } = written.parse(JSON.parse(answer.text))
	for (const [place, { data }] of records.entries()) {
		const result = results[place]
		if (result?.version !== 1) throw new Error(`record ${place} of batch ${idempotencyKey} was not new`)
		heldIn(tenant, collection).set(result.id, data)
	}
}

/** Deletes records in one batch, all or none. */
export async function deleteAll(tenant: Tenant, collection: string, ids: string[]): Promise<void> {
	const operations = ids.map((id) => ({ op: 'delete', collection, id }))
	await batch(tenant, operations, `delete-${collection}`)
	for (const id of ids) heldIn(tenant, collection).delete(id)
}

async function batch(tenant: Tenant, operations: object[], idempotencyKey: string): Promise<Answer> {
	const answer = await tenant.client.send('POST', '/v1/batch', { body: { operations }, idempotencyKey })
	if (answer.status !== 200) {
		const { code, detail } = problemOf(answer)
		throw new Error(
			`batch ${idempotencyKey} of ${tenant.dataset.slug} was answered with ${answer.status} ${code}: ${detail}`,
		)
	}
	notePosition(tenant, answer)
	return answer
}
