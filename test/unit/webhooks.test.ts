import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import {
	announceAgainMsMax,
	webhookFailingMsMax,
	webhookLeaseMs,
	webhookPageMessages,
	webhookRetryMsMax,
	webhookScanEntries,
} from '../../core/limits.ts'
import { retryDelayMs } from '../../core/webhook.ts'
import { deliverWebhooks } from '../../workers/queue-consumer/webhooks.ts'
import { Turn } from '../../workers/shard-do/turn.ts'
import { message } from '../consumer-ports.ts'
import { people } from '../shard.ts'
import { WebhookFixture } from '../webhook-ports.ts'

async function prepare(more: object = {}) {
	const fixture = new WebhookFixture()
	await fixture.shard.collection('people', people)
	const { id, secret } = await fixture.endpoint(more)
	let records = 0
	const write = async (count = 1) => {
		for (let n = 0; n < count; n++) await fixture.shard.create('people', { email: `${records++}@example.com` })
	}
	const deliver = async () => {
		const given = message(fixture.wakeUp(id))
		await deliverWebhooks([given], fixture.ports)
		return given.settled
	}
	const show = () => fixture.show(id)
	const seqs = () => fixture.sent.map(({ seq }) => seq)
	return { fixture, id, secret, write, deliver, show, seqs }
}

