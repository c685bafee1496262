/** The steps of a move. Each is performed once, however often it is asked for: by what the deployment says, or by its idempotency key. */
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { styleText } from 'node:util'
import { z } from 'zod'
import type { Manifest } from '../core/archive.ts'
import { verifyArchive } from './archive-file.ts'
import { type Exported, exportTenant, importArchive, manifestOf } from './archive-transfer.ts'
import { type Client, problemOf } from './client.ts'

export const tenantShape = z.object({
	id: z.string(),
	slug: z.string(),
	name: z.string(),
	region: z.string(),
	status: z.string(),
	usage: z.object({ records: z.int(), collections: z.int(), storage_bytes: z.int(), position: z.int() }),
})
const moveShape = z.object({ to: z.string(), state: z.enum(['copying', 'handing_over', 'handed_over']) })
export type Move = z.infer<typeof moveShape>
const createdShape = z.object({ id: z.string(), api_key: z.object({ secret: z.string() }) })
const erasureShape = z.object({
	status: z.string(),
	certificate_jws: z.string().nullable(),
	horizon: z.string().nullable(),
})

export interface Job {
	operator: Client
	tenant: string
	region: string
	dir: string
}

/** What stands against a move, each as half a sentence. */
export async function obstaclesOf({ operator, tenant, region }: Job): Promise<string[]> {
	const answer = await operator.send('GET', `/v1/tenants/${tenant}`)
	if (answer.status !== 200) return [`${tenant} was answered with ${answer.status} ${problemOf(answer).code}`]
	const found = tenantShape.parse(JSON.parse(answer.text))
	const regions = await readRegions(operator)
	const hold = await operator.ask('GET', `/v1/tenants/${tenant}/hold`, z.object({ held: z.boolean() }))
	return [
		...(found.region === region ? [`${tenant} is in ${region} already`] : []),
		...(regions.includes(region) ? [] : [`there is no region ${region}, only ${regions.join(', ')}`]),
		...(hold.held ? ['a legal hold keeps it where it is'] : []),
	]
}

const document = z.object({
	components: z.object({ schemas: z.object({ Region: z.object({ enum: z.array(z.string()) }) }) }),
})

async function readRegions(operator: Client): Promise<string[]> {
	return (await operator.ask('GET', '/openapi.json', document)).components.schemas.Region.enum
}

/** Null for a tenant that does not move. @throws when there is no such tenant */
export async function readMove({ operator, tenant }: Pick<Job, 'operator' | 'tenant'>): Promise<Move | null> {
	const answer = await operator.send('GET', `/v1/tenants/${tenant}/move`)
	if (answer.status === 200) return moveShape.parse(JSON.parse(answer.text))
	await operator.ask('GET', `/v1/tenants/${tenant}`, tenantShape)
	return null
}

/** Makes the tenant that takes the place, and suspends the one that moves. */
export async function begin(job: Job): Promise<Move> {
	const obstacles = await obstaclesOf(job)
	if (obstacles.length > 0) throw new Error(obstacles.join('; '))
	const { operator, tenant, region, dir } = job
	const { name } = await operator.ask('GET', `/v1/tenants/${tenant}`, tenantShape)
	const slug = `moving-${tenant.slice(tenant.indexOf('_') + 1)}`
	const body = { slug, name, region }
	const made = await operator.ask('POST', '/v1/tenants', createdShape, {
		body,
		idempotencyKey: keyFor('tenant', tenant, attemptOf(dir)),
	})
	// The secret is shown to this request only.
	writeFileSync(join(dir, 'api-key.txt'), `${made.api_key.secret}\n`, { mode: 0o600 })
	const move = await operator.ask('PUT', `/v1/tenants/${tenant}/move`, moveShape, {
		body: { to: made.id },
		idempotencyKey: keyFor('begin', tenant, made.id),
	})
	say(`${tenant} is suspended; ${made.id} will take its place`)
	return move
}

/** Names this attempt in its folder: after a cancellation the next one makes another tenant. */
function attemptOf(dir: string): string {
	const file = join(dir, 'attempt.txt')
	if (!existsSync(file)) writeFileSync(file, randomUUID())
	return readFileSync(file, 'utf8')
}

/** What this attempt has begun is over. */
export function forgetAttempt(dir: string): void {
	rmSync(join(dir, 'attempt.txt'), { force: true })
}

