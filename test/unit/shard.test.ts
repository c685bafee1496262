import { expect, test } from 'vitest'
import { shardFullShare } from '../../core/limits.ts'
import { hashOf, people, ShardFixture } from '../shard.ts'

const idempotency = { key: 'k', fingerprint: 'f', seal: Buffer.alloc(32, 1).toString('base64url') }

async function withPeople(): Promise<ShardFixture> {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	return fixture
}

test('a record is created, replaced, patched and deleted, each with its own version and position', async () => {
	const fixture = await withPeople()
	const created = await fixture.create('people', { email: 'a@example.com', age: 40 })
	expect(created).toMatchObject({ created: true, position: 4, record: { version: 1, seq: 4 } })
	const { id } = created.record
	const put = await fixture.ask({
		name: 'record.put',
		collection: 'people',
		id,
		data: '{"email":"b@example.com"}',
		ifMatch: ['1-4'],
		ifNoneMatch: null,
	})
	expect(put).toMatchObject({ created: false, record: { version: 2, seq: 5, createdAt: created.record.createdAt } })
	const patched = await fixture.ask({
		name: 'record.patch',
		collection: 'people',
		id,
		patch: '{"age":41,"phone":null}',
		ifMatch: null,
	})
	expect(JSON.parse(patched.record.data)).toEqual({ email: 'b@example.com', age: 41 })
	await fixture.ask({ name: 'record.delete', collection: 'people', id, ifMatch: '*' })
	expect(await fixture.refused({ name: 'record.get', collection: 'people', id })).toMatchObject({ code: 'not_found' })
	const { changes } = await fixture.ask({ name: 'changes.list', after: 0, limit: 100 })
	expect(changes.map(({ seq, op, version }) => [seq, op, version])).toEqual([
		[1, 'tenant', 1],
		[2, 'key', 1],
		[3, 'schema', 1],
		[4, 'create', 1],
		[5, 'update', 2],
		[6, 'update', 3],
		[7, 'delete', 4],
	])
})

test('an ETag of a deleted record never matches the record that is created in its place', async () => {
	const fixture = await withPeople()
	const put = {
		name: 'record.put',
		collection: 'people',
		id: 'x',
		data: '{"email":"a@example.com"}',
		ifMatch: null,
		ifNoneMatch: null,
	} as const
	const first = await fixture.ask(put)
	await fixture.ask({ name: 'record.delete', collection: 'people', id: 'x', ifMatch: null })
	await fixture.ask(put)
	const stale = await fixture.refused({ ...put, ifMatch: [`1-${first.position}`] })
	expect(stale.code).toBe('precondition_failed')
	expect((await fixture.refused({ ...put, ifNoneMatch: '*' })).code).toBe('precondition_failed')
})

test('[D2] a refused write leaves no trace in storage or memory, alone or beside others in its turn', async () => {
	const fixture = await withPeople()
	const turn = fixture.turn()
	const operations = ['a@example.com', 'A@Example.com', 'b@example.com'].map((email) =>
		fixture.command({ name: 'record.create', collection: 'people', data: JSON.stringify({ email }) }),
	)
	const replies = await Promise.all(operations.map((command) => turn.submit(() => fixture.shard.execute(command))))
	expect(replies.map((reply) => reply.ok)).toEqual([true, false, true])
	const { collection } = await fixture.ask({ name: 'collection.get', collection: 'people' })
	expect(collection.records).toBe(2)
	const { changes, head } = await fixture.ask({ name: 'changes.list', after: 3, limit: 10 })
	expect([changes.length, head]).toEqual([2, 5])
})

test('[D2] a commit that fails leaves memory as it was', async () => {
	const fixture = await withPeople()
	const command = fixture.command({ name: 'record.create', collection: 'people', data: '{"email":"a@example.com"}' })
	expect(() =>
		fixture.sql.transaction(() => {
			fixture.shard.execute(command)
			throw new Error('the disk is gone')
		}),
	).toThrow('the disk is gone')
	fixture.shard.failed()
	const { collection } = await fixture.ask({ name: 'collection.get', collection: 'people' })
	expect(collection.records).toBe(0)
	expect((await fixture.create('people', { email: 'a@example.com' })).position).toBe(4)
})

