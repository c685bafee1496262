/** Reads the view through the operator's API: its freshness, and lists to their last page. */
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { type Client, nextOf, problemOf } from '../client.ts'
import type { Data } from './sources.ts'
import type { Tenant } from './tenants.ts'

const freshness = z.object({
	exact: z.boolean(),
	complete: z.boolean(),
	shards: z.int(),
	shards_behind: z.int(),
	worst_lag_ms: z.number(),
	dead_letters: z.int(),
})
export type Freshness = z.infer<typeof freshness>

const recordPage = z.object({
	records: z.array(
		z.object({ tenant: z.string(), id: z.string(), version: z.int(), data: z.record(z.string(), z.unknown()) }),
	),
	freshness,
})
export type ViewRecord = z.infer<typeof recordPage>['records'][number]

const collectionPage = z.object({
	collections: z.array(z.object({ tenant: z.string(), name: z.string(), records: z.int() })),
	freshness,
})
export type ViewCollection = z.infer<typeof collectionPage>['collections'][number]

function readFreshness(operator: Client): Promise<Freshness> {
	return operator.ask('GET', '/v1/view/freshness', freshness)
}

/** Waits until every tenant's last write is in the view. @throws after a minute without it */
export async function awaitView(operator: Client, tenants: Tenant[]): Promise<Freshness> {
	await Promise.all(
		tenants.map(({ id, position }) =>
			operator.ask('GET', `/v1/view/freshness?tenant=${id}`, freshness, {
				headers: { 'Freehold-Min-Position': `${id}:${position}` },
			}),
		),
	)
	const deadline = Date.now() + 60_000
	for (;;) {
		const state = await readFreshness(operator)
		if (state.exact && state.complete) return state
		if (Date.now() > deadline) throw new Error(`the view is not exact: ${JSON.stringify(state)}`)
		await pause(50)
	}
}

/** The first page of a list of records. */
export async function readFirstRecords(operator: Client, query: Record<string, string>): Promise<ViewRecord[]> {
	const { records } = await operator.ask('GET', recordsPath(query), recordPage)
	return records
}

/** Follows a list of records by its links; answers the records and the number of pages. */
export async function readRecords(
	operator: Client,
	query: Record<string, string>,
): Promise<{ records: ViewRecord[]; pages: number }> {
	const read = await readPages(operator, recordsPath(query), recordPage)
	return { records: read.flatMap(({ records }) => records), pages: read.length }
}

/** How many records the view has, per tenant and collection. */
export async function readCounts(operator: Client): Promise<ViewCollection[]> {
	const read = await readPages(operator, '/v1/view/collections', collectionPage)
	return read.flatMap(({ collections }) => collections)
}

function recordsPath(query: Record<string, string>): string {
	return `/v1/view/records?${new URLSearchParams(query)}`
}

async function readPages<T>(operator: Client, first: string, shape: z.ZodType<T>): Promise<T[]> {
	const pages: T[] = []
	for (let path: string | null = first; path !== null; ) {
		const answer = await operator.send('GET', path)
		if (answer.status !== 200) {
			const { code, detail } = problemOf(answer)
			throw new Error(`GET ${path} was answered with ${answer.status} ${code}: ${detail}`)
		}
		pages.push(shape.parse(JSON.parse(answer.text)))
		path = nextOf(answer)
	}
	return pages
}

/** Asks how far the view is behind, four times a second, until it is stopped. */
export class LagWatch {
	worstMs = 0
	readonly #stopped = new AbortController()
	readonly #ended: Promise<unknown>

	constructor(operator: Client) {
		// Settles with the error instead of rejecting, because nobody awaits it before the end.
		this.#ended = this.#run(operator).catch((error: unknown) => error)
	}

	/** @throws what made the watch end before */
	async stop(): Promise<void> {
		this.#stopped.abort()
		const error = await this.#ended
		if (error !== undefined) throw error
	}

	async #run(operator: Client): Promise<void> {
		while (!this.#stopped.signal.aborted) {
			const { worst_lag_ms } = await readFreshness(operator)
			this.worstMs = Math.max(this.worstMs, worst_lag_ms)
			await pause(250, undefined, { signal: this.#stopped.signal }).catch(() => {})
		}
	}
}

/** What the view may hold of a record: everything but the properties that its schema calls personal. */
export function withoutPersonal(tenant: Tenant, collection: string, data: Data): Data {
	const properties = tenant.dataset.collections.find(({ name }) => name === collection)?.schema.properties ?? {}
	return Object.fromEntries(Object.entries(data).filter(([name]) => properties[name]?.['x-personal'] === undefined))
}
