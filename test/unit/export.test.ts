import { expect, test } from 'vitest'
import type { Announcement } from '../../core/contract.ts'
import { deliveryMsMax, exportKeptMs, exportRunningMsMax, jobSilenceMs, jobSilenceMsMax } from '../../core/limits.ts'
import type { Database } from '../../db/neon/client.ts'
import { recordText } from '../../workers/api/representation.ts'
import { consume } from '../../workers/queue-consumer/consumer.ts'
import { linesOf, readArchive } from '../archive-reader.ts'
import { message, testPorts } from '../consumer-ports.ts'
import { Jobs } from '../jobs.ts'
import { people, ShardFixture, seeded } from '../shard.ts'

async function withPeople(records = 3): Promise<{ fixture: ShardFixture; jobs: Jobs; ids: string[] }> {
	const fixture = new ShardFixture()
	await fixture.collection('people', people)
	const ids: string[] = []
	for (let index = 0; index < records; index++) {
		const { record } = await fixture.create('people', { email: `${index}@example.com`, age: index, phone: '1' })
		ids.push(record.id)
	}
	return { fixture, jobs: new Jobs(fixture), ids: ids.sort() }
}

/** Jobs have nothing to do with the view. */
const noDatabase: Database = {
	query: () => Promise.reject(new Error('no statement was expected')),
	write: () => Promise.reject(new Error('no statement was expected')),
	read: () => Promise.reject(new Error('no statement was expected')),
}

async function begin(fixture: ShardFixture, csv = false): Promise<{ id: string; asOfSeq: number }> {
	const { export: made } = await fixture.ask({ name: 'export.create', csv })
	return made
}

test('an archive holds every collection, personal fields included, and the journal, each file as the manifest says', async () => {
	const { fixture, jobs, ids } = await withPeople()
	await fixture.collection('empty', { title: 'Leer – 空' })
	const { id, asOfSeq } = await begin(fixture)
	await jobs.run(id)
	const { export: done } = await fixture.ask({ name: 'export.get', id })
	const bytes = await jobs.archive(id)
	expect(done).toMatchObject({ state: 'done', recordsDone: 3, recordsTotal: 3, asOfSeq, archiveBytes: bytes.length })
	const { manifest, files, paths } = await readArchive(bytes)
	expect(paths).toEqual([
		'manifest.json',
		'collections/empty/schema.json',
		'collections/empty/records.ndjson',
		'collections/people/schema.json',
		'collections/people/records.ndjson',
		'audit.ndjson',
	])
	expect(manifest.counts).toEqual({ collections: 2, records: 3, audit_entries: asOfSeq })
	expect(manifest.export).toEqual({ id, as_of_seq: asOfSeq, as_of: '2026-01-01T00:00:00.000Z' })
	expect(JSON.parse(files.get('collections/empty/schema.json') ?? '')).toEqual({ title: 'Leer – 空' })
	const records = linesOf(files.get('collections/people/records.ndjson')).map((line) => JSON.parse(line))
	expect(records.map((record) => record.id)).toEqual(ids)
	expect(records[0]).toMatchObject({ version: 1, created_at: '2026-01-01T00:00:00.000Z', data: { phone: '1' } })
	const audit = linesOf(files.get('audit.ndjson')).map((line) => JSON.parse(line))
	expect(audit.map(({ seq }) => seq)).toEqual(Array.from({ length: asOfSeq }, (_, index) => index + 1))
	expect(audit.at(-1)).toMatchObject({ op: 'export', id, actor: 'key:key-1' })
})

