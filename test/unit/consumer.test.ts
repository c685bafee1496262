import { expect, test } from 'vitest'
import type { Page, PullReply, PullRequest, WakeUp } from '../../core/contract.ts'
import {
	deliveryMsMax,
	deliveryPageBytesMax,
	pageBytesMax,
	pagesPerDeliveryMax,
	retrySecondsMax,
} from '../../core/limits.ts'
import { rowHash } from '../../core/row-hash.ts'
import { type Database, DatabaseFailure, type Row } from '../../db/neon/client.ts'
import { consume, retrySeconds } from '../../workers/queue-consumer/consumer.ts'
import { isolates, poisonEntry, refusesData } from '../../workers/queue-consumer/dead-letter.ts'
import { message, testPorts } from '../consumer-ports.ts'

const tenant = (name: string) => `global_01k9${name.padStart(22, '0')}`
const wakeUp = (name: string, epoch = 1, head = 5) => ({ tenant: tenant(name), shard: 0, epoch, head })

/** What a statement of the consumer is about: the wake-ups it notes, the fences of the pages it applies, or an entry set aside. */
type Asked = { wakeUps: WakeUp[] } | { fences: { tenant: string; to: number }[] } | { aside: readonly unknown[] }

/** A view whose watermarks are at 0 of epoch 1 and whose fences always let pages through. `look` may fail. */
function agreeable(look: (asked: Asked) => void = () => {}): Database {
	return {
		query: async ({ params }): Promise<Row[]> => {
			const first = String(params[0])
			if (params.length === 1) {
				const wakeUps = JSON.parse(first) as WakeUp[]
				look({ wakeUps })
				const noBase = { base_pending: null, base_after: null, base_hollow: 'f', base_done: '0', base_total: '0' }
				const start = { epoch: '1', revision: '0', applied_seq: '0', ...noBase }
				return wakeUps.map(({ tenant: tenant_id, shard }) => ({ tenant_id, shard: String(shard), ...start }))
			}
			if (params.length === 3) {
				const fences = JSON.parse(first) as { n: number; tenant: string; to: number }[]
				look({ fences })
				return fences.map(({ n }) => ({ n: String(n) }))
			}
			look({ aside: [params[4], params[5], ...params.slice(13, 17)] })
			return [{ moved: '1' }]
		},
		write: async () => {},
		read: async () => [],
	}
}

function page(from: number, to: number, head: number, more: Partial<Page> = {}): PullReply {
	const about = { slug: 's', name: 'n', status: 'active', createdAt: 0 } as const
	const nothing = { upserts: '[]', upsertCount: 0, deletes: '[]', deleteCount: 0, schema: null }
	return { kind: 'page', page: { epoch: 1, from, to, head, toAt: 1, tenant: about, ...nothing, ...more } }
}

const caughtUp = async ({ after }: PullRequest) => page(after, after, after)
const endless = async ({ after }: PullRequest) => page(after, after + 1, 1_000)

test('what is no wake-up is acknowledged and logged without its content', async () => {
	const bodies = [
		null,
		'text',
		7,
		[],
		{},
		{ ...wakeUp('a'), tenant: 'secret' },
		{ ...wakeUp('a'), head: -1 },
		{ ...wakeUp('a'), epoch: 1.5 },
	]
	const messages = bodies.map((body) => message(body))
	const ports = testPorts([], agreeable())
	await consume(messages, ports)
	expect(messages.map(({ settled }) => settled)).toEqual(bodies.map(() => 'ack'))
	expect(ports.lines).toHaveLength(bodies.length)
	expect(JSON.stringify(ports.lines)).not.toContain('secret')
})

test('a wake-up may carry more than today is known', async () => {
	const one = message({ ...wakeUp('a'), trace: '00-abc' })
	await consume([one], testPorts([], agreeable(), { shardOf: () => ({ pull: caughtUp }) }))
	expect(one.settled).toBe('ack')
})

test('[V1] the wake-ups of one shard in a batch cost one turn', async () => {
	let pulls = 0
	const pull = async (request: PullRequest) => {
		pulls += 1
		return caughtUp(request)
	}
	const messages = [1, 9, 3, 3].map((head) => message(wakeUp('a', 1, head)))
	const heads: unknown[] = []
	const database = agreeable((asked) => {
		if ('wakeUps' in asked) heads.push(...asked.wakeUps.map(({ head }) => head))
	})
	await consume(messages, testPorts([], database, { shardOf: () => ({ pull }) }))
	expect(messages.map(({ settled }) => settled)).toEqual(['ack', 'ack', 'ack', 'ack'])
	expect(pulls).toBe(1)
	expect(heads).toEqual([9])
})

