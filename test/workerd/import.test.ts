import { expect, test, vi } from 'vitest'
import { people } from '../shard.ts'
import { type NewTenant, newTenant, request, send, sendRequest } from './client.ts'
import { gatherLog } from './log.ts'
import { readProblem } from './problem.ts'

vi.setConfig({ testTimeout: 60_000 })
gatherLog()

async function archiveOf(tenant: NewTenant): Promise<Uint8Array> {
	const begun = await send('POST', '/v1/exports', tenant.secret, {})
	const path = begun.headers.get('Location') ?? ''
	const status = async () => (await (await send('GET', path, tenant.secret)).json<{ status: string }>()).status
	await expect.poll(status, { timeout: 30_000 }).toBe('done')
	return new Uint8Array(await (await send('GET', `${path}/archive`, tenant.secret)).arrayBuffer())
}

function upload(tenant: NewTenant, path: string, bytes: Uint8Array): Promise<Response> {
	const headers = { 'Content-Type': 'application/zip', 'Content-Length': String(bytes.length) }
	const asked = request('PUT', path, tenant.secret, undefined, headers)
	return sendRequest(new Request(asked, { body: bytes }))
}

test('[X1] an archive of one region is imported in parts into a tenant of another, and exported again', async () => {
	const from = await newTenant('eu')
	expect((await send('PUT', '/v1/collections/people', from.secret, { schema: people })).status).toBe(201)
	const operations = Array.from({ length: 20 }, (_, index) => ({
		op: 'put',
		collection: 'people',
		id: `p-${index}`,
		data: { email: `${index}@example.com`, phone: 'äöü' },
	}))
	expect((await send('POST', '/v1/batch', from.secret, { operations })).status).toBe(200)
	const bytes = await archiveOf(from)

	const to = await newTenant('global')
	const begun = await send('POST', '/v1/imports', to.secret, { parts: 2 })
	expect(begun.status).toBe(201)
	const path = begun.headers.get('Location') ?? ''
	const half = Math.floor(bytes.length / 2)
	const second = await upload(to, `${path}/archive?part=2`, bytes.slice(half))
	expect(await second.json()).toMatchObject({ status: 'waiting', parts: 2, parts_done: 1 })
	expect((await readProblem(await upload(to, `${path}/archive?part=3`, bytes))).code).toBe('invalid_request')
	expect((await upload(to, `${path}/archive?part=1`, bytes.slice(0, half))).status).toBe(200)
	const read = async () => (await send('GET', path, to.secret)).json<{ status: string }>()
	await expect.poll(async () => (await read()).status, { timeout: 30_000 }).toBe('done')
	expect(await read()).toMatchObject({ records_done: 20, records_total: 20, errors: [] })
	expect((await readProblem(await upload(to, `${path}/archive`, bytes))).code).toBe('not_ready')

	const record = '/v1/collections/people/records/p-7'
	const original = await (await send('GET', record, from.secret)).text()
	expect(await (await send('GET', record, to.secret)).text()).toBe(original)
})

test('an archive that is broken is refused by file, and the tenant stays empty', async () => {
	const from = await newTenant()
	expect((await send('PUT', '/v1/collections/people', from.secret, { schema: people })).status).toBe(201)
	const bytes = await archiveOf(from)
	const to = await newTenant()
	const begun = await send('POST', '/v1/imports', to.secret, {})
	const path = begun.headers.get('Location') ?? ''
	expect((await upload(to, `${path}/archive`, bytes.slice(0, -1))).status).toBe(200)
	const read = async () => (await send('GET', path, to.secret)).json<{ status: string }>()
	await expect.poll(async () => (await read()).status, { timeout: 30_000 }).toBe('failed')
	expect(await read()).toMatchObject({ errors: [{ file: '', line: null, detail: expect.stringContaining('as long') }] })
	expect(await (await send('GET', '/v1/collections', to.secret)).json()).toEqual({ collections: [] })
})