test('[X2] an export taken during writes is the exact state at its position, whatever they change, drop and make anew', async () => {
	for (const seed of [1, 2, 3, 4, 5]) {
		const random = seeded(seed)
		const fixture = new ShardFixture()
		const names = ['a', 'b', 'c']
		for (const name of names) {
			await fixture.collection(name, {})
			await write(fixture, name, range(25), random)
		}
		const { id, asOfSeq } = await begin(fixture)
		const expected = await Promise.all(names.map((name) => stateOf(fixture, name)))
		const jobs = new Jobs(fixture)
		jobs.onEffect = async () => {
			const name = names[Math.floor(random() * 3)] ?? 'a'
			const dice = random()
			if (dice < 0.05) {
				await fixture.ask({ name: 'collection.delete', collection: name })
				await fixture.collection(name, { title: 'again' })
			}
			await write(
				fixture,
				name,
				[random(), random(), random()].map((part) => Math.floor(part * 40)),
				random,
			)
		}
		await jobs.run(id)
		const { manifest, files } = await readArchive(await jobs.archive(id))
		expect(manifest.export.as_of_seq).toBe(asOfSeq)
		const found = names.map((name) => linesOf(files.get(`collections/${name}/records.ndjson`)))
		expect(found, `seed ${seed}`).toEqual(expected)
		expect(linesOf(files.get('audit.ndjson'))).toHaveLength(asOfSeq)
		// Nothing is left of what was kept for the export.
		expect(tablesOf(fixture).filter((name) => name === 'snapshot_record')).toEqual([])
		expect(tablesOf(fixture).filter((name) => /^c_\d+$/.test(name))).toHaveLength(3)
	}
})

test('an export resumes after a crash at any effect, without a gap or a duplicate: the archive is the same, byte for byte', async () => {
	const prepare = async () => {
		const fixture = new ShardFixture()
		await fixture.collection('a', {})
		await write(fixture, 'a', range(50), seeded(9))
		await fixture.collection('b', {})
		await fixture.create('b', { small: true })
		const { id } = await begin(fixture, true)
		return { fixture, jobs: new Jobs(fixture), id }
	}
	const whole = await prepare()
	let effects = 0
	whole.jobs.onEffect = () => void effects++
	await whole.jobs.run(whole.id)
	const expected = await whole.jobs.archive(whole.id)
	expect(effects).toBeGreaterThan(30)
	for (let crashAt = 1; crashAt <= effects; crashAt++) {
		const { fixture, jobs, id } = await prepare()
		let effect = 0
		jobs.onEffect = () => {
			if (++effect === crashAt) throw new Error('crash')
		}
		await expect(jobs.run(id)).rejects.toThrow('crash')
		fixture.restart()
		await jobs.run(id)
		expect((await jobs.archive(id)).equals(expected), `crash at effect ${crashAt}`).toBe(true)
	}
}, 120_000)

test('of two consumers at one export only one is believed at each step, and the archive is the same', async () => {
	const { fixture, jobs } = await withPeople(40)
	const { id } = await begin(fixture)
	await Promise.all([jobs.run(id), jobs.run(id), jobs.run(id)])
	const { manifest } = await readArchive(await jobs.archive(id))
	expect(manifest.counts.records).toBe(40)
})

test('[V4] jobs of a batch share its time, and those whose turn did not come are announced first', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('a', {})
	await write(fixture, 'a', range(50), seeded(9))
	const jobs = new Jobs(fixture)
	const { id } = await begin(fixture)
	const { tenant } = fixture
	let clock = 0
	jobs.onEffect = () => {
		clock += deliveryMsMax
	}
	const announced: string[] = []
	const announce = async (next: Announcement) => void announced.push('job' in next ? next.job : '')
	const deliver = async (order: string[]) => {
		const messages = order.map((job) => message({ kind: 'job', tenant, shard: 0, epoch: 1, job }))
		await consume(messages, testPorts([], noDatabase, { jobs: jobs.ports(), now: () => clock, announce }))
		expect(messages.every(({ settled }) => settled === 'ack')).toBe(true)
		return announced.splice(0)
	}
	expect(await deliver([id, 'gone-1', 'gone-2'])).toEqual(['gone-1', 'gone-2', id])
	expect(await deliver(['gone-1', 'gone-2', id])).toEqual(['gone-2', id])
	let waiting = [id]
	for (let batches = 0; waiting.length > 0 && batches < 100; batches++) waiting = await deliver(waiting)
	expect((await fixture.ask({ name: 'export.get', id })).export.state).toBe('done')
})

