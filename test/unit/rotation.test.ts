import { expect, test } from 'vitest'
import type { Control } from '../../core/control.ts'
import { mintTenantId, type Region, type TenantId } from '../../core/ids.ts'
import { rotationTenantsMax } from '../../core/limits.ts'
import type { Rotation } from '../../core/rotation.ts'
import { masterId, mintTenantKey, unwrapTenantKey } from '../../core/tenant-key.ts'
import { type RotationPorts, rotateMasterSecret } from '../../workers/queue-consumer/rotation.ts'
import { Edge } from '../api-ports.ts'
import { seeded } from '../shard.ts'

const [newest, previous] = ['the newest master secret of all', 'the master secret until now'] as const
const minute = 60_000

class Crash extends Error {}

/** The registry of one region in memory, with a clock. */
class Registry {
	now = Date.UTC(2026, 0, 1)
	readonly random = seeded(11)
	readonly controls = new Map<TenantId, { control: Control; etag: string }>()
	kept: { rotation: Rotation; etag: string } | null = null
	masters: [string, ...string[]] = [newest, previous]
	/** Dies before this write of a control object. */
	dieAt = Number.POSITIVE_INFINITY
	writes = 0

	constructor(tenants: number) {
		for (let n = 0; n < tenants; n++) this.add(n % 5 === 0 ? null : previous)
	}

	/** A tenant whose key is wrapped by a secret; null for one without any. */
	add(master: string | null): TenantId {
		const id = mintTenantId('eu' as Region, this.now++, this.random)
		const keys = master === null ? {} : { keys: [mintTenantKey(master, id, 1, this.random)] }
		this.controls.set(id, { control: { state: 'active', epoch: 1, createdAt: this.now, ...keys }, etag: 'a' })
		return id
	}

	/** The secrets that wrap keys, and how many each. */
	wrappedBy(): Record<string, number> {
		const keys = [...this.controls.values()].flatMap(({ control }) => control.keys ?? [])
		return Object.fromEntries([...Map.groupBy(keys, ({ master }) => master)].map(([name, all]) => [name, all.length]))
	}

	async ring(): Promise<void> {
		this.now += minute
		await rotateMasterSecret(this.#ports()).catch((error) => {
			if (!(error instanceof Crash)) throw error
		})
	}

	#ports(): RotationPorts {
		const ids = [...this.controls.keys()].sort()
		return {
			masters: this.masters,
			registry: async (after, limit) => ids.filter((id) => after === null || id > after).slice(0, limit),
			control: {
				read: async (tenant) => this.controls.get(tenant) ?? null,
				create: () => Promise.reject(new Error('nothing is created')),
				replace: async (tenant, control, etag) => {
					if (++this.writes === this.dieAt) throw new Crash()
					if (this.controls.get(tenant)?.etag !== etag) return false
					this.controls.set(tenant, { control, etag: `${etag}+` })
					return true
				},
			},
			rotations: {
				read: async () => this.kept,
				write: async (rotation, etag) => {
					if ((this.kept?.etag ?? null) !== etag) return null
					this.kept = { rotation, etag: `${etag}+` }
					return this.kept.etag
				},
			},
			clock: () => this.now,
			random: this.random,
			log: () => {},
		}
	}
}

test('every key is wrapped anew by the newest secret and stays the key that it was, whatever dies in between', async () => {
	const registry = new Registry(2 * rotationTenantsMax + 50)
	const before = new Map(
		[...registry.controls].map(([id, { control }]) => [
			id,
			control.keys?.map((key) => Buffer.from(unwrapTenantKey([previous], id, key) ?? '').toString('hex')),
		]),
	)
	registry.dieAt = rotationTenantsMax
	for (let rings = 0; rings < 20 && !registry.kept?.rotation.finishedAt; rings++) await registry.ring()
	expect(registry.kept?.rotation).toMatchObject({ master: masterId(newest), rewrapped: 0, unreadable: 0 })
	expect(registry.kept?.rotation.finishedAt).toBeGreaterThan((registry.kept?.rotation.begunAt ?? 0) + 10 * minute)
	expect(registry.wrappedBy()).toEqual({ [masterId(newest)]: 360 })
	for (const [id, { control }] of registry.controls) {
		const now = control.keys?.map((key) => Buffer.from(unwrapTenantKey([newest], id, key) ?? '').toString('hex'))
		expect(now).toEqual(before.get(id))
	}
	// Done, it reads nothing any more.
	const { writes } = registry
	registry.add(previous)
	await registry.ring()
	expect(registry.writes).toBe(writes)
})

test('a key that an older Worker wraps meanwhile is found, and one that no secret opens keeps the rotation from ending', async () => {
	const registry = new Registry(10)
	await registry.ring()
	expect(registry.wrappedBy()).toEqual({ [masterId(newest)]: 8 })
	registry.add(previous)
	const lost = registry.add('a secret that nobody has any more')
	for (let rings = 0; rings < 20; rings++) await registry.ring()
	expect(registry.wrappedBy()).toMatchObject({ [masterId(newest)]: 9 })
	expect(registry.kept?.rotation.finishedAt).toBeNull()
	registry.controls.delete(lost)
	for (let rings = 0; rings < 3; rings++) await registry.ring()
	expect(registry.kept?.rotation.finishedAt).not.toBeNull()
})

test('without a previous secret nothing is done', async () => {
	const registry = new Registry(3)
	registry.masters = [newest]
	await registry.ring()
	expect([registry.kept, registry.writes]).toEqual([null, 0])
})

test('an operator sees how far each region is, and not what another secret came to', async () => {
	const edge = new Edge()
	const rotation = {
		...{ master: 'new-secret', begunAt: 0, passAt: 0, after: null },
		...{ tenants: 12, rewrapped: 3, unreadable: 1, finishedAt: null },
	}
	edge.rotations.set('eu' as Region, { rotation, etag: 'e' })
	edge.rotations.set('global' as Region, { rotation: { ...rotation, master: 'older' }, etag: 'e' })
	const response = await edge.fetch('GET', '/v1/master-secret', { as: 'reader-token' })
	expect(await response.json()).toEqual({
		secret: 'new-secret',
		regions: [
			...[
				{
					region: 'global',
					status: 'none',
					tenants: 0,
					rewrapped: 0,
					unreadable: 0,
					begun_at: null,
					finished_at: null,
				},
			],
			{
				...{ region: 'eu', status: 'running', tenants: 12, rewrapped: 3, unreadable: 1 },
				...{ begun_at: '1970-01-01T00:00:00.000Z', finished_at: null },
			},
		],
	})
})
