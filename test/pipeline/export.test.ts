import { openAsBlob, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { verifyArchive } from '../../dev/archive-file.ts'
import {
	Client,
	createTenant,
	killWorkerd,
	type TemporaryStack,
	type Tenant,
	temporaryStack,
	until,
	viewRows,
} from '../stack-client.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })
let stack: TemporaryStack

beforeAll(async () => {
	stack = await temporaryStack()
})

afterAll(() => stack.remove())

/** A tenant with about 20 MB in one collection. */
async function filled(): Promise<Tenant> {
	const tenant = await createTenant(stack, 'eu')
	await tenant.client.ok('PUT', '/v1/collections/notes', { schema: {} })
	for (let batch = 0; batch < 10; batch++) {
		const operations = Array.from({ length: 100 }, (_, n) => ({
			...{ op: 'put', collection: 'notes', id: `n-${batch * 100 + n}`, data: { n, text: 'äx'.repeat(7_000) } },
		}))
		await tenant.client.ok('POST', '/v1/batch', { operations })
	}
	return tenant
}

interface Shown {
	status: string
	records_done: number
	archive_bytes: number
}

/** The answer, whether or not somebody has just killed who gives it. */
async function show({ client }: Tenant, path: string): Promise<Shown | null> {
	try {
		const { status, body } = await client.send('GET', path)
		return status === 200 ? body : null
	} catch {
		return null
	}
}

async function download({ client }: Tenant, path: string, file: string): Promise<Headers> {
	const response = await client.fetch(`${path}/archive`)
	expect(response.status).toBe(200)
	writeFileSync(file, Buffer.from(await response.arrayBuffer()))
	return response.headers
}

test('[X2] an export survives kills of the process while others write, its import survives them too, and the view follows', async () => {
	const tenant = await filled()
	const begun = await tenant.client.ok('POST', '/v1/exports', {})
	const path = begun.headers.get('Location') ?? ''
	let kills = 0
	let written = 0
	await until(
		'the export to be done',
		async () => {
			const shown = await show(tenant, path)
			if (shown?.status === 'done') return true
			const progressed = shown !== null && shown.records_done > 0
			if (kills < 3 && (progressed || kills === 0) && killWorkerd(stack.runtime.pid)) kills++
			// Each write replaces what the export may not have read yet, and makes something that does not belong to it.
			const operations = [
				{ op: 'put', collection: 'notes', id: `n-${999 - written}`, data: { changed: true } },
				{ op: 'put', collection: 'notes', id: `new-${written}`, data: {} },
			]
			const answer = await tenant.client.send('POST', '/v1/batch', { operations }).catch(() => null)
			if (answer?.status === 200) written++
			return false
		},
		120_000,
	)
	expect(kills).toBeGreaterThan(0)
	const file = join(stack.dataDir, 'export.zip')
	const headers = await download(tenant, path, file)
	const { archive_bytes: length } = (await show(tenant, path)) ?? { archive_bytes: 0 }
	expect(headers.get('Content-Length')).toBe(String(length))
	const manifest = await verifyArchive(file)
	expect(manifest.counts).toMatchObject({ collections: 1, records: 1_000 })

	const to = await createTenant(stack, 'global')
	const created = await to.client.ok('POST', '/v1/imports', {})
	const imports = created.headers.get('Location') ?? ''
	const uploaded = await to.client.fetch(`${imports}/archive`, { method: 'PUT', body: await openAsBlob(file) })
	expect(uploaded.status, await uploaded.text()).toBe(200)
	killWorkerd(stack.runtime.pid)
	await until('the import to be done', async () => (await show(to, imports))?.status === 'done', 120_000)
	const first = await to.client.ok('GET', '/v1/collections/notes/records/n-0')
	expect(first.body.data).toEqual({ n: 0, text: 'äx'.repeat(7_000) })
	const count = async () => {
		const [row] = await viewRows(stack, 'global', 'SELECT count(*)::int AS n FROM record WHERE tenant_id = $1', [to.id])
		return row?.n === 1_000
	}
	await until('the view to have what was imported', count, 120_000)
	const operator = new Client(stack.url, stack.operatorToken)
	await until('the view to be exact', async () => {
		const { body } = await operator.ok('GET', `/v1/view/freshness?tenant=${to.id}`)
		return body.exact === true
	})
})