test('[D2] [I1] after a commit that failed, the same keyed request finds its tables again and is written and announced', async () => {
	const fixture = await withPeople()
	fixture.now += 60_000
	const operation = { name: 'record.create', collection: 'people', data: '{"email":"a@example.com"}' } as const
	expect(() =>
		fixture.sql.transaction(() => {
			fixture.shard.execute(fixture.command(operation, { idempotency }))
			throw new Error('the disk is gone')
		}),
	).toThrow('the disk is gone')
	fixture.shard.failed()
	// The alarm of the failed commit is gone with it.
	fixture.alarmAt = null
	expect(await fixture.run(operation, { idempotency })).toMatchObject({ ok: true, replayed: false })
	expect(fixture.alarmAt).not.toBeNull()
})

test('[D2] [S1] a read by id forgets a collection whose making did not commit, and a key that was revoked', async () => {
	const fixture = await withPeople()
	const { record } = await fixture.create('people', { email: 'a@example.com' })
	const ask = (collection: string) => fixture.run({ name: 'record.get', collection, id: record.id })
	expect(await ask('people')).toMatchObject({ ok: true, value: { record } })
	expect(() =>
		fixture.sql.transaction(() => {
			fixture.shard.execute(
				fixture.command({ name: 'collection.put', collection: 'drafts', schema: '{"type":"object"}' }),
			)
			fixture.shard.execute(fixture.command({ name: 'record.create', collection: 'drafts', data: '{}' }))
			throw new Error('the disk is gone')
		}),
	).toThrow('the disk is gone')
	fixture.shard.failed()
	expect(await ask('drafts')).toMatchObject({ ok: false, refusal: { code: 'not_found' } })
	expect(await ask('people')).toMatchObject({ ok: true, value: { record } })
	await fixture.ask({ name: 'key.delete', id: 'key-1' })
	expect(await ask('people')).toMatchObject({ ok: false, refusal: { code: 'unauthorized' } })
})

test('a bug in one operation fails it alone', async () => {
	const fixture = await withPeople()
	const turn = fixture.turn()
	const broken = turn.submit(() => {
		throw new Error('a bug')
	})
	const command = fixture.command({ name: 'record.create', collection: 'people', data: '{"email":"a@example.com"}' })
	const whole = turn.submit(() => fixture.shard.execute(command))
	await expect(broken).rejects.toThrow('a bug')
	expect((await whole).ok).toBe(true)
})

test('[J1] positions are gapless over refusals, batches that roll back, and restarts', async () => {
	const fixture = await withPeople()
	for (let round = 0; round < 20; round++) {
		await fixture.run({
			name: 'record.create',
			collection: 'people',
			data: JSON.stringify({ email: `${round % 7}@example.com` }),
		})
		const create = (email: string) => ({ op: 'create' as const, collection: 'people', data: JSON.stringify({ email }) })
		await fixture.run({ name: 'batch', operations: [create(`new${round}@example.com`), create('0@example.com')] })
		if (round % 5 === 0) fixture.restart()
	}
	const { changes, head } = await fixture.ask({ name: 'changes.list', after: 0, limit: 1000 })
	expect(changes.map(({ seq }) => seq)).toEqual(Array.from({ length: head }, (_, index) => index + 1))
	const { collection } = await fixture.ask({ name: 'collection.get', collection: 'people' })
	expect(collection.records).toBe(7)
})

test('[U1] of two concurrent writes with the same unique value exactly one wins, and the other names the constraint', async () => {
	const fixture = await withPeople()
	const turn = fixture.turn()
	const replies = await Promise.all(
		['Ünï@example.com', 'ünï@example.com'.normalize('NFD')].map((email) => {
			const command = fixture.command({ name: 'record.create', collection: 'people', data: JSON.stringify({ email }) })
			return turn.submit(() => fixture.shard.execute(command))
		}),
	)
	const refusals = replies.flatMap((reply) => (reply.ok ? [] : [reply.refusal]))
	expect(refusals).toHaveLength(1)
	expect(refusals[0]).toMatchObject({
		code: 'unique_violation',
		constraint: 'people.email',
		errors: [{ pointer: '/email' }],
	})
})

test('[U1] the unique index itself refuses what the check before it would have let through', async () => {
	const fixture = await withPeople()
	await fixture.create('people', { email: 'a@example.com' })
	expect(() =>
		fixture.sql.all("INSERT INTO c_1 SELECT 'other', version, seq, created_at, updated_at, data, u_0 FROM c_1"),
	).toThrow(/UNIQUE/)
})

