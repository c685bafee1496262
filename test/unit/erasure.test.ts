import { expect, test } from 'vitest'
import { readCertificate, signerOf, verifyCertificate } from '../../core/certificate.ts'
import { decideErasure, erasureSteps } from '../../core/erasure.ts'
import { remainsOf } from '../../workers/shard-do/erasure.ts'
import { KeyAbsent } from '../../workers/shard-do/vault.ts'
import { ErasureWorld } from '../erasure-world.ts'
import { people, ShardFixture } from '../shard.ts'

const day = 86_400_000
const all = { filter: null, order: [], limit: 10, after: null, select: null, count: false }
const key = signerOf(Buffer.alloc(32, 1).toString('base64url')).then(({ publicKey }) => publicKey)

/** What E1 and E2 ask for at the end, in every store. */
function expectErased(world: ErasureWorld): void {
	expect(world.control).toMatchObject({ state: 'erased', epoch: 2 })
	expect(remainsOf(world.sql)).toEqual({ tables: 0, records: 0, keys: 0, buried: true })
	expect([world.rows, world.tombstone, world.objects, world.holder]).toEqual([0, 2, 0, null])
	expect(world.record.done.map(({ step }) => step).sort()).toEqual([...erasureSteps].sort())
	expect(world.record.after.every(({ count }) => count === 0)).toBe(true)
}

test('[E1] [E3] an erasure empties every store, and its certificate says what was there, how it was checked, and until when copies last', async () => {
	const world = new ErasureWorld()
	await world.fill()
	await world.ringUntilDone()
	expectErased(world)
	const text = await verifyCertificate(world.record.certificate ?? '', [await key])
	if (!text.ok) throw new Error(text.refusal.detail)
	const certificate = JSON.parse(text.value)
	expect(certificate).toEqual(readCertificate(world.record.certificate ?? ''))
	const store = (name: string) => certificate.stores.find((one: { store: string }) => one.store === name)
	expect(store('keys')).toMatchObject({
		found_before: { 'encryption keys': 1 },
		found_after: { 'encryption keys': 0 },
	})
	expect(store('shard').found_before).toMatchObject({ records: 3 })
	expect(store('shard').found_after).toEqual({ tables: 0, records: 0, keys: 0 })
	expect(store('view')).toMatchObject({ found_before: { record: 3 }, found_after: { record: 0 } })
	expect(store('bucket')).toMatchObject({ found_before: { objects: 2 }, found_after: { objects: 0 } })
	expect(store('claims')).toMatchObject({ found_before: { names: 1 }, found_after: { names: 0 } })
	expect(certificate.stores.map((one: { store: string }) => one.store)).toEqual([
		...['keys', 'shard', 'view', 'bucket', 'claims', 'control', 'queue', 'dead_letter_queue', 'logs'],
	])
	expect(Date.parse(certificate.horizon)).toBe(Date.parse(certificate.verified_at) + 30 * day)
	expect(text.value).not.toMatch(/acme|example\.com|555-0199/)
})

test('[E1] the key goes first: nothing opens what rested under it, also not the whole database from before', async () => {
	const world = new ErasureWorld()
	await world.fill()
	const { fixture } = world
	await fixture.collection('secrets', { properties: { note: { type: 'string', 'x-personal': 'encrypted' } } })
	const { record } = await fixture.create('secrets', { note: 'a secret' })
	const place = { collection: 'secrets', id: record.id }
	const patch = { name: 'record.patch', ...place, patch: '{"note":"another"}', ifMatch: null } as const
	const idempotency = { key: 'retried', fingerprint: 'f', seal: null }
	await fixture.ask(patch, { idempotency })
	const call = { kind: 'erasure', tenant: world.tenant, shard: 0, epoch: 1 } as const
	for (let effects = 1; !world.record.done.some(({ step }) => step === 'key'); effects++) {
		if (effects > 20) throw new Error('no key is destroyed')
		world.failAt = world.calls + effects + 0.5
		await world.deliver(call)
	}
	expect(world.control.keys).toBeUndefined()
	expect(world.record.done.map(({ step }) => step)).toEqual(['control', 'key'])
	expect(remainsOf(world.sql).records).toBe(4)
	expect(JSON.stringify(world.sql.all('SELECT * FROM c_2'))).not.toContain('secret')

	// As if its own control object said that this copy of the database may be served.
	fixture.control = { ...world.control, state: 'active', epoch: 1 }
	fixture.restart()
	await expect(fixture.run({ name: 'record.get', ...place })).rejects.toThrow(KeyAbsent)
	await expect(fixture.run(patch, { idempotency })).rejects.toThrow(KeyAbsent)
	expect((await fixture.run({ name: 'record.list', collection: 'people', query: all })).ok).toBe(true)
})