/** A pull that tells the shard that the view has everything, so that the view is not what sets the alarm. */
function applied({ shard }: WebhookFixture) {
	return { tenant: shard.tenant, shard: 0, epoch: 1, after: shard.shard.position(), entriesMax: 1, bytesMax: 1 }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

test('[W1] with every message lost, the alarm announces an endpoint again with growing waits until it is served', async () => {
	const { fixture, id, write, deliver } = await prepare()
	await write()
	const start = fixture.shard.now
	const announced: string[] = []
	while (announced.length < 12) announced.push(...(await fixture.ring()))
	expect(fixture.shard.now - start).toBeGreaterThan(announceAgainMsMax)
	expect(new Set(announced)).toEqual(new Set([id]))
	expect(await deliver()).toBe('ack')
	fixture.shard.webhooksAnnounced.length = 0
	for (let rings = 0; rings < 5 && fixture.shard.alarmAt !== null; rings++) await fixture.ring()
	expect(fixture.shard.webhooksAnnounced).toEqual([])
})

test('[W1] an endpoint gets what comes after it, page after page, each once, in order, and signed', async () => {
	const { fixture, secret, write, deliver, show, seqs } = await prepare()
	await write(webhookPageMessages * 2 + 5)
	await deliver()
	const last = 4 + webhookPageMessages * 2 + 5
	expect(seqs()).toEqual(range(5, last))
	expect((await show()).position).toBe(last)
	const ids = fixture.sent.map(({ headers }) => headers['webhook-id'])
	expect(ids[0]).toBe(`msg_${fixture.shard.tenant}_0_1_5`)
	expect(new Set(ids).size).toBe(ids.length)
	const [first] = fixture.sent
	const { headers = {}, body = '' } = first ?? {}
	const signature = new Webhook(secret).sign(ids[0] ?? '', new Date(fixture.shard.now), body)
	expect(headers['webhook-signature']).toBe(signature)
	expect(JSON.parse(body)).toMatchObject({ type: 'record.created', data: { op: 'create', collection: 'people' } })
	expect(body).not.toContain('example.com')
	await deliver()
	expect(seqs()).toHaveLength(last - 4)
})

test('[W1] an instance that starts announces what is not delivered, without waiting for a write', async () => {
	const { fixture, id, write, deliver, seqs } = await prepare()
	await write(3)
	const { shard } = fixture
	const applied = {
		tenant: shard.tenant,
		shard: 0,
		epoch: 1,
		after: shard.shard.position(),
		entriesMax: 1,
		bytesMax: 1,
	}
	shard.shard.pull(applied)
	await fixture.ring()
	shard.alarmAt = null
	shard.restart()
	expect(await fixture.ring()).toEqual([id])
	await deliver()
	expect(seqs()).toEqual([5, 6, 7])
	shard.alarmAt = null
	shard.restart()
	expect(shard.alarmAt).toBeNull()
})

test('[W1] [D2] a report that does not commit leaves the endpoint where it was, in memory too', async () => {
	const { fixture, id, write, show } = await prepare()
	await write(3)
	await fixture.ring()
	const asked = { ...fixture.wakeUp(id), run: 'one' }
	const reply = await fixture.stub.pullWebhook(asked)
	if (reply.kind !== 'page') throw new Error('no page')
	const { shard } = fixture
	const failing = new Turn({
		transaction: (work) =>
			shard.sql.transaction(() => {
				work()
				throw new Error('the disk is full')
			}),
		durable: async () => {},
		committed: () => shard.shard.committed(),
		failed: () => shard.shard.failed(),
	})
	const { to, revision } = reply.page
	const report = { ...asked, revision, to, attempts: [], stopped: null, resealed: [], goesOn: false }
	await expect(failing.submit(() => shard.shard.reportWebhook(report))).rejects.toThrow('full')
	expect((await show()).position).toBe(4)
	expect(await fixture.ring()).toEqual([id])
})

test('[W1] a turn that ends sets the alarm for what is left, instead of leaving it to the end of its lease', async () => {
	const { fixture, id, write, deliver, show } = await prepare()
	await write()
	const asked = { ...fixture.wakeUp(id), run: 'one' }
	const reply = await fixture.stub.pullWebhook(asked)
	if (reply.kind !== 'page') throw new Error('no page')
	fixture.shard.shard.pull(applied(fixture))
	while (fixture.shard.alarmAt !== fixture.shard.now + webhookLeaseMs) {
		fixture.shard.alarmAt = fixture.shard.now
		await fixture.ring()
	}
	const failed = { ...asked, revision: reply.page.revision, to: 4, attempts: [], resealed: [], goesOn: false }
	expect(await fixture.stub.reportWebhook({ ...failed, stopped: 'failed' })).toBe(true)
	expect(fixture.shard.alarmAt).toBe((await show()).failing?.nextAttemptAt)

	// One look does not reach over what this endpoint does not want; the next one follows at once.
	await fixture.shard.ask({ name: 'webhook.update', id, changes: { events: ['record.deleted'], after: 4 } })
	const erase = async (email: string) => {
		const { record } = await fixture.shard.create('people', { email })
		await fixture.shard.ask({ name: 'record.delete', collection: 'people', id: record.id, ifMatch: null })
	}
	await erase('first@example.com')
	await write(webhookScanEntries * 2)
	await erase('last@example.com')
	fixture.shard.alarmAt = null
	await deliver()
	expect(fixture.sent).toHaveLength(1)
	expect(fixture.shard.alarmAt).toBe(fixture.shard.now + 1)
})

test('[W1] a filter passes what it names, and what it does not name wakes nobody', async () => {
	const { fixture, write, deliver, seqs } = await prepare({ events: ['record.deleted', 'webhook.changed'] })
	await write(webhookScanEntries * 2 + 10)
	for (let rings = 0; rings < 10 && fixture.shard.alarmAt !== null; rings++) await fixture.ring()
	expect(fixture.shard.webhooksAnnounced).toEqual([])
	const { record } = await fixture.shard.create('people', { email: 'last@example.com' })
	await fixture.shard.ask({ name: 'record.delete', collection: 'people', id: record.id, ifMatch: null })
	expect(await fixture.ring()).toHaveLength(1)
	await deliver()
	expect(seqs()).toEqual([4 + webhookScanEntries * 2 + 12])
})

test('[W1] one that is not taken holds up those after it, and is sent again with its id when its wait is over', async () => {
	const { fixture, id, write, deliver, show, seqs } = await prepare()
	await write(3)
	fixture.answer = ({ seq }) => (seq === 6 ? 503 : 200)
	expect(await deliver()).toBe('ack')
	expect(seqs()).toEqual([5, 6])
	const { position, failing } = await show()
	expect([position, failing?.failures]).toEqual([5, 1])
	// Before its time nothing is sent, whoever asks.
	await deliver()
	expect(seqs()).toEqual([5, 6])
	fixture.answer = () => 200
	while ((await fixture.ring()).length === 0) expect(fixture.shard.now).toBeLessThanOrEqual(failing?.nextAttemptAt ?? 0)
	await deliver()
	expect(seqs()).toEqual([5, 6, 6, 7])
	expect(fixture.sent[1]?.headers['webhook-id']).toBe(fixture.sent[2]?.headers['webhook-id'])
	expect((await show()).failing).toBeNull()
	expect(fixture.shard.webhooksAnnounced.every(({ webhook }) => webhook === id)).toBe(true)
})

test('[W1] an endpoint that fails for days is disabled, the reason is shown and in the journal, and nothing is lost', async () => {
	const { fixture, id, write, deliver, show, seqs } = await prepare()
	await write(2)
	fixture.answer = () => {
		throw new Error('refused')
	}
	const start = fixture.shard.now
	for (let attempts = 0; attempts < 500 && (await show()).disabled === null; attempts++) {
		await deliver()
		if ((await show()).disabled === null) while ((await fixture.ring()).length === 0);
	}
	expect((await show()).disabled).toEqual({ reason: 'failing', at: fixture.shard.now })
	expect(fixture.shard.now - start).toBeGreaterThanOrEqual(webhookFailingMsMax)
	expect(fixture.shard.now - start).toBeLessThan(webhookFailingMsMax + webhookRetryMsMax + announceAgainMsMax)
	const { changes } = await fixture.shard.ask({ name: 'changes.list', after: 6, limit: 10 })
	expect(changes).toMatchObject([{ op: 'webhook', id, actor: 'system', version: 2 }])
	await write()
	await deliver()
	fixture.answer = () => 200
	fixture.sent.length = 0
	await fixture.shard.ask({ name: 'webhook.update', id, changes: { status: 'active' } })
	await deliver()
	expect(seqs()).toEqual([5, 6, 7, 8, 9])
})

test('[W1] a late report of an older turn moves nothing: not back, not over, and not to another state', async () => {
	const { fixture, id, write, deliver, show, seqs } = await prepare()
	await write(4)
	const asked = { ...fixture.wakeUp(id), run: 'old' }
	const reply = await fixture.stub.pullWebhook(asked)
	if (reply.kind !== 'page') throw new Error('no page')
	// The old turn hangs beyond its lease, and another one takes over.
	expect(await deliver()).toBe('ack')
	expect(seqs()).toEqual([])
	fixture.shard.now += webhookLeaseMs
	await deliver()
	expect((await show()).position).toBe(8)
	const late = { ...asked, revision: reply.page.revision, attempts: [], resealed: [], goesOn: false }
	for (const stopped of [null, 'failed', 'gone'] as const)
		for (const to of [5, 8]) expect(await fixture.stub.reportWebhook({ ...late, to, stopped })).toBe(false)
	expect(await show()).toMatchObject({ position: 8, failing: null, disabled: null })
	const current = await fixture.show(id)
	await write()
	const next = await fixture.stub.pullWebhook({ ...asked, run: 'new' })
	if (next.kind !== 'page') throw new Error('no page')
	const { revision } = next.page
	// Nor does a report count that says what cannot be.
	for (const to of [current.position - 1, 10])
		expect(await fixture.stub.reportWebhook({ ...late, revision, to, stopped: null })).toBe(false)
	expect((await show()).position).toBe(8)
})

test('[W1] an endpoint that its owner moves, stops or deletes meanwhile stays where the owner put it', async () => {
	const { fixture, id, write, show } = await prepare()
	await write(4)
	const asked = { ...fixture.wakeUp(id), run: 'one' }
	for (const change of [{ after: 5 }, { status: 'disabled' as const }]) {
		const reply = await fixture.stub.pullWebhook(asked)
		if (reply.kind !== 'page') throw new Error('no page')
		await fixture.shard.ask({ name: 'webhook.update', id, changes: change })
		const { to, revision } = reply.page
		const report = { ...asked, revision, to, attempts: [], stopped: null, resealed: [], goesOn: true }
		expect(await fixture.stub.reportWebhook(report)).toBe(false)
		expect((await show()).position).toBe(5)
	}
	await fixture.shard.ask({ name: 'webhook.delete', id })
	expect(await fixture.stub.pullWebhook(asked)).toEqual({ kind: 'idle' })
	for (const foreign of [{ epoch: 2 }, { shard: 1 }])
		expect(await fixture.stub.pullWebhook({ ...asked, ...foreign })).toEqual({ kind: 'idle' })
})

test('[W1] an endpoint that is behind what the journal keeps goes on with the oldest entry and says what it missed', async () => {
	const { fixture, id, write, deliver, show, seqs } = await prepare()
	await write(5)
	fixture.shard.sql.all('DELETE FROM journal WHERE seq <= 7')
	fixture.shard.restart()
	expect(await fixture.ring()).toEqual([id])
	await deliver()
	expect(seqs()).toEqual([8, 9])
	expect(await show()).toMatchObject({ position: 9, missed: { from: 5, to: 7 } })
})

test('while a tenant is suspended nothing is sent; afterwards it is', async () => {
	const { fixture, id, write, deliver, seqs } = await prepare({ events: ['record.created'] })
	const operator = { caller: { kind: 'operator' as const, name: 'test' } }
	await write()
	await fixture.shard.run({ name: 'tenant.update', status: 'suspended' }, operator)
	expect(await fixture.ring()).toEqual([])
	await deliver()
	expect(seqs()).toEqual([])
	await fixture.shard.run({ name: 'tenant.update', status: 'active' }, operator)
	expect(await fixture.ring()).toEqual([id])
	await deliver()
	expect(seqs()).toEqual([5])
})

test('a test goes out once, even to a disabled endpoint, and says nothing about whether the endpoint works', async () => {
	const { fixture, id, write, deliver, show, seqs } = await prepare()
	await fixture.shard.ask({ name: 'webhook.update', id, changes: { status: 'disabled' } })
	await write()
	expect(await fixture.ring()).toEqual([])
	await fixture.shard.ask({ name: 'webhook.test', id, message: 'msg_test_1' })
	fixture.answer = () => 500
	expect(await fixture.ring()).toEqual([id])
	await deliver()
	await deliver()
	expect(seqs()).toEqual([null])
	expect(fixture.sent[0]?.headers['webhook-id']).toBe('msg_test_1')
	expect(await show()).toMatchObject({ disabled: { reason: 'requested' }, failing: null, position: 4 })
	const { attempts } = await fixture.shard.ask({ name: 'webhook.get', id })
	expect(attempts).toMatchObject([{ message: 'msg_test_1', event: 'webhook.test', status: 500, failure: 'status' }])
})

test('a turn that is used up gives the others theirs and asks for another', async () => {
	const { fixture, write, deliver, seqs } = await prepare()
	await write(10)
	fixture.answer = () => {
		fixture.shard.now += 2_000
		return 200
	}
	await deliver()
	expect(seqs()).toEqual([5, 6, 7])
	expect(fixture.announced).toHaveLength(1)
	for (const _ of range(1, 3)) await deliver()
	expect(seqs()).toEqual(range(5, 14))
})

test('waits double up to the maximum and spread over their upper half', () => {
	expect(range(1, 12).map((failures) => retryDelayMs(failures, 1 - Number.EPSILON))).toEqual(
		range(1, 12).map((failures) => Math.min(5_000 * 2 ** (failures - 1), webhookRetryMsMax)),
	)
	expect(retryDelayMs(1, 0)).toBe(2_500)
	expect(retryDelayMs(1_000, 0)).toBe(webhookRetryMsMax / 2)
})

test('[W1] what the alarm writes by itself is announced by the same ring, and delivered', async () => {
	const fixture = new WebhookFixture()
	await fixture.shard.collection('notes', { 'x-retention-days': 1 })
	await fixture.shard.create('notes', {})
	const { id } = await fixture.endpoint()
	fixture.shard.shard.pull(applied(fixture))
	while ((await fixture.ring()).length > 0) await deliverWebhooks([message(fixture.wakeUp(id))], fixture.ports)
	fixture.shard.now += 2 * 86_400_000
	fixture.shard.alarmAt ??= fixture.shard.now
	expect(await fixture.ring()).toEqual([id])
	await deliverWebhooks([message(fixture.wakeUp(id))], fixture.ports)
	expect(JSON.parse(fixture.sent.at(-1)?.body ?? '{}')).toMatchObject({
		type: 'record.deleted',
		data: { collection: 'notes', actor: 'system:retention' },
	})
})
