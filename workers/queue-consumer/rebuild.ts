import type { Shard } from '../../core/contract.ts'
import type { ControlStore } from '../../core/control.ts'
import type { TenantId } from '../../core/ids.ts'
import {
	rebuildAgainMsMax,
	rebuildAgainSecondsMax,
	rebuildStepsAtOnceMax,
	rebuildStepTenantsMax,
} from '../../core/limits.ts'
import type { RebuildJob, RebuildProgress, RebuildStep, RebuildStore } from '../../core/rebuild.ts'
import { homeShard } from '../../core/shard-map.ts'
import type { AskedShard, TenantRange } from '../../db/neon/rebuilds.ts'

export interface RebuildPorts {
	jobs: RebuildStore
	/** Tenants of the registry in the order of their ids, after one; as many as asked for, or the registry has ended. */
	registry(after: TenantId | null, limit: number): Promise<TenantId[]>
	control: Pick<ControlStore, 'read'>
	shardOf(tenant: TenantId, shard: number): Pick<Shard, 'rebuild'>
	ledger: {
		noteAsked(id: string, range: TenantRange, asked: readonly AskedShard[]): Promise<void>
		progress(id: string): Promise<RebuildProgress & { unreached: number }>
		forgetAsked(id: string): Promise<void>
	}
	/** Sends the step again. */
	again(step: RebuildStep, delaySeconds: number): Promise<void>
	/** Milliseconds since 1970. */
	clock(): number
	log(level: 'info' | 'warn' | 'error', event: string, fields: Record<string, string | number | null>): void
}

/**
 * Takes one step of a rebuild. What a step does can be done again, and its job moves on by conditional put, so of steps that
 * come twice one ends without another message. Throws when something is away: then its message comes again.
 */
export async function stepRebuild(step: RebuildStep, ports: RebuildPorts): Promise<void> {
	const found = await ports.jobs.read(step.id)
	if (!found || found.job.state === 'done') return
	const { job, delaySeconds } = await advance(found.job, ports)
	if (!(await ports.jobs.replace(job, found.etag))) return
	if (job.state === 'done') {
		await ports.ledger.forgetAsked(job.id)
		ports.log('info', 'rebuild_done', { rebuild: job.id, region: job.region, shards: job.outcome?.shards.done ?? 0 })
	} else await ports.again(step, delaySeconds)
}

type Advanced = { job: RebuildJob; delaySeconds: number }

async function advance(job: RebuildJob, ports: RebuildPorts): Promise<Advanced> {
	const now = ports.clock()
	return job.state === 'listing' ? list(job, now, ports) : look(job, now, ports)
}

/** Asks the shards of a part of the registry. */
async function list(job: RebuildJob, now: number, ports: RebuildPorts): Promise<Advanced> {
	const tenants = job.tenant === null ? await ports.registry(job.cursor, rebuildStepTenantsMax) : [job.tenant]
	const ends = job.tenant !== null || tenants.length < rebuildStepTenantsMax
	const last = tenants.at(-1) ?? null
	await ports.ledger.noteAsked(
		job.id,
		{ after: job.cursor, last: ends ? null : last },
		await askAll(tenants, job, ports),
	)
	if (!ends) return { job: { ...job, cursor: last, stepAt: now }, delaySeconds: 0 }
	return { job: { ...job, state: 'running', cursor: null, listedAt: now, stepAt: now }, delaySeconds: 1 }
}

async function askAll(tenants: readonly TenantId[], job: RebuildJob, ports: RebuildPorts): Promise<AskedShard[]> {
	const waiting = [...tenants]
	const asked: AskedShard[] = []
	const worker = async () => {
		for (let tenant = waiting.shift(); tenant !== undefined; tenant = waiting.shift())
			asked.push(...(await ask(tenant, job, ports)))
	}
	await Promise.all(Array.from({ length: rebuildStepsAtOnceMax }, worker))
	return asked
}

/** A tenant that is not in force has nothing to read; a shard that cannot be reached is asked by the next listing. */
async function ask(
	tenant: TenantId,
	{ id, startedAt: askedAt }: RebuildJob,
	ports: RebuildPorts,
): Promise<AskedShard[]> {
	const shard = homeShard
	try {
		if ((await ports.control.read(tenant))?.control.state !== 'active') return []
		const reply = await ports.shardOf(tenant, shard).rebuild({ tenant, shard, id, askedAt })
		return reply.kind === 'accepted' ? [{ tenant, shard, seq: reply.seq }] : []
	} catch (error) {
		const name = error instanceof Error ? error.name : typeof error
		ports.log('warn', 'rebuild_unreached', { rebuild: id, tenant, shard, error: name })
		return [{ tenant, shard, seq: null }]
	}
}

/**
 * Ends the job when every shard is done. What does not get done is listed anew: a shard may have been away, a tenant erased,
 * or the view lost a second time.
 */
async function look(job: RebuildJob, now: number, ports: RebuildPorts): Promise<Advanced> {
	const { unreached, ...progress } = await ports.ledger.progress(job.id)
	const waitedMs = now - (job.listedAt ?? now)
	const whole = job.tenant !== null || progress.shards.total > 0 || (await ports.registry(null, 1)).length === 0
	if (whole && unreached === 0 && progress.shards.done === progress.shards.total)
		return { job: { ...job, state: 'done', stepAt: now, finishedAt: now, outcome: progress }, delaySeconds: 0 }
	if (waitedMs > rebuildAgainMsMax)
		return { job: { ...job, state: 'listing', listedAt: null, stepAt: now }, delaySeconds: 0 }
	const delaySeconds = Math.min(rebuildAgainSecondsMax, Math.max(1, Math.floor(waitedMs / 4_000)))
	return { job: { ...job, stepAt: now }, delaySeconds }
}
