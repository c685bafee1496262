/** Carries a tenant's archive: out of one tenant into a file, and from a file into another, through the REST API. */
import { openAsBlob } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { Manifest } from '../core/archive.ts'
import { openArchive } from '../core/archive-source.ts'
import { importPartBytesMax } from '../core/limits.ts'
import { type Client, problemOf } from './client.ts'

const job = z.object({
	id: z.string(),
	status: z.string(),
	records_done: z.int(),
	records_total: z.int().nullable(),
	errors: z.array(z.object({ file: z.string(), line: z.int().nullable(), detail: z.string() })),
})
const exported = job.extend({ as_of_seq: z.int(), archive_bytes: z.int().nullable() })
export type Exported = z.infer<typeof exported>
export type Imported = z.infer<typeof job>

/** Hears how far a job has come. */
type Progress = (shown: z.infer<typeof job>) => void

/**
 * Makes an export and waits for its end. `exports` is the path of a tenant's exports; the same `idempotencyKey` finds the same export again.
 * @throws when it fails, or does not come further for `patienceMs`
 */
export async function exportTenant(
	client: Client,
	exports: string,
	idempotencyKey: string,
	hear: Progress = () => {},
): Promise<Exported> {
	const { id } = await client.ask('POST', exports, exported, { body: {}, idempotencyKey })
	const done = await followed(client, `${exports}/${id}`, exported, hear)
	if (done.status === 'done') return done
	throw new Error(`the export ${id} has ${done.status}: ${done.errors[0]?.detail ?? 'for no reason that is known'}`)
}

/** The manifest of a finished export, without the rest of its archive. @throws ArchiveError */
export async function manifestOf(client: Client, exports: string, made: Exported): Promise<Manifest> {
	const path = `${exports}/${made.id}/archive`
	const read = (offset: number, length: number) => client.range(path, offset, length)
	return (await openArchive({ length: made.archive_bytes ?? 0, read }, false)).manifest
}

/**
 * Uploads an archive into a tenant and waits until it is all there, or refused. `imports` is the path of the tenant's imports; the
 * same `idempotencyKey` goes on with the same import. With `replace`, which operators may say, the tenant need not be empty.
 */
export async function importArchive(
	client: Client,
	imports: string,
	file: string,
	idempotencyKey: string,
	{ hear = () => {}, replace = false }: { hear?: Progress; replace?: boolean } = {},
): Promise<Imported> {
	const archive = await openAsBlob(file)
	const parts = Math.ceil(archive.size / importPartBytesMax)
	const { id } = await client.ask('POST', imports, job, {
		body: { parts, ...(replace && { replace }) },
		idempotencyKey,
	})
	const path = `${imports}/${id}`
	for (let part = 1; part <= parts; part++) {
		// What was uploaded before a crash is there, and the last part begins the work.
		if ((await client.ask('GET', path, job)).status !== 'waiting') break
		const piece = archive.slice((part - 1) * importPartBytesMax, part * importPartBytesMax)
		const sent = await client.send('PUT', `${path}/archive?part=${part}`, { file: piece })
		if (sent.status >= 300 && problemOf(sent).code !== 'not_ready')
			throw new Error(`part ${part} of the archive was answered with ${sent.status} ${problemOf(sent).code}`)
	}
	return followed(client, path, job, hear)
}

const patienceMs = 600_000
const lookEveryMs = 100

async function followed<T extends z.infer<typeof job>>(
	client: Client,
	path: string,
	shape: z.ZodType<T>,
	hear: Progress,
): Promise<T> {
	for (let done = -1, since = Date.now(); ; ) {
		const shown = await client.ask('GET', path, shape)
		hear(shown)
		if (shown.status !== 'running' && shown.status !== 'waiting') return shown
		if (shown.records_done > done) since = Date.now()
		done = shown.records_done
		if (Date.now() - since > patienceMs) throw new Error(`GET ${path} has come no further for 10 minutes`)
		await pause(lookEveryMs)
	}
}
