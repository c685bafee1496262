/**
 * The queue's consumer: brings the view of every shard that a batch of wake-ups names up to date, and goes on with the jobs that
 * it names. A message carries no data; what is true is asked of the shard. Shards do not wait for each other, and each message is
 * acknowledged by itself, after its effect.
 */
import { z } from 'zod'
import type { Announcement, Shard, WakeUp } from '../../core/contract.ts'
import { type Control, type ControlStore, divergeControl, tenantIdSchema } from '../../core/control.ts'
import type { ErasureCall } from '../../core/erasure.ts'
import { type Region, regionOf, type TenantId } from '../../core/ids.ts'
import type { JobWakeUp } from '../../core/job.ts'
import { deliveryMsMax, deliveryPageBytesMax, pageBytesMax, retrySecondsMax } from '../../core/limits.ts'
import { DatabaseFailure } from '../../db/neon/client.ts'
import { type ViewStore, ViewWriter } from '../../db/neon/writer.ts'
import { catchUp, type Delivery } from './catch-up.ts'
import { type JobPorts, runJob } from './jobs/job.ts'
import { PageMemory } from './page-memory.ts'

/** One message of a queue, as far as it matters here. */
export interface Message {
	body: unknown
	/** How often it has been delivered, this time included. */
	attempts: number
	ack(): void
	retry(options: { delaySeconds: number }): void
}

export interface Ports {
	/** What may write a region's view. */
	view(region: Region): ViewStore
	shardOf(tenant: TenantId, shard: number): Pick<Shard, 'pull'>
	/** The control objects of a tenant's cell. */
	control(tenant: TenantId): ControlStore
	/** Sends a message to the queue of its tenant's region. */
	announce(message: Announcement): Promise<void>
	/** Goes on with a tenant's erasure; false when there is more to do at once. */
	erase(call: ErasureCall): Promise<boolean>
	/** Milliseconds; only differences are used. */
	now(): number
	/** Resolves after `ms`, or at once when the signal aborts. */
	sleep(ms: number, signal: AbortSignal): Promise<void>
	/** From 0 up to, not including, 1. */
	random(): number
	/** Fields name tenants, shards and positions, never what a record holds. */
	log(level: 'info' | 'warn' | 'error', event: string, fields: Record<string, string | number | null>): void
	/** What jobs need besides. */
	jobs: JobPorts
}

/**
 * Never throws: whatever goes wrong with one shard is retried with that shard's messages. Everything in a batch shares
 * `deliveryMsMax`, because wake-ups that arrive meanwhile may have to wait for its end: where the queue runs one batch at a
 * time, that is what a tenant's backlog costs the others (V4).
 */
export async function consume(messages: readonly Message[], ports: Ports): Promise<void> {
	const endsAt = ports.now() + deliveryMsMax
	const delivery = { endsAt, memory: new PageMemory(deliveryPageBytesMax, pageBytesMax) }
	const { groups, jobs, erasures } = sort(messages, ports)
	const writers = new Map<Region, ViewWriter>()
	const writerOf = (region: Region) => {
		const writer = writers.get(region) ?? new ViewWriter(ports.view(region))
		writers.set(region, writer)
		return writer
	}
	await Promise.all([
		deliverJobs(jobs, ports, endsAt),
		...erasures.map((one) => deliverErasure(one, ports)),
		...groups.map((one) => deliver(one, writerOf, ports, delivery)),
	])
}

interface Group {
	/** The furthest of the messages' wake-ups. */
	wakeUp: WakeUp
	messages: Message[]
}

type WriterOf = (region: Region) => ViewWriter

async function deliver(
	{ wakeUp, messages }: Group,
	writerOf: WriterOf,
	ports: Ports,
	delivery: Delivery,
): Promise<void> {
	settle(messages, await settles(wakeUp, writerOf, ports, delivery), ports)
}

function settle(messages: Message[], done: boolean, ports: Ports): void {
	for (const message of messages) {
		if (done) message.ack()
		else message.retry({ delaySeconds: retrySeconds(message.attempts, ports.random()) })
	}
}

interface JobGroup {
	wakeUp: JobWakeUp
	messages: Message[]
}

/**
 * Jobs go one after the other, because each may hold a part of an archive in memory. Those whose turn did not come are
 * announced before those that have more to do, so that they come first in a later batch.
 */
async function deliverJobs(groups: Iterable<JobGroup>, ports: Ports, endsAt: number): Promise<void> {
	const putOff: JobGroup[] = []
	const unfinished: JobGroup[] = []
	for (const group of groups) {
		if (ports.now() >= endsAt) putOff.push(group)
		else if (await deliverJob(group, ports, endsAt)) unfinished.push(group)
	}
	for (const group of [...putOff, ...unfinished]) await announceJob(group, ports)
}

/** True when there is more to do; the messages are not settled then. */
async function deliverJob(group: JobGroup, ports: Ports, endsAt: number): Promise<boolean> {
	try {
		if (await runJob(group.wakeUp, ports.jobs, () => ports.now() < endsAt)) return true
		settle(group.messages, true, ports)
	} catch (error) {
		failJob(group, error, ports)
	}
	return false
}

async function announceJob(group: JobGroup, ports: Ports): Promise<void> {
	try {
		await ports.announce(group.wakeUp)
		settle(group.messages, true, ports)
	} catch (error) {
		failJob(group, error, ports)
	}
}

