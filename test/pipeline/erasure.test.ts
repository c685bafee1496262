import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { parseTenantId, type TenantId } from '../../core/ids.ts'
import { connect } from '../../db/neon/client.ts'
import { eraseTenant, listUnburied, tenantTables } from '../../db/neon/erase.ts'
import { environment, projectDir } from '../../dev/processes.ts'
import { addRegion } from '../../dev/region.ts'
import { configFile } from '../../dev/regions.ts'
import { type Stack, startStack } from '../../dev/stack.ts'
import { filesWith } from '../byte-scan.ts'
import { Client, createTenant, type Tenant, temporaryStack, until, viewRows } from '../stack-client.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })
/** The stack that runs now: a test restarts it. */
let stack: Stack
let operator: Client
/** Of three regions, the third as the command adds it. */
let config: string

/** Holds the stack's folder and whatever its processes write for a moment. */
const temporary = mkdtempSync(join(tmpdir(), 'freehold-erasure-'))

beforeAll(async () => {
	// Postgres runs as another user, who has to come through.
	chmodSync(temporary, 0o711)
	vi.stubEnv('TMPDIR', temporary)
	config = join(temporary, 'wrangler.toml')
	writeFileSync(config, placed(addRegion(readFileSync(configFile, 'utf8'), 'us', 'us')))
	stack = await temporaryStack({ config })
	operator = new Client(stack.url, stack.operatorToken)
})

afterAll(async () => {
	await stack.stop()
	vi.unstubAllEnvs()
	rmSync(temporary, { recursive: true, force: true })
})

/** The project's own files, from a configuration that lies elsewhere. */
function placed(toml: string): string {
	return toml
		.replace(/^main = .*$/m, `main = ${JSON.stringify(join(projectDir, 'workers', 'main.ts'))}`)
		.replace(/^directory = .*$/m, `directory = ${JSON.stringify(join(projectDir, 'dist', 'assets'))}`)
		.replace(/^command = .*$/m, `command = ${JSON.stringify(`node ${join(projectDir, 'dev', 'assets.ts')}`)}`)
}

const schema = {
	type: 'object',
	properties: { email: { type: 'string', 'x-unique': 'ci', 'x-personal': true }, n: { type: 'integer' } },
}

/** A tenant with records that the view has. */
async function filled(region = 'eu', records = 50): Promise<Tenant> {
	const tenant = await createTenant(stack, region)
	await tenant.client.ok('PUT', '/v1/collections/people', { schema })
	const operations = Array.from({ length: records }, (_, n) => ({
		...{ op: 'create', collection: 'people', data: { email: `p${n}@example.com`, n } },
	}))
	if (records > 0) await tenant.client.ok('POST', '/v1/batch', { operations })
	await until('the view to have the records', async () => (await rowsOf(tenant)).record === records)
	return tenant
}

async function rowsOf({ id, region }: Pick<Tenant, 'id' | 'region'>): Promise<Record<string, number>> {
	const counts = tenantTables.map((table) => `(SELECT count(*)::int FROM ${table} WHERE tenant_id = $1) AS ${table}`)
	const [row = {}] = await viewRows(stack, region, `SELECT ${counts.join(', ')}`, [id])
	return row as Record<string, number>
}

const nothing = Object.fromEntries(tenantTables.map((table) => [table, 0]))

async function erased(location: string) {
	return until(
		'the erasure to be certified',
		async () => {
			const { body } = await operator.ok('GET', location)
			return body.status === 'done' ? body : null
		},
		120_000,
	)
}

