import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createTenant, killWorkerd, type TemporaryStack, type Tenant, temporaryStack, until } from '../stack-client.ts'
import { isSignedBy, Receiver } from '../webhook-receiver.ts'

let stack: TemporaryStack
const receivers: Receiver[] = []

beforeAll(async () => {
	stack = await temporaryStack()
})

afterEach(async () => {
	await Promise.all(receivers.splice(0).map((receiver) => receiver.stop()))
})

afterAll(() => stack?.remove())

async function startReceiver(): Promise<Receiver> {
	const receiver = await Receiver.start()
	receivers.push(receiver)
	return receiver
}

interface Endpoint {
	id: string
	secret: string
	/** What the API says of it now. */
	show(): Promise<{
		status: string
		disabled: { reason: string } | null
		failing: { failures: number } | null
		position: number
	}>
	change(changes: object): Promise<void>
}

async function prepare(): Promise<Tenant> {
	const tenant = await createTenant(stack, 'eu')
	await tenant.client.ok('PUT', '/v1/collections/people', { schema: {} })
	return tenant
}

async function addEndpoint({ client }: Tenant, url: string, more: object = {}): Promise<Endpoint> {
	const { body } = await client.ok('POST', '/v1/webhooks', {
		url,
		events: ['record.created', 'record.updated'],
		...more,
	})
	const path = `/v1/webhooks/${body.id}`
	return {
		id: body.id,
		secret: body.secret,
		show: async () => (await client.ok('GET', path)).body,
		change: async (changes) => void (await client.ok('PATCH', path, changes)),
	}
}

async function write({ client }: Tenant, name: string): Promise<number> {
	const { headers } = await client.ok('PUT', `/v1/collections/people/records/${name}`, { name: `body of ${name}` })
	return Number(headers.get('Freehold-Position'))
}

test('[W1] messages come in the order of the journal, signed, each once, and hold nothing of a record', async () => {
	const [tenant, receiver] = [await prepare(), await startReceiver()]
	const { secret } = await addEndpoint(tenant, receiver.url)
	const positions: number[] = []
	for (let n = 0; n < 30; n++) positions.push(await write(tenant, `p${n}`))
	await until('all messages', async () => receiver.received.length >= 30)
	expect(receiver.taken().map(({ seq }) => seq)).toEqual(positions)
	expect(new Set(receiver.taken().map(({ id }) => id)).size).toBe(30)
	for (const message of receiver.received) expect(isSignedBy(secret, message), message.body).toBe(true)
	const [first] = receiver.received
	expect(JSON.parse(first?.body ?? '')).toEqual({
		type: 'record.created',
		timestamp: expect.stringMatching(/^[0-9T:.-]+Z$/),
		data: { seq: positions[0], op: 'create', collection: 'people', id: 'p0', version: 1, actor: expect.any(String) },
	})
	expect(receiver.received.some(({ body }) => body.includes('body of'))).toBe(false)
})

