import { spawn } from 'node:child_process'
import { openAsBlob, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Manifest } from '../../core/archive.ts'
import { verifyArchive } from '../../dev/archive-file.ts'
import { exportTenant, importArchive, manifestOf } from '../../dev/archive-transfer.ts'
import { Client as Carrier } from '../../dev/client.ts'
import { readDatasets } from '../../dev/demo/data.ts'
import { load } from '../../dev/demo/load.ts'
import { provision } from '../../dev/demo/tenants.ts'
import { environment, projectDir } from '../../dev/processes.ts'
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

const sums = ({ files }: Manifest) =>
	files.filter(({ path }) => path.startsWith('collections/')).map(({ path, sha256 }) => [path, sha256])

test("[X1] the demo's real data come out of a tenant of the other region as they went in, byte for byte", async () => {
	// One tenant of each kind: ids of the source and minted ones, unique and personal fields, one collection and two.
	const kinds = ['atlas-africa', 'film-archive']
	const datasets = readDatasets().filter(({ slug }) => kinds.includes(slug))
	const operator = new Carrier(stack.url, stack.operatorToken)
	const tenants = await provision(stack.url, operator, datasets)
	await load(tenants, () => {})
	const abroad = datasets.map((dataset) => ({
		...{ ...dataset, slug: `${dataset.slug}-abroad`, collections: [] },
		region: dataset.region === 'eu' ? ('global' as const) : ('eu' as const),
	}))
	const places = await provision(stack.url, operator, abroad)
	for (const [index, { client }] of tenants.entries()) {
		const to = places[index]?.client
		if (!to) throw new Error('a tenant is missing')
		const made = await exportTenant(client, '/v1/exports', 'out')
		const file = join(stack.dataDir, `${made.id}.zip`)
		await client.download(`/v1/exports/${made.id}/archive`, file)
		const first = await verifyArchive(file)
		expect(await importArchive(to, '/v1/imports', file, 'in')).toMatchObject({ status: 'done', errors: [] })
		const second = await manifestOf(to, '/v1/exports', await exportTenant(to, '/v1/exports', 'out-again'))
		expect(sums(second)).toEqual(sums(first))
		expect(second.counts.records).toBe(first.counts.records)
	}
})

/** Runs `npm run move` or `npm run restore`, and kills it when it has said something; answers all that it said. */
function run(
	name: 'move' | 'restore',
	tenant: string,
	args: string[],
	killAt: string | null = null,
): Promise<{ code: number | null; said: string }> {
	const env = { ...environment(), FREEHOLD_OPERATOR_TOKEN: stack.operatorToken }
	const full = [`dev/${name}.ts`, tenant, '--url', stack.url, ...args]
	const command = spawn(process.execPath, full, { cwd: projectDir, env })
	let said = ''
	for (const output of [command.stdout, command.stderr])
		output.on('data', (data) => {
			said += data
			if (killAt !== null && said.includes(killAt)) command.kill('SIGKILL')
		})
	return new Promise((resolve) => command.once('close', (code) => resolve({ code, said })))
}

