import { expect, test } from 'vitest'
import { addKey, type Control, type ControlStore, retireKeys, rewindControl } from '../../core/control.ts'
import { mintTenantId, type Region } from '../../core/ids.ts'
import { mintTenantKey } from '../../core/tenant-key.ts'
import { seeded } from '../shard.ts'

const random = seeded(3)
const tenant = mintTenantId('eu' as Region, Date.UTC(2026, 0, 1), random)
const mint = (version: number) => () => mintTenantKey('master', tenant, version, random)

/** One control object. */
function storeOf(control: Control): ControlStore & { control: Control } {
	return {
		control,
		async read() {
			return { control: this.control, etag: JSON.stringify(this.control) }
		},
		create: () => Promise.reject(new Error('it exists')),
		async replace(_tenant, changed, etag) {
			if (etag !== JSON.stringify(this.control)) return false
			this.control = changed
			return true
		},
	}
}

const versionsOf = ({ control }: { control: Control }) => control.keys?.map(({ version }) => version)

test('a version of a key is added once, and the last one never goes', async () => {
	const store = storeOf({ state: 'active', epoch: 1, createdAt: 0, keys: [mint(1)()] })
	for (const version of [3, 2, 2]) await addKey(store, tenant, version, mint(version))
	expect(versionsOf(store)).toEqual([1, 2])
	await retireKeys(store, tenant, 2, 2, 1_000)
	expect(versionsOf(store), 'of another epoch').toEqual([1, 2])
	await retireKeys(store, tenant, 1, 3, 1_000)
	expect(versionsOf(store), 'a version that nobody has').toEqual([1, 2])
	for (const now of [1_000, 2_000]) await retireKeys(store, tenant, 1, 2, now)
	expect([versionsOf(store), store.control.keysSince]).toEqual([[2], 1_000])
	store.control = { ...store.control, state: 'erasing' }
	await addKey(store, tenant, 3, mint(3))
	expect(versionsOf(store), 'of a tenant that is being erased').toEqual([2])
})

test('nobody goes back to a moment whose key is destroyed', async () => {
	const store = storeOf({ state: 'active', epoch: 1, createdAt: 0, keys: [mint(2)()], keysSince: 1_000 })
	const tenantThen = { slug: 's', name: 'n', status: 'active', requests_per_second: 1, storage_bytes: 1 } as const
	const standing = { position: 1, keys: [], webhooks: [], jobs: [], tenant: tenantThen }
	const began = { request: { id: 'r', key: 'k', fingerprint: 'f' }, at: 5_000, by: 'operator:eve', standing }
	const refused = await rewindControl(store, tenant, 1, { ...began, to: 1_000 })
	expect(refused).toMatchObject({ ok: false, refusal: { code: 'history_unavailable' } })
	expect((await rewindControl(store, tenant, 1, { ...began, to: 1_001 })).ok).toBe(true)
})