test('[I1] a retry with the same key has one effect and gets the first answer again', async () => {
	const fixture = await withPeople()
	const first = await fixture.run(
		{ name: 'record.create', collection: 'people', data: '{"email":"a@example.com"}' },
		{ idempotency },
	)
	fixture.restart()
	fixture.now += 60_000
	const again = await fixture.run(
		{ name: 'record.create', collection: 'people', data: '{"email":"a@example.com"}' },
		{ idempotency },
	)
	expect(again).toMatchObject({ ok: true, replayed: true })
	expect({ ...again, replayed: false, rate: null }).toEqual({ ...first, rate: null })
	const other = await fixture.refused(
		{ name: 'record.create', collection: 'people', data: '{"email":"b@example.com"}' },
		{ idempotency: { ...idempotency, fingerprint: 'g' } },
	)
	expect(other.code).toBe('idempotency_mismatch')
})

test('[I1] an idempotency row holds nothing of the data that the request brought', async () => {
	const fixture = await withPeople()
	await fixture.create('people', { email: 'canary@example.com' }, idempotency)
	const rows = idempotencyRows(fixture)
	expect(rows).toHaveLength(1)
	expect(JSON.stringify(rows)).not.toContain('canary')
})

test('[I1] a retry has one effect also when the clock has gone back over midnight since', async () => {
	const fixture = await withPeople()
	const operation = { name: 'record.create', collection: 'people', data: '{"email":"a@example.com"}' } as const
	for (const restarts of [false, true]) {
		fixture.now = Date.UTC(2026, 0, 2)
		await fixture.run(operation, { idempotency })
		fixture.now -= 1_000
		if (restarts) fixture.restart()
		expect(await fixture.run(operation, { idempotency })).toMatchObject({ ok: true, replayed: true })
	}
})

test('keyed writes go on when the clock goes back after a day was dropped', async () => {
	const fixture = await withPeople()
	fixture.now = Date.UTC(2026, 0, 2) - 1_000
	await fixture.create('people', { email: 'a@example.com' }, idempotency)
	fixture.now += 2_000
	await fixture.shard.alarm()
	fixture.now -= 2_000
	expect((await fixture.create('people', { email: 'b@example.com' }, { ...idempotency, key: 'other' })).created).toBe(
		true,
	)
})

test('[I1] an idempotency key is forgotten after 24 hours, and its table with it', async () => {
	const fixture = await withPeople()
	await fixture.create('people', { email: 'a@example.com' }, idempotency)
	fixture.now += 24 * 3_600_000 + 1
	const later = await fixture.run(
		{ name: 'record.create', collection: 'people', data: '{"email":"b@example.com"}' },
		{ idempotency },
	)
	expect(later).toMatchObject({ ok: true, replayed: false })
	fixture.now += 48 * 3_600_000
	await fixture.shard.alarm()
	expect(fixture.sql.all("SELECT name FROM sqlite_master WHERE name GLOB 'idempotency_*'")).toEqual([])
})

test('[I1] the answer of a patch of the largest record fits into a row and comes back byte for byte', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('notes', { type: 'object' })
	const data = `{"__proto__":1,"text":${JSON.stringify('"'.repeat(499_000))}}`
	const { record } = await fixture.ask({ name: 'record.create', collection: 'notes', data })
	const patch = {
		name: 'record.patch',
		collection: 'notes',
		id: record.id,
		patch: '{"b":1.5,"1":2}',
		ifMatch: null,
	} as const
	const first = await fixture.run(patch, { idempotency })
	const again = await fixture.run(patch, { idempotency })
	expect(again).toMatchObject({ ok: true, replayed: true })
	expect({ ...again, replayed: false, rate: null }).toEqual({ ...first, rate: null })
	const sizes = fixture.sql.all<{ bytes: number }>(
		idempotencyTables(fixture)
			.map((name) => `SELECT octet_length(answer) AS bytes FROM ${name}`)
			.join(' UNION ALL '),
	)
	expect(sizes).toHaveLength(1)
	expect(sizes[0]?.bytes).toBeLessThan(1_100_000)
})

test('[I1] a refused request leaves its idempotency key unused', async () => {
	const fixture = await withPeople()
	await fixture.refused({ name: 'record.create', collection: 'people', data: '{}' }, { idempotency })
	const reply = await fixture.run({ name: 'record.create', collection: 'people', data: '{}' }, { idempotency })
	expect(reply).toMatchObject({ ok: false, refusal: { code: 'validation_failed' } })
})