test('[E1] [E3] a tenant is erased everywhere, its keys answer 410, its slug is free, and the certificate verifies', async () => {
	const tenant = await filled()
	const slug = (await tenant.client.ok('GET', '/v1/tenant')).body.slug
	const asked = await operator.send('DELETE', `/v1/tenants/${tenant.id}`)
	expect(asked.status).toBe(202)
	const location = asked.headers.get('Location') ?? ''
	const erasure = await erased(location)
	expect(erasure.certificate).toMatchObject({ tenant: tenant.id, region: 'eu' })
	expect(erasure.certificate.stores.find(({ store }: { store: string }) => store === 'view').found_before.record).toBe(
		50,
	)
	expect(await rowsOf(tenant)).toEqual(nothing)
	expect(await viewRows(stack, 'eu', 'SELECT epoch FROM erasure WHERE tenant_id = $1', [tenant.id])).toHaveLength(1)

	const codes = [
		await tenant.client.send('GET', '/v1/tenant'),
		await tenant.client.send('GET', '/v1/collections/people/records'),
		await tenant.client.send('POST', '/v1/collections/people/records', { n: 1 }),
		await operator.send('GET', `/v1/tenants/${tenant.id}`),
		await operator.send('PATCH', `/v1/tenants/${tenant.id}`, { name: 'Back' }),
	].map(({ status, body }) => `${status} ${body.code}`)
	expect(new Set(codes)).toEqual(new Set(['410 tenant_erased']))
	const again = await operator.send('DELETE', `/v1/tenants/${tenant.id}`)
	expect([again.status, again.headers.get('Location')]).toEqual([202, location])
	const reborn = await operator.ok('POST', '/v1/tenants', { slug, name: 'Another', region: 'eu' })
	expect(reborn.body.id).not.toBe(tenant.id)

	const file = join(stack.dataDir, 'erasure.json')
	const verify = () => {
		const args = ['dev/certificate.ts', 'verify', file, '--keys', `${stack.url}/.well-known/jwks.json`]
		return execFileSync(process.execPath, args, {
			cwd: projectDir,
			env: environment(),
			encoding: 'utf8',
			stdio: 'pipe',
		})
	}
	writeFileSync(file, JSON.stringify(erasure))
	expect(verify()).toContain(`Genuine`)
	writeFileSync(file, erasure.certificate_jws)
	expect(verify()).toContain(erasure.horizon)
	writeFileSync(
		file,
		JSON.stringify({ ...erasure, certificate: { ...erasure.certificate, horizon: erasure.certificate.issued_at } }),
	)
	expect(verify).toThrow('says something else')
})

/** Everything that a thief of this machine's disk could read. */
const stolen = (text: string) => filesWith([temporary], text)

test('[E1] no file of the stack ever holds an encrypted value, and none but the shard a personal one', async () => {
	const [hidden, personal, open] = ['hidden', 'personal', 'open'].map((kind) => `${kind}-${crypto.randomUUID()}`)
	if (!hidden || !personal || !open) throw new Error('a canary is missing')
	const [secret, later, asked] = ['held', 'later', 'asked'].map((when) => `${hidden}-${when}`)
	const tenant = await createTenant(stack, 'eu')
	const { client } = tenant
	const encrypted = { type: 'string', 'x-personal': 'encrypted' }
	const properties = {
		email: { ...encrypted, 'x-unique': 'ci' },
		city: { ...encrypted, 'x-index': true, maxLength: 100 },
		phone: { type: 'string', 'x-personal': true },
		ward: { type: 'string' },
	}
	await client.ok('PUT', '/v1/collections/patients', { schema: { properties } })
	const records = '/v1/collections/patients/records'
	const data = { email: `${secret}@example.com`, city: secret, phone: personal, ward: open }
	const once = { 'Idempotency-Key': 'once' }
	const { body: created } = await client.ok('POST', records, data, once)
	expect((await client.ok('POST', records, data, once)).body).toEqual(created)
	const patch = { city: later }
	const patched = await client.ok('PATCH', `${records}/${created.id}`, patch, once)
	expect((await client.ok('PATCH', `${records}/${created.id}`, patch, once)).body).toEqual(patched.body)
	const many = Array.from({ length: 8 }, (_, n) => ({ ...data, email: `${n}-${secret}@example.com` }))
	await client.ok('POST', '/v1/batch', {
		operations: many.map((one) => ({ op: 'create', collection: 'patients', data: one })),
	})
	const searched = await client.ok('POST', `${records}/search`, { city: `eq.${secret}` })
	expect(searched.body.records).toHaveLength(8)
	const about = { email: { ...encrypted, 'x-unique': true }, person: { type: 'string', 'x-subject': true } }
	await client.ok('PUT', '/v1/collections/visits', { schema: { properties: about } })
	const visits = '/v1/collections/visits/records'
	for (const person of ['u-1', 'u-2'])
		await client.ok('POST', visits, { email: `${person}-${secret}`, person }, { 'Idempotency-Key': person })
	const visit = await client.ok('POST', `${visits}/search`, { email: `eq.u-1-${secret}` })
	const place = `${visits}/${visit.body.records[0].id}`
	await client.ok('PATCH', place, { email: `u-1-${later}` }, { 'Idempotency-Key': 'visit' })
	expect((await client.ok('DELETE', '/v1/subjects/u-1')).body.key_destroyed_at).not.toBeNull()
	expect((await client.send('GET', place)).status).toBe(404)
	const refused = [
		await client.send('GET', `${records}?city=eq.${asked}`),
		await client.send('POST', `${records}/search`, { city: `gt.${asked}` }),
		await client.send('POST', records, { ...data, ward: asked }),
		await client.send('POST', records, { email: 5, city: `${asked}${'x'.repeat(100)}` }),
		await client.send('POST', records, `{"city": "${asked}"`),
		await client.send('PUT', `/v1/collections/patients`, { schema: { properties: { city: { const: asked } } } }),
	]
	expect(refused.map(({ status }) => status)).toEqual([400, 400, 409, 422, 400, 409])
	expect(refused.filter(({ text }) => text.includes(String(asked)))).toEqual([])
	await until('the view to have the records', async () => (await rowsOf(tenant)).record === 10)
	expect(await stolen(hidden)).toEqual([])
	// What is found where it may be shows that the scan finds.
	const shard = join(stack.stateDir, 'v3', 'do')
	const holders = await stolen(personal)
	expect(holders.length).toBeGreaterThan(0)
	expect(holders.filter((file) => !file.startsWith(shard))).toEqual([])
	expect((await stolen(open)).some((file) => file.includes('cluster'))).toBe(true)

	const exported = (await client.ok('POST', '/v1/exports', {})).headers.get('Location') ?? ''
	await until('the export to be done', async () => (await client.ok('GET', exported)).body.status === 'done')
	const archive = await client.fetch(`${exported}/archive`)
	expect((await archive.arrayBuffer()).byteLength).toBeGreaterThan(0)
	expect((await stolen(hidden)).filter((file) => !file.startsWith(stack.bucketDir))).toEqual([])
	await erased((await operator.ok('DELETE', `/v1/tenants/${tenant.id}`)).headers.get('Location') ?? '')
	expect(await stolen(hidden)).toEqual([])
	expect((await stolen(personal)).filter((file) => !file.startsWith(shard))).toEqual([])
})

