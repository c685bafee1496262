import { afterEach, expect, test, vi } from 'vitest'
import { changesLimitMax, streamHeartbeatMs } from '../../core/limits.ts'
import { Edge } from '../api-ports.ts'

afterEach(() => {
	vi.useRealTimers()
})

interface Followed {
	/** Reads until this many events have come; comments are events of type `comment`. */
	read(count: number): Promise<{ type: string; id: number | null; data: string }[]>
	/** Resolves to true when the stream ends. */
	ended(): Promise<boolean>
	cancel(): Promise<void>
	response: Response
}

async function follow(
	edge: Edge,
	key: string,
	path = '/v1/changes',
	headers: Record<string, string> = {},
): Promise<Followed> {
	const response = await edge.fetch('GET', path, { as: key, headers: { Accept: 'text/event-stream', ...headers } })
	const reader = response.body
		?.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>)
		.getReader()
	if (!reader) throw new Error('no body')
	let rest = ''
	return {
		response,
		read: async (count) => {
			const events: { type: string; id: number | null; data: string }[] = []
			while (events.length < count) {
				const end = rest.indexOf('\n\n')
				if (end === -1) {
					const { done, value } = await reader.read()
					if (done) throw new Error('the stream ended')
					rest += value
					continue
				}
				const block = rest.slice(0, end)
				rest = rest.slice(end + 2)
				const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
				const type = block.startsWith(':') ? 'comment' : (field('event') ?? 'retry')
				const id = field('id')
				if (type !== 'retry') events.push({ type, id: id === undefined ? null : Number(id), data: field('data') ?? '' })
			}
			return events
		},
		ended: async () => rest === '' && (await reader.read()).done,
		cancel: () => reader.cancel(),
	}
}

test('the journal is read in pages', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	for (let i = 0; i < 5; i++) shard.append()
	const first = await edge.fetch('GET', '/v1/changes?after=1&limit=2', { as: key })
	const { changes } = await first.json<{ changes: unknown[] }>()
	expect(changes).toEqual([
		{
			seq: 2,
			op: 'create',
			collection: 'c',
			id: 'r2',
			version: 1,
			actor: 'key:k',
			// Objects of older code do not tell.
			request: null,
			at: '2026-11-22T00:00:00.000Z',
		},
		expect.objectContaining({ seq: 3 }),
	])
	const next = /^<([^>]+)>/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
	expect(next).toBe('/v1/changes?after=3&limit=2')
	const last = await edge.fetch('GET', next, { as: key })
	expect([(await last.json<{ changes: unknown[] }>()).changes.length, last.headers.get('Link')]).toEqual([2, null])
	for (const query of [
		'after=-1',
		'after=x',
		'after=1e3',
		'after=9007199254740992',
		'limit=0',
		`limit=${changesLimitMax + 1}`,
		'cursor=x',
		'after=1&after=2',
	]) {
		expect((await edge.fetch('GET', `/v1/changes?${query}`, { as: key })).status).toBe(400)
	}
	shard.refusal = { code: 'position_pruned', detail: 'gone' }
	expect((await edge.fetch('GET', '/v1/changes', { as: key })).status).toBe(410)
	expect((await edge.fetch('GET', '/v1/changes', { as: key, headers: { Accept: 'text/event-stream' } })).status).toBe(
		410,
	)
})

test('a stream brings what is there and then what comes, each entry once and in order', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	for (let i = 0; i < 3; i++) shard.append()
	const stream = await follow(edge, key)
	expect(stream.response.headers.get('Content-Type')).toBe('text/event-stream')
	expect((await stream.read(3)).map(({ type, id }) => [type, id])).toEqual([
		['change', 1],
		['change', 2],
		['change', 3],
	])
	const more = stream.read(7)
	for (let i = 0; i < 7; i++) {
		shard.append()
		// Late, repeated and broken-off announcements change nothing.
		shard.sockets[0]?.say('{"head":1}')
		shard.sockets[0]?.say(JSON.stringify({ head: shard.changes.length }))
		if (i % 2) await new Promise((resolve) => setImmediate(resolve))
	}
	expect((await more).map(({ id }) => id)).toEqual([4, 5, 6, 7, 8, 9, 10])
	shard.append()
	const [event] = await stream.read(1)
	expect(JSON.parse(event?.data ?? '')).toMatchObject({ seq: 11, op: 'create', id: 'r11' })
	await stream.cancel()
	expect(shard.sockets[0]?.closed).toBe(true)
})