test('[E2] an erasure that dies before or after any of its effects is finished by the alarm alone', async () => {
	let cut = 0
	for (let n = 1; ; n += 0.5) {
		const world = new ErasureWorld()
		await world.fill()
		world.failAt = n
		await world.ring()
		await world.ring()
		const died = world.calls >= Math.floor(n)
		world.failAt = null
		await world.ringUntilDone()
		expectErased(world)
		if (!died || world.calls < Math.floor(n)) break
		if (n > 300) throw new Error('an erasure with no end')
		cut++
	}
	// Before and after each of some 60 calls of a port.
	expect(cut).toBeGreaterThan(80)
})

test('[E2] two consumers at once do every step at least once, and one certificate stands', async () => {
	const world = new ErasureWorld()
	await world.fill()
	const call = { kind: 'erasure', tenant: world.tenant, shard: 0, epoch: 1 } as const
	await Promise.all([world.deliver(call), world.deliver(call), world.deliver(call)])
	await world.ringUntilDone()
	expectErased(world)
})

test('[E1] what turns up again before the certificate is found and erased once more', async () => {
	const world = new ErasureWorld()
	await world.fill()
	const ports = await world.ports()
	const { remove } = ports.objects
	let late = true
	ports.objects.remove = async (tenant) => {
		await remove(tenant)
		// An export that was still being written.
		if (late) world.objects = 1
		late = false
	}
	world.ports = async () => ports
	await world.ringUntilDone()
	expectErased(world)
})

test('[E1] a copy of the database from before the erasure is buried before it answers anything', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	await fixture.create('people', { email: 'a@example.com' })
	fixture.restart()
	const erasure = { id: 'e', dueAt: 0, horizon: fixture.now + day }
	fixture.shard.admit({ state: 'erased', epoch: 2, createdAt: 0, erasure })
	expect((await fixture.refused({ name: 'collection.get', collection: 'people' })).code).toBe('tenant_erased')
	expect(remainsOf(fixture.sql)).toEqual({ tables: 0, records: 0, keys: 0, buried: true })
})

test('[E3] the horizon follows the configured retention', async () => {
	const horizon = async (queue: number) => {
		const world = new ErasureWorld()
		world.retention.queue = queue
		await world.fill()
		await world.ringUntilDone()
		const { horizon: text, verified_at } = readCertificate(world.record.certificate ?? '')
		expect(Date.parse(text)).toBe(world.control.erasure?.horizon)
		return (Date.parse(text) - Date.parse(verified_at)) / day
	}
	expect([await horizon(4), await horizon(60)]).toEqual([30, 60])
})

test('[E1] a shard rests under its tombstone until the horizon, and then nothing of it is left', async () => {
	const world = new ErasureWorld()
	await world.fill()
	await world.ringUntilDone()
	const horizon = world.control.erasure?.horizon ?? 0
	await world.ring()
	expect(world.fixture.alarmAt).toBe(horizon)
	expect(world.fixture.deletedAll).toBe(false)
	const refusal = await world.fixture.refused({ name: 'tenant.get' })
	expect(refusal.code).toBe('tenant_erased')
	await world.ring()
	expect(world.fixture.now).toBeGreaterThanOrEqual(horizon)
	expect(world.fixture.deletedAll).toBe(true)
})

