import { z } from '@hono/zod-openapi'
import { mintId, parseRegion, parseTenantId, type Region, regionOf, type TenantId } from '../../core/ids.ts'
import { rebuildsListedMax } from '../../core/limits.ts'
import { newRebuild, type RebuildJob, type RebuildProgress } from '../../core/rebuild.ts'
import { accept, type Fault, type Outcome, refuse } from '../../core/refusal.ts'
import { authoriseTenantId } from './auth.ts'
import type { OperatorCall } from './call.ts'
import { once } from './once.ts'
import { reach } from './reach.ts'
import { timeOf } from './representation.ts'
import { readIdempotency, readQuery, readShape } from './request.ts'
import { respondJson, respondReply } from './respond.ts'
import { operatorRoute, type Route } from './route.ts'
import { rebuild, rebuildInput, rebuildList, rebuildParams } from './schemas.ts'

const tag = 'View (operator)'
const regionExample = {
	region: 'eu',
	state: 'running',
	shards: { done: 4, total: 5 },
	records: { done: 61_000, total: 64_200 },
	finished_at: null,
}
const example = {
	id: '01k9zq4m3c8t5w2x7v6y0r1n4p',
	tenant: null,
	state: 'running',
	shards: regionExample.shards,
	records: regionExample.records,
	started_at: '2026-11-22T19:50:49.120Z',
	finished_at: null,
	regions: [regionExample],
}

export const rebuildRoutes: readonly Route[] = [
	operatorRoute(
		{
			method: 'post',
			path: '/v1/view/rebuild',
			scope: 'admin',
			tag,
			summary: 'Read the view anew from the shards',
			description:
				'Of one tenant, of a region, or of all regions. Writes and reads go on meanwhile, and nothing that is read goes back.',
			body: { media: 'application/json', schema: rebuildInput, example: { region: 'eu' } },
			answers: {
				202: { description: 'Begun', schema: rebuild, example, headers: ['Location'] },
			},
			refusals: [
				...['invalid_json', 'not_found', 'payload_too_large', 'unsupported_media_type', 'validation_failed'],
				'idempotency_in_progress',
			] as const,
			mutates: true,
		},
		async (call) => {
			const body = await readShape(call, rebuildInput)
			if (!body.ok) return body
			const idempotency = readIdempotency(call, body.value.text)
			if (!idempotency.ok) return idempotency
			const scope = await readScope(call, body.value.value)
			if (!scope.ok) return scope
			const now = call.ports.clock()
			const minted = { id: mintId(now, call.ports.random), at: now }
			const begun = await once(call, idempotency.value, { minted, schema: mintedRebuild }, async (first, replayed) =>
				begin(call, scope.value, first, replayed),
			)
			if (!begun.ok) return begun
			const { jobs, replayed } = begun.value
			const text = JSON.stringify(showJobs(jobs.map((job) => ({ job, progress: nothingYet }))))
			const headers = { Location: `/v1/view/rebuilds/${jobs[0].id}` }
			return respondReply(call, { replayed, rate: null }, 202, text, headers)
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/view/rebuilds',
			scope: 'read',
			tag,
			summary: 'List the last rebuilds, the newest first',
			answers: { 200: { description: 'The last rebuilds', schema: rebuildList, example: { rebuilds: [example] } } },
			refusals: ['unknown_field', 'view_unavailable'],
		},
		async (call) => {
			const asked = readQuery(call, [])
			if (!asked.ok) return asked
			const { config, rebuilds } = call.ports
			const read = await reach(call, 'rebuild.list', () =>
				Promise.all(config.regions.map((region) => rebuilds(region).recent(rebuildsListedMax))),
			)
			if (!read.ok) return read
			const byId = [...Map.groupBy(read.value.flat(), ({ id }) => id)].sort(([a], [b]) => (a < b ? 1 : -1))
			const shown = []
			for (const [, jobs] of byId.slice(0, rebuildsListedMax)) {
				const one = await show(call, jobs)
				if (!one.ok) return one
				shown.push(one.value)
			}
			return respondJson(call, 200, JSON.stringify({ rebuilds: shown }))
		},
	),
	operatorRoute(
		{
			method: 'get',
			path: '/v1/view/rebuilds/{id}',
			scope: 'read',
			tag,
			summary: 'How far a rebuild has come',
			params: rebuildParams,
			answers: { 200: { description: 'The rebuild', schema: rebuild, example } },
			refusals: ['not_found', 'view_unavailable'],
		},
		async (call) => {
			const id = call.c.req.param('id') ?? ''
			if (!rebuildParams.safeParse({ id }).success) return unknownRebuild()
			const { config, rebuilds } = call.ports
			const read = await reach(call, 'rebuild.read', () =>
				Promise.all(config.regions.map((region) => rebuilds(region).read(id))),
			)
			if (!read.ok) return read
			const jobs = read.value.flatMap((found) => (found === null ? [] : [found.job]))
			if (jobs.length === 0) return unknownRebuild()
			const shown = await show(call, jobs)
			if (!shown.ok) return shown
			return respondJson(call, 200, JSON.stringify(shown.value))
		},
	),
]