test('the alarm announces a job again and again, ever more rarely, until it is finished, also after a restart', async () => {
	const { fixture, jobs } = await withPeople()
	const { id } = await begin(fixture)
	const gaps: number[] = []
	let last = fixture.now
	while (gaps.length < 8) {
		const before = fixture.announcedJobs.length
		await ringAlarm(fixture)
		if (fixture.announcedJobs.length === before) continue
		gaps.push(fixture.now - last)
		last = fixture.now
	}
	expect(gaps[1]).toBeGreaterThanOrEqual(jobSilenceMs)
	expect(gaps.at(-1)).toBe(jobSilenceMsMax)
	fixture.restart()
	await ringAlarm(fixture)
	expect(fixture.announcedJobs).toHaveLength(9)
	await jobs.run(id)
	for (let rings = 0; rings < 5; rings++) await ringAlarm(fixture)
	expect(fixture.announcedJobs).toHaveLength(9)
})

test('an archive expires: nobody can download it any more, and then it is deleted from the bucket', async () => {
	const { fixture, jobs } = await withPeople()
	const { id } = await begin(fixture)
	await jobs.run(id)
	expect(jobs.keysOf(id).length).toBeGreaterThan(0)
	fixture.now += exportKeptMs
	expect(await fixture.refused({ name: 'export.download', id })).toMatchObject({ code: 'not_found' })
	await ringAlarm(fixture)
	expect(fixture.announcedJobs.at(-1)).toMatchObject({ job: id })
	// A crash between deleting and reporting changes nothing.
	jobs.onEffect = (effect) => {
		if (effect === 'before shard cleared') throw new Error('crash')
	}
	await expect(jobs.run(id)).rejects.toThrow('crash')
	jobs.onEffect = () => {}
	await jobs.run(id)
	expect(jobs.keysOf(id)).toEqual([])
	expect(await fixture.refused({ name: 'export.get', id })).toMatchObject({ code: 'not_found' })
	expect(fixture.sql.all('SELECT job FROM job_part UNION ALL SELECT job FROM job_file')).toEqual([])
})

test('an export that is deleted while it runs, or never finishes, keeps nothing; another one can begin', async () => {
	const { fixture, jobs } = await withPeople()
	const first = await begin(fixture)
	expect(await fixture.refused({ name: 'export.create', csv: false })).toMatchObject({ code: 'job_running' })
	await fixture.ask({ name: 'export.delete', id: first.id })
	await jobs.run(first.id)
	const second = await begin(fixture)
	fixture.now += exportRunningMsMax
	await ringAlarm(fixture)
	const { export: failed } = await fixture.ask({ name: 'export.get', id: second.id })
	expect(failed).toMatchObject({ state: 'failed', faults: [{ detail: 'it took too long' }] })
	expect(await fixture.refused({ name: 'export.download', id: second.id })).toMatchObject({ code: 'not_ready' })
	expect(tablesOf(fixture)).not.toContain('snapshot_record')
	await begin(fixture)
})

test('a consumer of another epoch, tenant or revision is told that its job is not here', async () => {
	const { fixture } = await withPeople()
	const { id } = await begin(fixture)
	const ask = { tenant: fixture.tenant, shard: 0, epoch: 1, job: id, call: { name: 'open' } } as const
	expect(fixture.shard.job(ask)).toMatchObject({ ok: true, value: { work: 'export', revision: 0 } })
	const other = new ShardFixture({ region: 'global' }).tenant
	for (const wrong of [{ epoch: 2 }, { shard: 1 }, { tenant: other }, { job: 'none' }])
		expect(fixture.shard.job({ ...ask, ...wrong })).toEqual({ ok: false, reason: 'gone' })
	const late = { revision: 7, faults: [] }
	expect(fixture.shard.job({ ...ask, call: { ...late, name: 'fail' } })).toEqual({ ok: false, reason: 'overtaken' })
})

test('each export and each download is in the journal, with who asked', async () => {
	const { fixture, jobs } = await withPeople(1)
	const { id } = await begin(fixture)
	await jobs.run(id)
	await jobs.archive(id)
	await fixture.run({ name: 'export.download', id }, { caller: { kind: 'operator', name: 'root' } })
	await fixture.ask({ name: 'export.delete', id })
	const { changes } = await fixture.ask({ name: 'changes.list', after: 0, limit: 100 })
	expect(changes.filter((change) => change.id === id).map(({ op, version, actor }) => [op, version, actor])).toEqual([
		['export', 1, 'key:key-1'],
		['access', null, 'key:key-1'],
		['access', null, 'operator:root'],
		['export', null, 'key:key-1'],
	])
})

