import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { webhookSecretKeptMs, webhookSecretsMax } from '../../core/limits.ts'
import { postMessage, resolveHost } from '../../workers/queue-consumer/webhook-http.ts'
import { deliverWebhooks } from '../../workers/queue-consumer/webhooks.ts'
import { message } from '../consumer-ports.ts'
import { people } from '../shard.ts'
import { type Sent, signingSecret, WebhookFixture } from '../webhook-ports.ts'

async function prepare(more: object = {}) {
	const fixture = new WebhookFixture()
	await fixture.shard.collection('people', people)
	const { id, secret } = await fixture.endpoint(more)
	let records = 0
	/** Writes a record and delivers; answers the last attempt, and what was sent. */
	const attempt = async () => {
		await fixture.shard.create('people', { email: `${records++}@example.com` })
		fixture.sent.length = 0
		await fixture.shard.ask({ name: 'webhook.update', id, changes: { status: 'active', after: 4 } })
		await deliverWebhooks([message(fixture.wakeUp(id))], fixture.ports)
		const { webhook, attempts } = await fixture.shard.ask({ name: 'webhook.get', id })
		return { last: attempts[0], sent: [...fixture.sent], webhook }
	}
	return { fixture, id, secret, attempt }
}

test('[W2] a name is resolved before every attempt, and one private address among its addresses refuses it', async () => {
	const { fixture, attempt } = await prepare({ url: 'https://hooks.acme.com/x' })
	expect((await attempt()).sent.length).toBeGreaterThan(0)
	for (const addresses of [
		['127.0.0.1'],
		['9.9.9.9', '10.0.0.1'],
		['::1'],
		['2606:4700::1', '::ffff:169.254.169.254'],
	]) {
		fixture.addresses = addresses
		const { last, sent, webhook } = await attempt()
		expect(sent).toEqual([])
		expect(last).toMatchObject({ status: null, failure: 'address_refused' })
		expect(webhook.failing?.failures).toBe(1)
	}
	fixture.addresses = []
	expect((await attempt()).last?.failure).toBe('unresolved')
	fixture.ports = { ...fixture.ports, resolve: () => Promise.reject(new Error('no answer')) }
	const { last, sent } = await attempt()
	expect([last?.failure, sent]).toEqual(['unresolved', []])
	expect(fixture.logged.length).toBeGreaterThan(0)
	expect(fixture.logged.join()).not.toContain('acme')
})

test('[W2] an address that was taken under other rules is refused when it is used', async () => {
	for (const url of ['http://hooks.acme.com/', 'https://127.0.0.1/', 'https://localhost/', 'https://[::1]:9000/']) {
		const { attempt } = await prepare({ url })
		const { last, sent } = await attempt()
		expect([last?.failure, sent], url).toEqual(['address_refused', []])
	}
})

test('a literal public address is not resolved, and in development mode nothing is', async () => {
	for (const [url, addresses] of [
		['https://9.9.9.9/x', 'public'],
		['https://[2606:4700::1]/x', 'public'],
		['http://localhost:9000/', 'private'],
	] as const) {
		const { fixture, attempt } = await prepare({ url })
		fixture.ports = { ...fixture.ports, addresses, resolve: () => Promise.reject(new Error('asked')) }
		expect((await attempt()).last?.status, url).toBe(200)
	}
})

test('each answer but 2xx is a failure, told by its kind; 410 ends it', async () => {
	const { fixture, attempt } = await prepare()
	const cases: [number | Error, object][] = [
		[204, { status: 204, failure: null }],
		[301, { status: 301, failure: 'redirect' }],
		[308, { status: 308, failure: 'redirect' }],
		[400, { status: 400, failure: 'status' }],
		[503, { status: 503, failure: 'status' }],
		[Object.assign(new Error('late'), { name: 'TimeoutError' }), { status: null, failure: 'timeout' }],
		[new TypeError('reset'), { status: null, failure: 'unreachable' }],
	]
	for (const [answer, expected] of cases) {
		fixture.answer = () => {
			if (answer instanceof Error) throw answer
			return answer
		}
		const { last, webhook } = await attempt()
		expect(last).toMatchObject(expected)
		expect(webhook.disabled).toBeNull()
	}
	fixture.answer = () => 410
	expect((await attempt()).webhook.disabled?.reason).toBe('gone')
})

