import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { mintTenantId, type Region } from '../../core/ids.ts'
import { telemetryTenantsMax, telemetryWindowMs } from '../../core/limits.ts'
import { type Sample, type TelemetryMessage, telemetryMessage } from '../../core/telemetry.ts'
import { Telemetry } from '../../workers/api/telemetry.ts'
import { consumeTelemetry } from '../../workers/queue-consumer/telemetry.ts'
import { message } from '../consumer-ports.ts'

const [global, eu] = ['global' as Region, 'eu' as Region]
const tenantIn = (region: Region) => mintTenantId(region, 1_000, (bytes) => crypto.getRandomValues(bytes))
const read: Sample = { route: 'GET /v1/tenant', status: 200, tenant: null, ms: 3 }

/** An isolate whose time passes when the test says so. */
class Isolate {
	now = 0
	readonly sent: { at: number; region: Region; message: TelemetryMessage }[] = []
	readonly logged: string[] = []
	failing = false
	#sleeping: { until: number; wake: () => void }[] = []
	readonly #telemetry: Telemetry
	owners = 0

	constructor() {
		let ids = 0
		this.#telemetry = new Telemetry({
			regions: [global, eu],
			send: async (region, sent) => {
				if (this.failing) throw new Error('Queue send failed')
				this.sent.push({ at: this.now, region, message: sent })
			},
			waitUntil: () => {
				this.owners += 1
			},
			sleep: (ms) => new Promise((wake) => this.#sleeping.push({ until: this.now + ms, wake })),
			mintId: () => `message-${++ids}`,
			log: (_level, event) => this.logged.push(event),
		})
	}

	count(sample: Sample): void {
		this.#telemetry.count(sample, this.now)
	}

	async pass(ms: number): Promise<void> {
		this.now += ms
		const due = this.#sleeping.filter(({ until }) => until <= this.now)
		this.#sleeping = this.#sleeping.filter(({ until }) => until > this.now)
		for (const { wake } of due) wake()
		await setImmediate()
	}
}

test('a full storage is a refusal of that tenant and no failure of the service', async () => {
	const isolate = new Isolate()
	for (const status of [507, 503]) isolate.count({ ...read, status })
	await isolate.pass(telemetryWindowMs)
	expect(isolate.sent[0]?.message.routes.map(({ c, n }) => [c, n])).toEqual([
		['4xx', 1],
		['5xx', 1],
	])
})

test('a window is one message that adds up its requests by route, status class and tenant', async () => {
	const isolate = new Isolate()
	const tenant = tenantIn(global)
	for (const ms of [2, 2, 900]) isolate.count({ ...read, tenant, ms })
	isolate.count({ ...read, status: 503, ms: 1 })
	expect(isolate.owners).toBe(1)
	await isolate.pass(telemetryWindowMs)
	expect(isolate.sent).toHaveLength(1)
	const sent = telemetryMessage.parse(isolate.sent[0]?.message)
	expect(sent.routes).toEqual([
		{
			r: 'GET /v1/tenant',
			c: '2xx',
			n: 3,
			ms: 904,
			b: [
				[4, 2],
				[40, 1],
			],
		},
		{ r: 'GET /v1/tenant', c: '5xx', n: 1, ms: 1, b: [[0, 1]] },
	])
	expect(sent.tenants).toEqual([{ t: tenant, r: 'GET /v1/tenant', c: '2xx', n: 3 }])
})

test('an isolate sends at most one message in five seconds, whatever it serves and for how many regions', async () => {
	const isolate = new Isolate()
	for (let tick = 0; tick < 600; tick++) {
		isolate.count({ ...read, tenant: tenantIn(tick % 3 === 0 ? eu : global) })
		await isolate.pass(100)
	}
	const gaps = isolate.sent.slice(1).map(({ at }, n) => at - (isolate.sent[n]?.at ?? 0))
	expect(isolate.sent.length).toBeGreaterThan(8)
	expect(Math.min(...gaps)).toBeGreaterThanOrEqual(telemetryWindowMs)
	expect(new Set(isolate.sent.map(({ region }) => region))).toEqual(new Set([global, eu]))
})

test('[R1] a message of a region names no tenant of another', async () => {
	const isolate = new Isolate()
	for (let n = 0; n < 20; n++) isolate.count({ ...read, tenant: tenantIn(n % 2 ? eu : global) })
	await isolate.pass(telemetryWindowMs)
	await isolate.pass(telemetryWindowMs)
	expect(isolate.sent).toHaveLength(2)
	for (const { region, message: sent } of isolate.sent)
		for (const { t } of sent.tenants) expect(t.startsWith(`${region}_`)).toBe(true)
})

test('the last requests before a silence are told, and an owner that the platform ended is replaced', async () => {
	const isolate = new Isolate()
	isolate.count(read)
	await isolate.pass(telemetryWindowMs)
	isolate.count(read)
	await isolate.pass(telemetryWindowMs)
	expect(isolate.sent.map(({ message: sent }) => sent.routes[0]?.n)).toEqual([1, 1])
	// Nobody wakes this owner again.
	isolate.count(read)
	isolate.now += telemetryWindowMs * 10
	isolate.count(read)
	expect(isolate.owners).toBe(4)
})

test('a window that cannot be sent is dropped and logged, and the next one goes out', async () => {
	const isolate = new Isolate()
	isolate.failing = true
	isolate.count(read)
	await isolate.pass(telemetryWindowMs)
	expect(isolate.logged).toEqual(['telemetry_dropped'])
	isolate.failing = false
	isolate.count(read)
	await isolate.pass(telemetryWindowMs)
	expect(isolate.sent.map(({ message: sent }) => sent.routes[0]?.n)).toEqual([1])
})

test('a message stays under the limit of a queue with more tenants than it can name, and still counts every request', async () => {
	const isolate = new Isolate()
	const route = 'POST /v1/collections/{collection}/records'
	for (let n = 0; n < telemetryTenantsMax + 500; n++)
		isolate.count({ route, status: 201, tenant: tenantIn(global), ms: n })
	await isolate.pass(telemetryWindowMs)
	const sent = isolate.sent[0]?.message
	expect(JSON.stringify(sent).length).toBeLessThan(128_000)
	expect(sent?.tenants).toHaveLength(telemetryTenantsMax)
	expect(sent?.routes.map(({ n }) => n)).toEqual([telemetryTenantsMax + 500])
})

test('the consumer acknowledges what it has added and what is no message, and asks again for what it could not add', async () => {
	const added: string[] = []
	let failing = false
	const ports = {
		store: {
			add: async (messages: readonly TelemetryMessage[]) => {
				if (failing) throw new Error('down')
				added.push(...messages.map(({ id }) => id))
			},
		},
		random: () => 0.5,
		log: () => {},
	}
	const good = message({ id: 'one', at: 0, routes: [], tenants: [] })
	const broken = message({ id: 'two', at: 0, routes: [{ r: 'x', c: '9xx', n: 1, ms: 1, b: [] }], tenants: [] })
	await consumeTelemetry([good, broken], ports)
	expect([added, good.settled, broken.settled]).toEqual([['one'], 'ack', 'ack'])
	failing = true
	const late = message({ id: 'three', at: 0, routes: [], tenants: [] }, 3)
	await consumeTelemetry([late], ports)
	expect(late.settled).toBeGreaterThan(0)
})