test('[V4] only the messages of the shard that failed come again, later each time', async () => {
	const database = agreeable((asked) => {
		if ('wakeUps' in asked && asked.wakeUps.some((one) => one.tenant === tenant('b')))
			throw new DatabaseFailure('40P01')
	})
	const messages = [message(wakeUp('a')), message(wakeUp('b'), 1), message(wakeUp('b'), 4), message(wakeUp('c'))]
	await consume(messages, testPorts([], database, { shardOf: () => ({ pull: caughtUp }) }))
	expect(messages.map(({ settled }) => settled)).toEqual(['ack', 2, 12, 'ack'])
})

test('the wait before a retry doubles up to a bound, and its upper half is random', () => {
	expect([1, 2, 3, 8].map((attempts) => retrySeconds(attempts, 0))).toEqual([1, 2, 4, 128])
	expect(retrySeconds(3, 0.999)).toBe(8)
	expect(retrySeconds(1_000, 0.999)).toBe(retrySecondsMax)
})

test('[V4] a turn ends after its pages or its time, whichever is first, and the shard is announced again', async () => {
	for (const msPerPull of [0, deliveryMsMax / 4]) {
		let clock = 0
		const pull = async (request: PullRequest) => {
			clock += msPerPull
			return endless(request)
		}
		const one = message(wakeUp('a'))
		const ports = testPorts([], agreeable(), { shardOf: () => ({ pull }), now: () => clock })
		await consume([one], ports)
		expect(one.settled).toBe('ack')
		expect(ports.announced).toEqual([wakeUp('a', 1, 1_000)])
		if (msPerPull > 0) expect(clock).toBe(deliveryMsMax)
	}
	expect(pagesPerDeliveryMax).toBeGreaterThan(4)
})

test('[V4] shards that came too late for the time of their batch still get one page each', async () => {
	let clock = 0
	const pulls = new Map<string, number>()
	const pull = async (request: PullRequest) => {
		pulls.set(request.tenant, (pulls.get(request.tenant) ?? 0) + 1)
		clock += deliveryMsMax
		return endless(request)
	}
	const messages = Array.from({ length: 50 }, (_, n) => message(wakeUp(String(n))))
	const ports = testPorts([], agreeable(), { shardOf: () => ({ pull }), now: () => clock })
	await consume(messages, ports)
	expect([...pulls.values()]).toEqual(messages.map(() => 1))
	expect(ports.announced).toHaveLength(50)
})

test('a wake-up whose successor could not be sent comes again', async () => {
	const one = message(wakeUp('a'))
	const announce = async () => {
		throw new Error('the queue is full')
	}
	await consume([one], testPorts([], agreeable(), { shardOf: () => ({ pull: endless }), announce }))
	expect(one.settled).toBeGreaterThan(0)
})

test('[V4] small pages of many shards are read side by side, large ones as far as memory goes, and all have their turn', async () => {
	const pulledBeforeOneIsApplied = async (bytes: number) => {
		const pages = new Map<string, number>()
		let pulled = 0
		const first: number[] = []
		const database = agreeable((asked) => {
			if ('fences' in asked) first.push(pulled)
		})
		const pull = async ({ tenant: of, after }: PullRequest) => {
			pages.set(of, (pages.get(of) ?? 0) + 1)
			if (after === 0) pulled++
			// Each answer takes its time, but less than a statement does.
			await null
			return after === 0 ? page(0, 1, 1, { upserts: 'x'.repeat(bytes), upsertCount: 1 }) : page(1, 1, 1)
		}
		const slow: Database = {
			...database,
			query: async (statement) => {
				const rows = await database.query(statement)
				for (let turn = 0; turn < 2_000; turn++) await null
				return rows
			},
		}
		const messages = Array.from({ length: 100 }, (_, n) => message(wakeUp(String(n), 1, 1)))
		await consume(messages, testPorts([], slow, { shardOf: () => ({ pull }) }))
		expect(messages.every(({ settled }) => settled === 'ack')).toBe(true)
		expect([...pages.values()].every((count) => count === 2)).toBe(true)
		return first[1]
	}
	expect(await pulledBeforeOneIsApplied(100)).toBe(100)
	expect(await pulledBeforeOneIsApplied(pageBytesMax)).toBeLessThanOrEqual(deliveryPageBytesMax / pageBytesMax + 1)
})

