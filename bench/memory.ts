/** What an isolate holds while one object has a million records: filled, under load, exported and downloaded. */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { verifyArchive } from '../dev/archive-file.ts'
import { exportTenant } from '../dev/archive-transfer.ts'
import { Client } from '../dev/client.ts'
import { residentBytes } from './cpu.ts'
import { fill, type Place, readFrom, spread, writeTo } from './growth.ts'
import { Heap, type HeapMost } from './heap.ts'
import { type Hosted, host } from './hosted.ts'
import { closedLoop } from './load.ts'
import { freshRecords } from './population.ts'
import { collection, teamOf } from './records.ts'

export interface MemoryResult {
	records: number
	/** Of the files in the archive, before packing. */
	megabytes: number
	/** The bound of the platform, which V8 is given too: it ends the runtime when the heap needs more. */
	heapMegabytesMax: number
	phases: MemoryPhase[]
}

interface MemoryPhase extends HeapMost {
	what: string
	seconds: number
	/** Megabytes of the whole process: SQLite's pages, the queue and the bucket are simulated in it. */
	resident: number
}

const heapMegabytesMax = 128
/** With what the archive says of each and its audit log, a million are more than 1 GB. */
const recordBytes = 700
const loadConnections = 16
const loadSeconds = 15
const lookMs = 100

export async function measureMemory(
	dataDir: string,
	records: number,
	say: (line: string) => void,
): Promise<MemoryResult> {
	const hosted = await host('freehold', dataDir, { heapMegabytesMax })
	const heap = await Heap.open(hosted.address.inspectorPort ?? 0)
	const file = join(tmpdir(), `freehold-bench-${process.pid}.zip`)
	const phases: MemoryPhase[] = []
	const phase = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
		const { value, ...measured } = await watched(hosted, heap, work)
		phases.push({ what, ...measured })
		say(
			`${what}: ${measured.seconds.toFixed(0)} s, live ${measured.live.toFixed(0)} MB, with garbage ${measured.total.toFixed(0)} MB`,
		)
		return value
	}
	try {
		const [tenant] = await hosted.client.provision(1)
		if (tenant === undefined) throw new Error('no tenant was made')
		const place = await phase('filled by batches of 1,000', () => fill(hosted.client, tenant, records, recordBytes))
		await phase('under load of reads, lists, writes and batches', () => loaded(hosted, place))
		const operator = new Client(`http://127.0.0.1:${hosted.address.port}`, hosted.address.secret ?? '')
		const exports = `/v1/tenants/${tenant.id}/exports`
		const { id } = await phase('exported', () => exportTenant(operator, exports, 'bench'))
		await phase('downloaded as an archive', () => operator.download(`${exports}/${id}/archive`, file))
		const { files, counts } = await verifyArchive(file)
		if (counts.records < records) throw new Error(`the archive has ${counts.records} records`)
		const megabytes = files.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6
		return { records, megabytes, heapMegabytesMax, phases }
	} finally {
		heap.close()
		await hosted.stop()
		rmSync(file, { force: true })
	}
}

/** Of ten requests six are reads, two writes, one a list and one a batch. */
async function loaded(hosted: Hosted, place: Place): Promise<void> {
	const { client } = hosted
	const { tenant } = place
	const group = { hosted, places: [place] }
	const [read, write, count] = [readFrom(group), writeTo(group), spread()]
	const list = () => client.list?.(tenant, collection, teamOf(count()), 50) ?? ''
	const batch = () => client.batch?.(tenant, collection, freshRecords(500, 300)) ?? ''
	const kinds = [read, write, read, list, read, read, write, read, batch, read]
	let turn = 0
	const next = () => {
		turn += 1
		return (kinds[turn % kinds.length] ?? read)()
	}
	const { failures, firstFailure } = await closedLoop({
		...{ port: hosted.address.port, connections: loadConnections, seconds: loadSeconds },
		next,
	})
	if (failures > 0) throw new Error(`${failures} requests failed, the first: ${firstFailure}`)
}

async function watched<T>(hosted: Hosted, heap: Heap, work: () => Promise<T>) {
	let resident = 0
	const watch = setInterval(() => {
		resident = Math.max(resident, residentBytes(hosted.pid, 'workerd') / 1e6)
	}, lookMs)
	const startedAt = performance.now()
	try {
		const { value, most } = await heap.watch(work)
		return { value, seconds: (performance.now() - startedAt) / 1_000, ...most, resident }
	} finally {
		clearInterval(watch)
	}
}
