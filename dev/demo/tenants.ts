import { z } from 'zod'
import { type Answer, Client } from '../client.ts'
import type { Dataset } from './data.ts'
import type { Data } from './sources.ts'

/** A provisioned tenant beside what it must hold by now: every acknowledged write is entered in `held`. */
export interface Tenant {
	id: string
	dataset: Dataset
	client: Client
	/** By collection, then by record id. */
	held: Map<string, Map<string, Data>>
	/** The last `Freehold-Position` that a write was answered with. */
	position: number
}

const created = z.object({ id: z.string(), region: z.string(), api_key: z.object({ secret: z.string() }) })

/** Creates the tenants and their collections. */
export async function provision(url: string, operator: Client, datasets: Dataset[]): Promise<Tenant[]> {
	return Promise.all(
		datasets.map(async (dataset) => {
			const { slug, name, region, collections } = dataset
			const call = { body: { slug, name, region }, idempotencyKey: `provision-${slug}` }
			const { id, api_key } = await operator.ask('POST', '/v1/tenants', created, call)
			const client = new Client(url, api_key.secret)
			const tenant: Tenant = { id, dataset, client, held: new Map(), position: 0 }
			for (const { name: collection, schema } of collections) {
				const idempotencyKey = `schema-${collection}`
				const answer = await client.send('PUT', `/v1/collections/${collection}`, { body: { schema }, idempotencyKey })
				if (answer.status !== 201)
					throw new Error(`the schema of ${collection} was answered with ${answer.status}: ${answer.text}`)
				notePosition(tenant, answer)
				tenant.held.set(collection, new Map())
			}
			return tenant
		}),
	)
}

/** @throws when there is no such tenant */
export function tenantOf(tenants: Tenant[], slug: string): Tenant {
	const tenant = tenants.find(({ dataset }) => dataset.slug === slug)
	if (!tenant) throw new Error(`no tenant ${slug}`)
	return tenant
}

/** What a tenant holds in a collection. @throws when it has no such collection */
export function heldIn(tenant: Tenant, collection: string): Map<string, Data> {
	const held = tenant.held.get(collection)
	if (!held) throw new Error(`${tenant.dataset.slug} has no collection ${collection}`)
	return held
}

/** What all tenants hold in the collections of that name. */
export function heldByAll(tenants: Tenant[], collection: string): { tenant: Tenant; id: string; data: Data }[] {
	return tenants.flatMap((tenant) =>
		[...(tenant.held.get(collection) ?? [])].map(([id, data]) => ({ tenant, id, data })),
	)
}

/** Remembers how far the view must come to know of this write. */
export function notePosition(tenant: Tenant, { headers }: Answer): void {
	tenant.position = Math.max(
		tenant.position,
		z.coerce.number().int().positive().parse(headers.get('Freehold-Position')),
	)
}