test('the secret of a key created with an idempotency key rests sealed and is answered again', async () => {
	const fixture = new ShardFixture()
	const prepared = { id: 'key-2', secret: 'the-secret', secretHash: hashOf('the-secret') }
	const create = { name: 'key.create', keyName: null, scopes: ['read'], expiresAt: null, prepared } as const
	const first = await fixture.ask({ ...create, scopes: ['read'] }, { idempotency })
	const again = await fixture.ask(
		{ ...create, scopes: ['read'], prepared: { ...prepared, secret: 'another' } },
		{ idempotency },
	)
	expect(again).toEqual(first)
	expect(JSON.stringify(idempotencyRows(fixture))).not.toContain('the-secret')
})

test('[T2] a shard refuses a command for any other tenant and a key that is not its own', async () => {
	const fixture = await withPeople()
	const other = new ShardFixture({ region: 'global' })
	expect((await fixture.refused({ name: 'tenant.get' }, { tenant: other.tenant })).code).toBe('unauthorized')
	const caller = { kind: 'key', id: 'key-1', secretHash: hashOf('guess') } as const
	expect((await fixture.refused({ name: 'tenant.get' }, { caller })).code).toBe('unauthorized')
	expect((await fixture.refused({ name: 'tenant.get' }, { caller: { ...caller, id: 'key-9' } })).code).toBe(
		'unauthorized',
	)
})

test('[T3] constructor, reads and refused commands create nothing before provisioning', async () => {
	const fixture = new ShardFixture({ provision: false })
	await fixture.refused({ name: 'tenant.get' })
	await fixture.refused({ name: 'record.create', collection: 'people', data: '{}' })
	expect(
		fixture.shard.pull({ tenant: fixture.tenant, shard: 0, epoch: 1, after: 0, entriesMax: 10, bytesMax: 1e6 }),
	).toMatchObject({ kind: 'refused' })
	await fixture.shard.alarm()
	expect(fixture.sql.all('SELECT name FROM sqlite_master')).toEqual([])
	expect(fixture.alarmAt).toBeNull()
})

test('provisioning again changes nothing and answers the same; other values are refused', async () => {
	const fixture = await withPeople()
	fixture.provision()
	expect(fixture.shard.position()).toBe(3)
	const key = { id: 'key-2', secretHash: 'x' }
	const asked = {
		tenant: fixture.tenant,
		shard: 0,
		epoch: 1,
		slug: 'acme',
		name: 'Acme',
		createdAt: 0,
		key,
		actor: 'operator:test',
	}
	expect(fixture.shard.provision(asked).ok).toBe(false)
})

test('a key hands on only the scopes that it has, expires, and is refused from the moment it is revoked', async () => {
	const fixture = await withPeople()
	const key = (id: string) => ({ id, secret: id, secretHash: hashOf(id) })
	const expiresAt = fixture.now + 1_000
	await fixture.ask({
		name: 'key.create',
		keyName: 'narrow',
		scopes: ['keys', 'read'],
		expiresAt,
		prepared: key('narrow'),
	})
	const caller = { kind: 'key', id: 'narrow', secretHash: hashOf('narrow') } as const
	const wider = await fixture.refused(
		{ name: 'key.create', keyName: null, scopes: ['write'], expiresAt: null, prepared: key('wide') },
		{ caller },
	)
	expect(wider.code).toBe('insufficient_scope')
	expect((await fixture.refused({ name: 'record.create', collection: 'people', data: '{}' }, { caller })).code).toBe(
		'insufficient_scope',
	)
	fixture.now = expiresAt
	expect((await fixture.refused({ name: 'tenant.get' }, { caller })).code).toBe('unauthorized')
	fixture.now -= 1
	expect((await fixture.run({ name: 'tenant.get' }, { caller })).ok).toBe(true)
	await fixture.ask({ name: 'key.delete', id: 'narrow' })
	expect((await fixture.refused({ name: 'tenant.get' }, { caller })).code).toBe('unauthorized')
})