test('a commit between the first page and the opening of the socket is not missed', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const execute = shard.execute.bind(shard)
	let pages = 0
	shard.execute = (command) => {
		const reply = execute(command)
		// A write that commits right after the page was read.
		if (command.operation.name === 'changes.list' && ++pages === 2) shard.append()
		return reply
	}
	const stream = await follow(edge, key)
	expect((await stream.read(1)).map(({ id }) => id)).toEqual([1])
	await stream.cancel()
})

test('a stream is resumed by Last-Event-ID, which wins over after', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	for (let i = 0; i < 5; i++) shard.append()
	const stream = await follow(edge, key, '/v1/changes?after=1', { 'Last-Event-ID': '3' })
	expect((await stream.read(2)).map(({ id }) => id)).toEqual([4, 5])
	await stream.cancel()
	const wrong = await edge.fetch('GET', '/v1/changes', {
		as: key,
		headers: { Accept: 'text/event-stream', 'Last-Event-ID': 'x' },
	})
	expect(wrong.status).toBe(400)
})

test('more entries than a page holds come one page after the other', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const total = changesLimitMax * 2 + 5
	for (let i = 0; i < total; i++) shard.append()
	const stream = await follow(edge, key)
	expect((await stream.read(total)).map(({ id }) => id)).toEqual(Array.from({ length: total }, (_, i) => i + 1))
	await stream.cancel()
})

test('a refusal in mid-stream is an event, after which the stream ends', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const stream = await follow(edge, key)
	shard.keys.clear()
	shard.append()
	const [event] = await stream.read(1)
	expect(event?.type).toBe('problem')
	expect(JSON.parse(event?.data ?? '')).toMatchObject({ status: 401, code: 'unauthorized' })
	expect(await stream.ended()).toBe(true)
	expect(shard.sockets[0]?.closed).toBe(true)
})

test('a rate limit in mid-stream is waited out', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const stream = await follow(edge, key)
	shard.refusal = { code: 'rate_limited', detail: 'slower', retryAfter: 0.05 }
	const next = stream.read(1)
	const before = shard.commands.length
	shard.append()
	await vi.waitFor(() => expect(shard.commands.length).toBeGreaterThan(before))
	shard.refusal = null
	expect((await next)[0]?.id).toBe(1)
	await stream.cancel()
})

test('a stream whose socket is lost ends, so that its client resumes it', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const stream = await follow(edge, key)
	shard.append()
	await stream.read(1)
	shard.sockets[0]?.drop()
	expect(await stream.ended()).toBe(true)
})

test('a silent stream sends a comment now and then', async () => {
	const edge = new Edge()
	const { key } = await edge.tenant()
	vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
	const stream = await follow(edge, key)
	const silence = stream.read(2)
	await vi.advanceTimersByTimeAsync(streamHeartbeatMs)
	await vi.advanceTimersByTimeAsync(streamHeartbeatMs)
	expect((await silence).map(({ type }) => type)).toEqual(['comment', 'comment'])
	await stream.cancel()
})

test('a stream ends when its key expires, in the middle of a silence', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
	const stream = await follow(edge, key)
	shard.sockets[0]?.say(JSON.stringify({ head: 0, until: edge.now + streamHeartbeatMs + 5_000 }))
	const events = stream.read(2)
	await vi.advanceTimersByTimeAsync(streamHeartbeatMs)
	edge.now += streamHeartbeatMs
	await vi.advanceTimersByTimeAsync(4_999)
	edge.now += 5_000
	await vi.advanceTimersByTimeAsync(streamHeartbeatMs)
	expect((await events).map(({ type }) => type)).toEqual(['comment', 'problem'])
	expect(await stream.ended()).toBe(true)
	expect(shard.sockets[0]?.closed).toBe(true)
})

