import { expect, test } from 'vitest'
import type { DeadLetter } from '../../core/dead-letter.ts'
import type { Region, TenantId } from '../../core/ids.ts'
import { Edge } from '../api-ports.ts'

const letter: DeadLetter = {
	...{ region: 'eu' as Region, number: 17, tenant: `eu_${'0'.repeat(26)}` as TenantId, shard: 0, seq: 204 },
	...{ op: 'upsert', collection: 'people', record: 'p-7', reason: '22P05 data exception', state: 'waiting' },
	...{ attempts: 1, createdAt: 0, refusedAt: 0, replayingSince: null, discardedAt: null },
}

function edgeWithLetters(): Edge {
	const edge = new Edge()
	edge.deadLetters.push(letter, { ...letter, number: 18, state: 'discarded', discardedAt: 1_000 })
	return edge
}

test('letters are listed with their counts, by state and page by page, and one is read by its id', async () => {
	const edge = edgeWithLetters()
	const get = (path: string) => edge.fetch('GET', `/v1/view/dead-letters${path}`, { as: 'reader-token' })
	const first = await get('?limit=1')
	expect(await first.json()).toMatchObject({
		dead_letters: [{ id: 'eu_17', position: 204, record: 'p-7', state: 'waiting' }],
		...{ waiting: 1, discarded: 1, freshness: { exact: true } },
	})
	const next = /^<([^>]+)>/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
	const second = await edge.fetch('GET', next, { as: 'reader-token' })
	expect(await second.json()).toMatchObject({ dead_letters: [{ id: 'eu_18' }] })
	expect((await edge.fetch('GET', `${next}&state=waiting`, { as: 'reader-token' })).status).toBe(400)
	expect(await (await get('?state=discarded')).json()).toMatchObject({ dead_letters: [{ id: 'eu_18' }] })
	expect(await (await get('/eu_18')).json()).toMatchObject({ discarded_at: '1970-01-01T00:00:01.000Z' })
	for (const wrong of ['?state=lost', '?tenant=x', '?region=mars', '?x=1', '?limit=0', '?state=waiting&state=waiting'])
		expect([wrong, (await get(wrong)).status]).toEqual([wrong, 400])
})

test('[I1] an order goes to the queue of its region once, and a letter that nobody has is 404', async () => {
	const edge = edgeWithLetters()
	const replay = (id: string, key?: string) =>
		edge.fetch('POST', `/v1/view/dead-letters/${id}/replay`, {
			as: 'root-token',
			...(key && { headers: { 'Idempotency-Key': key } }),
		})
	const first = await replay('eu_17', 'a')
	const text = await first.text()
	expect([first.status, first.headers.get('Location')]).toEqual([202, '/v1/view/dead-letters/eu_17'])
	expect(edge.deadLetterOrders).toMatchObject([{ kind: 'dead_letter', region: 'eu', number: 17, intent: 'replay' }])
	// The replay has worked, and the letter is gone; the retry is answered all the same.
	edge.deadLetters.length = 0
	edge.now += 1_000
	const again = await replay('eu_17', 'a')
	expect([await again.text(), again.headers.get('Idempotency-Replayed')]).toEqual([text, 'true'])
	expect(edge.deadLetterOrders).toHaveLength(1)
	for (const id of ['eu_17', 'eu_0', 'eu_017', 'mars_1', 'eu', '17', `eu_${'9'.repeat(16)}`, '%00'])
		expect([id, (await replay(id)).status]).toEqual([id, 404])
	const gone = await edge.fetch('DELETE', '/v1/view/dead-letters/eu_18', { as: 'root-token' })
	expect(gone.status).toBe(404)
	edge.deadLetters.push(letter)
	const discarded = await edge.fetch('DELETE', '/v1/view/dead-letters/eu_17', { as: 'root-token' })
	expect(await discarded.json()).toMatchObject({ id: 'eu_17', intent: 'discard' })
	expect(edge.deadLetterOrders.at(-1)).toMatchObject({ intent: 'discard' })
})

test('[I1] an order that is refused leaves no trace, and one whose outcome nobody knows waits for its end', async () => {
	const edge = new Edge()
	const replay = async (key: string) => {
		const headers = { 'Idempotency-Key': key }
		return (await edge.fetch('POST', '/v1/view/dead-letters/eu_17/replay', { as: 'root-token', headers })).status
	}
	expect([await replay('a'), await replay('a')]).toEqual([404, 404])
	edge.deadLetters.push(letter)
	expect([await replay('a'), await replay('a'), edge.deadLetterOrders.length]).toEqual([202, 202, 1])
	// The message has left, and its sender has not heard of that.
	edge.failAt = edge.calls + 2.5
	expect([await replay('b'), edge.deadLetterOrders.length]).toEqual([503, 2])
	edge.failAt = null
	edge.deadLetters.length = 0
	expect(await replay('b')).toBe(409)
	edge.now += 30_000
	expect([await replay('b'), await replay('b')]).toEqual([404, 404])
})
