/** Looks after erasures that nobody works on any more: those that stand still, and those that a restored database has undone. */
import type { ControlStore } from '../../core/control.ts'
import { decideErasure, type ErasureCall, type ErasureRecord, type ErasureStore } from '../../core/erasure.ts'
import type { TenantId } from '../../core/ids.ts'
import { erasureForgottenMs, erasureLateMs, erasuresNewest, erasuresSweptMax } from '../../core/limits.ts'
import { homeShard } from '../../core/shard-map.ts'
import type { ErasurePorts } from './erasure.ts'

export interface ErasureSweepPorts extends Pick<ErasurePorts, 'log'> {
	/** `ids` answers those of all records of the region, in order. */
	erasures: Pick<ErasureStore, 'read'> & { ids(): Promise<string[]> }
	control: Pick<ControlStore, 'read'>
	view: Pick<ErasurePorts['view'], 'erase'> & {
		/** Which of the tenants have no tombstone in the view. */
		unburied(tenants: readonly TenantId[]): Promise<TenantId[]>
	}
	objects: Pick<ErasurePorts['objects'], 'remove'>
	announce(call: ErasureCall): Promise<void>
	/** Milliseconds since 1970. */
	clock(): number
}

/**
 * What the cron trigger does for one region's erasures every minute: the newest are always looked at, the others take turns. What an
 * erasure destroys is decided by the control object alone. @throws whatever a store throws; the next minute tries again
 */
export async function sweepErasures(ports: ErasureSweepPorts): Promise<void> {
	const chosen = chooseIds(await ports.erasures.ids(), ports.clock())
	const found = await Promise.all(chosen.map((id) => ports.erasures.read(id)))
	const records = found.flatMap((one) => (one === null ? [] : [one.record]))
	await buryAgain(
		records.filter(({ certificate }) => certificate !== null),
		ports,
	)
	for (const record of records)
		if (record.certificate === null) await driveOn(record, ports)
		else await removeLateObjects(record, ports)
}

function chooseIds(ids: readonly string[], now: number): string[] {
	const turns = Math.max(1, Math.ceil(ids.length / erasuresSweptMax))
	const start = (Math.floor(now / 60_000) % turns) * erasuresSweptMax
	return [...new Set([...ids.slice(start, start + erasuresSweptMax), ...ids.slice(-erasuresNewest)])]
}

/** A database that was restored to before an erasure has the tenant's rows again, and no tombstone. */
async function buryAgain(records: readonly ErasureRecord[], ports: ErasureSweepPorts): Promise<void> {
	if (records.length === 0) return
	for (const tenant of await ports.view.unburied(records.map((record) => record.tenant))) {
		const control = (await ports.control.read(tenant))?.control
		if (control?.state !== 'erased') continue
		ports.log('error', 'erased_rows_returned', { tenant })
		// What is left after one call is behind the tombstone, and nobody's: `verify` deletes such rows.
		await ports.view.erase(tenant, control.epoch)
	}
}

/** An upload that was on its way when the bucket was emptied, and whose Worker died before it heard of that. */
async function removeLateObjects({ tenant, done }: ErasureRecord, ports: ErasureSweepPorts): Promise<void> {
	const certifiedAt = done.find(({ step }) => step === 'certify')?.at ?? 0
	if (ports.clock() > certifiedAt + erasureLateMs) return
	if ((await ports.control.read(tenant))?.control.state === 'erased') await ports.objects.remove(tenant)
}

/** The shard's alarm calls for every step; an erasure without a step for so long has lost it. */
async function driveOn(record: ErasureRecord, ports: ErasureSweepPorts): Promise<void> {
	const { tenant } = record
	const now = ports.clock()
	const control = (await ports.control.read(tenant))?.control ?? null
	if (!control || decideErasure(control, record, now).kind !== 'perform') return
	const movedAt = Math.max(control.erasure?.dueAt ?? 0, record.requestedAt, ...record.done.map(({ at }) => at))
	if (now < movedAt + erasureForgottenMs) return
	ports.log('warn', 'erasure_driven_on', { tenant, erasure: record.id })
	await ports.announce({ kind: 'erasure', tenant, shard: homeShard, epoch: control.epoch })
}
