/** Holds one region's view against its shards, and mends what differs. */
import type { Shard, WakeUp } from '../../core/contract.ts'
import type { ControlStore } from '../../core/control.ts'
import { parseTenantId, type TenantId } from '../../core/ids.ts'
import {
	checksumsAskedMax,
	comparedRowsMax,
	comparedShardsMax,
	comparisonsMax,
	repairGapMs,
	strayTenantsMax,
	strayTenantsSought,
	verificationMsMax,
} from '../../core/limits.ts'
import { homeShard } from '../../core/shard-map.ts'
import type { Comparison } from '../../core/verification.ts'
import type { ComparedView, ShardName } from '../../db/neon/comparing.ts'
import type { Ports } from './consumer.ts'
import { pull } from './pull.ts'

export interface VerifyPorts extends Pick<Ports, 'sleep' | 'log'> {
	view: ComparedView
	/** The registry of the view's own cell. */
	control: Pick<ControlStore, 'read'>
	shardOf(tenant: TenantId, shard: number): Pick<Shard, 'pull' | 'rebuild'>
	announce(message: WakeUp): Promise<void>
	/** Milliseconds since 1970. */
	clock(): number
	/** Time-ordered, as `mintId` makes it. */
	mint(now: number): string
}

/** What the cron trigger does for one region's view every minute. @throws DatabaseFailure */
export async function verify(ports: VerifyPorts): Promise<void> {
	await askChecksums(ports)
	await compare(ports)
	await settleStrays(ports)
}

/**
 * Most checksums come with the pages that the view applies. A shard that computes its digest anew cannot say it then and has
 * nothing to announce afterwards, so it is asked.
 */
async function askChecksums(ports: VerifyPorts): Promise<void> {
	const unsummed = await ports.view.listUnsummed(checksumsAskedMax)
	await Promise.all(
		unsummed.map((of) =>
			attempt(ports, 'checksum_unasked', of, async () => {
				const reply = await pull(ports, { watermark: of, range: null, entriesMax: 1 })
				const checksum = reply.kind === 'page' && reply.page.head === of.appliedSeq ? reply.page.checksum : null
				if (checksum) await ports.view.noteChecksum(of, checksum)
			}),
		),
	)
}

async function compare(ports: VerifyPorts): Promise<void> {
	const startedAt = ports.clock()
	const large = await ports.view.compareLarge(comparedRowsMax)
	if (large) await settle([large], ports)
	for (let statements = 0; statements < comparisonsMax; statements++) {
		const sinceMs = ports.clock() - startedAt
		if (sinceMs >= verificationMsMax) return
		const compared = await ports.view.compareShards({ shardsMax: comparedShardsMax, rowsMax: comparedRowsMax, sinceMs })
		if (compared.length === 0) return
		await settle(compared, ports)
	}
}

/** Notes what was found, and has shards that differ read anew. */
async function settle(compared: readonly Comparison[], ports: VerifyPorts): Promise<void> {
	for (const { tenant, shard, equal } of compared) if (!equal) ports.log('error', 'view_differs', { tenant, shard })
	const due = await ports.view.noteComparisons(compared, repairGapMs)
	await Promise.all(due.map((one) => repair(one, ports)))
}

async function repair({ tenant, shard }: ShardName, ports: VerifyPorts): Promise<void> {
	const begun = await attempt(ports, 'repair_unbegun', { tenant, shard }, async () => {
		const askedAt = ports.clock()
		const reply = await ports.shardOf(tenant, shard).rebuild({ tenant, shard, id: ports.mint(askedAt), askedAt })
		if (reply.kind === 'refused') throw new Error('the shard refused')
		ports.log('warn', 'repair_begun', { tenant, shard, seq: reply.seq })
	})
	if (!begun) await ports.view.withdrawRepair({ tenant, shard })
}

/**
 * Rows of a tenant that the view does not follow. The registry knows whether they are what an erasure, or somebody's hand,
 * has left; a tenant that may exist is met, and then compared like any other.
 */
async function settleStrays(ports: VerifyPorts): Promise<void> {
	for (const text of await ports.view.listStrays(strayTenantsSought, strayTenantsMax)) {
		const tenant = parseTenantId(text)
		await attempt(ports, 'stray_unsettled', { tenant, shard: null }, async () => {
			const control = tenant === null ? null : ((await ports.control.read(tenant))?.control ?? null)
			if (tenant === null || control === null || control.state === 'erased') {
				ports.log('error', 'stray_deleted', { tenant })
				await ports.view.deleteStray(text)
			} else await ports.announce({ tenant, shard: homeShard, epoch: control.epoch, head: 0 })
		})
	}
}

/** What fails for one shard is tried again in a minute and does not keep the others from their turn. */
async function attempt(
	ports: VerifyPorts,
	event: string,
	{ tenant, shard }: { tenant: TenantId | null; shard: number | null },
	work: () => Promise<void>,
): Promise<boolean> {
	try {
		await work()
		return true
	} catch (error) {
		ports.log('warn', event, { tenant, shard, error: error instanceof Error ? error.name : typeof error })
		return false
	}
}