/** Which of the secrets made one of the message's signatures. */
function signers({ headers, body }: Sent, secrets: string[]): boolean[] {
	const [id = '', seconds = '', given = ''] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(
		(name) => headers[name],
	)
	const at = new Date(Number(seconds) * 1_000)
	return secrets.map((secret) => given.split(' ').includes(new Webhook(secret).sign(id, at, body)))
}

test('[W1] a rotated secret signs beside the new one for a day, and then no longer', async () => {
	const { fixture, id, secret, attempt } = await prepare()
	const rotate = async (keepPreviousMs = webhookSecretKeptMs) => {
		const prepared = fixture.secret()
		await fixture.shard.ask({ name: 'webhook.rotate', id, keepPreviousMs, prepared })
		return prepared.secret
	}
	const now = async (secrets: string[]) => signers((await attempt()).sent[0] as Sent, secrets)
	const second = await rotate()
	expect(await now([secret, second])).toEqual([true, true])
	fixture.shard.now += webhookSecretKeptMs - 1
	const third = await rotate()
	expect(await now([secret, second, third])).toEqual([true, true, true])
	fixture.shard.now += 1
	expect(await now([secret, second, third])).toEqual([false, true, true])
	const fourth = await rotate(0)
	expect(await now([second, third, fourth])).toEqual([false, false, true])
	for (let n = 1; n < webhookSecretsMax; n++) await rotate()
	const prepared = fixture.secret()
	const refusal = await fixture.shard.refused({ name: 'webhook.rotate', id, keepPreviousMs: 1, prepared })
	expect(refusal.code).toBe('limit_exceeded')
	const rows = JSON.stringify(fixture.shard.sql.all('SELECT * FROM webhook'))
	for (const one of [secret, second, third, fourth, 'whsec_']) expect(rows).not.toContain(one)
})

test('a secret that rests under an older signing secret is sealed anew; one that nothing opens disables the endpoint', async () => {
	const { fixture, secret, attempt } = await prepare()
	fixture.ports = { ...fixture.ports, signingSecrets: ['newer', signingSecret] }
	const { sent } = await attempt()
	expect(signers(sent[0] as Sent, [secret])).toEqual([true])
	fixture.ports = { ...fixture.ports, signingSecrets: ['newer'] }
	expect(signers((await attempt()).sent[0] as Sent, [secret])).toEqual([true])
	fixture.ports = { ...fixture.ports, signingSecrets: ['newest'] }
	const { webhook, sent: unsent } = await attempt()
	expect([webhook.disabled?.reason, unsent]).toEqual(['secret_unreadable', []])
})

test('names are resolved over HTTPS, both kinds of address, aliases left out', async () => {
	const asked: string[] = []
	const answers: Record<string, object> = {
		A: {
			Status: 0,
			Answer: [
				{ name: 'x', type: 5, data: 'y.' },
				{ name: 'y', type: 1, data: '9.9.9.9' },
			],
		},
		AAAA: { Status: 0, Answer: [{ name: 'y', type: 28, data: '2606:4700::1' }] },
	}
	const fetch = async (url: string) => {
		asked.push(url)
		return Response.json(answers[new URL(url).searchParams.get('type') ?? ''])
	}
	expect(await resolveHost('hooks.acme.com', fetch)).toEqual(['9.9.9.9', '2606:4700::1'])
	expect(asked.every((url) => url.startsWith('https://') && url.includes('name=hooks.acme.com'))).toBe(true)
	answers.AAAA = { Status: 3 }
	expect(await resolveHost('hooks.acme.com', fetch)).toEqual(['9.9.9.9'])
	for (const broken of [{ Status: 2 }, {}, { Status: 0, Answer: 'x' }]) {
		answers.A = broken
		await expect(resolveHost('hooks.acme.com', fetch)).rejects.toThrow()
	}
})

test('a message is posted without following where the answer points, and the answer is not read', async () => {
	const calls: RequestInit[] = []
	let cancelled = false
	const body = new ReadableStream({
		cancel: () => {
			cancelled = true
		},
	})
	const status = await postMessage(new URL('https://hooks.acme.com/x'), { a: 'b' }, '{}', async (_url, init) => {
		calls.push(init)
		return new Response(body, { status: 302, headers: { Location: 'http://127.0.0.1/' } })
	})
	expect([status, cancelled]).toEqual([302, true])
	expect(calls).toMatchObject([{ method: 'POST', redirect: 'manual', headers: { a: 'b' }, body: '{}' }])
	expect(calls[0]?.signal).toBeInstanceOf(AbortSignal)
})
