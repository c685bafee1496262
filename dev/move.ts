/** `npm run move`: carries a tenant to another region. What was done is asked of the deployment, so it goes on wherever it was stopped. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Client, problemOf } from './client.ts'
import { runCommand, UsageError } from './command.ts'
import {
	begin,
	carry,
	erase,
	forgetAttempt,
	handOver,
	type Job,
	keyFor,
	obstaclesOf,
	readMove,
	regionOf,
	say,
	tenantShape,
} from './move-steps.ts'

const usage = `Usage: npm run move -- TENANT --to REGION --url URL [--dir DIR] [--dry-run]
       npm run move -- TENANT --cancel --url URL

Moves a tenant to another region: makes a tenant there, suspends this one, exports it, verifies the archive, imports it, exports
the other one and compares the SHA-256 of every file, hands the slug over, and erases the old tenant with a certificate. The operator's
token (scope admin) is taken from the environment variable FREEHOLD_OPERATOR_TOKEN.

It may be stopped at any time, by ^C or a crash, and goes on when it is started again within 24 hours; until the slug is handed over,
--cancel puts everything back. From its suspension until the handover the tenant answers 403 tenant_suspended, so nothing that was
acknowledged is missing there.

What is new afterwards: the tenant's id, which begins with its region, and its API key, because keys name their tenant. What stays
behind: other keys, webhooks, the register of subject requests, and the audit log, which is in the archive.

  --to REGION  where to
  --url URL    where the API is, without a path
  --dir DIR    where the archive, the new key and the certificate go: personal data and a secret; .data/moves/TENANT by default
  --dry-run    says what would be done and what stands against it, and changes nothing
  --cancel     ends a move that has not come to the handover; erases the tenant that was made for it
  --help       this text`

async function main(args: string[]): Promise<void> {
	const { values, positionals } = parseArgs({
		args,
		allowPositionals: true,
		options: {
			to: { type: 'string' },
			url: { type: 'string' },
			dir: { type: 'string' },
			'dry-run': { type: 'boolean', default: false },
			cancel: { type: 'boolean', default: false },
		},
	})
	const [tenant, ...more] = positionals
	const token = process.env.FREEHOLD_OPERATOR_TOKEN
	if (tenant === undefined || more.length > 0) throw new UsageError('name one tenant by its id')
	if (values.url === undefined) throw new UsageError('say where the API is: --url URL')
	if (!token) throw new UsageError("put the operator's token into the environment variable FREEHOLD_OPERATOR_TOKEN")
	const operator = new Client(new URL(values.url).origin, token)
	const dir = resolve(values.dir ?? join('.data', 'moves', tenant))
	if (values.cancel) return cancel(operator, tenant, dir)
	if (values.to === undefined) throw new UsageError('say where to: --to REGION')
	const job = { operator, tenant, region: values.to, dir }
	if (values['dry-run']) return plan(job)
	mkdirSync(dir, { recursive: true, mode: 0o700 })
	await run(job)
}

/** Each step finds out by asking whether it was done before. */
async function run(job: Job): Promise<void> {
	const move = (await readMove(job)) ?? (await begin(job))
	if (regionOf(move.to) !== job.region)
		throw new Error(`it is moving to ${move.to} already; go on with that, or --cancel`)
	if (move.state !== 'handed_over') {
		const taken = move.state === 'copying' ? await carry(job, move) : null
		await handOver(job, taken?.export.as_of_seq ?? 0)
		say(`the slug leads to ${move.to} now`)
	}
	await erase(job)
	forgetAttempt(job.dir)
	say(`done: ${job.tenant} is ${move.to} now; its key is in ${join(job.dir, 'api-key.txt')}`)
}

async function cancel(operator: Client, tenant: string, dir: string): Promise<void> {
	const move = await readMove({ operator, tenant })
	if (move === null) throw new Error(`${tenant} does not move`)
	const answer = await operator.send('DELETE', `/v1/tenants/${tenant}/move`, { idempotencyKey: crypto.randomUUID() })
	if (answer.status !== 204) throw new Error(problemOf(answer).detail)
	say(`${tenant} is as it was before`)
	const erased = await operator.send('DELETE', `/v1/tenants/${move.to}`, {
		idempotencyKey: keyFor('cancel', tenant, move.to),
	})
	forgetAttempt(dir)
	say(`${move.to} is being erased: ${erased.headers.get('Location')}`)
}

async function plan(job: Job): Promise<void> {
	const move = await readMove(job)
	if (move) return say(`the move to ${move.to} has begun: ${move.state}; it would go on`)
	const obstacles = await obstaclesOf(job)
	if (obstacles.length > 0) throw new Error(`it would not begin: ${obstacles.join('; ')}`)
	const { slug, region, usage: used } = await job.operator.ask('GET', `/v1/tenants/${job.tenant}`, tenantShape)
	const megabytes = Math.ceil(used.storage_bytes / 1_000_000)
	for (const line of [
		`${slug} would move from ${region} to ${job.region}: ${used.records} records in ${used.collections} collections, ${megabytes} MB`,
		`1. a tenant in ${job.region}, with an id and an API key of its own`,
		`2. ${job.tenant} answers 403 tenant_suspended from here on`,
		`3. its archive goes to ${job.dir}, is verified, and imported`,
		`4. the other tenant is exported, and every file must have the same SHA-256`,
		`5. the slug ${slug} leads to the other tenant, which answers from here on`,
		`6. ${job.tenant} is erased, with a certificate`,
		'Keys, webhooks and the register of subject requests stay behind. Nothing was changed.',
	])
		say(line)
}

await runCommand(main, usage)