test('a legal hold stops an erasure wherever it is, and it goes on when the hold is lifted', async () => {
	for (const steps of [0, 1, 3, 6]) {
		const world = new ErasureWorld()
		await world.fill()
		world.control = { ...world.control, hold: { at: world.fixture.now, by: 'operator:test' } }
		if (steps > 0) {
			world.control = { ...world.control, state: 'erasing', epoch: 2 }
			world.record.done = erasureSteps.slice(0, steps).map((step) => ({ step, at: world.fixture.now }))
		}
		for (let rings = 0; rings < 5; rings++) await world.ring()
		expect(world.record.done).toHaveLength(steps)
		expect(remainsOf(world.sql).records).toBe(3)
		const { hold: _, ...released } = world.control
		world.control = released
		await world.ringUntilDone()
		expectErased(world)
	}
})

test('nothing begins before it is due, or after it was cancelled', async () => {
	const world = new ErasureWorld()
	await world.fill()
	const dueAt = world.fixture.now + 5 * day
	world.control = { ...world.control, erasure: { id: world.erasure, dueAt } }
	await world.ring()
	expect(world.fixture.alarmAt).toBeLessThanOrEqual(dueAt)
	expect(decideErasure(world.control, world.record, dueAt - 1)).toEqual({ kind: 'wait', until: dueAt })
	expect(world.record.done).toEqual([])
	await expect(world.fixture.ask({ name: 'tenant.get' })).resolves.toBeDefined()

	const { erasure: _, ...kept } = world.control
	world.control = kept
	world.fixture.now = dueAt + 1
	for (let rings = 0; rings < 3 && world.fixture.alarmAt !== null; rings++) await world.ring()
	expect(world.record.done).toEqual([])
	expect(remainsOf(world.sql).records).toBe(3)
	await expect(world.fixture.ask({ name: 'tenant.get' })).resolves.toBeDefined()
})

test('a request whose control object never came is forgotten, and the tenant lives on', async () => {
	const world = new ErasureWorld()
	await world.fill()
	const { erasure: _, ...kept } = world.control
	world.control = kept
	for (let rings = 0; rings < 20; rings++) await world.ring()
	expect(world.fixture.shard.mayBeErased()).toBe(false)
	expect(remainsOf(world.sql).records).toBe(3)
})

test('whatever the record says, nothing is destroyed while the control object says active', async () => {
	const world = new ErasureWorld()
	await world.fill()
	const record = { ...world.record, done: [{ step: 'control' as const, at: 0 }] }
	expect(decideErasure(world.control, record, world.fixture.now)).toEqual({ kind: 'perform', step: 'control' })
	expect(world.fixture.shard.obey({ tenant: world.tenant, shard: 0, do: 'bury' }, world.control).records).toBe(3)
})

test('a certificate that was changed, cut or signed by another key is not genuine', async () => {
	const world = new ErasureWorld()
	await world.fill()
	await world.ringUntilDone()
	const jws = world.record.certificate ?? ''
	const [header = '', payload = '', signature = ''] = jws.split('.')
	const text = Buffer.from(payload, 'base64url').toString()
	const forged = Buffer.from(text.replace('"records":3', '"records":0')).toString('base64url')
	const other = (await signerOf(Buffer.alloc(32, 2).toString('base64url'))).publicKey
	for (const broken of [`${header}.${forged}.${signature}`, jws.slice(0, -1), `${payload}.${header}.${signature}`, ''])
		expect((await verifyCertificate(broken, [await key])).ok).toBe(false)
	expect((await verifyCertificate(jws, [other])).ok).toBe(false)
	expect((await verifyCertificate(jws, [{ ...other, kid: (await key).kid }])).ok).toBe(false)
	expect((await verifyCertificate(`${jws}\n`, [other, await key])).ok).toBe(true)
})