test('[S1] a read by id forgets what memory took from a change that was rolled back', async () => {
	const fixture = await withPeople()
	const { record } = await fixture.create('people', { email: 'a@example.com' })
	const prepared = { id: 'other', secret: 'other', secretHash: hashOf('other') }
	await fixture.ask({ name: 'key.create', keyName: null, scopes: ['read'], expiresAt: null, prepared })
	const caller = { kind: 'key', id: 'other', secretHash: hashOf('other') } as const
	const read = { name: 'record.get', collection: 'people', id: record.id } as const
	const run = (command: Parameters<typeof fixture.shard.execute>[0]) => fixture.shard.execute(command).ok
	expect(() =>
		fixture.sql.transaction(() => {
			expect(run(fixture.command({ name: 'key.delete', id: 'other' }))).toBe(true)
			// Memory knows the collection again, and that the key is gone.
			expect(run(fixture.command(read))).toBe(true)
			expect(run(fixture.command(read, { caller }))).toBe(false)
			throw new Error('the turn fails')
		}),
	).toThrow('the turn fails')
	expect(run(fixture.command(read, { caller }))).toBe(true)
})

test('a suspended tenant can only look at itself, until it is active again', async () => {
	const fixture = await withPeople()
	const operator = { kind: 'operator', name: 'ops' } as const
	await fixture.run({ name: 'tenant.update', status: 'suspended' }, { caller: operator })
	expect(
		(
			await fixture.refused({
				name: 'record.list',
				collection: 'people',
				query: { filter: null, order: [], limit: 1, after: null, select: null, count: false },
			})
		).code,
	).toBe('tenant_suspended')
	expect((await fixture.ask({ name: 'tenant.get' })).tenant.status).toBe('suspended')
	await fixture.run(
		{ name: 'tenant.update', status: 'active', limits: { requests_per_second: 5 } },
		{ caller: operator },
	)
	const { tenant } = await fixture.ask({ name: 'tenant.get' })
	expect(tenant).toMatchObject({ status: 'active', limits: { requests_per_second: 5 } })
	expect(
		(await fixture.refused({ name: 'record.create', collection: 'people', data: '{}' }, { caller: operator })).code,
	).toBe('insufficient_scope')
})

test('the token bucket tells its state once less than half is left, refuses with the time to wait and fills again', async () => {
	const fixture = new ShardFixture()
	await fixture.run(
		{ name: 'tenant.update', limits: { requests_per_second: 1 } },
		{ caller: { kind: 'operator', name: 'ops' } },
	)
	fixture.restart()
	for (let left = 9; left >= 0; left--) {
		const rate = left >= 5 ? null : { limit: 1, remaining: left, reset: 10 - left }
		expect(await fixture.run({ name: 'tenant.get' })).toMatchObject({ ok: true, rate })
	}
	expect(await fixture.refused({ name: 'tenant.get' })).toMatchObject({ code: 'rate_limited', retryAfter: 1 })
	fixture.now += 1_000
	expect(await fixture.run({ name: 'tenant.get' })).toMatchObject({
		ok: true,
		rate: { limit: 1, remaining: 0, reset: 10 },
	})
})

test('a nearly full shard refuses growth and still deletes', async () => {
	const fixture = await withPeople()
	const { record } = await fixture.create('people', { email: 'a@example.com' })
	await fixture.run(
		{ name: 'tenant.update', limits: { storage_bytes: 1_000 } },
		{ caller: { kind: 'operator', name: 'ops' } },
	)
	expect(
		(await fixture.refused({ name: 'record.create', collection: 'people', data: '{"email":"b@example.com"}' })).code,
	).toBe('storage_full')
	expect((await fixture.run({ name: 'record.delete', collection: 'people', id: record.id, ifMatch: null })).ok).toBe(
		true,
	)
})

test('a batch that begins with room is stored as a whole, so that a shard that refuses growth is as large as it says', async () => {
	const fixture = await withPeople()
	fixture.shardBytesMax = 700_000
	fixture.restart()
	const large = (ids: number[]) => ({
		name: 'batch' as const,
		operations: ids.map((n) => {
			const data = JSON.stringify({ email: `${n}@example.com`, text: 'x'.repeat(100_000) })
			return { op: 'put' as const, collection: 'people', id: `p-${n}`, data }
		}),
	})
	await fixture.ask(large([1, 2, 3, 4, 5, 6, 7, 8, 9]))
	expect((await fixture.refused(large([10]))).code).toBe('storage_full')
	expect(fixture.sql.sizeBytes()).toBeGreaterThan(fixture.shardBytesMax * shardFullShare)
})

