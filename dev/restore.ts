/** `npm run restore`: brings a tenant back to the state of an archive, or of a moment, in place. */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { rewindDaysMax } from '../core/limits.ts'
import { verifyArchive } from './archive-file.ts'
import { exportTenant, importArchive } from './archive-transfer.ts'
import { Client, problemOf } from './client.ts'
import { runCommand, UsageError } from './command.ts'
import { say, tenantShape } from './move-steps.ts'

const usage = `Usage: npm run restore -- TENANT --archive FILE --url URL [--dir DIR] [--dry-run]
       npm run restore -- TENANT --at TIME --url URL [--dir DIR] [--dry-run]

Brings a tenant back to the state of an export's archive, or to a moment of the last 30 days where the platform keeps the history
of its objects: suspends it, exports what it holds now so that the restore itself can be undone, puts the earlier state in its
place, and puts it back to work. Its id, name and keys stay, the restore is in the journal, and the view follows. Whoever was
erased since is erased again. docs/backup.md says which to use when.
The operator's token (scope admin) is taken from the environment variable FREEHOLD_OPERATOR_TOKEN.

It may be stopped at any time and goes on when it is started again within 24 hours.

  --archive FILE  as it was downloaded from /v1/exports; of this tenant, or of one that had its slug
  --at TIME       such as 2026-11-22T19:50:00Z; everything that was written since is undone
  --url URL       where the API is, without a path
  --dir DIR       where the archive of the present state goes, and the state of the work; .data/restores/TENANT by default
  --dry-run       verifies the archive or the time, says what would be done, and changes nothing
  --help          this text`

interface Job {
	operator: Client
	/** The path of the tenant. */
	path: string
	dir: string
	source: Source
}

/** Where the earlier state comes from. */
interface Source {
	/** What it is, for whoever starts the command. */
	about: string
	/** @throws where it cannot be of this tenant */
	check(tenant: string, slug: string): void
	/** Puts it in the place of the present state; `attempt` names the requests. Answers why nothing was replaced, or null. */
	replace(operator: Client, path: string, attempt: string): Promise<string | null>
	/** How many records of it may be missing, because people were erased since; null where nobody has counted. */
	records: number | null
}

async function main(args: string[]): Promise<void> {
	const { values, positionals } = parseArgs({
		args,
		allowPositionals: true,
		options: {
			archive: { type: 'string' },
			at: { type: 'string' },
			url: { type: 'string' },
			dir: { type: 'string' },
			'dry-run': { type: 'boolean', default: false },
		},
	})
	const [tenant, ...more] = positionals
	const { archive, at, url } = values
	const token = process.env.FREEHOLD_OPERATOR_TOKEN
	if (tenant === undefined || more.length > 0) throw new UsageError('name one tenant by its id')
	if ((archive === undefined) === (at === undefined) || url === undefined)
		throw new UsageError('say --url URL, and either --archive FILE or --at TIME')
	if (!token) throw new UsageError("put the operator's token into the environment variable FREEHOLD_OPERATOR_TOKEN")
	const source = archive === undefined ? momentSource(at ?? '') : await archiveSource(archive)
	const operator = new Client(new URL(url).origin, token)
	const path = `/v1/tenants/${tenant}`
	const present = await operator.ask('GET', path, tenantShape)
	source.check(tenant, present.slug)
	// Suspending it would lift the restriction, under which nothing may change.
	if (present.status === 'restricted') throw new Error('the tenant is restricted: lift that first')
	say(source.about)
	say(`${tenant} holds ${present.usage.records} records in ${present.usage.collections} collections now`)
	if (values['dry-run']) return say('that would be replaced; nothing was changed')
	const dir = resolve(values.dir ?? join('.data', 'restores', tenant))
	mkdirSync(dir, { recursive: true, mode: 0o700 })
	await restore({ operator, path, dir, source }, present.status)
}

async function archiveSource(archive: string): Promise<Source> {
	if (!existsSync(archive)) throw new UsageError(`there is no file ${archive}`)
	const { counts, export: made, tenant: of } = await verifyArchive(archive)
	return {
		about: `the archive is sound: ${counts.records} records in ${counts.collections} collections, of ${made.as_of}`,
		check: (tenant, slug) => {
			if (of.id !== tenant && of.slug !== slug)
				throw new Error(`the archive is of ${of.id}, and ${tenant} never had its slug`)
		},
		replace: async (operator, path, attempt) => {
			const how = { replace: true }
			const { status, errors } = await importArchive(operator, `${path}/imports`, archive, `${attempt}-import`, how)
			return status === 'done' ? null : (errors[0]?.detail ?? status)
		},
		records: counts.records,
	}
}

function momentSource(text: string): Source {
	const at = z.iso.datetime({ offset: true }).safeParse(text)
	if (!at.success) throw new UsageError('say the time as 2026-11-22T19:50:00Z')
	const moment = Date.parse(at.data)
	const age = Date.now() - moment
	if (age < 0 || age > rewindDaysMax * 86_400_000)
		throw new UsageError(`the time must be of the last ${rewindDaysMax} days`)
	return {
		about: `it goes back to ${new Date(moment).toISOString()}; what was written since will be undone`,
		check: () => {},
		replace: async (operator, path, attempt) => {
			const call = { body: { at: at.data }, idempotencyKey: `${attempt}-rewind` }
			const answer = await operator.send('POST', `${path}/rewind`, call)
			return answer.status === 202 ? null : problemOf(answer).detail
		},
		records: null,
	}
}

const attemptShape = z.object({ id: z.string(), status: z.string() })

/** What must outlast a crash of this command: the name of the attempt, and what the tenant was before. */
function attemptOf(dir: string, status: string): z.infer<typeof attemptShape> {
	const file = join(dir, 'attempt.json')
	if (!existsSync(file)) writeFileSync(file, JSON.stringify({ id: randomUUID(), status }))
	return attemptShape.parse(JSON.parse(readFileSync(file, 'utf8')))
}

async function restore(job: Job, present: string): Promise<void> {
	const { operator, path, dir, source } = job
	const { id, status } = attemptOf(dir, present)
	await setStatus(job, 'suspended', `${id}-suspend`)
	const before = await exportTenant(operator, `${path}/exports`, `${id}-before`)
	const kept = join(dir, `before-${before.as_of_seq}.zip`)
	await operator.download(`${path}/exports/${before.id}/archive`, kept)
	await verifyArchive(kept)
	say(`what it held is in ${kept}: restore that to undo this`)
	const refused = await source.replace(operator, path, id)
	await setStatus(job, status, `${id}-release`)
	rmSync(join(dir, 'attempt.json'))
	if (refused !== null) throw new Error(`nothing was replaced: ${refused}`)
	const { usage: used } = await operator.ask('GET', path, tenantShape)
	say(`restored: ${used.records} records; the tenant is ${status}`)
	const missing = (source.records ?? 0) - used.records
	if (missing > 0) say(`${missing} records of the archive are of people who were erased since, or are too old by now`)
}

async function setStatus({ operator, path }: Job, status: string, idempotencyKey: string): Promise<void> {
	const answer = await operator.send('PATCH', path, { body: { status }, idempotencyKey })
	if (answer.status !== 200) throw new Error(`the status ${status} was answered with ${problemOf(answer).code}`)
}

await runCommand(main, usage)
