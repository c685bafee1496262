import { z } from 'zod'
import { type Drill, minute } from './drill.ts'
import type { Scene, Tenant } from './scene.ts'

/** Instead of the platform's 10 GB. */
const bytesMax = 50_000_000
const batchRecords = 8
const text = 'large '.repeat(75_000)
const tenantShape = z.object({
	limits: z.object({ storage_bytes: z.number() }),
	usage: z.object({ storage_bytes: z.number() }),
})

export const shardSize: Drill = {
	what: 'a tenant fills its shard past 70 % and 90 % of its limit, of 50 MB here',
	expects: ['shard_size_70', 'shard_size_90'],
	mayFire: [],
	vars: { SHARD_BYTES_MAX: String(bytesMax) },
	run: async (scene) => {
		const tenant = await scene.enlist('eu')
		scene.fault()
		const some = await fill(scene, tenant, 0, 0.75)
		scene.note(`the shard is at ${await shareOf(scene, tenant)} %`)
		await scene.awaitAlert('shard_size_70', 3 * minute)
		const all = await fill(scene, tenant, some, 1)
		scene.note(`the shard is at ${await shareOf(scene, tenant)} %, and growth is refused with 507`)
		await scene.awaitAlert('shard_size_90', 3 * minute)
		const largest = await largestShard(scene)
		if (largest !== tenant.id) throw new Error(`the largest shard in /metrics is ${largest}'s`)
		scene.note('GET /metrics names the tenant')
		await expectStatus(scene, tenant, 'GET', 'bulk-0', 200)
		await expectStatus(scene, tenant, 'PUT', 'one-more', 507)
		await empty(scene, tenant, all / 2)
		scene.note(`the tenant has deleted half of it, and the shard is at ${await shareOf(scene, tenant)} %`)
		await expectStatus(scene, tenant, 'PUT', 'one-more', 201)
		await scene.awaitResolved(['shard_size_90', 'shard_size_70'], 5 * minute)
	},
}

/** Writes until the shard is so full, or refuses. Answers how many records of the kind there are then. */
async function fill(scene: Scene, tenant: Tenant, from: number, share: number): Promise<number> {
	for (let count = from; ; count += batchRecords) {
		if ((await shareOf(scene, tenant)) >= share * 100) return count
		const operations = Array.from({ length: batchRecords }, (_, n) => ({
			op: 'put',
			...named(count + n),
			data: { text },
		}))
		const { status } = await scene.send(tenant.key, 'POST', '/v1/batch', { operations })
		if (status === 507) return count
		if (status !== 200) throw new Error(`a batch was answered ${status}`)
	}
}

async function empty(scene: Scene, tenant: Tenant, count: number): Promise<void> {
	const operations = Array.from({ length: count }, (_, n) => ({ op: 'delete', ...named(n) }))
	const { status } = await scene.send(tenant.key, 'POST', '/v1/batch', { operations })
	if (status !== 200) throw new Error(`deletes in a full shard were answered ${status}`)
}

function named(n: number) {
	return { collection: 'drill', id: `bulk-${n}` }
}

/** In whole percent of what the API says is the limit. */
async function shareOf(scene: Scene, { key }: Tenant): Promise<number> {
	const { limits, usage } = tenantShape.parse((await scene.send(key, 'GET', '/v1/tenant')).body)
	return Math.floor((usage.storage_bytes / limits.storage_bytes) * 100)
}

async function expectStatus(scene: Scene, { key }: Tenant, method: string, id: string, status: number): Promise<void> {
	const body = method === 'PUT' ? { text } : undefined
	const answer = await scene.send(key, method, `/v1/collections/drill/records/${id}`, body)
	if (answer.status !== status) throw new Error(`${method} ${id} was answered ${answer.status} and not ${status}`)
}

/** The tenant of the largest shard, as the runbook has it. */
async function largestShard({ stack }: Scene): Promise<string | undefined> {
	const answer = await fetch(`${stack.url}/metrics`, { headers: { Authorization: `Bearer ${stack.operatorToken}` } })
	const sizes = [...(await answer.text()).matchAll(/^freehold_shard_size_bytes\{.*tenant="([^"]+)".*\} (\d+)$/gm)]
	return sizes.toSorted(([, , a], [, , b]) => Number(b) - Number(a))[0]?.[1]
}