test('a shard as large as the deployment lets any be refuses growth, whatever its tenant is allowed', async () => {
	const fixture = await withPeople()
	fixture.shardBytesMax = 1_000
	fixture.restart()
	const allowed = await fixture.run(
		{ name: 'tenant.update', limits: { storage_bytes: 10 ** 12 } },
		{ caller: { kind: 'operator', name: 'ops' } },
	)
	expect(allowed).toMatchObject({ ok: true, value: { tenant: { limits: { storage_bytes: 1_000 } } } })
	const more = { name: 'record.create', collection: 'people', data: '{"email":"b@example.com"}' } as const
	expect((await fixture.refused(more)).code).toBe('storage_full')
})

test('a batch is all or nothing and names the operation that failed', async () => {
	const fixture = await withPeople()
	const operations = [
		{ op: 'put' as const, collection: 'people', id: 'a', data: '{"email":"a@example.com"}' },
		{ op: 'patch' as const, collection: 'people', id: 'a', data: '{"age":"old"}' },
	]
	const refusal = await fixture.refused({ name: 'batch', operations })
	expect(refusal).toMatchObject({ code: 'validation_failed', errors: [{ pointer: '/operations/1/data/age' }] })
	expect((await fixture.ask({ name: 'collection.get', collection: 'people' })).collection.records).toBe(0)
	const { results } = await fixture.ask({
		name: 'batch',
		operations: [...operations.slice(0, 1), { op: 'delete', collection: 'people', id: 'a', ifMatch: '*' }],
	})
	expect(results.map(({ version }) => version)).toEqual([1, 2])
})

function idempotencyTables(fixture: ShardFixture): string[] {
	return fixture.sql
		.all<{ name: string }>("SELECT name FROM sqlite_master WHERE name GLOB 'idempotency_*' AND type = 'table'")
		.map(({ name }) => name)
}

function idempotencyRows(fixture: ShardFixture): object[] {
	return idempotencyTables(fixture).flatMap((name) => fixture.sql.all(`SELECT * FROM ${name}`))
}

test('a batch of creates by sets does what one by one would do, to the last column', async () => {
	const texts = Array.from({ length: 50 }, (_, index) => ({
		email: `Ünï"${index}"\\@example.com`,
		age: index,
		note: 'é\u2028"\\',
	}))
	const create = (data: object) => ({ op: 'create' as const, collection: 'people', data: JSON.stringify(data) })
	const bulk = await withPeople()
	const { results, position } = await bulk.ask({ name: 'batch', operations: texts.map(create) })
	const single = await withPeople()
	for (const data of texts) await single.create('people', data)
	const rows = (fixture: ShardFixture) =>
		fixture.sql.all('SELECT version, seq, created_at, updated_at, data, u_0 FROM c_1 ORDER BY seq')
	const entries = (fixture: ShardFixture) =>
		fixture.sql.all('SELECT seq, at, op, collection, version, actor FROM journal ORDER BY seq')
	expect(rows(bulk)).toEqual(rows(single))
	expect(entries(bulk)).toEqual(entries(single))
	expect([results.length, results.at(-1)?.etag, position]).toEqual([50, '"1-53"', 53])
	expect((await bulk.ask({ name: 'collection.get', collection: 'people' })).collection.records).toBe(50)
	const { record } = await bulk.ask({ name: 'record.get', collection: 'people', id: results[7]?.id ?? '' })
	expect(JSON.parse(record.data)).toEqual(texts[7])
})

test('[D2] a batch by sets that is refused leaves no trace and names the operation', async () => {
	const fixture = await withPeople()
	const create = (data: object) => ({ op: 'create' as const, collection: 'people', data: JSON.stringify(data) })
	const emails = Array.from({ length: 20 }, (_, index) => ({ email: `${index === 13 ? 4 : index}@example.com` }))
	const clash = await fixture.refused({ name: 'batch', operations: emails.map(create) })
	expect(clash).toMatchObject({ code: 'unique_violation', errors: [{ pointer: '/operations/13/data/email' }] })
	const invalid = await fixture.refused({ name: 'batch', operations: [...emails.slice(0, 9), { age: 1 }].map(create) })
	expect(invalid).toMatchObject({ code: 'validation_failed', errors: [{ pointer: '/operations/9/data' }] })
	expect((await fixture.ask({ name: 'collection.get', collection: 'people' })).collection.records).toBe(0)
	expect(fixture.shard.position()).toBe(3)
	expect((await fixture.create('people', { email: 'a@example.com' })).position).toBe(4)
})