test('[E1] a tenant asks by its own key, repeating its slug; during the grace period it can be cancelled', async () => {
	const tenant = await filled('global', 3)
	const { slug } = (await tenant.client.ok('GET', '/v1/tenant')).body
	expect((await tenant.client.send('DELETE', '/v1/tenant', { slug: 'another' })).status).toBe(422)
	const asked = await tenant.client.send('DELETE', '/v1/tenant?grace_seconds=3600', { slug })
	expect(asked.status).toBe(202)
	const location = asked.headers.get('Location') ?? ''
	expect((await operator.ok('GET', location)).body.status).toBe('scheduled')
	expect((await operator.ok('DELETE', location)).body.status).toBe('cancelled')
	expect((await tenant.client.send('GET', '/v1/tenant')).status).toBe(200)

	await operator.ok('PUT', `/v1/tenants/${tenant.id}/hold`)
	const held = await tenant.client.send('DELETE', '/v1/tenant', { slug })
	const place = held.headers.get('Location') ?? ''
	await until('the hold to be seen', async () => (await operator.ok('GET', place)).body.status === 'held')
	expect((await tenant.client.send('GET', '/v1/tenant')).status).toBe(200)
	await operator.ok('DELETE', `/v1/tenants/${tenant.id}/hold`)
	await erased(place)
	expect((await operator.send('DELETE', place)).body.code).toBe('erasure_started')
	expect(await rowsOf(tenant)).toEqual(nothing)
})

test('[E1] a tenant of 100,000 records is erased in one go, and it is said how long that takes', async () => {
	const tenant = await filled('eu', 0)
	const count = 100_000
	const perBatch = 1_000
	for (let from = 0; from < count; from += perBatch) {
		const operations = Array.from({ length: perBatch }, (_, n) => ({
			...{ op: 'create', collection: 'people', data: { email: `p${from + n}@example.com`, n } },
		}))
		await tenant.client.send('POST', '/v1/batch', { operations }, {}, 60_000)
	}
	await until('the view to have the records', async () => (await rowsOf(tenant)).record === count, 120_000)
	const startedAt = performance.now()
	const asked = await operator.ok('DELETE', `/v1/tenants/${tenant.id}`)
	const erasure = await erased(asked.headers.get('Location') ?? '')
	console.log(`erased ${count} records and certified it in ${Math.round(performance.now() - startedAt)} ms`)
	expect(erasure.certificate.stores.find(({ store }: { store: string }) => store === 'view').found_before.record).toBe(
		count,
	)
	expect(await rowsOf(tenant)).toEqual(nothing)
})

