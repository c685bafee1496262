import { expect, test } from 'vitest'
import type { Control } from '../../core/control.ts'
import type { TenantId } from '../../core/ids.ts'
import { registryGraceMs, registryPagesMax, registryPageTenants, registryStrangersMax } from '../../core/limits.ts'
import type { RegistryPage } from '../../db/neon/registry.ts'
import { compareRegistry, type RegistryPorts } from '../../workers/queue-consumer/registry.ts'

const tenantOf = (n: number) => `global_01k9${String(n).padStart(22, '0')}` as TenantId

/** A registry, and a view that knows some of its tenants. */
class World {
	now = 1_000_000
	readonly controls = new Map<TenantId, Control>()
	readonly known = new Set<TenantId>()
	readonly pages: RegistryPage[] = []
	readonly woken: string[] = []
	cursor: TenantId | null = null

	readonly ports: RegistryPorts = {
		registry: async (after, limit) =>
			[...this.controls.keys()]
				.sort()
				.filter((one) => after === null || one > after)
				.slice(0, limit),
		control: {
			read: async (tenant) => {
				const control = this.controls.get(tenant)
				return control ? { control, etag: '' } : null
			},
		},
		view: {
			readCursor: async () => this.cursor,
			listStrangers: async (tenants) => tenants.filter((one) => !this.known.has(one)),
			notePage: async (page) => {
				if (page.from !== this.cursor) return false
				this.cursor = page.to
				this.pages.push(page)
				return true
			},
		},
		announce: async ({ tenant, epoch }) => void this.woken.push(`${tenant} ${epoch}`),
		clock: () => this.now,
		log: () => {},
	}

	add(from: number, to: number, state: Control['state'] = 'active', createdAt = 0): void {
		for (let n = from; n <= to; n++) this.controls.set(tenantOf(n), { state, epoch: 4, createdAt })
	}
}

test('whoever is registered, in force and unknown to the view is counted as missing and woken', async () => {
	const world = new World()
	world.add(1, 3)
	for (const [n, state] of (['provisioning', 'abandoned', 'erasing', 'erased'] as const).entries())
		world.add(10 + n, 10 + n, state)
	world.add(20, 20, 'active', world.now - registryGraceMs + 1)
	world.known.add(tenantOf(2))
	await compareRegistry(world.ports)
	expect(world.pages).toEqual([{ from: null, to: null, tenants: 8, missing: 2 }])
	expect(world.woken).toEqual([1, 3].map((n) => `${tenantOf(n)} 4`))
})

test('nobody is called present of whom that could not be told', async () => {
	const world = new World()
	world.add(1, 2)
	world.ports.control.read = async (tenant) => {
		if (tenant === tenantOf(1)) throw new Error('the bucket is away')
		return { control: { state: 'erased', epoch: 1, createdAt: 0 }, etag: '' }
	}
	await compareRegistry(world.ports)
	expect(world.pages).toMatchObject([{ tenants: 2, missing: 1 }])
})

test('a registry larger than a minute is gone through page by page, from where the minute before ended', async () => {
	const world = new World()
	const all = registryPageTenants * registryPagesMax + 5
	world.add(1, all)
	for (const tenant of world.controls.keys()) world.known.add(tenant)
	world.known.delete(tenantOf(all))
	await compareRegistry(world.ports)
	expect(world.pages).toHaveLength(registryPagesMax)
	expect(world.cursor).toBe(tenantOf(all - 5))
	await compareRegistry(world.ports)
	expect(world.pages.at(-1)).toEqual({ from: tenantOf(all - 5), to: null, tenants: 5, missing: 1 })
	expect(world.pages.reduce((sum, { tenants }) => sum + tenants, 0)).toBe(all)
})

test('of many strangers each minute meets some, and none is passed over', async () => {
	const world = new World()
	const all = 2 * registryStrangersMax + 1
	world.add(1, all)
	for (let minutes = 0; minutes < 3; minutes++) await compareRegistry(world.ports)
	expect(world.pages).toEqual([
		{ from: null, to: tenantOf(registryStrangersMax), tenants: registryStrangersMax, missing: registryStrangersMax },
		{
			...{ from: tenantOf(registryStrangersMax), to: tenantOf(2 * registryStrangersMax) },
			...{ tenants: registryStrangersMax, missing: registryStrangersMax },
		},
		{ from: tenantOf(2 * registryStrangersMax), to: null, tenants: 1, missing: 1 },
	])
	expect(new Set(world.woken).size).toBe(all)
})

test('an empty registry, and one that ends with a full page, are whole comparisons', async () => {
	const empty = new World()
	await compareRegistry(empty.ports)
	expect(empty.pages).toEqual([{ from: null, to: null, tenants: 0, missing: 0 }])

	const full = new World()
	full.add(1, registryPageTenants)
	for (const tenant of full.controls.keys()) full.known.add(tenant)
	await compareRegistry(full.ports)
	expect(full.pages.at(-1)).toEqual({ from: tenantOf(registryPageTenants), to: null, tenants: 0, missing: 0 })
})

test('a comparison that another has overtaken ends without a word', async () => {
	const world = new World()
	world.add(1, registryPageTenants + 1)
	for (const tenant of world.controls.keys()) world.known.add(tenant)
	const { notePage } = world.ports.view
	world.ports.view.notePage = async (page) => {
		world.cursor = tenantOf(5)
		return notePage(page)
	}
	await compareRegistry(world.ports)
	expect(world.pages).toEqual([])
})
