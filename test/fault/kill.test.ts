import { expect, test } from 'vitest'
import { seeded } from '../shard.ts'
import { Client, createTenant, killWorkerd, type Tenant, temporaryStack, until, viewRows } from '../stack-client.ts'

const killsWanted = 25
const writersPerTenant = 3

/** What one write was answered: `ok` with its position, or nothing that settles it. */
interface Attempt {
	tenant: Tenant
	key: string
	value: number
	/** How often it was sent; more than once when an answer did not come. */
	tries: number
	outcome: { kind: 'ok'; id: string; position: number } | { kind: 'unknown' }
}

test('[D1] [I1] [J1] of writes under 25 kill -9 of the real process none that was acknowledged is lost, and none is doubled', async () => {
	const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
	const random = seeded(seed)
	const stack = await temporaryStack()
	try {
		const tenants = await Promise.all(['eu', 'global', 'eu', 'global'].map((region) => createTenant(stack, region)))
		const schema = { type: 'object', properties: { value: { type: 'integer', 'x-unique': true } } }
		for (const { client } of tenants) await client.ok('PUT', '/v1/collections/entries', { schema })

		let stopped = false
		const attempts: Attempt[] = []
		const writers = tenants.flatMap((tenant) =>
			Array.from({ length: writersPerTenant }, (_, writer) => write(tenant, writer, attempts, () => stopped)),
		)
		let kills = 0
		let settledBefore = 0
		let progressAt = Date.now()
		while (kills < killsWanted) {
			if (Date.now() - progressAt > 60_000)
				throw new Error(`no write was acknowledged for a minute after ${kills} kills`)
			await new Promise((resolve) => setTimeout(resolve, 50 + random() * 400))
			// A kill tells nothing unless writes were acknowledged since the last one.
			const settled = attempts.filter(({ outcome }) => outcome.kind === 'ok').length
			if (settled < settledBefore + 20) continue
			settledBefore = settled
			progressAt = Date.now()
			if (killWorkerd(stack.runtime.pid)) kills++
		}
		stopped = true
		await Promise.all(writers)
		await until('the Worker to be back', () => answers(stack.url))

		const acknowledged = attempts.filter(({ outcome }) => outcome.kind === 'ok').length
		const repeated = attempts.filter(({ tries }) => tries > 1).length
		console.log(
			`seed ${seed}: ${kills} kills, ${acknowledged} writes acknowledged, ${repeated} of them or of the open ones sent again`,
		)
		expect(acknowledged).toBeGreaterThan(500)
		expect(repeated).toBeGreaterThan(kills)

		const heads = new Map<Tenant, number>()
		for (const tenant of tenants) {
			const mine = attempts.filter((attempt) => attempt.tenant === tenant)
			// A retry with the same key settles what was unknown, and is the same effect if it had happened.
			for (const attempt of mine.filter(({ outcome }) => outcome.kind === 'unknown')) {
				const { status, body } = await tenant.client.send(
					'POST',
					'/v1/collections/entries/records',
					{ value: attempt.value },
					{ 'Idempotency-Key': attempt.key },
				)
				expect([status, body.data]).toEqual([201, { value: attempt.value }])
			}
			heads.set(tenant, await checkJournal(tenant, mine))
		}
		for (const region of ['eu', 'global']) await checkView(stack, region, heads, attempts)
	} finally {
		await stack.remove()
	}
}, 300_000)

/** A client as it should be: it repeats a write with the same key until it is told that it happened. */
async function write(tenant: Tenant, writer: number, attempts: Attempt[], stopped: () => boolean): Promise<void> {
	for (let round = 0; !stopped(); round++) {
		const value = writer * 1_000_000 + round
		const attempt: Attempt = { tenant, key: `${writer}-${round}`, value, tries: 0, outcome: { kind: 'unknown' } }
		attempts.push(attempt)
		while (attempt.outcome.kind === 'unknown' && !stopped()) {
			attempt.tries++
			attempt.outcome = await tryOnce(attempt)
			if (attempt.outcome.kind === 'unknown') await new Promise((resolve) => setTimeout(resolve, 20))
		}
	}
}

async function tryOnce({ tenant, key, value }: Attempt): Promise<Attempt['outcome']> {
	try {
		const path = '/v1/collections/entries/records'
		const { status, headers, body } = await tenant.client.send(
			'POST',
			path,
			{ value },
			{ 'Idempotency-Key': key },
			5_000,
		)
		if (status === 201) return { kind: 'ok', id: body.id, position: Number(headers.get('Freehold-Position')) }
		// Only a refusal settles that nothing was written, and none is expected here.
		if (status < 500) throw new Unexpected(`${status} ${JSON.stringify(body)}`)
	} catch (error) {
		if (error instanceof Unexpected) throw error
	}
	return { kind: 'unknown' }
}

class Unexpected extends Error {}

async function answers(url: string): Promise<boolean> {
	try {
		return (await fetch(`${url}/openapi.json`, { signal: AbortSignal.timeout(5_000) })).ok
	} catch {
		return false
	}
}

/** The journal is gapless, holds every acknowledged write once and at its position, and nothing that nobody asked for. */
async function checkJournal(tenant: Tenant, attempts: Attempt[]): Promise<number> {
	const changes: { seq: number; op: string; id: string }[] = []
	for (;;) {
		const { body } = await tenant.client.ok('GET', `/v1/changes?after=${changes.length}&limit=1000`)
		changes.push(...body.changes)
		if (body.changes.length === 0) break
	}
	expect(changes.map(({ seq }) => seq)).toEqual(changes.map((_, index) => index + 1))
	const creates = new Map(changes.filter(({ op }) => op === 'create').map(({ seq, id }) => [seq, id]))
	for (const { outcome } of attempts) if (outcome.kind === 'ok') expect(creates.get(outcome.position)).toBe(outcome.id)
	expect(creates.size).toBe(attempts.length)
	expect(new Set(creates.values()).size).toBe(creates.size)
	return changes.length
}

/** [V1] The view of every shard comes to equal the shard, whatever the kills did to the queue, which lives in memory here. */
async function checkView(
	stack: Awaited<ReturnType<typeof temporaryStack>>,
	region: string,
	heads: Map<Tenant, number>,
	attempts: Attempt[],
): Promise<void> {
	const operator = new Client(stack.url, stack.operatorToken)
	for (const [tenant, head] of heads) {
		if (tenant.region !== region) continue
		// Exactness alone says that the view equals the shard at the position it has come to, which may be an earlier one.
		const headers = { 'Freehold-Min-Position': `${tenant.id}:${head}` }
		const reached = async () => {
			const { status, body } = await operator.send('GET', `/v1/view/freshness?tenant=${tenant.id}`, undefined, headers)
			return status === 200 && body.exact === true
		}
		await until('the view to reach the end of the journal', reached, 60_000)
		const rows = await viewRows(
			stack,
			region,
			"SELECT (data->>'value')::int AS value FROM record WHERE tenant_id = $1 ORDER BY 1",
			[tenant.id],
		)
		const wanted = attempts.filter((attempt) => attempt.tenant === tenant).map(({ value }) => value)
		expect(rows.map(({ value }) => value)).toEqual(wanted.toSorted((a, b) => a - b))
	}
}