test('[E1] [E2] [V3] nothing brings an erased tenant back: not late messages, and not its database file of before', async () => {
	const tenant = await filled('eu', 20)
	const other = await filled('eu', 5)
	await stack.stop()
	const objects = join(stack.stateDir, 'v3', 'do')
	const copy = join(stack.dataDir, 'copy')
	cpSync(objects, copy, { recursive: true })
	stack = await restart()
	await erased((await operator.ok('DELETE', `/v1/tenants/${tenant.id}`)).headers.get('Location') ?? '')

	// The objects' files of before, all of them: the shard comes back with its tables, its keys and its alarm.
	await stack.stop()
	for (const name of readdirSync(objects)) rmSync(join(objects, name), { recursive: true })
	cpSync(copy, objects, { recursive: true })
	stack = await restart()
	expect((await other.client.send('GET', '/v1/collections/people/records')).status).toBe(200)
	for (const path of ['/v1/tenant', '/v1/collections/people/records', '/v1/changes']) {
		const answer = await tenant.client.send('GET', path)
		expect([answer.status, answer.body.code], path).toEqual([410, 'tenant_erased'])
	}
	// A wake-up that comes late, or a watermark that somebody made by hand, lets nothing through either.
	const { write } = stack.databases.eu ?? { write: '' }
	const client = new pg.Client({ connectionString: write })
	await client.connect()
	const late =
		'INSERT INTO shard (tenant_id, shard, epoch, revision, applied_seq, read_seq, head_seq) VALUES ($1, 0, 1, 0, 0, 0, 0)'
	await client.query(late, [tenant.id])
	await client.end()
	await other.client.ok('POST', '/v1/collections/people/records', { n: 99 })
	await until('the ETL to have gone on', async () => (await rowsOf(other)).record === 6)
	expect((await rowsOf(tenant)).record).toBe(0)
	expect((await operator.ok('GET', `/v1/view/records?collection=people&tenant=${tenant.id}`)).body.records).toEqual([])
})

test('[R1] a region that the command has added does the whole job in stores of its own, restriction and erasure included', async () => {
	const tenant = await filled('us', 12)
	const { client, id } = tenant
	const schema = { properties: { person: { type: 'string', 'x-subject': true } } }
	await client.ok('PUT', '/v1/collections/notes', { schema })
	for (const person of ['u-1', 'u-2']) await client.ok('POST', '/v1/collections/notes/records', { person })
	const viewed = async (records: number) => {
		await until(`${records} records in the view`, async () => (await rowsOf(tenant)).record === records, 60_000)
		const deep = async () => {
			const { status, body } = await operator.send('GET', `/v1/view/verification?tenant=${id}&deep=true`)
			return status === 200 && body.deep
		}
		const nothing = { missing: [], extra: [], different: [], undecided: [], done: true }
		expect(await until('a comparison', deep, 60_000)).toMatchObject({ ...nothing, records })
	}
	await viewed(14)
	await client.ok('PUT', '/v1/subjects/u-1/restriction')
	await viewed(13)
	await operator.ok('PATCH', `/v1/tenants/${id}`, { status: 'restricted' })
	await viewed(0)
	expect((await client.send('POST', '/v1/collections/notes/records', {})).status).toBe(423)
	const { id: made } = (await client.ok('POST', '/v1/exports', {})).body
	const isDone = async () => (await client.ok('GET', `/v1/exports/${made}`)).body.status === 'done'
	await until('the export', isDone, 60_000)
	expect((await client.fetch(`/v1/exports/${made}/archive`)).status).toBe(200)
	await operator.ok('PATCH', `/v1/tenants/${id}`, { status: 'active' })
	await viewed(13)
	await client.ok('DELETE', '/v1/subjects/u-1/restriction')
	await viewed(14)
	for (const region of ['eu', 'global'])
		expect(await viewRows(stack, region, 'SELECT FROM tenant WHERE tenant_id = $1', [id])).toEqual([])
	expect(readdirSync(stack.bucketDir)).toContain('freehold-us')
	const { certificate } = await erased((await operator.ok('DELETE', `/v1/tenants/${id}`)).headers.get('Location') ?? '')
	expect(certificate).toMatchObject({ tenant: id, region: 'us' })
	expect(await rowsOf(tenant)).toEqual(nothing)

	// As in a database that was restored to before the erasure: a row is back, and the tombstone is gone.
	const database = connect(stack.databases.us?.write ?? '', stack.endpoint?.url ?? null)
	const [erasedTenant, another] = [parsed(id), parsed('us_01k9zq4m3c8t5w2x7v6y0r1n4p')]
	await viewRows(stack, 'us', 'DELETE FROM erasure WHERE tenant_id = $1', [id])
	await viewRows(
		stack,
		'us',
		`INSERT INTO collection (tenant_id, name, fields, created_at) VALUES ($1, 'x', '[]', now())`,
		[id],
	)
	expect(await listUnburied(database, [erasedTenant, another])).toEqual([erasedTenant, another])
	expect(await eraseTenant(database, erasedTenant, 2)).toBe(true)
	expect(await listUnburied(database, [erasedTenant])).toEqual([])
	expect(await rowsOf(tenant)).toEqual(nothing)
})

function parsed(text: string): TenantId {
	const tenant = parseTenantId(text)
	if (tenant === null) throw new Error('no tenant')
	return tenant
}

async function restart(): Promise<Stack> {
	const port = Number(new URL(stack.url).port)
	return startStack({ dataDir: stack.dataDir, runtime: 'direct', port, config })
}
