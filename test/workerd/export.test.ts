import { env } from 'cloudflare:workers'
import { expect, test, vi } from 'vitest'
import type { Env } from '../../workers/env.ts'
import { linesOf, readArchive } from '../archive-reader.ts'
import { people } from '../shard.ts'
import { type NewTenant, newTenant, send } from './client.ts'
import { gatherLog } from './log.ts'
import { readProblem } from './problem.ts'

const bindings = env as unknown as Env
vi.setConfig({ testTimeout: 60_000 })
gatherLog()

async function withPeople(records: number): Promise<NewTenant> {
	const tenant = await newTenant()
	expect((await send('PUT', '/v1/collections/people', tenant.secret, { schema: people })).status).toBe(201)
	const operations = Array.from({ length: records }, (_, index) => ({
		op: 'put',
		collection: 'people',
		id: `p-${index}`,
		data: { email: `${index}@example.com`, phone: 'äöü 空' },
	}))
	if (records > 0) expect((await send('POST', '/v1/batch', tenant.secret, { operations })).status).toBe(200)
	return tenant
}

async function finished(path: string, bearer: string): Promise<{ archive_bytes: number; as_of_seq: number }> {
	const read = async () => {
		const response = await send('GET', path, bearer)
		return response.json<{ status: string; archive_bytes: number; as_of_seq: number }>()
	}
	await expect.poll(async () => (await read()).status, { timeout: 30_000 }).toBe('done')
	return read()
}

test('an export is begun, performed by the consumer and downloaded, as a whole and resumed', async () => {
	const tenant = await withPeople(30)
	const begun = await send('POST', '/v1/exports', tenant.secret, { csv: true })
	expect(begun.status).toBe(202)
	const path = begun.headers.get('Location') ?? ''
	expect(await begun.json()).toMatchObject({ status: 'running', records_total: 30, csv: true, errors: [] })
	const done = await finished(path, tenant.secret)
	const whole = await send('GET', `${path}/archive`, tenant.secret)
	expect(whole.headers.get('Accept-Ranges')).toBe('bytes')
	expect(whole.headers.get('Content-Disposition')).toBe(`attachment; filename="${tenant.slug}-${done.as_of_seq}.zip"`)
	const bytes = new Uint8Array(await whole.arrayBuffer())
	expect(bytes.length).toBe(done.archive_bytes)
	const { manifest, files } = await readArchive(bytes)
	expect(manifest.tenant).toMatchObject({ id: tenant.id, slug: tenant.slug, region: 'eu' })
	expect(linesOf(files.get('collections/people/records.ndjson'))).toHaveLength(30)
	expect(JSON.parse(linesOf(files.get('collections/people/records.ndjson'))[0] ?? '').data.phone).toBe('äöü 空')

	const rest = await send('GET', `${path}/archive`, tenant.secret, undefined, { Range: 'bytes=100-' })
	expect([rest.status, rest.headers.get('Content-Range')]).toEqual([
		206,
		`bytes 100-${bytes.length - 1}/${bytes.length}`,
	])
	expect(new Uint8Array(await rest.arrayBuffer())).toEqual(bytes.slice(100))
	const beyond = await send('GET', `${path}/archive`, tenant.secret, undefined, { Range: `bytes=${bytes.length}-` })
	expect((await readProblem(beyond)).code).toBe('range_not_satisfiable')
})

test('an operator exports a tenant, also a suspended one, and the audit log says who', async () => {
	const tenant = await withPeople(1)
	const operator = bindings.OPERATOR_TOKEN
	await send('PATCH', `/v1/tenants/${tenant.id}`, operator, { status: 'suspended' })
	const begun = await send('POST', `/v1/tenants/${tenant.id}/exports`, operator)
	expect(begun.status).toBe(202)
	const path = begun.headers.get('Location') ?? ''
	await finished(path, operator)
	const { files } = await readArchive(
		new Uint8Array(await (await send('GET', `${path}/archive`, operator)).arrayBuffer()),
	)
	expect(JSON.parse(linesOf(files.get('audit.ndjson')).at(-1) ?? '')).toMatchObject({
		op: 'export',
		actor: 'operator:operator',
	})
	await send('PATCH', `/v1/tenants/${tenant.id}`, operator, { status: 'active' })
	const changes = await send('GET', '/v1/changes?limit=1000', tenant.secret)
	const { changes: listed } = await changes.json<{ changes: { op: string; actor: string }[] }>()
	expect(listed.filter(({ op }) => op === 'access').map(({ actor }) => actor)).toEqual(['operator:operator'])
	expect((await send('DELETE', path, operator)).status).toBe(204)
	expect((await readProblem(await send('GET', `${path}/archive`, operator))).code).toBe('not_found')
})

test('[T1] an export of one tenant is not found by another, and its key needs the scope', async () => {
	const tenant = await withPeople(1)
	const other = await newTenant()
	const begun = await send('POST', '/v1/exports', tenant.secret, {})
	const path = begun.headers.get('Location') ?? ''
	await finished(path, tenant.secret)
	for (const [method, to] of [
		['GET', path],
		['GET', `${path}/archive`],
		['DELETE', path],
	] as const)
		expect((await readProblem(await send(method, to, other.secret))).code).toBe('not_found')
	const id = path.split('/').at(-1)
	const foreign = await send('GET', `/v1/tenants/${other.id}/exports/${id}/archive`, bindings.OPERATOR_TOKEN)
	expect((await readProblem(foreign)).code).toBe('not_found')
})

test('[I1] a repeated request with the same key begins one export', async () => {
	const tenant = await withPeople(1)
	const headers = { 'Idempotency-Key': 'once' }
	const [first, second] = [
		await send('POST', '/v1/exports', tenant.secret, {}, headers),
		await send('POST', '/v1/exports', tenant.secret, {}, headers),
	]
	expect([first.status, second.status, second.headers.get('Idempotency-Replayed')]).toEqual([202, 202, 'true'])
	expect(second.headers.get('Location')).toBe(first.headers.get('Location'))
	const list = await send('GET', '/v1/exports', tenant.secret)
	expect((await list.json<{ exports: unknown[] }>()).exports).toHaveLength(1)
})