test('[W1] a message that fails is sent again with its id, before any later one', async () => {
	const [tenant, receiver] = [await prepare(), await startReceiver()]
	let fails = true
	receiver.behave = ({ body }) => ({ status: fails && body.includes('"p1"') ? 500 : 200 })
	const endpoint = await addEndpoint(tenant, receiver.url)
	const positions = [await write(tenant, 'p0'), await write(tenant, 'p1'), await write(tenant, 'p2')]
	const failing = await until('the failure to be told', async () => {
		const shown = await endpoint.show()
		return shown.failing === null ? null : shown
	})
	expect(failing.position).toBe((positions[1] ?? 0) - 1)
	fails = false
	await until('all messages', async () => receiver.taken().length >= 3, 90_000)
	expect(receiver.taken().map(({ seq }) => seq)).toEqual(positions)
	const repeated = receiver.received.filter(({ body }) => body.includes('"p1"'))
	expect(repeated.length).toBeGreaterThan(1)
	expect(new Set(repeated.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
	await until('the endpoint to be well', async () => (await endpoint.show()).failing === null)
	const attempts = (await tenant.client.ok('GET', `/v1/webhooks/${endpoint.id}/attempts`)).body.attempts
	const statuses = attempts.map(({ status }: { status: number }) => status)
	expect(statuses).toEqual([200, 200, ...repeated.slice(1).map(() => 500), 200])
})

test('[W1] a receiver that never answers holds up neither another endpoint nor another tenant', async () => {
	const [slow, other] = [await prepare(), await prepare()]
	const [silent, quick] = [await startReceiver(), await startReceiver()]
	silent.behave = () => 'silence'
	const stuck = await addEndpoint(slow, silent.url)
	await addEndpoint(slow, quick.url)
	await addEndpoint(other, quick.url)
	await write(slow, 'p0')
	await until('the silence to begin', async () => silent.received.length > 0)
	await write(slow, 'p1')
	await write(other, 'p0')
	await until('the others', async () => quick.taken().length >= 3, 60_000)
	await until('the time limit', async () => (await stuck.show()).failing !== null, 60_000)
	const attempts = (await slow.client.ok('GET', `/v1/webhooks/${stuck.id}/attempts`)).body.attempts
	expect(attempts[0]).toMatchObject({ status: null, failure: 'timeout' })
})

test('[W1] a redirect is not followed; 410 disables, visibly; an endpoint that is set active gets what it missed', async () => {
	const [tenant, receiver] = [await prepare(), await startReceiver()]
	receiver.behave = ({ path }) => (path === '/old' ? { status: 307, location: '/new' } : { status: 410 })
	const endpoint = await addEndpoint(tenant, `${receiver.url}/old`)
	const positions = [await write(tenant, 'p0'), await write(tenant, 'p1')]
	await until('the redirect', async () => (await endpoint.show()).failing !== null)
	const attempts = (await tenant.client.ok('GET', `/v1/webhooks/${endpoint.id}/attempts`)).body.attempts
	expect(attempts[0]).toMatchObject({ status: 307, failure: 'redirect', seq: positions[0] })
	expect(receiver.received.every(({ path }) => path === '/old')).toBe(true)

	await endpoint.change({ url: `${receiver.url}/gone` })
	await until('the end', async () => (await endpoint.show()).status === 'disabled')
	expect((await endpoint.show()).disabled?.reason).toBe('gone')
	const { changes } = (await tenant.client.ok('GET', `/v1/changes?after=${positions[1]}`)).body
	expect(changes.at(-1)).toMatchObject({ op: 'webhook', id: endpoint.id, actor: 'system' })

	positions.push(await write(tenant, 'p2'))
	await tenant.client.ok('POST', `/v1/webhooks/${endpoint.id}/test`)
	receiver.behave = () => ({ status: 200 })
	await until('the test', async () => receiver.taken().some(({ type }) => type === 'webhook.test'))
	expect(receiver.taken()).toHaveLength(1)
	await endpoint.change({ status: 'active' })
	await until('what was missed', async () => receiver.taken().length >= 4)
	expect(receiver.taken().map(({ seq }) => seq)).toEqual([undefined, ...positions])
})

test('[W1] while a secret is rotated every message is signed by both, and a leaked one can end at once', async () => {
	const [tenant, receiver] = [await prepare(), await startReceiver()]
	const { id, secret: first } = await addEndpoint(tenant, receiver.url)
	const rotate = async (body: object): Promise<string> =>
		(await tenant.client.ok('POST', `/v1/webhooks/${id}/rotate-secret`, body)).body.secret
	const signers = async (name: string, secrets: string[]): Promise<boolean[]> => {
		const count = receiver.received.length
		await write(tenant, name)
		const message = await until('a message', async () => receiver.received[count])
		return secrets.map((secret) => isSignedBy(secret, message))
	}
	expect(await signers('p0', [first])).toEqual([true])
	const second = await rotate({})
	expect(await signers('p1', [first, second])).toEqual([true, true])
	const third = await rotate({ keep_previous_seconds: 0 })
	expect(await signers('p2', [first, second, third])).toEqual([false, false, true])
	const shown = await tenant.client.ok('GET', `/v1/webhooks/${id}`)
	expect(shown.text).not.toContain('whsec_')
})

test('[W1] through kills of the process every change arrives, in order, and again only under its id', async () => {
	const [tenant, receiver] = [await prepare(), await startReceiver()]
	await addEndpoint(tenant, receiver.url, { events: ['record.created'] })
	let stopped = false
	const writer = (async () => {
		for (let n = 0; !stopped; n++) {
			const put = () => tenant.client.ok('PUT', `/v1/collections/people/records/k${n}`, {}).catch(() => null)
			while ((await put()) === null) await new Promise((resolve) => setTimeout(resolve, 20))
		}
	})()
	for (let kills = 0; kills < 4; kills++) {
		const before = receiver.received.length
		await until('more messages', async () => receiver.received.length >= before + 20, 60_000)
		await until('a process to kill', async () => killWorkerd(stack.runtime.pid))
	}
	stopped = true
	await writer
	const created: number[] = []
	const list = () => tenant.client.ok('GET', '/v1/changes?limit=1000').catch(() => null)
	const { changes } = (await until('the process to be back', list)).body
	for (const { op, seq } of changes) if (op === 'create') created.push(seq)
	await until('the last message', async () => receiver.taken().some(({ seq }) => seq === created.at(-1)), 90_000)
	const taken = receiver.taken()
	expect([...new Set(taken.map(({ seq }) => seq))]).toEqual(created)
	expect(new Set(taken.map(({ id, seq }) => `${id} ${seq}`)).size).toBe(created.length)
	console.log(`${created.length} messages, ${taken.length - created.length} of them again`)
}, 240_000)