test('[V4] shards that fail, that refuse, and whose pages are not taken, give their memory back', async () => {
	const memory = deliveryPageBytesMax / pageBytesMax
	const failing = async (): Promise<PullReply> => {
		throw new Error('away')
	}
	const refusing = async (): Promise<PullReply> => ({ kind: 'refused', reason: 'unknown_shard' })
	const large = async ({ after }: PullRequest) =>
		after < 3
			? page(after, after + 1, 3, { upserts: 'x'.repeat(pageBytesMax), upsertCount: 1 })
			: page(after, after, after)
	const pulls = [failing, refusing, large, large]
	const kindOf = (of: string) => Number(of.slice(-22)) % pulls.length
	const isRefused = (of: string) => kindOf(of) === 2
	const database = agreeable((asked) => {
		// The next page is being read by then.
		if ('fences' in asked && asked.fences.some(({ tenant: of }) => isRefused(of))) throw new DatabaseFailure(null)
	})
	const names = Array.from({ length: 8 * memory }, (_, n) => String(n))
	const messages = names.map((name) => message(wakeUp(name)))
	const shardOf = (of: string) => ({ pull: pulls[kindOf(of)] ?? failing })
	await consume(messages, testPorts([], database, { shardOf }))
	expect(messages.map(({ settled }) => settled === 'ack')).toEqual(names.map((_, n) => n % 2 === 1))
})

test('a shard that announces its next changes by itself is asked for nothing more, and confirms by its next wake-up', async () => {
	const asked: number[] = []
	const applied: number[] = []
	const database = agreeable((what) => {
		if ('fences' in what) applied.push(...what.fences.map(({ to }) => to))
	})
	let head = 3
	let willAnnounce = true
	const pull = async ({ after, entriesMax }: PullRequest) => {
		asked.push(after)
		return page(after, Math.min(head, after + Math.min(entriesMax, 3)), head, { willAnnounce })
	}
	const delivered = async () => {
		const one = message(wakeUp('a', 1, head))
		await consume([one], testPorts([], database, { shardOf: () => ({ pull }) }))
		expect(one.settled).toBe('ack')
		return { asked: asked.splice(0), applied: applied.splice(0) }
	}
	expect(await delivered()).toEqual({ asked: [0], applied: [3] })
	// What lies between the page and the head was announced.
	head = 5
	expect(await delivered()).toEqual({ asked: [0, 3], applied: [3, 5] })
	willAnnounce = false
	expect(await delivered()).toEqual({ asked: [0, 3, 5], applied: [3, 5] })
})

test('[V3] what a shard refuses is logged and left to the shard', async () => {
	for (const reason of ['epoch', 'unknown_shard', 'pruned'] as const) {
		const one = message(wakeUp('a'))
		const ports = testPorts([], agreeable(), { shardOf: () => ({ pull: async () => ({ kind: 'refused', reason }) }) })
		await consume([one], ports)
		expect(one.settled).toBe('ack')
		expect(ports.lines.map(({ event, fields }) => [event, fields.reason])).toEqual([['pull_refused', reason]])
	}
})

test('[V2] a page that does not follow the watermark is not applied', async () => {
	for (const wrong of [page(1, 2, 2), page(0, 3, 2), page(0, 1, 1, { epoch: 2 })]) {
		let statements = 0
		const database = agreeable(() => {
			statements += 1
		})
		const one = message(wakeUp('a'))
		await consume([one], testPorts([], database, { shardOf: () => ({ pull: async () => wrong }) }))
		expect(one.settled).toBeGreaterThan(0)
		expect(statements).toBe(1)
	}
})

test('[V4] the search for a poisoned entry goes on when the time of the turn is over', async () => {
	let clock = 0
	const poisonAt = 700
	const pulled: [number, number][] = []
	const pull = async ({ after, entriesMax }: PullRequest) => {
		clock += deliveryMsMax
		const to = Math.min(1_000, after + entriesMax)
		pulled.push([after, to])
		const upserts = JSON.stringify([{ c: 'c', i: `r${to}`, v: 1, t: 1, u: 1, d: {} }])
		return page(after, to, 1_000, { upserts, upsertCount: to - after })
	}
	const asides: unknown[] = []
	const database = agreeable((asked) => {
		if ('aside' in asked) asides.push(asked.aside)
		if ('fences' in asked) {
			const [after, to] = pulled.at(-1) ?? [0, 0]
			if (after < poisonAt && to >= poisonAt) throw new DatabaseFailure('22P05')
		}
	})
	const ports = testPorts([], database, { shardOf: () => ({ pull }), now: () => clock })
	await consume([message(wakeUp('a'))], ports)
	expect(asides).toEqual([[poisonAt, 1_000, 'c', `r${poisonAt}`, 'upsert', '22P05 data exception']])
	expect(ports.announced).toEqual([wakeUp('a', 1, 1_000)])
})