function failJob({ wakeUp: { tenant, shard, job }, messages }: JobGroup, error: unknown, ports: Ports): void {
	ports.log('error', 'job_failed', { tenant, shard, job, error: error instanceof Error ? error.name : typeof error })
	settle(messages, false, ports)
}

/** True when nothing is left to do for these messages. */
async function settles(wakeUp: WakeUp, writerOf: WriterOf, ports: Ports, delivery: Delivery): Promise<boolean> {
	const { tenant, shard, epoch } = wakeUp
	try {
		const result = await catchUp(wakeUp, writerOf(regionOf(tenant)), ports, delivery)
		switch (result.end) {
			case 'current':
				return true
			case 'unfinished':
				await ports.announce({ tenant, shard, epoch: result.epoch, head: result.head })
				return true
			case 'superseded':
				return true
			case 'epoch_ahead':
				ports.log('warn', 'epoch_ahead', { tenant, shard, epoch, viewEpoch: result.viewEpoch })
				// What the control object does not know is no epoch of the tenant.
				return startOver(wakeUp, result.viewEpoch, (await ports.control(tenant).read(tenant))?.control ?? null, ports)
			case 'diverged': {
				ports.log('error', 'shard_diverged', { tenant, shard, epoch, viewEpoch: result.viewEpoch })
				const control = await divergeControl(ports.control(tenant), tenant, result.viewEpoch)
				return (await startOver(wakeUp, result.viewEpoch, control, ports)) || control?.state !== 'active'
			}
			case 'refused':
				// The shard announces again when it has something to say; repeating this question would not help.
				ports.log('warn', 'pull_refused', { tenant, shard, epoch, reason: result.reason })
				return true
		}
	} catch (error) {
		logFailure(wakeUp, error, ports)
		return false
	}
}

/** The view keeps its rows, which readers go on seeing as incomplete, and reads the shard anew under the epoch that is in force. */
async function startOver(
	{ tenant, shard }: WakeUp,
	viewEpoch: number,
	control: Control | null,
	ports: Ports,
): Promise<boolean> {
	if (control?.state !== 'active' || control.epoch <= viewEpoch) return false
	const { epoch } = control
	await ports.view(regionOf(tenant)).startOver({ tenant, shard, epoch: viewEpoch }, epoch)
	await ports.announce({ tenant, shard, epoch, head: 0 })
	return true
}

interface ErasureGroup {
	call: ErasureCall
	message: Message
}

/** Steps of an erasure take their turn like pages; what is not done yet is called for again. */
async function deliverErasure({ call, message }: ErasureGroup, ports: Ports): Promise<void> {
	try {
		if (!(await ports.erase(call))) await ports.announce(call)
		message.ack()
	} catch (error) {
		logFailure(call, error, ports)
		message.retry({ delaySeconds: retrySeconds(message.attempts, ports.random()) })
	}
}

/** The message of an error may quote data; its name and SQLSTATE do not. */
function logFailure({ tenant, shard, epoch }: WakeUp | ErasureCall, error: unknown, ports: Ports): void {
	const sqlstate = error instanceof DatabaseFailure ? error.sqlstate : null
	const name = error instanceof Error ? error.name : typeof error
	ports.log('error', 'delivery_failed', { tenant, shard, epoch, error: name, sqlstate })
}

/** Doubles with each attempt up to `retrySecondsMax`; the upper half of the wait is random, so that failures spread out. */
export function retrySeconds(attempts: number, random: number): number {
	const longest = Math.min(2 ** attempts, retrySecondsMax)
	return Math.ceil(longest * (0.5 + random / 2))
}

const shardName = {
	tenant: tenantIdSchema,
	shard: z.int().nonnegative(),
	epoch: z.int().nonnegative(),
}
/** Without a kind it is the wake-up of a shard: those were there before there were others. */
const messageSchema = z.union([
	z.object({ kind: z.undefined().optional(), ...shardName, head: z.int().nonnegative() }),
	z.object({ kind: z.literal('job'), ...shardName, job: z.string().max(100) }),
	z.object({ kind: z.literal('erasure'), ...shardName }),
])

/** Messages of one shard and epoch go together; what is no message of ours is acknowledged, because no retry would make it one. */
function sort(
	messages: readonly Message[],
	ports: Ports,
): { groups: Group[]; jobs: Iterable<JobGroup>; erasures: ErasureGroup[] } {
	const groups = new Map<string, Group>()
	const jobs = new Map<string, JobGroup>()
	const erasures: ErasureGroup[] = []
	for (const message of messages) {
		const parsed = messageSchema.safeParse(message.body)
		if (!parsed.success) {
			ports.log('error', 'message_invalid', { attempts: message.attempts })
			message.ack()
			continue
		}
		const { tenant, shard, epoch } = parsed.data
		if (parsed.data.kind === 'erasure') {
			erasures.push({ call: parsed.data, message })
			continue
		}
		if (parsed.data.kind === 'job') {
			const { job } = parsed.data
			const group = jobs.get(job) ?? { wakeUp: { kind: 'job', tenant, shard, epoch, job }, messages: [] }
			jobs.set(job, group)
			group.messages.push(message)
			continue
		}
		const wakeUp: WakeUp = { tenant, shard, epoch, head: parsed.data.head }
		const key = `${tenant}/${shard}/${epoch}`
		const group = groups.get(key)
		if (group === undefined) groups.set(key, { wakeUp, messages: [message] })
		else {
			group.messages.push(message)
			if (wakeUp.head > group.wakeUp.head) group.wakeUp = wakeUp
		}
	}
	return { groups: [...groups.values()], jobs: jobs.values(), erasures }
}