/** Brings all of the tenant into the other one, and proves it. */
export async function carry({ operator, tenant, dir }: Job, { to }: Move): Promise<Manifest> {
	const { usage: used } = await operator.ask('GET', `/v1/tenants/${tenant}`, tenantShape)
	const [here, there] = [tenant, to].map((id) => `/v1/tenants/${id}`) as [string, string]
	const made = await exportTenant(operator, `${here}/exports`, keyFor('export', tenant, to), progress('exported'))
	const file = join(dir, 'archive.zip')
	await operator.download(`${here}/exports/${made.id}/archive`, file)
	const manifest = await verifyArchive(file)
	say(
		`${manifest.counts.records} of ${used.records} records are in ${file}, as of position ${made.as_of_seq}; every byte fits its manifest`,
	)
	const target = await operator.ask('GET', there, tenantShape)
	if (target.usage.collections === 0) await importInto(operator, there, file, made)
	const again = await exportTenant(operator, `${there}/exports`, keyFor('compare', tenant, to), progress('compared'))
	const copied = await manifestOf(operator, `${there}/exports`, again)
	const different = differences(manifest, copied)
	if (different.length > 0)
		throw new Error(
			`${to} does not hold the same: ${different.join(', ')}. Nothing was handed over; --cancel puts all back`,
		)
	say(`${to} holds the same: ${manifest.files.length - 1} files with equal SHA-256`)
	return manifest
}

async function importInto(operator: Client, there: string, file: string, { id }: Exported): Promise<void> {
	for (let attempt = 1; attempt <= importAttempts; attempt++) {
		const idempotencyKey = keyFor('import', id, String(attempt))
		const { status, errors } = await importArchive(operator, `${there}/imports`, file, idempotencyKey, {
			hear: progress('imported'),
		})
		if (status === 'done') return
		const [first] = errors
		say(
			`attempt ${attempt} of the import has ${status}${first ? `: ${first.file}:${first.line ?? ''} ${first.detail}` : ''}`,
		)
	}
	throw new Error('the import does not succeed; --cancel puts all back')
}

/** An import that was left alone for a day has failed, and the next one begins anew. */
const importAttempts = 3

/** @param asOfSeq the position of the archive that the other tenant holds */
export async function handOver({ operator, tenant }: Job, asOfSeq: number): Promise<void> {
	const path = `/v1/tenants/${tenant}/move/handover`
	await operator.ask('POST', path, moveShape, {
		body: { as_of_seq: asOfSeq },
		idempotencyKey: keyFor('handover', tenant, String(asOfSeq)),
	})
}

/** Erases the old tenant, whose place the other one has taken, and keeps the certificate. */
export async function erase({ operator, tenant, dir }: Job): Promise<void> {
	const asked = await operator.send('DELETE', `/v1/tenants/${tenant}`, { idempotencyKey: keyFor('erase', tenant, '') })
	if (asked.status !== 202) throw new Error(`the erasure was answered with ${asked.status} ${problemOf(asked).code}`)
	const location = asked.headers.get('Location') ?? ''
	for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
		const answer = await operator.send('GET', location)
		const { status, horizon } = erasureShape.parse(JSON.parse(answer.text))
		if (status === 'done') {
			writeFileSync(join(dir, 'erasure.json'), answer.text, { mode: 0o600 })
			say(`${tenant} is erased; no recoverable copy after ${horizon}; certificate in ${join(dir, 'erasure.json')}`)
			return
		}
		if (status === 'held')
			throw new Error('a legal hold keeps the old tenant from being erased; start this again when it is lifted')
		await pause(waitMs)
	}
}

/** The files of collections that are not the same in both archives. */
function differences(one: Manifest, other: Manifest): string[] {
	const sums = ({ files }: Manifest) =>
		new Map(files.filter(({ path }) => path.startsWith('collections/')).map(({ path, sha256 }) => [path, sha256]))
	const [here, there] = [sums(one), sums(other)]
	return [...new Set([...here.keys(), ...there.keys()])].filter((path) => here.get(path) !== there.get(path))
}

/** The same step of the same move has the same key, whoever performs it when. */
export function keyFor(...step: [string, string, string]): string {
	return `move-${step[0]}-${createHash('sha256').update(step.join('\n')).digest('hex').slice(0, 32)}`
}

export function regionOf(tenant: string): string {
	return tenant.slice(0, tenant.indexOf('_'))
}

function progress(what: string): (shown: { records_done: number; records_total: number | null }) => void {
	let last = ''
	return ({ records_done: done, records_total: total }) => {
		const text = `${what} ${done} of ${total ?? '?'} records`
		if (text !== last && process.stderr.isTTY) process.stderr.write(`\r   ${text}\x1b[K${done === total ? '\n' : ''}`)
		last = text
	}
}

export function say(text: string): void {
	console.log(`${styleText('dim', '·')} ${text}`)
}
