/** What a tenant's rights cost: its export, the import of that archive elsewhere, and its erasure, with the memory that the runtime takes. */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { z } from 'zod'
import { verifyArchive } from '../dev/archive-file.ts'
import { exportTenant, importArchive } from '../dev/archive-transfer.ts'
import { Client } from '../dev/client.ts'
import { residentBytes } from './cpu.ts'
import type { Hosted } from './hosted.ts'
import { pause } from './load.ts'
import { collection, recordText } from './records.ts'

export interface RightsResult {
	records: number
	/** Of the files in the archive, before packing. */
	megabytes: number
	exportSeconds: number
	downloadSeconds: number
	importSeconds: number
	/** From the request until the certificate. */
	eraseSeconds: number
	/**
	 * By how much the runtime's process was larger than before, at most, in megabytes: while it exported, and while it sent the archive. It
	 * holds the objects' SQLite and the bucket too, so it is more than what an isolate holds.
	 */
	exportGrowth: number
	downloadGrowth: number
}

const batchRecords = 500
const lookMs = 50

/** @param firstSerial of `records` serial numbers that nobody else uses */
export async function measureRights(
	freehold: Hosted,
	{ records, recordBytes, firstSerial }: { records: number; recordBytes: 300 | 2000; firstSerial: number },
): Promise<RightsResult> {
	const { port, secret } = freehold.address
	const operator = new Client(`http://127.0.0.1:${port}`, secret ?? '')
	const file = join(tmpdir(), `freehold-bench-${process.pid}.zip`)
	const [tenant] = await freehold.client.provision(1)
	if (tenant === undefined) throw new Error('no tenant was made')
	try {
		for (let done = 0; done < records; done += batchRecords) {
			const count = Math.min(batchRecords, records - done)
			const texts = Array.from({ length: count }, (_, place) => recordText(firstSerial + done + place, recordBytes))
			await freehold.client.seed(tenant, collection, texts)
		}
		const exports = `/v1/tenants/${tenant.id}/exports`
		const exported = await timed(freehold, () => exportTenant(operator, exports, 'bench'))
		const download = () => operator.download(`${exports}/${exported.value.id}/archive`, file)
		const downloaded = await timed(freehold, download)
		const { files, counts } = await verifyArchive(file)
		if (counts.records !== records) throw new Error(`the archive has ${counts.records} records`)
		const importSeconds = await importElsewhere(freehold, operator, file)
		const erased = await timed(freehold, () => erase(operator, tenant.id))
		return {
			records,
			megabytes: files.reduce((sum, { bytes }) => sum + bytes, 0) / 1_000_000,
			exportSeconds: exported.seconds,
			downloadSeconds: downloaded.seconds,
			importSeconds,
			eraseSeconds: erased.seconds,
			exportGrowth: exported.growth,
			downloadGrowth: downloaded.growth,
		}
	} finally {
		rmSync(file, { force: true })
	}
}

const created = z.object({ id: z.string() })

async function importElsewhere(freehold: Hosted, operator: Client, file: string): Promise<number> {
	const body = { slug: `import-${Date.now()}`, name: 'Import' }
	const { id } = await operator.ask('POST', '/v1/tenants', created, { body })
	const { value, seconds } = await timed(freehold, () =>
		importArchive(operator, `/v1/tenants/${id}/imports`, file, 'bench'),
	)
	if (value.status !== 'done') throw new Error(`the import has ${value.status}: ${value.errors[0]?.detail}`)
	return seconds
}

const erasure = z.object({ status: z.string() })

async function erase(operator: Client, tenant: string): Promise<void> {
	const asked = await operator.send('DELETE', `/v1/tenants/${tenant}`, { idempotencyKey: 'bench' })
	const location = asked.headers.get('Location') ?? ''
	while ((await operator.ask('GET', location, erasure)).status !== 'done') await pause(lookMs)
}

/** Does it, and says how long it took, and by how many megabytes the runtime grew meanwhile. */
async function timed<T>(
	freehold: Hosted,
	work: () => Promise<T>,
): Promise<{ value: T; seconds: number; growth: number }> {
	const before = residentBytes(freehold.pid, 'workerd')
	let most = before
	const watch = setInterval(() => {
		most = Math.max(most, residentBytes(freehold.pid, 'workerd'))
	}, lookMs)
	const startedAt = performance.now()
	try {
		const value = await work()
		const seconds = (performance.now() - startedAt) / 1_000
		return { value, seconds, growth: (most - before) / 1_000_000 }
	} finally {
		clearInterval(watch)
	}
}