test('spreadsheets take nothing in records.csv for a formula, and nothing of a record is missing', async () => {
	const fixture = new ShardFixture()
	await fixture.collection('cells', { properties: { text: {}, n: { type: 'number' } } })
	const texts = ['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\rx', ' =1', 'a,b', 'say "hi"', 'two\nlines', 'plain', 'ü']
	for (const [index, text] of texts.entries()) {
		const data = JSON.stringify({ text, n: -index, extra: { a: [1] } })
		await fixture.ask({
			name: 'record.put',
			collection: 'cells',
			id: `r${10 + index}`,
			data,
			ifMatch: null,
			ifNoneMatch: null,
		})
	}
	const jobs = new Jobs(fixture)
	const { id } = await begin(fixture, true)
	await jobs.run(id)
	const { files } = await readArchive(await jobs.archive(id))
	const csv = files.get('collections/cells/records.csv') ?? ''
	const rows = csv.split('\r\n')
	expect(rows[0]).toBe('id,version,created_at,updated_at,text,n,(other)')
	const cells = [
		'"\'=1+1"',
		'"\'+1"',
		'"\'-1"',
		'"\'@SUM(A1)"',
		'"\'\tx"',
		'"\'\rx"',
		'"\' =1"',
		'"a,b"',
		'"say ""hi"""',
		'"two\nlines"',
		'plain',
		'ü',
	]
	for (const [index, cell] of cells.entries()) {
		const at = '1,2026-01-01T00:00:00.000Z,2026-01-01T00:00:00.000Z'
		expect(csv).toContain(`r${10 + index},${at},${cell},${-index},"{""extra"":{""a"":[1]}}"\r\n`)
	}
})

/** Puts records of about 100 KB, and deletes some. */
async function write(
	fixture: ShardFixture,
	collection: string,
	numbers: number[],
	random: () => number,
): Promise<void> {
	for (const number of numbers) {
		const id = `r${String(number).padStart(2, '0')}`
		const data = JSON.stringify({ number, random: random(), filler: 'ä'.repeat(50_000) })
		await fixture.ask({ name: 'record.put', collection, id, data, ifMatch: null, ifNoneMatch: null })
		if (random() < 0.2) await fixture.ask({ name: 'record.delete', collection, id, ifMatch: null })
	}
}

/** What a collection holds now, as the lines of an archive. */
async function stateOf(fixture: ShardFixture, collection: string): Promise<string[]> {
	const order = [{ field: 'id', descending: false }]
	const query = { filter: null, order, limit: 1_000, after: null, select: null, count: false }
	const { records } = await fixture.ask({ name: 'record.list', collection, query: query as never })
	return records.map(recordText)
}

function tablesOf(fixture: ShardFixture): string[] {
	return fixture.sql
		.all<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
		.map(({ name }) => name)
}

/** Lets the time pass until the alarm is due, and rings it. */
async function ringAlarm(fixture: ShardFixture): Promise<void> {
	if (fixture.alarmAt === null) throw new Error('no alarm is set')
	fixture.now = Math.max(fixture.now, fixture.alarmAt)
	fixture.alarmAt = null
	await fixture.shard.alarm()
}

function range(count: number): number[] {
	return Array.from({ length: count }, (_, index) => index)
}

test('[E1] an export that is under way when its tenant is erased leaves nothing in the bucket that nobody knows', async () => {
	for (let fencedAt = 1; ; fencedAt++) {
		const fixture = new ShardFixture()
		await fixture.collection('a', {})
		await write(fixture, 'a', range(25), seeded(1))
		const { id } = await begin(fixture)
		const jobs = new Jobs(fixture)
		let effect = 0
		let known: string[] = []
		jobs.onEffect = () => {
			if (++effect !== fencedAt) return
			known = fixture.sql.all<{ key: string }>('SELECT key FROM job_part').map(({ key }) => key)
			fixture.shard.admit({ state: 'erasing', epoch: 2, createdAt: 0, erasure: { id: 'e', dueAt: 0 } })
		}
		await jobs.run(id)
		if (effect < fencedAt) return
		expect(jobs.keysOf(id), `fenced at effect ${fencedAt}`).toEqual(known)
	}
})
