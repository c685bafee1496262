import { copyFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Control } from '../../core/control.ts'
import { destroyKeys, rewindControl } from '../../core/control.ts'
import { accept, refuse } from '../../core/refusal.ts'
import type { RewindOrder } from '../../core/rewind.ts'
import { Admission } from '../../workers/shard-do/admission.ts'
import { type RewindPorts, rewind } from '../../workers/shard-do/rewind.ts'
import { World } from '../divergence-world.ts'
import { hashOf } from '../shard.ts'

class Crash extends Error {}

/** A tenant whose platform keeps copies of its database, and puts one back when the object starts next. */
class Rewindable extends World {
	readonly #history: { at: number; path: string }[] = []
	#next: string | null = null
	#restarts = 0
	steps = 0
	/** The step that the object dies at: before it (`n`) or after it (`n + 0.5`). */
	dieAt: number | null = null
	admission = this.#admit()

	/** A moment that can be gone back to. */
	moment(): number {
		const { now } = this.fixture
		this.#history.push({ at: now, path: this.copy() })
		this.fixture.now += 60_000
		return now
	}

	async rewind(to: number, key = 'first', fingerprint = 'same') {
		const order: RewindOrder = {
			request: { id: `${key}-${++this.#restarts}`, key, fingerprint },
			to,
			by: 'operator:eve',
		}
		try {
			return await rewind(order, this.#ports())
		} catch (error) {
			if (!(error instanceof Crash)) throw error
			return null
		} finally {
			this.start()
		}
	}

	/** What the platform does when an instance has ended. */
	start(): void {
		const { now } = this.fixture
		this.replace(this.#next ?? this.copy())
		this.#next = null
		this.fixture.now = now
		this.fixture.shard.admit(this.control)
		this.admission = this.#admit()
	}

	async settled(): Promise<void> {
		await this.fixture.shard.alarm()
		this.queue.push(...this.fixture.announced.splice(0))
		await this.settle()
		await this.expectEqual()
	}

	#admit(): Admission {
		return new Admission({
			readControl: async () => this.control,
			admit: (control) => this.fixture.shard.admit(control),
			log: () => {},
		})
	}

	async #step<T>(effect: () => T | Promise<T>): Promise<T> {
		const step = ++this.steps
		if (this.dieAt === step) throw new Crash()
		const answer = await effect()
		if (this.dieAt === step + 0.5) throw new Crash()
		return answer
	}

	#ports(): RewindPorts {
		const { admission } = this
		return {
			history: {
				bookmarkAt: (ms) =>
					this.#step(() => {
						const found = this.#history.findLast(({ at }) => at <= ms)
						return found ? accept(found.path) : refuse('history_unavailable', 'no copy is that old')
					}),
				restoreAtNextStart: (bookmark) =>
					this.#step(() => {
						this.#next = `${bookmark}-${this.#restarts}`
						copyFileSync(bookmark, this.#next)
					}),
			},
			reconsider: () => this.#step(() => admission.reconsider()),
			close: () => admission.close(),
			open: () => admission.open(),
			hasCome: (rewound) => this.fixture.shard.hasComeBack(rewound),
			standing: () => this.#step(() => this.fixture.turn().submit(() => this.fixture.shard.standing())),
			begin: (epoch, rewound) => this.#step(() => rewindControl(this.store(), this.fixture.tenant, epoch, rewound)),
			announce: (wakeUp) => this.#step(() => void this.queue.push(wakeUp)),
			restart: () => {},
			clock: () => this.fixture.now,
		}
	}
}

const newKey = (id: string) =>
	({
		name: 'key.create',
		...{ keyName: null, scopes: ['read' as const], expiresAt: null },
		prepared: { id, secret: 's', secretHash: hashOf(id) },
	}) as const

/** A tenant that was changed in every way after a moment, which the view has followed. */
async function changed(): Promise<{ world: Rewindable; then: number }> {
	const world = new Rewindable()
	const { fixture } = world
	await fixture.collection('c', { properties: { who: { type: 'string', 'x-subject': true } } })
	for (const who of ['ada', 'bob']) await world.put(`of-${who}`, { who })
	await world.put('kept', { n: 1 })
	await fixture.ask(newKey('revoked'))
	const { export: running } = await fixture.ask({ name: 'export.create', csv: false })
	const then = world.moment()
	await fixture.ask({ name: 'export.delete', id: running.id })
	await fixture.ask({ name: 'export.create', csv: false })
	await world.put('kept', { n: 2 })
	await world.put('later', { n: 3 })
	const { receipt } = await fixture.ask({ name: 'subject.erase', subject: 'ada' })
	const entry = { request: receipt.id, subject: receipt.subject, at: receipt.createdAt }
	world.control = { ...world.control, ledger: [entry] }
	await fixture.ask({ name: 'key.delete', id: 'revoked' })
	await operate(world, { tenantName: 'Renamed', status: 'suspended' })
	await operate(world, { status: 'active' })
	world.queue.push(world.wakeUp())
	await world.settle()
	await world.expectEqual()
	return { world, then }
}

async function operate(
	{ fixture }: World,
	changes: { tenantName?: string; status?: 'active' | 'suspended' | 'restricted' },
) {
	const caller = { kind: 'operator', name: 'root' } as const
	const reply = await fixture.run({ name: 'tenant.update', ...changes }, { caller })
	if (!reply.ok) throw new Error(reply.refusal.detail)
}