function unknownRebuild() {
	return refuse('not_found', 'there is no such rebuild')
}

interface Scope {
	regions: readonly [Region, ...Region[]]
	tenant: TenantId | null
}

interface Begun {
	jobs: [RebuildJob, ...RebuildJob[]]
	replayed: boolean
}

const mintedRebuild = z.object({ id: z.string(), at: z.int() })

/** Each region's message only hastens what its sweep would find: a job without one is not lost. */
async function begin(
	call: OperatorCall,
	{ regions, tenant }: Scope,
	{ id, at }: z.infer<typeof mintedRebuild>,
	replayed: boolean,
): Promise<Outcome<Begun>> {
	const [first, ...others] = regions
	const job = (region: Region) => newRebuild(id, region, tenant, at)
	const jobs: Begun['jobs'] = [job(first), ...others.map(job)]
	if (replayed) return accept({ jobs, replayed })
	for (const one of jobs) {
		const { region } = one
		const put = await reach(call, 'rebuild.create', () => call.ports.rebuilds(region).create(one))
		if (!put.ok) return put
		const sent = await reach(call, 'rebuild.start', () => call.ports.startRebuild({ kind: 'rebuild', region, id }))
		if (!sent.ok) return sent
	}
	return accept({ jobs, replayed })
}

async function readScope(
	call: OperatorCall,
	asked: { tenant?: string | undefined; region?: string | undefined },
): Promise<Outcome<Scope>> {
	const { regions } = call.ports.config
	const region = asked.region === undefined ? null : parseRegion(asked.region)
	if (asked.region !== undefined && (!region || !regions.includes(region)))
		return invalid({ pointer: '/region', detail: `must be one of ${regions.join(', ')}` })
	if (asked.tenant === undefined) return accept({ regions: region ? [region] : regions, tenant: null })
	const tenant = parseTenantId(asked.tenant)
	if (tenant && region && region !== regionOf(tenant))
		return invalid({ pointer: '/region', detail: 'must be the region of the tenant' })
	const authorised = await authoriseTenantId(call, asked.tenant)
	return authorised.ok
		? accept({ regions: [regionOf(authorised.value.tenant)], tenant: authorised.value.tenant })
		: authorised
}

function invalid(fault: Fault): Outcome<never> {
	return refuse('validation_failed', 'the input violates its schema', { errors: [fault] })
}

/** The jobs of one rebuild, with what the view says about those that run. */
async function show(call: OperatorCall, jobs: readonly RebuildJob[]): Promise<Outcome<ReturnType<typeof showJobs>>> {
	const parts: Part[] = []
	for (const job of jobs) {
		const progress = job.outcome === null ? await call.ports.view.rebuilt(job.region, job.id) : accept(job.outcome)
		if (!progress.ok) return progress
		parts.push({ job, progress: progress.value })
	}
	return accept(showJobs(parts))
}

interface Part {
	job: RebuildJob
	progress: RebuildProgress
}

const nothingYet: RebuildProgress = { shards: { done: 0, total: 0 }, records: { done: 0, total: 0 } }

function showJobs(parts: readonly Part[]) {
	const [first] = parts
	if (!first) throw new Error('a rebuild has at least one job')
	const jobs = parts.map(({ job }) => job)
	const ends = jobs.flatMap(({ finishedAt }) => (finishedAt === null ? [] : [finishedAt]))
	const { id, tenant, startedAt } = first.job
	return {
		id,
		tenant,
		state: (['listing', 'running'] as const).find((state) => jobs.some((job) => job.state === state)) ?? 'done',
		shards: sum(parts.map(({ progress }) => progress.shards)),
		records: sum(parts.map(({ progress }) => progress.records)),
		started_at: timeOf(startedAt),
		finished_at: ends.length < jobs.length ? null : timeOf(Math.max(...ends)),
		regions: parts.map(({ job: { region, state, finishedAt }, progress }) => ({
			...{ region, state, ...progress },
			finished_at: finishedAt === null ? null : timeOf(finishedAt),
		})),
	}
}

function sum(parts: readonly { done: number; total: number }[]): { done: number; total: number } {
	return parts.reduce((all, { done, total }) => ({ done: all.done + done, total: all.total + total }), {
		done: 0,
		total: 0,
	})
}
