/** `npm run restore`: brings a tenant back to the state of an archive, in place. */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import type { Manifest } from '../core/archive.ts'
import { verifyArchive } from './archive-file.ts'
import { exportTenant, importArchive } from './archive-transfer.ts'
import { Client, problemOf } from './client.ts'
import { runCommand, UsageError } from './command.ts'
import { say, tenantShape } from './move-steps.ts'

const usage = `Usage: npm run restore -- TENANT --archive FILE --url URL [--dir DIR] [--dry-run]

Brings a tenant back to the state of an export's archive: suspends it, exports what it holds now so that the restore itself can be
undone, replaces its collections by those of the archive in one transaction, and puts it back to work. Its id, keys, webhooks and
journal stay; the restore is in the journal, and the view follows. Whoever was erased after the archive was made is erased again.
The operator's token (scope admin) is taken from the environment variable FREEHOLD_OPERATOR_TOKEN.

It may be stopped at any time and goes on when it is started again within 24 hours.

  --archive FILE  as it was downloaded from /v1/exports; of this tenant, or of one that had its slug
  --url URL       where the API is, without a path
  --dir DIR       where the archive of the present state goes, and the state of the work; .data/restores/TENANT by default
  --dry-run       verifies the archive, says what would be done, and changes nothing
  --help          this text`

interface Job {
	operator: Client
	/** The path of the tenant. */
	path: string
	dir: string
	archive: string
	manifest: Manifest
}

async function main(args: string[]): Promise<void> {
	const { values, positionals } = parseArgs({
		args,
		allowPositionals: true,
		options: {
			archive: { type: 'string' },
			url: { type: 'string' },
			dir: { type: 'string' },
			'dry-run': { type: 'boolean', default: false },
		},
	})
	const [tenant, ...more] = positionals
	const { archive, url } = values
	const token = process.env.FREEHOLD_OPERATOR_TOKEN
	if (tenant === undefined || more.length > 0) throw new UsageError('name one tenant by its id')
	if (archive === undefined || url === undefined) throw new UsageError('say --archive FILE and --url URL')
	if (!token) throw new UsageError("put the operator's token into the environment variable FREEHOLD_OPERATOR_TOKEN")
	if (!existsSync(archive)) throw new UsageError(`there is no file ${archive}`)
	const manifest = await verifyArchive(archive)
	const operator = new Client(new URL(url).origin, token)
	const path = `/v1/tenants/${tenant}`
	const present = await operator.ask('GET', path, tenantShape)
	if (manifest.tenant.id !== tenant && manifest.tenant.slug !== present.slug)
		throw new Error(`the archive is of ${manifest.tenant.id}, and ${tenant} never had its slug`)
	// Suspending it would lift the restriction, under which nothing may change.
	if (present.status === 'restricted') throw new Error('the tenant is restricted: lift that first')
	const { counts, export: made } = manifest
	say(`the archive is sound: ${counts.records} records in ${counts.collections} collections, of ${made.as_of}`)
	say(`${tenant} holds ${present.usage.records} records in ${present.usage.collections} collections now`)
	if (values['dry-run'])
		return say('they would be replaced, when all of the archive has been checked; nothing was changed')
	const dir = resolve(values.dir ?? join('.data', 'restores', tenant))
	mkdirSync(dir, { recursive: true, mode: 0o700 })
	await restore({ operator, path, dir, archive, manifest }, present.status)
}

const attemptShape = z.object({ id: z.string(), status: z.string() })

/** What must outlast a crash of this command: the name of the attempt, and what the tenant was before. */
function attemptOf(dir: string, status: string): z.infer<typeof attemptShape> {
	const file = join(dir, 'attempt.json')
	if (!existsSync(file)) writeFileSync(file, JSON.stringify({ id: randomUUID(), status }))
	return attemptShape.parse(JSON.parse(readFileSync(file, 'utf8')))
}

async function restore(job: Job, present: string): Promise<void> {
	const { operator, path, dir, archive, manifest } = job
	const { id, status } = attemptOf(dir, present)
	await setStatus(job, 'suspended', `${id}-suspend`)
	const before = await exportTenant(operator, `${path}/exports`, `${id}-before`)
	const kept = join(dir, `before-${before.as_of_seq}.zip`)
	await operator.download(`${path}/exports/${before.id}/archive`, kept)
	await verifyArchive(kept)
	say(`what it held is in ${kept}: restore that to undo this`)
	const { status: ended, errors } = await importArchive(operator, `${path}/imports`, archive, `${id}-import`, {
		replace: true,
	})
	await setStatus(job, status, `${id}-release`)
	rmSync(join(dir, 'attempt.json'))
	if (ended !== 'done')
		throw new Error(`the archive was refused, and nothing was replaced: ${errors[0]?.detail ?? ended}`)
	const { usage: used } = await operator.ask('GET', path, tenantShape)
	const missing = manifest.counts.records - used.records
	say(`restored: ${used.records} records, as of ${manifest.export.as_of}; the tenant is ${status}`)
	if (missing > 0) say(`${missing} records of the archive are of people who were erased since, or are too old by now`)
}

async function setStatus({ operator, path }: Job, status: string, idempotencyKey: string): Promise<void> {
	const answer = await operator.send('PATCH', path, { body: { status }, idempotencyKey })
	if (answer.status !== 200) throw new Error(`the status ${status} was answered with ${problemOf(answer).code}`)
}

await runCommand(main, usage)