test('a stream that may not be opened is a problem, not a stream', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	shard.keys.clear()
	const response = await edge.fetch('GET', '/v1/changes', { as: key, headers: { Accept: 'text/event-stream' } })
	expect([response.status, response.headers.get('Content-Type')]).toEqual([401, 'application/problem+json'])
	const head = await edge.fetch('HEAD', '/v1/changes', { as: key, headers: { Accept: 'text/event-stream' } })
	expect([head.status, shard.sockets.length]).toEqual([401, 0])
})

test('keys are minted, listed without secrets and revoked', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const mint = (body: object) => edge.fetch('POST', '/v1/keys', { as: key, body })
	const response = await mint({
		name: 'import',
		scopes: ['read', 'write', 'read'],
		expires_at: '2027-01-01T02:00:00+02:00',
	})
	const minted = await response.json<{ id: string; secret: string }>()
	expect(minted).toMatchObject({ name: 'import', scopes: ['read', 'write'], expires_at: '2027-01-01T00:00:00.000Z' })
	expect([response.status, response.headers.get('Location'), response.headers.get('Freehold-Position')]).toEqual([
		201,
		`/v1/keys/${minted.id}`,
		'5',
	])
	expect((await edge.fetch('GET', '/v1/changes', { as: minted.secret })).status).toBe(200)
	const list = await (await edge.fetch('GET', '/v1/keys', { as: key })).text()
	expect(JSON.parse(list).keys.length).toBe(2)
	expect(list).not.toContain(minted.secret)
	expect((await edge.fetch('DELETE', `/v1/keys/${minted.id}`, { as: key })).status).toBe(204)
	expect((await edge.fetch('GET', '/v1/changes', { as: minted.secret })).status).toBe(401)
	expect((await edge.fetch('DELETE', '/v1/keys/x', { as: key })).status).toBe(404)
	const before = shard.commands.length
	for (const wrong of [
		{},
		{ scopes: [] },
		{ scopes: ['all'] },
		{ scopes: ['read'], expires_at: 'soon' },
		{ scopes: ['read'], name: '' },
		{ scopes: ['read'], id: 'x' },
	]) {
		expect((await mint(wrong)).status).toBe(422)
	}
	expect(shard.commands.length).toBe(before)
})

test('collections are put, listed page by page and dropped', async () => {
	const edge = new Edge()
	const { key, shard } = await edge.tenant()
	const put = await edge.fetch('PUT', '/v1/collections/people', {
		as: key,
		body: '{"schema":{"type":"object","b":1, "a":2}}',
	})
	expect([put.status, put.headers.get('Location'), put.headers.get('Freehold-Position')]).toEqual([
		201,
		'/v1/collections/people',
		'3',
	])
	expect(await put.json()).toMatchObject({
		name: 'people',
		schema: { type: 'object', b: 1, a: 2 },
		records: 0,
		change: null,
	})
	expect(shard.commands.at(-1)?.operation).toEqual({
		name: 'collection.put',
		collection: 'people',
		schema: '{"type":"object","b":1,"a":2}',
	})
	expect(
		(
			await edge.fetch('PUT', '/v1/collections/people', {
				as: key,
				body: { schema: { description: 'x'.repeat(64_001) } },
			})
		).status,
	).toBe(413)
	for (const body of [{}, { schema: 1 }, { schema: [] }, { schema: {}, x: 1 }]) {
		expect((await edge.fetch('PUT', '/v1/collections/people', { as: key, body })).status).toBe(422)
	}
	const first = await edge.fetch('GET', '/v1/collections?limit=2', { as: key })
	expect((await first.json<{ collections: { name: string }[] }>()).collections.map(({ name }) => name)).toEqual([
		'a',
		'b',
	])
	const next = /^<([^>]+)>/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
	expect(await (await edge.fetch('GET', next, { as: key })).json()).toMatchObject({ collections: [{ name: 'c' }] })
	expect((await edge.fetch('GET', next.replace('collections', 'keys'), { as: key })).status).toBe(400)
	expect((await edge.fetch('DELETE', '/v1/collections/people', { as: key })).status).toBe(204)
})