/** What a rewind leaves behind, whatever happened on the way. */
async function expectRewound(world: Rewindable, then: number): Promise<void> {
	await world.settled()
	expect((await world.rows()).map(({ id, data }) => [id, data])).toEqual([
		['kept', { n: 1 }],
		['of-bob', { who: 'bob' }],
	])
	const caller = { kind: 'key', id: 'revoked', secretHash: hashOf('revoked') } as const
	expect((await world.fixture.refused({ name: 'tenant.get' }, { caller })).code).toBe('unauthorized')
	const { tenant } = await world.fixture.ask({ name: 'tenant.get' })
	expect(tenant).toMatchObject({ name: 'Renamed', status: 'active' })
	const { entries } = await world.fixture.ask({ name: 'audit.list', filter: { op: 'restore' }, limit: 10, after: 0 })
	expect(entries).toMatchObject([{ actor: 'operator:eve', id: new Date(then).toISOString() }])
	const { exports } = await world.fixture.ask({ name: 'export.list', limit: 10, after: null })
	// What they left in the bucket goes, of the one made since as well.
	expect(exports.map(({ state }) => state)).toEqual(['clearing', 'clearing'])
}

test('[E1] [V3] a rewound tenant has what it had, but nobody who was erased and no key that was revoked, and its view follows', async () => {
	const { world, then } = await changed()
	expect(await world.rewind(then)).toMatchObject({ ok: true, value: { replayed: false } })
	expect(world.control).toMatchObject({ epoch: 2, diverged: 2 })
	await expectRewound(world, then)
	// It goes on from there, and a later start takes nothing back that came after.
	await world.fixture.ask(newKey('new'))
	await world.put('after', { n: 4 })
	world.start()
	const caller = { kind: 'key', id: 'new', secretHash: hashOf('new') } as const
	expect((await world.fixture.run({ name: 'tenant.get' }, { caller })).ok).toBe(true)
	await world.settled()
})

test('[I1] a repeated rewind goes back once, and its key belongs to one request', async () => {
	const { world, then } = await changed()
	const first = await world.rewind(then)
	await world.put('after', { n: 4 })
	const again = await world.rewind(then)
	expect([first, again]).toMatchObject([{ value: { replayed: false } }, { value: { replayed: true } }])
	expect((await world.rows()).map(({ id }) => id)).toContain('after')
	expect(await world.rewind(then, 'first', 'other')).toMatchObject({ refusal: { code: 'idempotency_mismatch' } })
	// Another request for the same moment is another rewind.
	expect(await world.rewind(then, 'second')).toMatchObject({ value: { replayed: false } })
	expect(world.control.epoch).toBe(3)
	await expectRewound(world, then)
})

test('[E1] [V1] an object that dies at any step of a rewind works, with an equal view, and a repetition completes it', async () => {
	const clean = await changed()
	await clean.world.rewind(clean.then)
	expect(clean.world.steps).toBe(6)
	for (let dieAt = 1; dieAt <= 6.5; dieAt += 0.5) {
		const { world, then } = await changed()
		world.dieAt = dieAt
		expect(await world.rewind(then), `step ${dieAt}`).toBeNull()
		world.dieAt = null
		await world.settled()
		const { tenant } = await world.fixture.ask({ name: 'tenant.get' })
		expect(tenant.name).toBe('Renamed')
		await world.rewind(then)
		await expectRewound(world, then)
	}
})

test('[E1] whatever must stay as it is refuses a rewind, and the tenant goes on under its epoch', async () => {
	const erasure = { id: 'e', dueAt: Number.MAX_SAFE_INTEGER }
	const cases: [Partial<Control>, string][] = [
		[{ hold: { at: 0, by: 'operator:root' } }, 'not_ready'],
		[{ erasure }, 'erasure_started'],
	]
	for (const [part, code] of cases) {
		const { world, then } = await changed()
		world.control = { ...world.control, ...part }
		expect(await world.rewind(then)).toMatchObject({ refusal: { code } })
		expect(world.control.epoch).toBe(1)
	}
	const { world, then } = await changed()
	expect(await world.rewind(0)).toMatchObject({ refusal: { code: 'history_unavailable' } })
	await world.fixture.ask({ name: 'subject.restrict', subject: 'bob' })
	expect(await world.rewind(then)).toMatchObject({ refusal: { code: 'subject_restricted' } })
	await operate(world, { status: 'restricted' })
	expect(await world.rewind(then)).toMatchObject({ refusal: { code: 'tenant_restricted' } })
	expect(world.control.epoch).toBe(1)
	expect((await world.rows()).map(({ id }) => id)).toEqual(['kept', 'later', 'of-bob'])
})

test('[E1] the note of a rewind, which has the name of the tenant, goes when the tenant is erased', async () => {
	const { world, then } = await changed()
	await world.rewind(then)
	expect(JSON.stringify(world.control)).toContain('Renamed')
	world.control = { ...world.control, state: 'erasing' }
	await destroyKeys(world.store(), world.fixture.tenant)
	expect(world.control).toMatchObject({ state: 'erasing', epoch: 2 })
	expect(JSON.stringify(world.control)).not.toContain('Renamed')
})

test('[S1] while the storage is about to become another one, nobody is admitted', async () => {
	const { world, then } = await changed()
	const { admission } = world
	expect((await admission.ask()).ok).toBe(true)
	expect(admission.admitted).toBe(true)
	await world.rewind(then)
	expect([admission.admitted, (await admission.ask()).ok, (await admission.reconsider()).ok]).toEqual([
		false,
		false,
		false,
	])
	expect(admission.close()).toBe(false)
	expect(world.admission.closed).toBe(false)
})