test('only what a page holds is blamed for it, never the state of the database', () => {
	const blamed = (sqlstate: string | null) => refusesData(new DatabaseFailure(sqlstate))
	expect(['22P05', '22003', '22021', '23502', '54000', '54001'].map(blamed)).toEqual([
		true,
		true,
		true,
		true,
		true,
		true,
	])
	expect(
		[null, '40001', '40P01', '53300', '57014', '57P01', '08006', '42P01', '42501', '21000', 'XX000'].some(blamed),
	).toBe(false)
})

test('a dead letter names its entry by where it is, never by what it holds', () => {
	const failure = new DatabaseFailure('22P05')
	const entryOf = (more: Partial<Page>) => {
		const reply = page(0, 1, 1, more)
		if (reply.kind !== 'page' || !isolates(reply)) throw new Error('not one change')
		return poisonEntry(reply, failure)
	}
	const reason = '22P05 data exception'
	const upserts = '[{"c":"c","i":"a","v":1,"t":2,"u":3,"d":{"name":"Ann"}}]'
	const head = { collection: 'c', id: 'a', version: 1, createdAt: 2, updatedAt: 3 }
	expect(entryOf({ upserts, upsertCount: 1 })).toEqual({
		...{ op: 'upsert', collection: 'c', recordId: 'a', reason },
		hash: rowHash(head, { name: 'Ann' }, []).toString(),
	})
	const hash = null
	expect(entryOf({ deletes: '[{"c":"c","i":"a"}]', deleteCount: 1 })).toEqual({
		op: 'delete',
		collection: 'c',
		recordId: 'a',
		reason,
		hash,
	})
	expect(entryOf({ schema: { kind: 'dropped', collection: 'c' } })).toEqual({
		op: 'schema',
		collection: 'c',
		recordId: null,
		reason,
		hash,
	})
	expect(entryOf({})).toEqual({ op: 'none', collection: null, recordId: null, reason, hash })
})

test('[J2] a page that is read ahead acknowledges only what was applied', async () => {
	const asked: { after: number; applied: number | undefined; statements: number }[] = []
	let statements = 0
	const database = agreeable((what) => {
		if ('fences' in what) statements++
	})
	const pull = async ({ after, applied }: PullRequest) => {
		asked.push({ after, applied, statements })
		return page(after, Math.min(after + 1, 4), 4)
	}
	await consume([message(wakeUp('a'))], testPorts([], database, { shardOf: () => ({ pull }) }))
	expect(asked.map(({ after }) => after)).toEqual([0, 1, 2, 3, 4])
	for (const { applied, statements: done } of asked) expect(applied).toBeLessThanOrEqual(done)
	expect(asked.at(-1)?.applied).toBe(4)
})

test('[V1] while a base runs a position stays unacknowledged, so that its shard announces although every message is lost', async () => {
	const asked: { applied: number | undefined; of: 'range' | 'changes' }[] = []
	const base = { collections: ['people'], all: true, hollow: false, records: 2 }
	const pull = async ({ after, applied, base: range }: PullRequest): Promise<PullReply> => {
		asked.push({ applied, of: range ? 'range' : 'changes' })
		if (!range) return page(after, 3, 3, after === 3 ? {} : { base })
		const last = range.after === null ? 'a' : null
		const nothing = { upserts: '[]', upsertCount: 0 }
		return { kind: 'base', page: { epoch: 1, head: 3, range, last, definition: null, ...nothing } }
	}
	await consume([message(wakeUp('a', 1, 3))], testPorts([], agreeable(), { shardOf: () => ({ pull }) }))
	expect(asked.filter(({ of }) => of === 'range').length).toBe(2)
	const lastRange = asked.findLastIndex(({ of }) => of === 'range')
	for (const { applied } of asked.slice(0, lastRange + 1)) expect(applied).toBeLessThan(3)
	expect(asked.at(-1)).toEqual({ applied: 3, of: 'changes' })
})
