import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Manifest } from '../../core/archive.ts'
import { verifyArchive } from '../archive-file.ts'
import { exportTenant, importArchive, manifestOf } from '../archive-transfer.ts'
import { type Client, nextOf } from '../client.ts'
import { number, plural, type Report, seconds } from './report.ts'
import { provision, type Tenant, tenantOf } from './tenants.ts'
import { awaitView, readRecords, withoutPersonal } from './view.ts'

const record = z.object({
	id: z.string(),
	version: z.int(),
	created_at: z.string(),
	updated_at: z.string(),
	data: z.record(z.string(), z.unknown()),
})
type FullRecord = z.infer<typeof record>
const list = z.object({ records: z.array(record) })
const usage = z.object({ usage: z.object({ position: z.int() }) })

/** The film archive takes its data along: everything as one file, checked, and read into a tenant of the other region. */
export async function showRelocation(report: Report, url: string, operator: Client, tenants: Tenant[]): Promise<void> {
	const from = tenantOf(tenants, 'film-archive')
	const folder = mkdtempSync(join(tmpdir(), 'freehold-archive-'))
	try {
		const file = join(folder, 'film-archive.zip')
		const taken = await takeOut(report, from, file)
		const dataset = { ...from.dataset, slug: 'film-archive-abroad', region: 'global' as const, collections: [] }
		const [to] = await provision(url, operator, [dataset])
		if (!to) throw new Error('the tenant abroad was not made')
		await readInto(report, to, file)
		await compareBoth(report, operator, { from, to, taken })
	} finally {
		rmSync(folder, { recursive: true, force: true })
	}
}

async function takeOut(report: Report, { client, held }: Tenant, file: string): Promise<Manifest> {
	const startedAt = performance.now()
	const made = await exportTenant(client, '/v1/exports', 'take-along')
	await client.download(`/v1/exports/${made.id}/archive`, file)
	const kilobytes = number(Math.round(statSync(file).size / 1_000))
	report.line(
		`exported in ${seconds(performance.now() - startedAt)}: a zip of ${kilobytes} kB, exactly as of position ${made.as_of_seq}`,
	)
	// What `npm run archive -- verify` does.
	const manifest = await verifyArchive(file)
	const records = [...held.values()].reduce((sum, one) => sum + one.size, 0)
	report.check(
		`every byte of it fits its manifest: ${plural(manifest.files.length, 'file')} with their SHA-256, ${plural(records, 'record')}`,
		manifest.counts.records,
		records,
	)
	return manifest
}

async function readInto(report: Report, { client }: Tenant, file: string): Promise<void> {
	const startedAt = performance.now()
	const { status, records_done, errors } = await importArchive(client, '/v1/imports', file, 'bring-along')
	report.check(
		`a tenant in global has read it in ${seconds(performance.now() - startedAt)}: ${plural(records_done, 'record')}`,
		[status, errors],
		['done', []],
	)
}

interface Both {
	from: Tenant
	to: Tenant
	taken: Manifest
}

async function compareBoth(report: Report, operator: Client, { from, to, taken }: Both): Promise<void> {
	const [here, there] = await Promise.all([readFilms(from), readFilms(to)])
	report.check(
		`both hold the same ${plural(here.length, 'record')}, with their ids, versions and times`,
		isDeepStrictEqual(there, here),
		true,
	)
	const again = await manifestOf(to.client, '/v1/exports', await exportTenant(to.client, '/v1/exports', 'and-again'))
	report.check('exported from there, each file of a collection has the same SHA-256', sums(again), sums(taken))
	const { usage: used } = await to.client.ask('GET', '/v1/tenant', usage)
	await awaitView(operator, [{ ...to, position: used.position }])
	const { records } = await readRecords(operator, { collection: 'films', tenant: to.id, limit: '1000' })
	const viewed = new Map(records.map(({ id, data }) => [id, data]))
	report.check(
		'the view of the other region has them, again without directors',
		here.every(({ id, data }) => isDeepStrictEqual(viewed.get(id), withoutPersonal(from, 'films', data))),
		true,
	)
}

async function readFilms({ client }: Tenant): Promise<FullRecord[]> {
	const found: FullRecord[] = []
	for (let path: string | null = '/v1/collections/films/records?limit=1000'; path !== null; ) {
		const answer = await client.send('GET', path)
		found.push(...list.parse(JSON.parse(answer.text)).records)
		path = nextOf(answer)
	}
	return found
}

function sums({ files }: Manifest): string[] {
	return files.flatMap(({ path, sha256 }) => (path.startsWith('collections/') ? [`${sha256}  ${path}`] : []))
}
