import { env, evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import type { Command } from '../../core/contract.ts'
import { shardBytesMax } from '../../core/limits.ts'
import { createApp } from '../../workers/api/app.ts'
import type { Env } from '../../workers/env.ts'
import { objectSql } from '../../workers/shard-do/object-sql.ts'
import { Shard } from '../../workers/shard-do/shard.ts'
import { apiPorts } from '../../workers/wire.ts'
import { MemoryPages } from '../memory-pages.ts'
import { hashOf, ownerKey, people } from '../shard.ts'
import { newTenant, request, send } from './client.ts'

const bindings = env as unknown as Env

test('every tenant request is one call of its object', async () => {
	const tenant = await newTenant()
	const ports = apiPorts(bindings)
	let calls = 0
	const app = createApp({
		...ports,
		shardOf: (id, shard) =>
			new Proxy(ports.shardOf(id, shard), {
				get: (target, name: 'execute') => {
					calls++
					return (command: Command) => target[name](command)
				},
			}),
	})
	const requests: [string, string, unknown?][] = [
		['PUT', '/v1/collections/people', { schema: people }],
		['POST', '/v1/collections/people/records', { email: 'a@example.com', age: 1 }],
		['PUT', '/v1/collections/people/records/x', { email: 'b@example.com' }],
		['GET', '/v1/collections/people/records/x'],
		['GET', '/v1/collections/people/records?age=gte.1&order=age.desc'],
		['POST', '/v1/batch', { operations: [{ op: 'delete', collection: 'people', id: 'x' }] }],
		['GET', '/v1/changes'],
		['GET', '/v1/tenant'],
		['GET', '/v1/keys'],
		['GET', '/v1/collections'],
	]
	for (const [method, path, body] of requests) {
		calls = 0
		const response = await app.fetch(request(method, path, tenant.secret, body), bindings)
		expect({ path, status: response.status < 300, calls }).toEqual({ path, status: true, calls: 1 })
	}
})

test('[T3] a made-up key, tenant id or damaged key causes no object call', async () => {
	const tenant = await newTenant()
	const ports = apiPorts(bindings)
	const refuse = () => {
		throw new Error('an object was called')
	}
	const app = createApp({ ...ports, shardOf: refuse, claim: refuse })
	const made = `fhk_${tenant.id}_${'0'.repeat(26)}_${'0'.repeat(32)}_${'0'.repeat(26)}`
	for (const key of [made, tenant.secret.slice(0, -1), `${tenant.secret}0`, tenant.secret.replace('_', '-'), 'x', '']) {
		const response = await app.fetch(request('GET', '/v1/tenant', key), bindings)
		expect(response.status).toBe(401)
	}
	const unknown = await app.fetch(
		request('GET', `/v1/tenants/global_${'0'.repeat(26)}`, bindings.OPERATOR_TOKEN),
		bindings,
	)
	expect(unknown.status).toBe(404)
})

test('an insert writes its row and its entry, one row per unique or indexed field, and one with an idempotency key; a burst shares the alarm', async () => {
	const stub = bindings.TENANT_SHARD.getByName('cost')
	const counted = await runInDurableObject(stub, (_instance, state) => {
		let rows = 0
		let armed = 0
		const sql = objectSql(state.storage, { rowsWritten: 0, rowsRead: 0 })
		const shard = new Shard({
			sql: {
				...sql,
				all: (query, ...given) => {
					const cursor = state.storage.sql.exec(query, ...given)
					const found = cursor.toArray()
					rows += cursor.rowsWritten
					return found as never
				},
			},
			clock: Date.now,
			random: (bytes) => crypto.getRandomValues(bytes),
			arm: () => armed++,
			lookAt: () => {},
			announce: async () => {},
			hashSubject: () => '',
			shardBytesMax,
			unwrapKey: () => null,
			changeKeys: async () => {},
			keyPages: new MemoryPages(),
			deleteAll: async () => {},
		})
		const tenant = `eu_${'0'.repeat(26)}` as never
		shard.provision({
			tenant,
			shard: 0,
			epoch: 1,
			slug: 's',
			name: 'n',
			createdAt: 0,
			key: { id: 'key-1', secretHash: hashOf('secret') },
			actor: 'operator:test',
		})
		const run = (operation: object, key: string | null) => {
			const idempotency = key === null ? null : { key, fingerprint: 'f', seal: '' }
			const reply = sql.transaction(() =>
				shard.execute({ tenant, shard: 0, caller: ownerKey, requestId: 'r', idempotency, operation } as never),
			)
			if (!reply.ok) throw new Error(reply.refusal.detail)
			shard.committed()
		}
		run({ name: 'collection.put', collection: 'people', schema: JSON.stringify(people) }, null)
		const cost = (key: string | null) => {
			rows = 0
			const data = JSON.stringify({ email: `${crypto.randomUUID()}@example.com`, age: 1 })
			run({ name: 'record.create', collection: 'people', data }, key)
			return rows
		}
		cost('first of the day makes the table')
		armed = 0
		const plain = Array.from({ length: 50 }, () => cost(null))
		const keyed = Array.from({ length: 50 }, (_, index) => cost(`k${index}`))
		return { plain: Math.max(...plain), keyed: Math.max(...keyed), armed }
	})
	// One unique and one indexed field.
	expect(counted.plain).toBe(2 + 2)
	expect(counted.keyed).toBe(2 + 2 + 1)
	expect(counted.armed).toBe(0)
	console.log(
		`rows written per insert with one unique and one indexed field: ${counted.plain}, with an idempotency key: ${counted.keyed}`,
	)
})

test('it is said how long the first read of a cold shard takes, without keys and with them', async () => {
	const encrypted = { type: 'string', 'x-personal': 'encrypted' }
	const kinds = {
		'nothing encrypted': { note: { type: 'string' } },
		"the tenant's key": { note: encrypted },
		'keys of persons': { note: encrypted, person: { type: 'string', 'x-subject': true } },
	}
	const path = '/v1/collections/notes/records/n'
	const visits = 3
	for (const [kind, properties] of Object.entries(kinds)) {
		const tenant = await newTenant()
		await send('PUT', '/v1/collections/notes', tenant.secret, { schema: { properties } })
		await send('PUT', path, tenant.secret, { note: 'private', person: 'ada' })
		const times: number[] = []
		for (let visit = 0; visit < visits; visit++) {
			await evictDurableObject(bindings.TENANT_SHARD.getByName(`${tenant.id}/0`))
			const startedAt = performance.now()
			expect((await send('GET', path, tenant.secret)).status).toBe(200)
			times.push(performance.now() - startedAt)
		}
		const [median = 0] = times.sort((a, b) => a - b).slice((visits - 1) / 2)
		console.log(`first read of a cold shard, ${kind}: ${Math.round(median)} ms`)
	}
})