test('[U2] [X1] a tenant moves to another region though the command is killed between its steps, and nothing acknowledged is lost', async () => {
	const tenant = await createTenant(stack, 'global')
	const operator = new Client(stack.url, stack.operatorToken)
	const { slug } = (await tenant.client.ok('GET', '/v1/tenant')).body
	await tenant.client.ok('PUT', '/v1/collections/notes', { schema: {} })
	// A part of so many bytes takes more room in the real runtime than it has bytes.
	const operations = Array.from({ length: 400 }, (_, n) => ({ op: 'create', collection: 'notes', data: { n } }))
	const batch = await tenant.client.ok('POST', '/v1/batch', { operations })
	const acknowledged: string[] = batch.body.results.map(({ id }: { id: string }) => id)
	let refused = false
	const writing = (async () => {
		while (!refused) {
			const answer = await tenant.client.send('POST', '/v1/collections/notes/records', { n: acknowledged.length })
			if (answer.status === 201) acknowledged.push(answer.body.id)
			else if (answer.body.code === 'tenant_suspended') refused = true
			else throw new Error(answer.text)
		}
	})()
	const dir = join(stack.dataDir, 'move')
	const args = ['--to', 'eu', '--dir', dir]
	const planned = await run('move', tenant.id, [...args, '--dry-run'])
	expect([planned.code, planned.said]).toEqual([0, expect.stringContaining('Nothing was changed')])
	expect(await run('move', tenant.id, ['--to', 'mars', '--dry-run'])).toMatchObject({ code: 1 })
	expect(refused).toBe(false)
	for (const killAt of ['is suspended', 'every byte fits', 'holds the same']) {
		const { code, said } = await run('move', tenant.id, args, killAt)
		expect([code, said], said).toEqual([null, expect.stringContaining(killAt)])
	}
	await writing
	expect(acknowledged.length).toBeGreaterThan(400)
	expect(await run('move', tenant.id, args), 'the last run').toMatchObject({ code: 0 })

	const moved = new Client(stack.url, readFileSync(join(dir, 'api-key.txt'), 'utf8').trim())
	const { body } = await moved.ok('GET', '/v1/tenant')
	expect(body).toMatchObject({ slug, region: 'eu', status: 'active', usage: { records: acknowledged.length } })
	for (const id of acknowledged.slice(400)) await moved.ok('GET', `/v1/collections/notes/records/${id}`)
	expect((await tenant.client.send('GET', '/v1/tenant')).body.code).toBe('tenant_erased')
	expect((await operator.send('POST', '/v1/tenants', { slug, name: 'Another' })).body.code).toBe('slug_taken')
	await until('the view of the new region to have it, and the old one nothing', async () => {
		const count = 'SELECT count(*)::int AS n FROM record WHERE tenant_id = ANY ($1)'
		const both = [[tenant.id, body.id]]
		const [[eu], [global]] = await Promise.all([
			viewRows(stack, 'eu', count, both),
			viewRows(stack, 'global', count, both),
		])
		return eu?.n === acknowledged.length && global?.n === 0
	})
	// Whoever starts it once more is told that it is done.
	expect(await run('move', tenant.id, args)).toMatchObject({ code: 0 })
})

test('[E1] [V3] a tenant goes back to its archive by one command, killed in between, and the view follows; nobody erased comes back', async () => {
	const [tenant, other] = [await createTenant(stack, 'eu'), await createTenant(stack, 'eu')]
	const schema = { properties: { who: { type: 'string', 'x-subject': true } } }
	for (const { client } of [tenant, other]) {
		await client.ok('PUT', '/v1/collections/notes', { schema })
		for (const who of ['ada', 'bob']) await client.ok('PUT', `/v1/collections/notes/records/${who}`, { who })
	}
	const carrier = new Carrier(stack.url, stack.operatorToken)
	const exports = `/v1/tenants/${tenant.id}/exports`
	const made = await exportTenant(carrier, exports, `backup-${tenant.id}`)
	const archive = join(stack.dataDir, 'backup.zip')
	await carrier.download(`${exports}/${made.id}/archive`, archive)
	await tenant.client.ok('DELETE', '/v1/subjects/ada')
	await tenant.client.ok('PUT', '/v1/collections/notes/records/bob', { who: 'mallory' })
	await tenant.client.ok('PUT', '/v1/collections/notes/records/new', { who: 'new' })

	const args = ['--archive', archive, '--dir', join(stack.dataDir, 'restore')]
	const planned = await run('restore', tenant.id, [...args, '--dry-run'])
	expect([planned.code, planned.said]).toEqual([0, expect.stringContaining('nothing was changed')])
	expect(await run('restore', other.id, args)).toMatchObject({
		code: 1,
		said: expect.stringContaining('never had its slug'),
	})
	expect((await run('restore', tenant.id, args, 'to undo this')).code).toBe(null)
	expect((await tenant.client.send('GET', '/v1/collections')).body.code).toBe('tenant_suspended')
	expect(await run('restore', tenant.id, args)).toMatchObject({ code: 0 })

	const { body } = await tenant.client.ok('GET', '/v1/collections/notes/records')
	expect(body.records.map(({ id, data }: { id: string; data: object }) => [id, data])).toEqual([
		['bob', { who: 'bob' }],
	])
	const operator = new Client(stack.url, stack.operatorToken)
	await until('the view to be what the shard is', async () => {
		const rows = 'SELECT id, data FROM record WHERE tenant_id = $1'
		const { exact } = (await operator.ok('GET', `/v1/view/freshness?tenant=${tenant.id}`)).body
		const view = await viewRows(stack, 'eu', rows, [tenant.id])
		return exact && JSON.stringify(view) === JSON.stringify([{ id: 'bob', data: { who: 'bob' } }])
	})
	const epochOf = async ({ id }: { id: string }) =>
		(await viewRows(stack, 'eu', 'SELECT epoch::int FROM shard WHERE tenant_id = $1', [id]))[0]?.epoch
	// Of the command that was killed nothing had come that far.
	expect([await epochOf(tenant), await epochOf(other)]).toEqual([2, 1])
	expect((await other.client.ok('GET', '/v1/collections/notes/records')).body.records).toHaveLength(2)
})
